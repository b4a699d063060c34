//! Gates: closed by one job's limit for all that share the account, opened by one that tries.

use queue_core::{
    Class, Error, JobId, Lease, NewJob, State, Timestamp,
    attempt::{Finished, Outcome},
    gate::{
        CloseGate, EX_TEMPFAIL, GateName, GateReason, GateState, GateStatus, Met, PROBE_FOR,
        RELEASE_GAP,
    },
    job::PROCESS,
    store::{Claim, Cycle, Edit},
    why::Cause,
};
use std::time::Duration;
use support::{HOUR, MINUTE, SECOND, TestQueue, failed, job};

fn named(name: &str) -> GateName {
    name.parse().unwrap()
}

/// A job that passes these gates.
fn through(gates: &[&str]) -> NewJob {
    NewJob {
        gates: gates.iter().map(|gate| named(gate)).collect(),
        ..job("x")
    }
}

fn limited(gate: &str, class: Class, until: Option<Timestamp>) -> Outcome {
    Outcome::Limited {
        gate: named(gate),
        class,
        until,
        evidence: "You've hit your session limit".to_owned(),
    }
}

fn gate(q: &TestQueue, name: &str) -> GateStatus {
    let gates = q.store().gates().unwrap();
    gates
        .into_iter()
        .find(|gate| gate.name == named(name))
        .unwrap_or_else(|| GateStatus::unknown(named(name)))
}

fn state(q: &TestQueue, name: &str) -> GateState {
    gate(q, name).gate.state(q.now().wall)
}

/// Ends an attempt with a limit of `claude` that lifts in an hour, and gives what became of it.
#[track_caller]
fn limit_in_an_hour(q: &TestQueue, lease: Lease) -> Finished {
    let until = q.now().wall.saturating_add(HOUR);
    q.finish(lease, limited("claude", Class::Limit, Some(until)))
        .unwrap()
}

/// The moment at which `claude` lets somebody try, as it is noted.
fn opens_at(q: &TestQueue) -> Timestamp {
    let status = gate(q, "claude");
    let closing = status.gate.closing().expect("the gate is closed");
    closing.until.expect("the gate opens by itself")
}

fn go_to(q: &TestQueue, at: Timestamp) {
    q.advance(at.since(q.now().wall));
}

/// Tells the gates of an attempt that they let it through.
fn pass(q: &TestQueue, lease: &Lease) {
    let cycle = Cycle {
        passed: vec![lease.fence()],
        ..q.cycle_of("a")
    };
    assert_eq!(q.cycle(&cycle).lost, []);
}

// T24: a limit pauses what shares the account and costs none of the waiting jobs an attempt.
#[test]
fn a_limit_holds_back_all_jobs_of_its_gate_and_nobody_else() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(4, &through(&["claude"]));
    let other = q.enqueue("other");
    let (met, runs) = (q.claim("a"), q.claim("b"));
    assert_eq!(limit_in_an_hour(&q, met), Finished::Limited);
    assert_eq!(q.claim_order("a", 9), [other]);
    let waiting = q.job(jobs[0]);
    assert_eq!(
        (
            waiting.state,
            waiting.attempt,
            waiting.stalls,
            waiting.class
        ),
        (State::Pending, 0, 0, Some(Class::Limit))
    );
    let tried = &q.attempts(jobs[0])[0];
    assert_eq!((tried.number, tried.class), (1, Some(Class::Limit)));
    assert_eq!(
        tried.message.as_deref(),
        Some("You've hit your session limit")
    );
    assert_eq!(gate(&q, "claude").waiting, 3);
    q.complete(runs).unwrap();
    assert_eq!(
        state(&q, "claude"),
        GateState::Closed,
        "what started before says nothing"
    );
}

#[test]
fn a_limited_job_takes_its_old_place_and_is_the_one_that_tries() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(3, &through(&["claude"]));
    let met = q.claim("a");
    limit_in_an_hour(&q, met);
    go_to(&q, opens_at(&q));
    let probe = q.claim("a");
    assert_eq!((probe.job(), probe.attempt()), (jobs[0], 1));
}

