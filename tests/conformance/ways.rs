//! Ways: a job that another agent may do goes on while the account of the first one is shut.

use queue_core::{
    Class, JobId, Lease, NewJob, State, Timestamp,
    attempt::{Finished, Outcome},
    gate::{CloseGate, GateName, GateState},
    job::PROCESS,
    store::{Claim, Cycle, Edit},
    way::Way,
    why::Cause,
};
use std::time::Duration;
use support::{HOUR, MINUTE, SECOND, TestQueue, failed, job};

fn named(name: &str) -> GateName {
    name.parse().unwrap()
}

fn way(name: &str) -> Way {
    Way {
        name: name.to_owned(),
        gates: vec![named(name)],
    }
}

/// A job that these agents may do, the first one best.
fn by(agents: &[&str]) -> NewJob {
    NewJob {
        ways: agents.iter().map(|agent| way(agent)).collect(),
        ..job("x")
    }
}

fn close(q: &TestQueue, gate: &str, span: Option<Duration>) {
    let close = CloseGate {
        until: span.map(|span| q.now().wall.saturating_add(span)),
        why: None,
        by: "a person".to_owned(),
    };
    let store = q.store();
    store.close_gate(&named(gate), &close, &q.now()).unwrap();
}

/// Claims as many as there are, and gives the jobs with the ways they take.
fn starts(q: &TestQueue) -> Vec<(JobId, String)> {
    let claimed = q.claim_with("a", 9).into_iter();
    claimed
        .map(|one| (one.lease.job(), one.way.expect("each takes a way")))
        .collect()
}

/// The one lease that can be had, and the way that its job takes.
#[track_caller]
fn start(q: &TestQueue) -> (Lease, String) {
    let mut claimed = q.claim_with("a", 1);
    let one = claimed.pop().expect("there is one to claim");
    (one.lease, one.way.expect("it takes a way"))
}

fn limited(gate: &str, until: Option<Timestamp>) -> Outcome {
    Outcome::Limited {
        gate: named(gate),
        class: Class::Limit,
        until,
        evidence: "You've hit your session limit".to_owned(),
    }
}

fn ahead(q: &TestQueue, span: Duration) -> Option<Timestamp> {
    Some(q.now().wall.saturating_add(span))
}

#[test]
fn the_best_way_is_taken_while_its_gate_is_open() {
    let q = TestQueue::new();
    let id = q.enqueue(by(&["claude", "codex"]));
    assert_eq!(starts(&q), [(id, "claude".to_owned())]);
    assert_eq!(q.job(id).way.as_deref(), Some("claude"));
    assert_eq!(q.attempts(id)[0].way.as_deref(), Some("claude"));
}

