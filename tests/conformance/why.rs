//! Why a job does not run: for every job that waits there is an answer.

use queue_core::{
    NewJob, State, WaitReason,
    job::{After, ParentEnd, StartAt},
    why::Cause,
};
use support::{HOUR, SECOND, TestQueue, job};

#[test]
fn a_job_that_runs_or_ended_is_kept_from_nothing() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    assert_eq!(q.why(id), []);
    q.complete(lease).unwrap();
    assert_eq!(q.why(id), []);
}

#[test]
fn a_job_that_was_asked_to_stop_says_so() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let _lease = q.claim("a");
    q.cancel(id).unwrap();
    let since = q.now().wall;
    assert_eq!(q.why(id), [Cause::Stopping { since }]);
}

#[test]
fn a_stop_that_nobody_passes_on_says_so() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let _lease = q.claim("a");
    q.cancel(id).unwrap();
    let since = q.now().wall;
    q.advance(HOUR);
    let nobody = Cause::NoWorker {
        queue: "default".to_owned(),
    };
    assert_eq!(q.why(id), [nobody, Cause::Stopping { since }]);
}

#[test]
fn a_job_without_a_worker_says_so() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let causes = q.why(id);
    assert!(
        causes.contains(&Cause::NoWorker {
            queue: "default".to_owned()
        }),
        "{causes:?}"
    );
}

#[test]
fn a_job_in_line_says_how_many_go_first() {
    let q = TestQueue::new();
    q.worker("a");
    let jobs = q.enqueue_many(3, &job("x"));
    for (ahead, id) in (0..).zip(&jobs) {
        assert_eq!(q.why(*id), [Cause::InLine { ahead, workers: 1 }]);
    }
    let urgent = q.enqueue(NewJob {
        priority: 5,
        ..job("x")
    });
    assert_eq!(
        q.why(urgent),
        [Cause::InLine {
            ahead: 0,
            workers: 1
        }]
    );
    assert_eq!(
        q.why(jobs[2]),
        [Cause::InLine {
            ahead: 3,
            workers: 1
        }]
    );
}

#[test]
fn a_job_that_waits_for_its_time_says_which_and_why() {
    let q = TestQueue::new();
    q.worker("a");
    let delayed = q.enqueue(NewJob {
        start: StartAt::After(HOUR),
        ..job("x")
    });
    let at = q.now().wall.saturating_add(HOUR);
    let reason = WaitReason::Delay;
    assert_eq!(q.why(delayed)[0], Cause::Until { reason, at });
    let retried = q.enqueue("x");
    q.exit(q.claim("a"), 1).unwrap();
    let at = q.job(retried).run_at.unwrap();
    let reason = WaitReason::Retry;
    assert_eq!(q.why(retried)[0], Cause::Until { reason, at });
    let snoozed = q.enqueue("x");
    q.snooze(q.claim("a"), SECOND).unwrap();
    let at = q.now().wall.saturating_add(SECOND);
    let reason = WaitReason::Snooze;
    assert_eq!(q.why(snoozed)[0], Cause::Until { reason, at });
}

#[test]
fn every_cause_is_listed_the_one_to_mend_first_in_front() {
    let q = TestQueue::new();
    q.worker("a");
    let parent = q.enqueue("x");
    let id = q.enqueue(NewJob {
        hold: true,
        start: StartAt::After(HOUR),
        after: vec![After {
            parent,
            end: ParentEnd::Success,
        }],
        ..job("x")
    });
    let since = q.now().wall;
    q.pause("default", true);
    let causes = q.why(id);
    assert_eq!(causes[0], Cause::Held { since });
    let after = Cause::After {
        parent,
        end: ParentEnd::Success,
        state: Some(State::Pending),
    };
    assert!(causes.contains(&after), "{causes:?}");
    assert!(
        causes
            .iter()
            .any(|cause| matches!(cause, Cause::Until { .. })),
        "{causes:?}"
    );
    assert!(
        causes
            .iter()
            .any(|cause| matches!(cause, Cause::QueuePaused { .. })),
        "{causes:?}"
    );
    assert_eq!(q.detail(id).causes, causes);
    assert_eq!(q.detail(id).summary.cause.as_ref(), causes.first());
}

#[test]
fn every_waiting_job_has_a_cause() {
    let q = TestQueue::new();
    q.set_limit("api", "1/h", 1);
    let waiting = [
        job("x"),
        NewJob {
            limits: vec!["api".parse().unwrap()],
            ..job("x")
        },
        NewJob {
            concurrency_key: Some("repo".to_owned()),
            ..job("x")
        },
        NewJob {
            hold: true,
            ..job("x")
        },
        NewJob {
            start: StartAt::After(HOUR),
            ..job("x")
        },
    ];
    for new in &waiting {
        q.enqueue_many(2, new);
    }
    assert_eq!(q.claim_many("a", 3).len(), 3);
    for state in State::WAITING {
        for id in q.ids_in(*state) {
            assert!(!q.why(id).is_empty(), "job {id} is {state} for no reason");
        }
    }
}