// T24: at the moment itself two workers are there, and one job goes first.
#[test]
fn when_the_time_has_come_one_job_tries_and_the_rest_follows_one_by_one() {
    let q = TestQueue::new();
    let second = q.another();
    let jobs = q.enqueue_many(6, &through(&["claude"]));
    let met = q.claim("a");
    limit_in_an_hour(&q, met);
    let opens = opens_at(&q);
    go_to(&q, opens.saturating_sub(Duration::from_millis(1)));
    assert_eq!(q.claim_order("a", 9), []);
    go_to(&q, opens);
    let mut probe = q.claim_many("a", 9);
    assert_eq!(probe.len(), 1, "exactly one");
    assert_eq!(second.claim_order("b", 9), []);
    q.advance(SECOND);
    assert_eq!(second.claim_order("b", 9), []);
    pass(&q, &probe[0]);
    assert_eq!(state(&q, "claude"), GateState::Open);
    assert_eq!(second.claim_order("b", 9), []);
    let mut started = Vec::new();
    for _ in 0..3 {
        q.advance(RELEASE_GAP);
        for lease in second.claim_many("b", 9) {
            started.push(lease.job());
            second.complete(lease).unwrap();
        }
    }
    assert_eq!(started, jobs[1..4], "a second apart");
    q.complete(probe.pop().unwrap()).unwrap();
    q.advance(MINUTE);
    assert_eq!(q.claim_order("a", 9), jobs[4..], "and then as usual");
}

#[test]
fn a_probe_that_ends_otherwise_has_been_let_through() {
    let q = TestQueue::new();
    q.enqueue_many(2, &through(&["claude"]));
    let met = q.claim("a");
    limit_in_an_hour(&q, met);
    go_to(&q, opens_at(&q));
    let probe = q.claim("a");
    q.finish(probe, failed(Class::ExitCode)).unwrap();
    assert_eq!(state(&q, "claude"), GateState::Open);
}

#[test]
fn a_probe_that_runs_for_two_minutes_has_been_let_through() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(2, &through(&["claude"]));
    let met = q.claim("a");
    limit_in_an_hour(&q, met);
    go_to(&q, opens_at(&q));
    let probe = q.claim("a");
    for _ in 0..6 {
        assert_eq!(q.claim_order("b", 9), []);
        q.advance(PROBE_FOR / 6);
        q.heartbeat(&probe).unwrap();
    }
    let claim = Cycle {
        claim: Some(Claim::default()),
        ..q.cycle_of("b")
    };
    assert_eq!(q.cycle(&claim).claimed, [], "one by one");
    assert_eq!(state(&q, "claude"), GateState::Open);
    q.advance(RELEASE_GAP);
    assert_eq!(q.claim_order("b", 9), jobs[1..]);
}

#[test]
fn a_probe_that_dies_or_is_cancelled_leaves_its_place_to_the_next() {
    type End = fn(&TestQueue, Lease) -> JobId;
    let ends: [(&str, End); 3] = [
        ("cancelled", |q, lease| {
            let job = lease.job();
            q.finish(lease, Outcome::Cancelled).unwrap();
            job
        }),
        ("handed back", |q, lease| {
            let job = lease.job();
            q.finish(lease, Outcome::HandedBack).unwrap();
            job
        }),
        ("never started", |q, lease| {
            let job = lease.job();
            q.finish(lease, failed(Class::SpawnFailed)).unwrap();
            job
        }),
    ];
    for (how, end) in ends {
        let q = TestQueue::new();
        q.enqueue_many(3, &through(&["claude"]));
        let met = q.claim("a");
        limit_in_an_hour(&q, met);
        go_to(&q, opens_at(&q));
        let probe = q.claim("a");
        end(&q, probe);
        assert_eq!(state(&q, "claude"), GateState::HalfOpen, "{how}");
        assert_eq!(q.claim_many("b", 9).len(), 1, "{how}: the next one tries");
    }
}

#[test]
fn a_dead_worker_takes_no_probe_with_it() {
    let q = TestQueue::new();
    q.enqueue_many(3, &through(&["claude"]));
    let met = q.claim("a");
    limit_in_an_hour(&q, met);
    go_to(&q, opens_at(&q));
    q.start("a");
    q.advance(HOUR);
    // Nobody looked for an hour; the lease ran out long ago.
    let cycle = Cycle {
        claim: Some(Claim {
            most: 9,
            ..Claim::default()
        }),
        ..q.cycle_of("b")
    };
    assert_eq!(q.cycle(&cycle).claimed, []);
    q.rescue("b");
    assert_eq!(state(&q, "claude"), GateState::HalfOpen);
    assert_eq!(q.claim_many("b", 9).len(), 1);
}