#[test]
fn a_limited_job_goes_on_the_next_way_at_once_and_comes_back_when_the_first_opens() {
    let q = TestQueue::new();
    let id = q.enqueue(by(&["claude", "codex"]));
    let (lease, way) = start(&q);
    assert_eq!(way, "claude");
    let met = q.finish(lease, limited("claude", ahead(&q, HOUR))).unwrap();
    assert_eq!(met, Finished::Limited);
    let (lease, way) = start(&q);
    assert_eq!(way, "codex", "nobody waits for the hour");
    assert_eq!(q.job(id).attempt, 1, "the limit cost none");
    q.finish(lease, limited("codex", ahead(&q, 2 * HOUR)))
        .unwrap();
    assert_eq!(q.try_claim("a"), None, "now both are shut");
    let first = |q: &TestQueue| match q.why(id).into_iter().next() {
        Some(Cause::GateClosed { gate, .. }) => gate.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(first(&q), "claude", "it opens first");
    assert_eq!(q.why(id).len(), 2, "{:?}", q.why(id));
    q.advance(HOUR + 2 * MINUTE);
    let (lease, way) = start(&q);
    assert_eq!(way, "claude");
    q.complete(lease).unwrap();
    let ways: Vec<_> = q.attempts(id).into_iter().map(|one| one.way).collect();
    let ways: Vec<_> = ways.iter().flatten().map(String::as_str).collect();
    assert_eq!(ways, ["claude", "codex", "claude"]);
    q.examine();
}

#[test]
fn only_the_gates_of_the_way_that_was_taken_are_told() {
    let q = TestQueue::new();
    q.enqueue_many(2, &by(&["claude", "codex"]));
    close(&q, "claude", Some(HOUR));
    let (lease, way) = start(&q);
    assert_eq!(way, "codex");
    q.complete(lease).unwrap();
    let gates = q.store().gates().unwrap();
    let state = |name: &str| {
        let found = gates.iter().find(|gate| gate.name == named(name));
        found.map(|gate| gate.gate.state(q.now().wall))
    };
    assert_eq!(state("claude"), Some(GateState::Closed));
    assert_eq!(state("codex"), Some(GateState::Open));
}

#[test]
fn a_gate_that_all_ways_pass_holds_whichever_is_open() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        gates: vec![named("network")],
        ..by(&["claude", "codex"])
    });
    close(&q, "network", Some(HOUR));
    assert_eq!(q.try_claim("a"), None);
    let causes = q.why(id);
    assert!(
        matches!(&causes[..], [Cause::GateClosed { gate, .. }] if gate.as_str() == "network"),
        "{causes:?}"
    );
    q.advance(HOUR);
    assert_eq!(starts(&q), [(id, "claude".to_owned())]);
}

#[test]
fn whichever_gate_a_person_opens_lets_the_lane_go_on() {
    for opened in ["claude", "codex", "goose"] {
        let q = TestQueue::new();
        let id = q.enqueue(by(&["claude", "codex", "goose"]));
        close(&q, "claude", None);
        close(&q, "codex", Some(HOUR));
        close(&q, "goose", Some(2 * HOUR));
        assert_eq!(q.try_claim("a"), None);
        q.store().open_gate(&named(opened), &q.now()).unwrap();
        assert_eq!(starts(&q), [(id, opened.to_owned())]);
    }
}

#[test]
fn a_way_whose_turn_comes_soon_is_waited_for_and_not_passed_over() {
    let q = TestQueue::new();
    let store = q.store();
    store
        .set_gate(&named("claude"), 3 * SECOND, &q.now())
        .unwrap();
    let jobs = q.enqueue_many(2, &by(&["claude", "codex"]));
    assert_eq!(starts(&q), [(jobs[0], "claude".to_owned())]);
    let causes = q.why(jobs[1]);
    assert!(
        matches!(&causes[..], [Cause::GateStaggered { .. }]),
        "{causes:?}"
    );
    q.advance(3 * SECOND);
    assert_eq!(starts(&q), [(jobs[1], "claude".to_owned())]);
}

#[test]
fn while_one_job_tries_the_first_way_the_others_take_the_next() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(3, &by(&["claude", "codex"]));
    close(&q, "claude", Some(HOUR));
    q.pause("default", true);
    q.advance(HOUR);
    q.pause("default", false);
    let expected = [(0, "claude"), (1, "codex"), (2, "codex")];
    let expected = expected.map(|(at, way)| (jobs[at], way.to_owned()));
    assert_eq!(starts(&q), expected);
}

#[test]
fn a_way_that_cannot_be_started_is_left_at_once_and_a_provider_that_is_away_after_the_wait() {
    let q = TestQueue::new();
    let id = q.enqueue(by(&["claude", "codex"]));
    let (lease, _) = start(&q);
    let missing = Outcome::Failed {
        class: Class::SpawnFailed,
        retryable: Some(false),
        retry_after: None,
    };
    assert!(matches!(
        q.finish(lease, missing).unwrap(),
        Finished::Retry(_)
    ));
    q.advance(Duration::from_millis(1));
    q.promote();
    let (lease, way) = start(&q);
    assert_eq!(way, "codex");
    let away = q.finish(lease, failed(Class::Unavailable)).unwrap();
    assert!(matches!(away, Finished::Retry(_)));
    q.advance(HOUR);
    q.promote();
    let (lease, way) = start(&q);
    assert_eq!(way, "claude", "it is tried again when the others were");
    q.fail(lease, Class::Unavailable).unwrap();
    assert_eq!(q.state(id), State::Failed, "attempts still end");
    q.examine();
}

