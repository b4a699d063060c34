//! Holding jobs back and letting them go.

use queue_core::{
    Error, NewJob, State, Verb, WaitReason,
    job::{After, ParentEnd, StartAt},
};
use support::{HOUR, SECOND, TestQueue, job};

#[test]
fn a_held_job_is_not_claimed_until_it_is_released() {
    let q = TestQueue::new();
    let held = q.enqueue("x");
    let other = q.enqueue("y");
    assert_eq!(q.hold(held).unwrap(), State::Blocked);
    let row = q.job(held);
    assert_eq!(
        (row.state, row.wait_reason),
        (State::Blocked, Some(WaitReason::Hold))
    );
    assert_eq!(row.held_at, Some(q.now().wall));
    q.advance(100 * HOUR);
    assert_eq!(q.claim_order("a", 2), [other]);
    assert_eq!(q.release(held).unwrap(), State::Pending);
    assert_eq!(q.job(held).held_at, None);
    assert_eq!(q.claim("a").job(), held);
}

#[test]
fn a_job_can_be_handed_in_held() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        hold: true,
        ..job("x")
    });
    assert_eq!(q.job(id).wait_reason, Some(WaitReason::Hold));
    assert_eq!(q.try_claim("a"), None);
    assert_eq!(q.release(id).unwrap(), State::Pending);
}

#[test]
fn holding_a_held_job_changes_nothing() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    q.hold(id).unwrap();
    let before = q.detail(id);
    q.advance(SECOND);
    assert_eq!(q.hold(id).unwrap(), State::Blocked);
    assert_eq!(q.job(id), before.summary.job);
}

#[test]
fn a_held_job_that_fell_due_stays_held() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        start: StartAt::After(HOUR),
        ..job("x")
    });
    q.hold(id).unwrap();
    q.advance(2 * HOUR);
    q.promote();
    assert_eq!(q.state(id), State::Blocked);
    assert_eq!(q.release(id).unwrap(), State::Pending);
}

#[test]
fn a_job_released_before_its_time_waits_for_its_time() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        start: StartAt::After(HOUR),
        ..job("x")
    });
    let at = q.job(id).run_at;
    q.hold(id).unwrap();
    assert_eq!(q.release(id).unwrap(), State::Scheduled);
    let row = q.job(id);
    assert_eq!((row.run_at, row.wait_reason), (at, Some(WaitReason::Delay)));
    q.advance(HOUR);
    assert_eq!(q.claim("a").job(), id);
}

#[test]
fn releasing_a_scheduled_job_runs_it_now() {
    let q = TestQueue::new();
    let delayed = q.enqueue(NewJob {
        start: StartAt::After(HOUR),
        ..job("x")
    });
    assert_eq!(q.release(delayed).unwrap(), State::Pending);
    assert_eq!(q.claim("a").job(), delayed);

    let retried = q.enqueue("x");
    q.exit(q.claim("a"), 1).unwrap();
    assert_eq!(q.state(retried), State::Scheduled);
    assert_eq!(q.release(retried).unwrap(), State::Pending);
    assert_eq!(q.claim("a").attempt(), 2);
}

#[test]
fn a_job_released_before_its_parent_ended_waits_for_its_parent() {
    let q = TestQueue::new();
    let parent = q.enqueue("x");
    let child = q.enqueue(NewJob {
        hold: true,
        after: vec![After {
            parent,
            end: ParentEnd::Success,
        }],
        ..job("x")
    });
    assert_eq!(q.release(child).unwrap(), State::Blocked);
    assert_eq!(q.job(child).wait_reason, Some(WaitReason::Dependency));
    q.complete(q.claim("a")).unwrap();
    assert_eq!(q.state(child), State::Pending);
}

#[test]
fn a_held_job_whose_parent_ended_stays_held() {
    let q = TestQueue::new();
    let parent = q.enqueue("x");
    let child = q.enqueue(NewJob {
        after: vec![After {
            parent,
            end: ParentEnd::Success,
        }],
        ..job("x")
    });
    q.hold(child).unwrap();
    q.complete(q.claim("a")).unwrap();
    assert_eq!(q.job(child).wait_reason, Some(WaitReason::Hold));
    assert_eq!(q.release(child).unwrap(), State::Pending);
}

#[test]
fn a_job_that_waits_for_nothing_by_hand_cannot_be_released() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let refused = q.release(id);
    assert!(
        matches!(
            refused,
            Err(Error::Refused {
                state: State::Pending,
                verb: Verb::Release,
                ..
            })
        ),
        "{refused:?}"
    );
}

#[test]
fn a_job_that_runs_cannot_be_held() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    q.start("a");
    match q.hold(id) {
        Err(Error::Refused { job, state, verb }) => {
            assert_eq!((job, state, verb), (id, State::InProgress, Verb::Hold));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_released_job_keeps_its_place() {
    let q = TestQueue::new();
    let first = q.enqueue("x");
    let second = q.enqueue("y");
    q.hold(first).unwrap();
    q.release(first).unwrap();
    assert_eq!(q.claim_order("a", 2), [first, second]);
}