// claude-limit-twice: the probe meets a later limit.
#[test]
fn a_probe_that_meets_the_limit_again_closes_the_gate_until_then() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(2, &through(&["claude"]));
    let met = q.claim("a");
    limit_in_an_hour(&q, met);
    for _ in 0..5 {
        go_to(&q, opens_at(&q));
        let probe = q.claim("a");
        assert_eq!((probe.job(), probe.attempt()), (jobs[0], 1));
        limit_in_an_hour(&q, probe);
        assert!(opens_at(&q) > q.now().wall.saturating_add(HOUR));
        assert_eq!(q.claim_order("b", 9), []);
    }
    assert_eq!(q.job(jobs[0]).attempt, 0);
    assert_eq!(q.attempts(jobs[0]).len(), 6);
}

#[test]
fn a_later_end_wins_over_an_earlier_one_from_whichever_worker() {
    let q = TestQueue::new();
    let second = q.another();
    q.enqueue_many(3, &through(&["claude"]));
    let (first, late, early) = (q.claim("a"), q.claim("b"), q.claim("c"));
    limit_in_an_hour(&q, first);
    let then = opens_at(&q);
    let later = q.now().wall.saturating_add(2 * HOUR);
    let soon = q.now().wall.saturating_add(MINUTE);
    second
        .finish(early, limited("claude", Class::Limit, Some(soon)))
        .unwrap();
    assert_eq!(opens_at(&q), then);
    second
        .finish(late, limited("claude", Class::Limit, Some(later)))
        .unwrap();
    assert!(opens_at(&q) > later);
}

#[test]
fn credentials_and_money_close_the_gate_until_a_person_opens_it() {
    for class in [Class::Auth, Class::Billing] {
        let q = TestQueue::new();
        let jobs = q.enqueue_many(3, &through(&["claude"]));
        let (first, second) = (q.claim("a"), q.claim("b"));
        let until = Some(q.now().wall.saturating_add(MINUTE));
        let cycle = |lease: &Lease| Cycle {
            ended: vec![(
                lease.fence(),
                queue_core::attempt::Report::new(limited("claude", class, until), q.now().wall),
            )],
            ..q.cycle_of("a")
        };
        let told = q.cycle(&cycle(&first)).closed;
        assert_eq!(told.len(), 1, "it is said once");
        assert_eq!(told[0].1.until, None);
        assert_eq!(q.cycle(&cycle(&second)).closed, []);
        q.advance(100 * 24 * HOUR);
        assert_eq!(q.claim_order("a", 9), []);
        assert_eq!(q.attempts(jobs[0])[0].class, Some(class));
        let opened = q.store().open_gate(&named("claude"), &q.now()).unwrap();
        assert_eq!(opened.waiting, 3);
        assert_eq!(q.claim_order("a", 9), jobs);
    }
}

#[test]
fn a_person_closes_and_opens_a_gate_at_will() {
    let q = TestQueue::new();
    let id = q.enqueue(through(&["claude"]));
    let close = |until| CloseGate {
        until,
        why: Some("quota is for the day".to_owned()),
        by: "a person".to_owned(),
    };
    let (name, soon) = (named("claude"), q.now().wall.saturating_add(HOUR));
    q.store().close_gate(&name, &close(None), &q.now()).unwrap();
    assert_eq!(q.claim_order("a", 9), []);
    q.store()
        .close_gate(&name, &close(Some(soon)), &q.now())
        .unwrap();
    let causes = q.why(id);
    assert!(
        matches!(&causes[..], [Cause::GateClosed { gate, closing }]
            if *gate == name && closing.until == Some(soon) && closing.reason == GateReason::Person),
        "{causes:?}"
    );
    q.advance(HOUR);
    assert_eq!(q.claim_order("a", 9), [id]);
    let nobody = q.store().open_gate(&named("no-such"), &q.now());
    assert!(matches!(nobody, Err(Error::GateNotFound(_))), "{nobody:?}");
}