#[test]
fn a_job_with_one_way_fails_as_ever_when_its_program_is_missing() {
    let q = TestQueue::new();
    let id = q.enqueue(by(&["claude"]));
    let (lease, _) = start(&q);
    q.fail(lease, Class::SpawnFailed).unwrap();
    assert_eq!(q.state(id), State::Failed);
}

#[test]
fn a_limit_of_another_gate_is_passed_on_that_way_from_then_on() {
    let q = TestQueue::new();
    let id = q.enqueue(by(&["claude", "codex"]));
    let (lease, _) = start(&q);
    q.finish(lease, limited("claude/default/opus", ahead(&q, HOUR)))
        .unwrap();
    let row = q.job(id);
    assert_eq!(row.gates, []);
    let gates: Vec<_> = row.ways[0].gates.iter().map(GateName::as_str).collect();
    assert_eq!(gates, ["claude", "claude/default/opus"]);
    assert_eq!(start(&q).1, "codex");
}

#[test]
fn a_worker_that_drains_waits_only_while_no_way_is_open() {
    let q = TestQueue::new();
    q.enqueue_many(2, &by(&["claude", "codex"]));
    let outlook = || {
        let seen = q.store().outlook(&[], PROCESS, &q.now()).unwrap();
        (seen.pending, seen.scheduled, seen.paused, seen.next_at)
    };
    close(&q, "claude", None);
    assert_eq!(outlook(), (2, 0, 0, None), "codex is open");
    close(&q, "codex", Some(HOUR));
    assert_eq!(outlook(), (0, 2, 0, ahead(&q, HOUR)));
    close(&q, "codex", None);
    assert_eq!(outlook(), (0, 0, 2, None));
    let gates = q.store().gates().unwrap();
    let waiting: Vec<_> = gates.iter().map(|gate| gate.waiting).collect();
    assert_eq!(waiting, [2, 2], "both count who could pass them");
}

#[test]
fn an_edit_changes_the_ways_and_an_export_takes_them_along() {
    let (old, new) = (TestQueue::new(), TestQueue::new());
    let id = old.enqueue(by(&["claude"]));
    let edit = Edit {
        ways: Some(vec![way("codex"), way("claude")]),
        ..Edit::default()
    };
    old.edit(id, &edit).unwrap();
    let archived = old.store().export(JobId(0), 9).unwrap();
    new.store().import(archived, &new.now()).unwrap();
    assert_eq!(new.job(id).ways, [way("codex"), way("claude")]);
    assert_eq!(starts(&new), [(id, "codex".to_owned())]);
    new.examine();
}

/// A claim decides about lanes, not about jobs: it costs the same however many wait.
#[test]
fn all_that_wait_in_one_lane_are_passed_over_together() {
    let q = TestQueue::new();
    q.enqueue_many(2_000, &by(&["claude", "codex"]));
    let free = q.enqueue("free");
    close(&q, "claude", Some(HOUR));
    close(&q, "codex", Some(HOUR));
    let lease = q.claim("a");
    assert_eq!(lease.job(), free);
    q.complete(lease).unwrap();
    assert_eq!(q.count(State::Pending), 2_000);
    let worker = q.worker("a");
    let claim = Claim {
        most: 9,
        ..Claim::default()
    };
    let cycle = Cycle {
        claim: Some(claim),
        ..Cycle::of(worker)
    };
    let next = q.cycle(&cycle).next_at;
    assert_eq!(next, ahead(&q, HOUR), "and nobody looks before then");
    q.advance(HOUR);
    assert_eq!(starts(&q).len(), 2, "one tries each");
}
