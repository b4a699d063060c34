//! Falling due: delayed jobs start in time, and those that waited too long are given up.

use queue_core::{
    Class, Error, NewJob, State, WaitReason,
    job::StartAt,
    store::{Claim, Cycle},
};
use support::{HOUR, LEASE, MINUTE, SECOND, TestQueue, job};

fn after(span: std::time::Duration) -> NewJob {
    NewJob {
        start: StartAt::After(span),
        ..job("x")
    }
}

#[test]
fn a_delayed_job_starts_when_it_is_due_and_not_before() {
    let q = TestQueue::new();
    let id = q.enqueue(after(HOUR));
    let row = q.job(id);
    assert_eq!(
        (row.state, row.wait_reason),
        (State::Scheduled, Some(WaitReason::Delay))
    );
    let due = q.now().wall.saturating_add(HOUR);
    assert_eq!(row.run_at, Some(due));
    q.advance(HOUR - SECOND);
    assert_eq!((q.promote(), q.try_claim("a")), (0, None));
    q.advance(SECOND);
    assert_eq!(q.promote(), 1);
    let row = q.job(id);
    assert_eq!((row.state, row.wait_reason), (State::Pending, None));
    assert_eq!(q.promote(), 0);
    assert_eq!(q.claim("a").job(), id);
}

#[test]
fn a_start_may_be_a_moment() {
    let q = TestQueue::new();
    let at = q.now().wall.saturating_add(MINUTE);
    let id = q.enqueue(NewJob {
        start: StartAt::At(at),
        ..job("x")
    });
    assert_eq!(q.job(id).run_at, Some(at));
    let past = q.now().wall.saturating_sub(MINUTE);
    let refused = q.try_enqueue(NewJob {
        start: StartAt::At(past),
        ..job("x")
    });
    match refused {
        Err(Error::StartInPast { at, now }) => assert_eq!((at, now), (past, q.now().wall)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn promotion_is_bounded_and_goes_on_where_it_stopped() {
    let q = TestQueue::new();
    q.enqueue_many(10, &after(SECOND));
    q.advance(MINUTE);
    let worker = q.worker("a");
    for expected in [4, 4, 2, 0] {
        assert_eq!(q.store().promote(worker, 4, &q.now()).unwrap(), expected);
    }
    assert_eq!(q.count(State::Pending), 10);
}

#[test]
fn jobs_join_the_line_in_the_order_in_which_they_fall_due() {
    let q = TestQueue::new();
    let late = q.enqueue(after(30 * SECOND));
    let soon = q.enqueue(after(10 * SECOND));
    let now = q.enqueue("x");
    q.advance(MINUTE);
    assert_eq!(q.claim_order("a", 3), [now, soon, late]);
}

#[test]
fn a_cycle_says_when_the_next_job_falls_due() {
    let q = TestQueue::new();
    q.enqueue(after(HOUR));
    q.enqueue(after(MINUTE));
    let cycle = Cycle {
        claim: Some(Claim::default()),
        ..q.cycle_of("a")
    };
    let next_at = q.cycle(&cycle).next_at;
    assert_eq!(next_at, Some(q.now().wall.saturating_add(MINUTE)));
}

#[test]
fn a_job_that_waited_longer_than_it_may_is_given_up() {
    let q = TestQueue::new();
    let may_wait = |job: NewJob| {
        q.enqueue(NewJob {
            max_wait: Some(HOUR),
            ..job
        })
    };
    let pending = may_wait(job("x"));
    let delayed = may_wait(after(2 * HOUR));
    let held = may_wait(NewJob {
        hold: true,
        ..job("x")
    });
    let expires = q.now().wall.saturating_add(HOUR);
    assert_eq!(q.job(pending).expires_at, Some(expires));
    q.advance(HOUR - SECOND);
    assert_eq!(q.promote(), 0);
    q.advance(2 * SECOND);
    assert_eq!(q.promote(), 3);
    for id in [pending, delayed, held] {
        let row = q.job(id);
        assert_eq!(
            (row.state, row.class),
            (State::Cancelled, Some(Class::Expired))
        );
        assert_eq!(row.finished_at, Some(q.now().wall));
    }
    assert_eq!(q.try_claim("a"), None);
}

#[test]
fn a_job_that_started_in_time_is_not_given_up_afterwards() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        max_wait: Some(HOUR),
        ..job("x")
    });
    let lease = q.claim("a");
    q.advance(2 * HOUR);
    q.heartbeat(&lease).unwrap();
    assert_eq!(q.promote(), 0);
    assert_eq!(q.state(id), State::InProgress);
    q.exit(lease, 1).unwrap();
    q.promote();
    assert!(
        !q.state(id).is_ended(),
        "it has started once, so its retry may wait"
    );
    q.advance(HOUR);
    assert_eq!(q.claim("a").attempt(), 2);
}

#[test]
fn a_requeued_job_has_its_whole_wait_before_it_again() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        max_wait: Some(HOUR),
        ..job("x")
    });
    q.advance(2 * HOUR);
    q.promote();
    assert_eq!(q.state(id), State::Cancelled);
    q.requeue(id).unwrap();
    q.promote();
    assert_eq!(q.state(id), State::Pending, "or a requeue would be in vain");
    assert_eq!(q.claim("a").job(), id);
}

#[test]
fn an_expired_job_is_never_claimed_even_before_it_is_given_up() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        max_wait: Some(MINUTE),
        ..job("x")
    });
    q.advance(HOUR);
    // A cycle promotes before it claims.
    assert_eq!(q.try_claim("a"), None);
    assert_eq!(q.state(id), State::Cancelled);
}

// T18
#[test]
fn a_machine_that_slept_over_a_start_runs_the_job_once() {
    let q = TestQueue::new();
    let id = q.enqueue(after(HOUR));
    q.clock().advance_wall(10 * HOUR);
    let lease = q.claim("a");
    assert_eq!(lease.job(), id);
    q.advance(LEASE / 2);
    assert_eq!(q.try_claim("b"), None);
}

#[test]
fn a_delay_is_no_waiting_but_a_retry_keeps_its_place() {
    for released in [false, true] {
        let q = TestQueue::new();
        let failing = q.enqueue("first");
        let delayed = q.enqueue(NewJob {
            start: StartAt::After(100 * HOUR),
            ..job("delayed")
        });
        q.advance(100 * HOUR - SECOND);
        let before = q.enqueue("before");
        q.exit(q.claim("a"), 1).unwrap();
        if released {
            q.release(delayed).unwrap();
        }
        q.advance(SECOND);
        q.promote();
        let urgent = q.enqueue(NewJob {
            priority: 1,
            ..job("urgent")
        });
        let after = q.enqueue("after");
        q.advance(HOUR / 2);
        assert_eq!(
            q.claim_order("a", 9),
            [failing, urgent, before, delayed, after],
            "released: {released}"
        );
    }
}