#[test]
fn why_names_the_gate_the_probe_and_the_turn() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(3, &through(&["claude"]));
    let met = q.claim("a");
    limit_in_an_hour(&q, met);
    let now = q.now().wall;
    let words = |id| q.why(id)[0].words(&q.job(id), q.now().wall);
    assert_eq!(words(jobs[1]), "waiting for gate claude, in 1h30s");
    go_to(&q, opens_at(&q));
    let probe = q.claim("a");
    assert!(
        matches!(&q.why(jobs[1])[0], Cause::GateProbed { probe, .. } if *probe == jobs[0]),
        "{:?}",
        q.why(jobs[1])
    );
    pass(&q, &probe);
    let next = q.now().wall.saturating_add(RELEASE_GAP);
    let expected = Cause::GateStaggered {
        gate: named("claude"),
        until: next,
    };
    assert_eq!(q.why(jobs[1])[0], expected);
    assert!(now < next);
}

#[test]
fn starts_through_one_gate_are_as_far_apart_as_it_says() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(3, &through(&["claude"]));
    q.store()
        .set_gate(&named("claude"), 10 * SECOND, &q.now())
        .unwrap();
    assert_eq!(q.claim_order("a", 9), jobs[..1]);
    let cycle = Cycle {
        claim: Some(Claim::default()),
        ..q.cycle_of("a")
    };
    let next = q.cycle(&cycle).next_at.unwrap();
    assert_eq!(next, q.now().wall.saturating_add(10 * SECOND));
    q.advance(9 * SECOND);
    assert_eq!(q.claim_order("a", 9), []);
    q.advance(SECOND);
    assert_eq!(q.claim_order("a", 9), jobs[1..2]);
}

/// Said and unsaid are told apart: whoever has a default of their own asks which it is.
#[test]
fn a_stagger_that_was_set_outlives_closing_and_opening_be_it_none() {
    let q = TestQueue::new();
    let (name, untold) = (named("claude"), named("codex"));
    let close = CloseGate {
        until: None,
        why: None,
        by: "a person".to_owned(),
    };
    for stagger in [Duration::ZERO, SECOND] {
        q.store().set_gate(&name, stagger, &q.now()).unwrap();
        assert_eq!(gate(&q, "claude").gate.stagger, Some(stagger));
        q.store().close_gate(&name, &close, &q.now()).unwrap();
        q.store().open_gate(&name, &q.now()).unwrap();
        assert_eq!(gate(&q, "claude").gate.stagger, Some(stagger));
    }
    q.store().close_gate(&untold, &close, &q.now()).unwrap();
    assert_eq!(gate(&q, "codex").gate.stagger, None);
    q.store().open_gate(&untold, &q.now()).unwrap();
    let gates = q.store().gates().unwrap();
    assert_eq!(gates.len(), 1, "of the other nothing is kept: {gates:?}");
    q.examine();
}

#[test]
fn a_job_waits_for_the_last_of_its_gates() {
    let q = TestQueue::new();
    let both = q.enqueue(through(&["claude/opus", "claude", "claude"]));
    let one = q.enqueue(through(&["claude"]));
    assert_eq!(q.job(both).gates, [named("claude"), named("claude/opus")]);
    let close = |name: &str, span| {
        let close = CloseGate {
            until: Some(q.now().wall.saturating_add(span)),
            why: None,
            by: "a person".to_owned(),
        };
        q.store()
            .close_gate(&named(name), &close, &q.now())
            .unwrap();
    };
    close("claude", HOUR);
    close("claude/opus", 2 * HOUR);
    assert_eq!(q.claim_order("a", 9), []);
    assert_eq!(q.why(both).len(), 2);
    q.advance(HOUR);
    let probe = q.claim("a");
    assert_eq!(probe.job(), one);
    q.complete(probe).unwrap();
    q.advance(HOUR);
    assert_eq!(q.claim_order("a", 9), [both]);
    assert_eq!(state(&q, "claude/opus"), GateState::HalfOpen);
}

