//! Retries: what follows an attempt that failed, when, and for how long.

use queue_core::{
    Class, NewJob, State, WaitReason,
    attempt::{Finished, Outcome, Report},
    retry::{Backoff, delay},
    state::Disposition,
};
use std::{num::NonZeroU32, time::Duration};
use support::{HOUR, MINUTE, SECOND, TestQueue, failed, job};

fn attempts(most: u32) -> NonZeroU32 {
    most.try_into().unwrap()
}

#[test]
fn a_failed_attempt_is_followed_by_another_after_its_backoff() {
    let q = TestQueue::new();
    let id = q.enqueue("false");
    let lease = q.claim("a");
    let became = q.exit(lease, 1).unwrap();
    let at = q
        .now()
        .wall
        .saturating_add(delay(&Backoff::default(), id.0, 1));
    assert_eq!(became, Finished::Retry(at));
    let waiting = q.job(id);
    assert_eq!(waiting.state, State::Scheduled);
    assert_eq!(waiting.wait_reason, Some(WaitReason::Retry));
    assert_eq!(waiting.run_at, Some(at), "what is shown is what happens");
    assert_eq!((waiting.attempt, waiting.class), (1, Some(Class::ExitCode)));
    assert_eq!((waiting.worker, waiting.lease_expires_at), (None, None));
    let ended = &q.attempts(id)[0];
    assert_eq!(ended.ended_at, Some(q.now().wall));
    assert_eq!(
        (ended.class, ended.exit_code),
        (Some(Class::ExitCode), Some(1))
    );
    q.advance(HOUR);
    assert_eq!(q.claim("b").attempt(), 2);
}

#[test]
fn a_job_out_of_attempts_fails_with_its_last_class() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        max_attempts: attempts(2),
        ..job("false")
    });
    let lease = q.claim("a");
    q.exit(lease, 1).unwrap();
    q.advance(HOUR);
    let lease = q.claim("a");
    assert_eq!(q.fail(lease, Class::Timeout).unwrap(), Finished::Failed);
    let job = q.job(id);
    assert_eq!(job.state, State::Failed);
    assert_eq!((job.class, job.attempt), (Some(Class::Timeout), 2));
    assert_eq!(job.finished_at, Some(q.now().wall));
    assert_eq!((job.run_at, job.wait_reason), (None, None));
    let classes: Vec<_> = q.attempts(id).iter().map(|tried| tried.class).collect();
    assert_eq!(classes, [Some(Class::ExitCode), Some(Class::Timeout)]);
    q.advance(100 * HOUR);
    assert_eq!(q.try_claim("a"), None);
}

#[test]
fn everything_that_is_said_of_an_attempt_is_kept() {
    let q = TestQueue::new();
    let id = q.enqueue("false");
    let lease = q.claim("a");
    q.advance(SECOND);
    q.started(&lease).unwrap();
    let process = q.process();
    q.progress(&lease, 40).unwrap();
    q.advance(SECOND);
    let report = Report {
        exit_code: None,
        signal: Some(11),
        message: Some("segmentation fault".to_owned()),
        usage: Some(queue_core::attempt::ResourceUsage {
            user_ms: 1,
            system_ms: 2,
            max_rss_kib: 3,
            read_bytes: 4,
            written_bytes: 5,
            memory_peak_bytes: Some(6),
        }),
        ..Report::new(failed(Class::Signal), q.now().wall)
    };
    q.report(lease, report.clone()).unwrap();
    let attempt = q.attempts(id).pop().unwrap();
    assert_eq!(attempt.process, Some(process));
    assert_eq!(attempt.ended_at, Some(report.ended_at));
    assert_eq!(
        (attempt.class, attempt.signal),
        (Some(Class::Signal), Some(11))
    );
    assert_eq!(attempt.message, report.message);
    assert_eq!(attempt.usage, report.usage);
    assert_eq!(attempt.progress.map(|progress| progress.done), Some(40));
    assert_eq!(attempt.boot, q.now().boot);
}

#[test]
fn a_result_is_kept_with_the_job() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    let lease = q.claim("a");
    let result = serde_json::json!({"files": 3});
    let outcome = Outcome::Completed {
        result: Some(result.clone()),
    };
    assert_eq!(q.finish(lease, outcome).unwrap(), Finished::Completed);
    assert_eq!(q.detail(id).body.result, Some(result));
    assert_eq!(q.job(id).class, None);
}

// T25
#[test]
fn the_class_decides_whether_another_attempt_follows() {
    for class in Class::ALL {
        let expected = match class.disposition(None) {
            Disposition::Retry | Disposition::Stall => State::Scheduled,
            Disposition::Fail => State::Failed,
        };
        let q = TestQueue::new();
        let id = q.enqueue("x");
        let lease = q.claim("a");
        q.fail(lease, *class).unwrap();
        assert_eq!(q.state(id), expected, "{class}");
    }
}

