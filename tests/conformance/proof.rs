//! What a job had to prove: kept with the attempt, and compared with where the job first began.

use queue_core::{
    Class, JobId, NewJob, State,
    attempt::{Outcome, Report},
    job::{After, ParentEnd},
    proof::{Checked, Proof, unproven},
};
use serde_json::json;
use support::{HOUR, TestQueue, failed, job};

fn refused() -> Proof {
    Proof {
        expected: Vec::new(),
        checks: vec![Checked {
            check: "make test".into(),
            passed: false,
            exit_code: Some(2),
            how: "exit code 2".into(),
            took_ms: 5,
            output: Some("no\n".into()),
        }],
    }
}

fn ends(q: &TestQueue, outcome: Outcome, origin: &str, proof: Option<Proof>) {
    let report = Report {
        proof,
        origin: Some(json!(origin)),
        ..Report::new(outcome, q.now().wall)
    };
    q.report(q.claim("a"), report).unwrap();
    q.advance(HOUR);
    q.promote();
}

fn origin(q: &TestQueue, id: JobId) -> Option<serde_json::Value> {
    q.detail(id).body.origin
}

#[test]
fn where_a_job_began_is_where_it_first_began_however_that_attempt_ended() {
    let stalled = Outcome::Stalled {
        class: Class::WorkerDied,
    };
    for first in [Outcome::HandedBack, stalled, failed(Class::Crash)] {
        let q = TestQueue::new();
        let id = q.enqueue("x");
        assert_eq!(origin(&q, id), None);
        ends(&q, first, "first", None);
        ends(&q, failed(Class::CheckFailed), "second", Some(refused()));
        assert_eq!(origin(&q, id), Some(json!("first")));
    }
}

#[test]
fn what_said_no_is_kept_and_known_until_something_says_yes() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    ends(&q, failed(Class::CheckFailed), "x", Some(refused()));
    ends(&q, failed(Class::Timeout), "x", None);
    assert_eq!(q.attempts(id)[0].proof, Some(refused()));
    assert_eq!(unproven(&q.attempts(id)), Some(&refused()));
    let mut proof = refused();
    proof.checks[0].passed = true;
    ends(&q, Outcome::Completed { result: None }, "x", Some(proof));
    assert_eq!(unproven(&q.attempts(id)), None);
}

#[test]
fn a_dependant_is_not_released_by_what_was_not_proven() {
    let q = TestQueue::new();
    let parent = q.enqueue("x");
    let child = q.enqueue(NewJob {
        after: vec![After {
            parent,
            end: ParentEnd::Success,
        }],
        ..job("x")
    });
    ends(&q, failed(Class::CheckFailed), "x", Some(refused()));
    assert_eq!(
        (q.state(parent), q.state(child)),
        (State::Pending, State::Blocked)
    );
    ends(&q, Outcome::Completed { result: None }, "x", None);
    assert_eq!(q.state(child), State::Pending);
}