#[test]
fn a_job_that_meets_the_limit_of_another_gate_passes_that_one_too() {
    let q = TestQueue::new();
    let id = q.enqueue(through(&["claude"]));
    let until = Some(q.now().wall.saturating_add(HOUR));
    let lease = q.claim("a");
    q.finish(lease, limited("claude/opus", Class::Limit, until))
        .unwrap();
    assert_eq!(q.job(id).gates, [named("claude"), named("claude/opus")]);
    assert_eq!(
        q.claim_order("a", 9),
        [],
        "or it would be told at once again"
    );
    let free = q.enqueue(through(&["claude"]));
    assert_eq!(q.claim_order("a", 9), [free]);
}

#[test]
fn a_job_can_be_given_other_gates() {
    let q = TestQueue::new();
    let id = q.enqueue(through(&["claude"]));
    let close = CloseGate {
        until: None,
        why: None,
        by: "a person".to_owned(),
    };
    let claude = named("claude");
    q.store().close_gate(&claude, &close, &q.now()).unwrap();
    assert_eq!(q.claim_order("a", 9), []);
    let edit = Edit {
        gates: Some(vec![named("codex")]),
        ..Edit::default()
    };
    q.edit(id, &edit).unwrap();
    assert_eq!(q.claim_order("a", 9), [id]);
    assert_eq!(q.job(id).gates, [named("codex")]);
}

// T5: two hours of an unavailable provider.
#[test]
fn an_outage_costs_some_tries_and_no_job_its_attempts() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(20, &through(&["claude"]));
    let ends = q.now().wall.saturating_add(2 * HOUR);
    let mut tries = 0;
    while q.now().wall < ends {
        for lease in q.claim_many("a", 4) {
            tries += 1;
            q.finish(lease, failed(Class::Unavailable)).unwrap();
        }
        q.advance(10 * SECOND);
    }
    assert!(tries <= 4 + 10, "{tries} tries in two hours");
    assert_eq!(
        gate(&q, "claude")
            .gate
            .closing()
            .map(|closing| closing.reason),
        Some(GateReason::Breaker)
    );
    let worst = jobs.iter().map(|id| q.job(*id).attempt).max();
    assert_eq!(worst, Some(1), "who asks for all loses nothing by it");
    let mut rounds = 0;
    while q.count(State::Completed) < 20 {
        for lease in q.claim_many("a", 4) {
            q.complete(lease).unwrap();
        }
        q.advance(10 * SECOND);
        rounds += 1;
        assert!(
            rounds < 360,
            "it goes on within an hour of the outage's end"
        );
    }
}

#[test]
fn a_gate_survives_the_end_of_every_process() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(2, &through(&["claude"]));
    let met = q.claim("a");
    limit_in_an_hour(&q, met);
    let opens = opens_at(&q);
    let q = q.reopened();
    assert_eq!(opens_at(&q), opens);
    assert_eq!(q.claim_order("b", 9), []);
    go_to(&q, opens);
    assert_eq!(q.claim_order("b", 9), jobs[..1]);
}

#[test]
fn a_cycle_says_when_a_gate_may_open() {
    let q = TestQueue::new();
    q.enqueue_many(2, &through(&["claude"]));
    let met = q.claim("a");
    limit_in_an_hour(&q, met);
    let cycle = Cycle {
        claim: Some(Claim::default()),
        ..q.cycle_of("b")
    };
    assert_eq!(q.cycle(&cycle).next_at, Some(opens_at(&q)));
}

#[test]
fn a_clock_that_is_set_back_closes_no_gate_for_longer() {
    let q = TestQueue::new();
    let id = q.enqueue(through(&["claude"]));
    let now = q.now().wall;
    q.clock().set_wall(now.saturating_add(1_000 * HOUR));
    let met = q.claim("a");
    limit_in_an_hour(&q, met);
    assert_eq!(q.claim_order("a", 9), []);
    q.clock().set_wall(now);
    assert_eq!(q.claim_order("a", 9), []);
    q.advance(HOUR + MINUTE);
    assert_eq!(q.claim_order("a", 9), [id]);
}

#[test]
fn tries_that_met_a_limit_are_forgotten_beyond_the_newest() {
    let q = TestQueue::new();
    let id = q.enqueue(through(&["claude"]));
    for _ in 0..30 {
        let lease = q.claim("a");
        limit_in_an_hour(&q, lease);
        q.store().open_gate(&named("claude"), &q.now()).unwrap();
    }
    let kept = queue_core::attempt::KEPT_UNCOUNTED;
    assert_eq!(q.attempts(id).len(), usize::try_from(kept).unwrap());
    assert_eq!(q.job(id).attempt, 0);
}

