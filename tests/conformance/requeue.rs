//! Running ended jobs again: everything starts from zero but the history and the fence.

use queue_core::{
    Class, Error, JobId, NewJob, State, Verb,
    job::{After, ParentEnd},
    store::Requeue,
};
use support::{HOUR, LEASE, SECOND, TestQueue, job};

#[test]
fn a_requeued_job_starts_from_zero_and_keeps_its_history() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        max_attempts: 1.try_into().unwrap(),
        ..job("false")
    });
    let lease = q.claim("a");
    let first = lease.fence();
    q.checkpoint(&lease, "page 7").unwrap();
    q.exit(lease, 1).unwrap();
    q.advance(HOUR);
    let requeued = q.requeue(id).unwrap();
    assert_eq!(
        (requeued.state, requeued.dependants),
        (State::Pending, vec![])
    );
    let waiting = q.job(id);
    assert_eq!(waiting.state, State::Pending);
    assert_eq!((waiting.attempt, waiting.stalls), (0, 0));
    assert_eq!((waiting.class, waiting.finished_at), (None, None));
    assert_eq!(waiting.epoch, first.epoch, "the fence is never lowered");
    let again = q.claim("a");
    assert_eq!(again.attempt(), 1);
    assert!(again.fence().epoch > first.epoch);
    assert!(again.fence().holder > first.holder);
    assert_eq!(q.attempts(id).len(), 2);
    assert_eq!(q.saved(id).as_deref(), Some("page 7"));
}

// T28
#[test]
fn a_requeue_after_the_last_stall_resets_the_stalls() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        max_stalls: 1,
        ..job("x")
    });
    let stall_to_death = || {
        for _ in 0..2 {
            q.start("mortal");
            q.advance(LEASE + SECOND);
            q.rescue("b");
        }
        assert_eq!(q.state(id), State::Failed);
    };
    stall_to_death();
    q.requeue(id).unwrap();
    assert_eq!(q.job(id).stalls, 0);
    stall_to_death();
}

#[test]
fn every_ended_job_can_be_requeued() {
    let q = TestQueue::new();
    let ends: [fn(&TestQueue); 3] = [
        |q| drop(q.complete(q.claim("a"))),
        |q| drop(q.fail(q.claim("a"), Class::Auth)),
        |q| drop(q.abort(q.claim("a"))),
    ];
    for end in ends {
        let id = q.enqueue("x");
        end(&q);
        assert!(q.state(id).is_ended());
        q.requeue(id).unwrap();
        let lease = q.claim("a");
        assert_eq!(lease.job(), id);
        q.complete(lease).unwrap();
    }
}

#[test]
fn a_cancel_is_forgotten_when_its_job_is_requeued() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    q.cancel(id).unwrap();
    q.abort(lease).unwrap();
    q.requeue(id).unwrap();
    assert_eq!(q.job(id).cancel_requested_at, None);
    let lease = q.claim("a");
    assert!(!q.heartbeat(&lease).unwrap());
}

#[test]
fn a_job_that_has_not_ended_is_refused_by_name() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let refused = |expected| match q.requeue(id) {
        Err(Error::Refused { job, state, verb }) => {
            assert_eq!((job, state, verb), (id, expected, Verb::Requeue));
        }
        other => panic!("{other:?}"),
    };
    refused(State::Pending);
    q.hold(id).unwrap();
    refused(State::Blocked);
    q.release(id).unwrap();
    q.start("a");
    refused(State::InProgress);
    let none = JobId(id.0 + 1);
    assert!(matches!(q.requeue(none), Err(Error::JobNotFound(id)) if id == none));
}

#[test]
fn a_requeue_may_wait() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    q.complete(q.claim("a")).unwrap();
    let later = Requeue {
        delay: Some(HOUR),
        ..Requeue::default()
    };
    assert_eq!(q.requeue_with(id, &later).unwrap().state, State::Scheduled);
    assert_eq!(q.job(id).run_at, Some(q.now().wall.saturating_add(HOUR)));
    assert_eq!(q.try_claim("a"), None);
    q.advance(HOUR);
    assert_eq!(q.claim("a").job(), id);
}

#[test]
fn dependants_run_again_only_on_request() {
    let q = TestQueue::new();
    let after = |parent| NewJob {
        after: vec![After {
            parent,
            end: ParentEnd::Success,
        }],
        ..job("x")
    };
    let parent = q.enqueue("x");
    let child = q.enqueue(after(parent));
    let grandchild = q.enqueue(after(child));
    for _ in 0..3 {
        q.complete(q.claim("a")).unwrap();
    }
    assert_eq!(q.state(grandchild), State::Completed);
    q.requeue(parent).unwrap();
    assert_eq!(q.state(child), State::Completed);
    q.complete(q.claim("a")).unwrap();

    let with_dependants = Requeue {
        with_dependants: true,
        ..Requeue::default()
    };
    let mut requeued = q.requeue_with(parent, &with_dependants).unwrap();
    requeued.dependants.sort();
    assert_eq!(requeued.dependants, [child, grandchild]);
    assert_eq!(q.state(child), State::Blocked);
    assert_eq!(q.state(grandchild), State::Blocked);
    for expected in [parent, child, grandchild] {
        let lease = q.claim("a");
        assert_eq!(lease.job(), expected);
        q.complete(lease).unwrap();
    }
}

#[test]
fn a_job_that_still_waits_for_its_parent_does_so_after_a_requeue() {
    let q = TestQueue::new();
    let parent = q.enqueue("x");
    let child = q.enqueue(NewJob {
        after: vec![After {
            parent,
            end: ParentEnd::Success,
        }],
        ..job("x")
    });
    q.cancel(child).unwrap();
    assert_eq!(q.requeue(child).unwrap().state, State::Blocked);
    let lease = q.claim("a");
    assert_eq!(lease.job(), parent);
    q.complete(lease).unwrap();
    assert_eq!(q.claim("a").job(), child);
}

#[test]
fn a_held_job_that_was_cancelled_is_not_held_after_a_requeue() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    q.hold(id).unwrap();
    q.cancel(id).unwrap();
    assert_eq!(q.requeue(id).unwrap().state, State::Pending);
}

#[test]
fn many_are_requeued_at_once_and_each_is_answered_for_itself() {
    let q = TestQueue::new();
    let ended = q.enqueue_many(3, &job("x"));
    for lease in q.claim_many("a", 3) {
        q.fail(lease, Class::Auth).unwrap();
    }
    let waiting = q.enqueue("x");
    let asked = [ended[0], waiting, ended[2]];
    let answers = q
        .store()
        .requeue(&asked, &Requeue::default(), &q.now())
        .unwrap();
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert!(matches!(answers[1], Err(Error::Refused { job, .. }) if job == waiting));
    assert_eq!(q.state(ended[1]), State::Failed);
}
