//! Sessions of agents: one live holder each, known before the start, and what was read of an
//! attempt's output, written under its lease.

use queue_core::{
    JobId, Lease,
    agent::Rung,
    attempt::{AgentFacts, Attempt, Finished},
    ledger::Bill,
    store::{Cycle, SessionHold},
};
use serde_json::json;
use support::{LEASE, SECOND, TestQueue};

fn begin(q: &TestQueue, lease: &Lease, rung: Rung, session: Option<&str>) -> SessionHold {
    let store = q.store();
    store
        .begin_session(lease.fence(), rung, session, &q.now())
        .unwrap()
}

fn facts(session: Option<&str>, cost: Option<f64>, turns: u32) -> AgentFacts {
    AgentFacts {
        session_id: session.map(str::to_owned),
        cost_usd: cost,
        bill: Bill::default(),
        facts: json!({ "turns": turns }),
    }
}

/// Tells facts of an attempt; gives whether its lease held.
fn tell(q: &TestQueue, lease: &Lease, facts: AgentFacts) -> bool {
    let fence = lease.fence();
    let cycle = Cycle {
        facts: vec![(fence, facts)],
        ..q.cycle_of("a")
    };
    !q.cycle(&cycle).lost.contains(&fence)
}

fn last(q: &TestQueue, id: JobId) -> Attempt {
    q.attempts(id).pop().unwrap()
}

fn session_of(q: &TestQueue, id: JobId) -> Option<String> {
    last(q, id).session_id
}

#[test]
fn a_session_is_known_before_the_attempt_is_started() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    let held = begin(&q, &lease, Rung::Cold, Some("s1"));
    assert_eq!(held, SessionHold::Held);
    let attempt = last(&q, id);
    assert_eq!(
        (attempt.session_id.as_deref(), attempt.rung),
        (Some("s1"), Some(Rung::Cold))
    );
    assert!(attempt.process.is_none());
    // Said once more, because the answer was lost on its way.
    assert_eq!(begin(&q, &lease, Rung::Cold, Some("s1")), SessionHold::Held);
}

// A8
#[test]
fn a_session_that_one_attempt_uses_is_no_other_ones_until_it_has_ended() {
    let q = TestQueue::new();
    let first = q.enqueue("x");
    let second = q.enqueue("y");
    let (one, two) = (q.claim("a"), q.claim("a"));
    assert_eq!(begin(&q, &one, Rung::Resume, Some("s1")), SessionHold::Held);
    let in_use = begin(&q, &two, Rung::Resume, Some("s1"));
    assert_eq!(in_use, SessionHold::InUse(first));
    let refused = last(&q, second);
    assert_eq!(
        (refused.session_id, refused.rung),
        (None, None),
        "a refusal notes nothing"
    );
    q.complete(one).unwrap();
    assert_eq!(begin(&q, &two, Rung::Resume, Some("s1")), SessionHold::Held);
    assert_eq!(session_of(&q, second).as_deref(), Some("s1"));
    assert_eq!(session_of(&q, first).as_deref(), Some("s1"), "history");
}

#[test]
fn attempts_without_a_session_do_not_keep_each_other_out() {
    let q = TestQueue::new();
    q.enqueue("x");
    q.enqueue("y");
    for lease in [q.claim("a"), q.claim("a")] {
        assert_eq!(begin(&q, &lease, Rung::Cold, None), SessionHold::Held);
    }
}

#[test]
fn a_lost_lease_begins_no_session_and_tells_nothing() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let old = q.claim("a");
    begin(&q, &old, Rung::Cold, Some("s1"));
    assert!(tell(&q, &old, facts(Some("s1"), Some(0.25), 1)));
    q.advance(LEASE + SECOND);
    let adopted = q.adopt("b").remove(0).lease;
    assert_eq!(
        begin(&q, &old, Rung::Fresh, Some("s2")),
        SessionHold::LeaseLost
    );
    assert!(!tell(&q, &old, facts(Some("s2"), Some(9.0), 9)));
    let attempt = last(&q, id);
    assert_eq!(
        (attempt.session_id.as_deref(), attempt.cost_usd),
        (Some("s1"), Some(0.25))
    );
    assert_eq!(attempt.agent, Some(json!({"turns": 1})));
    assert!(tell(&q, &adopted, facts(Some("s1"), Some(0.5), 2)));
    assert_eq!(last(&q, id).cost_usd, Some(0.5));
    assert_eq!(q.complete(adopted).unwrap(), Finished::Completed);
}

#[test]
fn a_lease_that_is_lost_is_told_so_even_where_its_session_is_in_use() {
    let q = TestQueue::new();
    q.enqueue("x");
    let old = q.claim("a");
    q.advance(LEASE + SECOND);
    q.rescue("b");
    let fresh = q.claim("b");
    assert_eq!(begin(&q, &fresh, Rung::Cold, Some("s1")), SessionHold::Held);
    assert_eq!(
        begin(&q, &old, Rung::Cold, Some("s1")),
        SessionHold::LeaseLost
    );
}

#[test]
fn facts_take_the_place_of_those_before_and_keep_the_session() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    begin(&q, &lease, Rung::Cold, None);
    assert!(tell(&q, &lease, facts(None, None, 1)));
    assert_eq!((session_of(&q, id), last(&q, id).cost_usd), (None, None));
    assert!(tell(&q, &lease, facts(Some("t-1"), Some(0.5), 2)));
    assert!(tell(&q, &lease, facts(None, Some(0.75), 3)));
    let attempt = last(&q, id);
    assert_eq!(
        (attempt.session_id.as_deref(), attempt.cost_usd),
        (Some("t-1"), Some(0.75))
    );
    assert_eq!(attempt.agent, Some(json!({"turns": 3})));
    assert_eq!(attempt.rung, Some(Rung::Cold));
}

#[test]
fn a_session_that_was_read_and_that_another_attempt_uses_stays_that_ones() {
    let q = TestQueue::new();
    let first = q.enqueue("x");
    let second = q.enqueue("y");
    let (one, two) = (q.claim("a"), q.claim("a"));
    begin(&q, &one, Rung::Resume, Some("s1"));
    begin(&q, &two, Rung::Cold, Some("s2"));
    assert!(tell(&q, &two, facts(Some("s1"), None, 1)));
    assert_eq!(session_of(&q, first).as_deref(), Some("s1"));
    assert_eq!(session_of(&q, second).as_deref(), Some("s2"));
    assert_eq!(last(&q, second).agent, Some(json!({"turns": 1})));
}

#[test]
fn what_is_told_with_the_end_is_written_before_it() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    let fence = lease.fence();
    let report = queue_core::attempt::Report::new(
        queue_core::attempt::Outcome::Completed { result: None },
        q.now().wall,
    );
    let cycle = Cycle {
        facts: vec![(fence, facts(Some("s1"), Some(0.5), 4))],
        ended: vec![(fence, report)],
        ..q.cycle_of("a")
    };
    assert!(q.cycle(&cycle).lost.is_empty());
    assert_eq!(session_of(&q, id).as_deref(), Some("s1"));
    assert!(
        !tell(&q, &lease, facts(Some("s2"), None, 5)),
        "it has ended"
    );
    assert_eq!(last(&q, id).agent, Some(json!({"turns": 4})));
}