#[test]
fn a_limit_met_by_a_job_that_is_to_be_cancelled_still_closes_the_gate() {
    let q = TestQueue::new();
    q.enqueue(through(&["claude"]));
    let lease = q.claim("a");
    q.cancel(lease.job()).unwrap();
    assert_eq!(limit_in_an_hour(&q, lease), Finished::Cancelled);
    assert_eq!(state(&q, "claude"), GateState::Closed);
}

/// What an attempt says of itself.
fn says(lease: &Lease, gate_reason: GateReason, until: Option<Timestamp>, at: Timestamp) -> Met {
    Met {
        reason: gate_reason,
        until,
        at,
        evidence: Some("HTTP 429".to_owned()),
        by: format!("job {}", lease.job()),
        attempt: Some((lease.job(), lease.fence().epoch)),
    }
}

#[test]
fn a_job_that_reports_a_limit_and_exits_with_75_loses_no_attempt() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(2, &through(&["claude"]));
    let lease = q.claim("a");
    let now = q.now().wall;
    let met = says(
        &lease,
        GateReason::Limit,
        Some(now.saturating_add(HOUR)),
        now,
    );
    q.store()
        .report_limit(&named("claude"), &met, &q.now())
        .unwrap();
    let opens = opens_at(&q);
    assert_eq!(q.claim_order("b", 9), [], "closed at once");
    q.advance(SECOND);
    assert_eq!(q.exit(lease, EX_TEMPFAIL).unwrap(), Finished::Limited);
    assert_eq!(opens_at(&q), opens, "it was told already");
    let row = q.job(jobs[0]);
    assert_eq!((row.state, row.attempt), (State::Pending, 0));
    let tried = &q.attempts(jobs[0])[0];
    assert_eq!(
        (tried.class, tried.exit_code, tried.message.as_deref()),
        (Some(Class::Limit), Some(EX_TEMPFAIL), Some("HTTP 429"))
    );
    go_to(&q, opens);
    assert_eq!(q.claim_order("b", 9), jobs[..1]);
}

#[test]
fn an_exit_code_alone_is_no_limit() {
    let q = TestQueue::new();
    let id = q.enqueue(through(&["claude"]));
    let lease = q.claim("a");
    assert!(matches!(
        q.exit(lease, EX_TEMPFAIL).unwrap(),
        Finished::Retry(_)
    ));
    assert_eq!(q.job(id).attempt, 1);
    // What was reported belongs to that attempt: a later one starts anew.
    q.advance(HOUR);
    let lease = q.claim("a");
    let now = q.now().wall;
    let met = says(&lease, GateReason::Limit, None, now);
    q.store()
        .report_limit(&named("claude"), &met, &q.now())
        .unwrap();
    assert!(matches!(q.exit(lease, 1).unwrap(), Finished::Retry(_)));
    let late = q
        .store()
        .report_limit(&named("claude"), &met, &q.now())
        .unwrap_err();
    assert!(matches!(late, Error::LeaseLost { .. }), "{late}");
}

#[test]
fn a_worker_that_drains_does_not_wait_for_what_waits_at_a_gate() {
    let q = TestQueue::new();
    q.enqueue_many(3, &through(&["claude"]));
    q.enqueue_many(2, &through(&["codex"]));
    q.enqueue("free");
    let close = |name: &str, until| {
        let close = CloseGate {
            until,
            why: None,
            by: "a person".to_owned(),
        };
        q.store()
            .close_gate(&named(name), &close, &q.now())
            .unwrap();
    };
    let then = q.now().wall.saturating_add(HOUR);
    close("claude", Some(then));
    close("codex", None);
    let outlook = || q.store().outlook(&[], PROCESS, &q.now()).unwrap();
    let seen = outlook();
    assert_eq!((seen.pending, seen.scheduled, seen.paused), (1, 3, 2));
    assert_eq!(seen.next_at, Some(then));
    q.advance(HOUR);
    let seen = outlook();
    assert_eq!((seen.pending, seen.scheduled, seen.paused), (4, 0, 2));
}
