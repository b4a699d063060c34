//! Cancelling: now where a job waits, by request where it runs, and never forgotten.

use queue_core::{
    Class, Error, JobId, NewJob, State, WaitReason,
    attempt::{Finished, Outcome},
    job::{After, ParentEnd, StartAt},
    store::Cancelled,
};
use support::{HOUR, LEASE, SECOND, TestQueue, job};

/// Ends the next job.
type End = fn(&TestQueue);

/// What an attempt says of its end.
type Say = fn(&TestQueue) -> Outcome;

#[test]
fn a_waiting_job_is_cancelled_now() {
    let q = TestQueue::new();
    let pending = q.enqueue("x");
    let scheduled = q.enqueue(NewJob {
        start: StartAt::After(HOUR),
        ..job("x")
    });
    let held = q.enqueue(NewJob {
        hold: true,
        ..job("x")
    });
    let after = q.enqueue(NewJob {
        after: vec![After {
            parent: held,
            end: ParentEnd::Success,
        }],
        ..job("x")
    });
    for id in [pending, scheduled, after, held] {
        assert_eq!(q.cancel(id).unwrap(), Cancelled::Now);
        let job = q.job(id);
        assert_eq!(
            (job.state, job.class),
            (State::Cancelled, Some(Class::Cancelled))
        );
        assert_eq!(job.finished_at, Some(q.now().wall));
        assert_eq!((job.wait_reason, job.run_at), (None, None));
    }
    q.advance(2 * HOUR);
    assert_eq!(q.try_claim("a"), None);
}

#[test]
fn a_running_job_is_asked_to_stop_and_is_cancelled_once_it_has() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    assert!(!q.heartbeat(&lease).unwrap());
    let asked_at = q.now().wall;
    assert_eq!(q.cancel(id).unwrap(), Cancelled::Asked);
    assert_eq!(q.state(id), State::InProgress);
    assert_eq!(q.job(id).cancel_requested_at, Some(asked_at));
    q.advance(SECOND);
    assert!(q.heartbeat(&lease).unwrap(), "the worker hears of it");
    assert_eq!(q.cancel(id).unwrap(), Cancelled::Asked);
    assert_eq!(q.job(id).cancel_requested_at, Some(asked_at));
    assert_eq!(q.abort(lease).unwrap(), Finished::Cancelled);
    let job = q.job(id);
    assert_eq!(
        (job.state, job.class),
        (State::Cancelled, Some(Class::Cancelled))
    );
    assert_eq!(q.attempts(id)[0].class, Some(Class::Cancelled));
}

// T46
#[test]
fn a_job_that_ended_stays_as_it_is() {
    let q = TestQueue::new();
    let ended: [(&str, End); 3] = [
        ("completed", |q| drop(q.complete(q.claim("a")))),
        ("failed", |q| drop(q.fail(q.claim("a"), Class::Auth))),
        ("cancelled", |q| drop(q.abort(q.claim("a")))),
    ];
    for (state, end) in ended {
        let id = q.enqueue("x");
        end(&q);
        let before = q.detail(id);
        let state = state.parse().unwrap();
        assert_eq!(q.cancel(id).unwrap(), Cancelled::Ended(state));
        assert_eq!(q.detail(id), before);
    }
}

// T46
#[test]
fn after_a_cancelled_job_ended_its_worker_can_write_nothing() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lost = q.claim("a");
    q.cancel(id).unwrap();
    q.advance(LEASE + SECOND);
    q.rescue("b");
    assert_eq!(q.state(id), State::Cancelled);
    let before = q.detail(id);
    for refused in [
        q.heartbeat(&lost).map(drop),
        q.checkpoint(&lost, "late"),
        q.progress(&lost, 1),
        q.complete(lost).map(drop),
    ] {
        assert!(
            matches!(refused, Err(Error::LeaseLost { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(q.detail(id), before);
}

#[test]
fn a_cancel_outlives_the_worker_it_was_meant_for() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    q.start("a");
    q.cancel(id).unwrap();
    q.advance(LEASE + SECOND);
    assert_eq!(q.rescue("b"), [(id, Finished::Cancelled)]);
    assert_eq!(q.job(id).class, Some(Class::Cancelled));
    assert_eq!(q.try_claim("b"), None);
}

#[test]
fn an_adopter_hears_of_a_cancel() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    q.start("a");
    q.cancel(id).unwrap();
    q.advance(LEASE + SECOND);
    let orphan = q.adopt("b").pop().unwrap();
    assert!(q.heartbeat(&orphan.lease).unwrap());
}

#[test]
fn a_cancelled_job_is_not_run_again_whatever_its_attempt_says() {
    let outcomes: [(&str, Say); 4] = [
        ("failed", |_| support::failed(Class::Signal)),
        ("snoozed", |q| Outcome::Snoozed {
            until: q.now().wall,
        }),
        ("handed back", |_| Outcome::HandedBack),
        ("stalled", |_| Outcome::Stalled {
            class: Class::WorkerDied,
        }),
    ];
    for (name, outcome) in outcomes {
        let q = TestQueue::new();
        let id = q.enqueue("x");
        let lease = q.claim("a");
        q.cancel(id).unwrap();
        let became = q.finish(lease, outcome(&q)).unwrap();
        assert_eq!(became, Finished::Cancelled, "{name}");
        assert_eq!(q.state(id), State::Cancelled, "{name}");
    }
}

#[test]
fn an_attempt_that_completes_before_it_is_stopped_has_completed() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    q.cancel(id).unwrap();
    assert_eq!(q.complete(lease).unwrap(), Finished::Completed);
    assert_eq!(q.state(id), State::Completed);
}

#[test]
fn each_job_of_a_cancel_is_answered_for_itself() {
    let q = TestQueue::new();
    let (first, second) = (q.enqueue("x"), q.enqueue("y"));
    let none = JobId(second.0 + 1_000);
    let running = q.claim("a").job();
    assert_eq!(running, first);
    let answers = q.store().cancel(&[second, none, first], &q.now()).unwrap();
    assert!(matches!(answers[0], Ok(Cancelled::Now)));
    assert!(matches!(answers[1], Err(Error::JobNotFound(id)) if id == none));
    assert!(matches!(answers[2], Ok(Cancelled::Asked)));
}

#[test]
fn a_cancel_between_retries_ends_the_waiting() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    q.exit(lease, 1).unwrap();
    assert_eq!(q.job(id).wait_reason, Some(WaitReason::Retry));
    assert_eq!(q.cancel(id).unwrap(), Cancelled::Now);
    q.advance(2 * HOUR);
    assert_eq!(q.try_claim("a"), None);
    assert_eq!(
        q.attempts(id)[0].class,
        Some(Class::ExitCode),
        "history stays"
    );
}