// T25
#[test]
fn what_cannot_be_found_or_started_is_not_tried_again() {
    for code in [64, 126, 127] {
        let q = TestQueue::new();
        q.enqueue("x");
        let lease = q.claim("a");
        assert_eq!(q.exit(lease, code).unwrap(), Finished::Failed, "{code}");
    }
}

#[test]
fn an_attempt_may_overrule_the_policy_of_its_class() {
    let finish = |class, retryable| {
        let q = TestQueue::new();
        q.enqueue("x");
        let lease = q.claim("a");
        let outcome = Outcome::Failed {
            class,
            retryable,
            retry_after: None,
        };
        q.finish(lease, outcome).unwrap()
    };
    assert_eq!(finish(Class::ExitCode, Some(false)), Finished::Failed);
    let retried = finish(Class::Auth, Some(true));
    assert!(matches!(retried, Finished::Retry(_)), "{retried:?}");
}

// T23
#[test]
fn a_wait_that_the_attempt_asks_for_is_kept_but_bounded_by_its_attempts() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        max_attempts: attempts(3),
        ..job("x")
    });
    let outcome = || Outcome::Failed {
        class: Class::Limit,
        retryable: None,
        retry_after: Some(90 * MINUTE),
    };
    for _ in 1..3 {
        let lease = q.claim("a");
        let at = q.now().wall.saturating_add(90 * MINUTE);
        assert_eq!(q.finish(lease, outcome()).unwrap(), Finished::Retry(at));
        q.advance(90 * MINUTE - SECOND);
        assert_eq!(q.try_claim("a"), None);
        q.advance(SECOND);
    }
    let lease = q.claim("a");
    assert_eq!(q.finish(lease, outcome()).unwrap(), Finished::Failed);
    assert_eq!(q.job(id).attempt, 3);
}

// T21
#[test]
fn the_four_hundredth_attempt_is_planned_like_the_others() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        max_attempts: attempts(1_000),
        ..job("false")
    });
    for number in 1..=400 {
        let lease = q.claim("a");
        assert_eq!(lease.attempt(), number);
        let became = q.exit(lease, 1).unwrap();
        let at = q
            .now()
            .wall
            .saturating_add(delay(&Backoff::default(), id.0, number));
        assert_eq!(became, Finished::Retry(at));
        q.advance(HOUR);
    }
    assert_eq!(q.attempts(id).len(), 400);
}

// T26
#[test]
fn a_failing_job_without_a_policy_does_not_spin() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(20, &job("false"));
    for lease in q.claim_many("a", 20) {
        q.exit(lease, 1).unwrap();
    }
    let waits: Duration = jobs
        .iter()
        .map(|id| q.job(*id).run_at.unwrap().since(q.now().wall))
        .sum();
    assert!(
        waits > 20 * SECOND,
        "a second a job at the least: {waits:?}"
    );
    let at_once = q.claim_many("a", 20).len();
    assert!(at_once <= 2, "{at_once} of 20 were tried again at once");
}

#[test]
fn a_job_without_backoff_is_tried_again_at_once() {
    let q = TestQueue::new();
    q.enqueue(NewJob {
        backoff: Backoff::None,
        ..job("false")
    });
    let lease = q.claim("a");
    assert_eq!(q.exit(lease, 1).unwrap(), Finished::Retry(q.now().wall));
    assert_eq!(q.claim("a").attempt(), 2);
}

// T18
#[test]
fn a_wall_clock_stepped_back_makes_no_wait_negative() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        backoff: Backoff::Fixed(MINUTE),
        ..job("false")
    });
    let lease = q.claim("a");
    q.clock().step_wall_back(HOUR);
    q.exit(lease, 1).unwrap();
    let job = q.job(id);
    assert_eq!(job.run_at, Some(q.now().wall.saturating_add(MINUTE)));
    assert_eq!(q.try_claim("a"), None);
    q.advance(MINUTE);
    assert_eq!(q.claim("a").attempt(), 2);
}

#[test]
fn a_retry_does_not_pass_jobs_that_waited_longer() {
    let q = TestQueue::new();
    let failing = q.enqueue(NewJob {
        backoff: Backoff::Fixed(SECOND),
        ..job("false")
    });
    let lease = q.claim("a");
    q.exit(lease, 1).unwrap();
    let other = q.enqueue("true");
    q.advance(MINUTE);
    let order = q.claim_order("a", 2);
    assert_eq!(order.len(), 2);
    assert!(order.contains(&failing) && order.contains(&other));
}
