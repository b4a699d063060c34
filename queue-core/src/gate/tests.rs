//! The gate as a state machine: what opens it, what closes it, and for how long.

use super::*;
use proptest::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000_000 + seconds * 1_000)
}

fn fence(job: i64) -> Fence {
    Fence {
        job: JobId(job),
        epoch: Epoch(job),
        holder: Holder(1),
    }
}

/// What job `job` met at `seconds`.
fn met(job: i64, reason: GateReason, until: Option<Timestamp>, seconds: i64) -> Met {
    Met {
        reason,
        until,
        at: at(seconds),
        evidence: Some(format!("job {job} was told so")),
        by: format!("job {job}"),
        attempt: Some((JobId(job), Epoch(job))),
    }
}

/// A gate that job 1 closed at 0 for an hour.
fn closed() -> Gate {
    let mut gate = Gate::default();
    gate.limited(&met(1, GateReason::Limit, Some(at(3_600)), 0), at(0));
    gate
}

fn until(gate: &Gate) -> Option<Timestamp> {
    gate.closing().expect("the gate is closed").until
}

/// The moment at which the gate lets the next job try.
fn opens(gate: &Gate) -> Timestamp {
    until(gate).expect("the gate opens by itself")
}

/// Lets job `job` try at the moment the gate allows it, and gives that moment in seconds.
fn probe(gate: &mut Gate, job: i64) -> i64 {
    let now = opens(gate);
    assert_eq!(gate.admit(now), Admission::Granted);
    gate.start(fence(job), now);
    assert_eq!(gate.state(now), GateState::HalfOpen);
    (now.as_millis() - at(0).as_millis()) / 1_000
}

#[test]
fn a_limit_closes_the_gate_until_shortly_after_it_lifts() {
    let gate = closed();
    let until = opens(&gate);
    assert!(until > at(3_600) && until <= at(3_630), "{until}");
    assert_eq!(gate.admit(at(3_600)), Admission::Wait(until));
    assert_eq!(gate.state(at(3_600)), GateState::Closed);
    assert_eq!(gate.admit(until), Admission::Granted);
    assert_eq!(gate.state(until), GateState::HalfOpen);
    let closing = gate.closing().unwrap();
    assert_eq!(closing.evidence.as_deref(), Some("job 1 was told so"));
    assert_eq!(closing.set_by, "job 1");
}

#[test]
fn one_job_tries_and_the_others_wait_for_it() {
    let mut gate = closed();
    let now = at(probe(&mut gate, 2));
    assert!(matches!(gate.admit(now), Admission::Wait(next) if next > now));
    gate.passed(JobId(7), Epoch(7), now);
    assert_eq!(
        gate.state(now),
        GateState::HalfOpen,
        "job 7 started before the gate closed"
    );
    gate.passed(JobId(2), Epoch(2), now);
    assert_eq!(gate.state(now), GateState::Open);
}

// T24: what waited is let go one by one, never earlier than the limit said.
#[test]
fn after_a_probe_the_rest_starts_one_by_one() {
    let mut gate = closed();
    let now = at(probe(&mut gate, 2));
    gate.passed(JobId(2), Epoch(2), now);
    assert_eq!(
        gate.admit(now),
        Admission::Wait(now.saturating_add(RELEASE_GAP))
    );
    let next = now.saturating_add(RELEASE_GAP);
    assert_eq!(gate.admit(next), Admission::Granted);
    gate.start(fence(3), next);
    assert!(matches!(gate.admit(next), Admission::Wait(_)));
    let later = now.saturating_add(RELEASE_FOR);
    gate.start(fence(4), later);
    assert_eq!(gate.admit(later), Admission::Granted, "without a stagger");
    gate.stagger = Some(10 * RELEASE_GAP);
    gate.start(fence(5), later);
    let apart = later.saturating_add(10 * RELEASE_GAP);
    assert_eq!(gate.admit(later), Admission::Wait(apart));
}

#[test]
fn a_probe_that_runs_for_two_minutes_is_through() {
    let mut gate = closed();
    let since = probe(&mut gate, 2);
    gate.watch(ProbeLook::Runs(Holder(1)), at(since + 119));
    assert_eq!(gate.state(at(since + 119)), GateState::HalfOpen);
    gate.watch(ProbeLook::Unknown, at(since + 500));
    assert_eq!(gate.state(at(since + 500)), GateState::HalfOpen);
    gate.watch(ProbeLook::Runs(Holder(2)), at(since + 500));
    assert_eq!(
        gate.state(at(since + 500)),
        GateState::HalfOpen,
        "its worker died: nobody knows what it did meanwhile"
    );
    gate.watch(ProbeLook::Runs(Holder(2)), at(since + 620));
    assert_eq!(gate.state(at(since + 620)), GateState::Open);
}

#[test]
fn a_probe_that_is_gone_leaves_its_place_to_the_next() {
    for leave in [
        |gate: &mut Gate, _| gate.left(JobId(2), Epoch(2)),
        |gate: &mut Gate, now| gate.watch(ProbeLook::Gone, now),
    ] {
        let mut gate = closed();
        let now = at(probe(&mut gate, 2));
        gate.left(JobId(2), Epoch(9));
        assert_eq!(gate.probe().map(|probe| probe.job), Some(JobId(2)));
        leave(&mut gate, now);
        assert_eq!(gate.state(now), GateState::HalfOpen);
        assert_eq!(gate.admit(now), Admission::Granted);
    }
}

#[test]
fn the_later_end_wins() {
    let mut gate = closed();
    let first = opens(&gate);
    gate.limited(&met(2, GateReason::Limit, Some(at(600)), 5), at(5));
    assert_eq!(opens(&gate), first, "an earlier one shortens nothing");
    gate.limited(&met(2, GateReason::Limit, None, 5), at(5));
    assert_eq!(opens(&gate), first, "who knows no time adds none");
    gate.limited(&met(2, GateReason::Limit, Some(at(7_200)), 5), at(5));
    assert!(opens(&gate) > at(7_200));
    gate.limited(&met(3, GateReason::Auth, None, 6), at(6));
    assert_eq!(until(&gate), None, "only a person can mend that");
    gate.limited(&met(4, GateReason::Limit, Some(at(9_000)), 7), at(7));
    assert!(gate.awaits_person());
    assert_eq!(gate.admit(at(100_000)), Admission::Never);
}

#[test]
fn a_probe_that_meets_a_later_limit_moves_the_gate() {
    let mut gate = closed();
    let now = probe(&mut gate, 2);
    let later = at(now + 7_200);
    gate.limited(
        &met(2, GateReason::Limit, Some(later), now + 1),
        at(now + 1),
    );
    assert!(opens(&gate) > later);
    assert_eq!(gate.closing().unwrap().tries, 1);
}

// claude-limit-stale: the same limit is shown after it has lifted.
#[test]
fn a_stale_limit_climbs_the_ladder_and_then_passes() {
    let mut gate = closed();
    let mut waits = Vec::new();
    for _ in 0..5 {
        let now = probe(&mut gate, 2);
        gate.limited(&met(2, GateReason::Limit, Some(at(3_600)), now), at(now));
        waits.push(opens(&gate).since(at(now)) / 60);
    }
    let minutes: Vec<u64> = waits.iter().map(Duration::as_secs).collect();
    assert_eq!(minutes, [30, 60, 60, 60, 60]);
    let now = probe(&mut gate, 2);
    gate.passed(JobId(2), Epoch(2), at(now));
    assert_eq!(gate.state(at(now)), GateState::Open);
    gate.limited(&met(3, GateReason::Limit, None, now), at(now));
    assert_eq!(opens(&gate), at(now).saturating_add(15 * MINUTE));
}

#[test]
fn a_limit_that_moves_on_with_each_probe_is_not_asked_all_the_time() {
    let mut gate = closed();
    for tries in 1..10 {
        let now = probe(&mut gate, 2);
        gate.limited(&met(2, GateReason::Limit, Some(at(now + 1)), now), at(now));
        let wait = opens(&gate).since(at(now));
        assert_eq!(wait >= LEAST_WAIT, tries >= DISTRUSTED_AFTER, "{wait:?}");
    }
}

#[test]
fn a_limit_beyond_eight_days_waits_for_a_person() {
    let mut gate = Gate::default();
    let far = at(0).saturating_add(LONGEST_CLOSED + MINUTE);
    gate.limited(&met(1, GateReason::Limit, Some(far), 0), at(0));
    assert!(gate.awaits_person());
    let mut gate = Gate::default();
    let near = at(0).saturating_add(LONGEST_CLOSED - MINUTE);
    gate.limited(&met(1, GateReason::Limit, Some(near), 0), at(0));
    assert!(!gate.awaits_person());
}

#[test]
fn what_was_met_long_ago_counts_from_then() {
    // Its worker was dead until now; the limit has lifted meanwhile.
    let mut gate = Gate::default();
    gate.limited(&met(1, GateReason::Limit, Some(at(3_600)), 0), at(9_000));
    assert_eq!(gate.state(at(9_000)), GateState::HalfOpen, "one job tries");
    let mut gate = Gate::default();
    gate.limited(&met(1, GateReason::Limit, None, 0), at(60));
    assert_eq!(opens(&gate), at(0).saturating_add(15 * MINUTE));
}

#[test]
fn a_person_may_do_as_they_like() {
    let close = |until| CloseGate {
        until,
        why: Some("night".to_owned()),
        by: "a person".to_owned(),
    };
    let mut gate = closed();
    gate.close(&close(Some(at(60))), at(1));
    assert_eq!(opens(&gate), at(60), "not a moment later");
    gate.close(&close(None), at(1));
    assert_eq!(gate.admit(at(1_000_000)), Admission::Never);
    gate.open();
    assert_eq!(gate, Gate::default());
}

// T5: an outage closes the gate, and from then on costs one try every few minutes.
#[test]
fn three_jobs_whose_provider_is_away_close_the_gate_for_some_minutes() {
    let mut gate = Gate::default();
    let away = |job, seconds| met(job, GateReason::Breaker, None, seconds);
    for (job, now) in [(1, 0), (1, 1), (1, 2), (2, 3)] {
        assert!(!gate.unavailable(&away(job, now), at(now)));
        assert_eq!(gate.state(at(now)), GateState::Open, "two jobs at the most");
    }
    gate.unavailable(&away(3, 400), at(400));
    assert_eq!(
        gate.state(at(400)),
        GateState::Open,
        "the others are long ago"
    );
    gate.unavailable(&away(4, 401), at(401));
    gate.passed(JobId(9), Epoch(9), at(402));
    gate.unavailable(&away(5, 403), at(403));
    assert_eq!(gate.state(at(403)), GateState::Open, "job 9 was answered");
    gate.unavailable(&away(6, 404), at(404));
    gate.unavailable(&away(7, 405), at(405));
    assert_eq!(gate.closing().unwrap().reason, GateReason::Breaker);
    assert_eq!(opens(&gate), at(405 + 300));
    let mut waits = Vec::new();
    for job in 10..14 {
        let now = probe(&mut gate, job);
        assert!(gate.unavailable(&away(job, now), at(now)));
        waits.push(opens(&gate).since(at(now)).as_secs() / 60);
    }
    assert_eq!(waits, [10, 15, 15, 15]);
}

#[test]
fn a_clock_set_back_makes_no_wait_longer() {
    let day = Duration::from_secs(86_400);
    let mut gate = Gate::default();
    let wrong = at(0).saturating_add(400 * day);
    let mut told = met(1, GateReason::Limit, None, 0);
    told.at = wrong;
    gate.limited(&told, wrong);
    gate.mend_clock(at(0));
    assert_eq!(opens(&gate), at(0).saturating_add(15 * MINUTE));
    gate.mend_clock(at(60));
    assert_eq!(opens(&gate), at(0).saturating_add(15 * MINUTE));

    let mut gate = closed();
    let now = at(probe(&mut gate, 2));
    gate.passed(JobId(2), Epoch(2), now);
    gate.mend_clock(at(0));
    let next = at(0).saturating_add(RELEASE_GAP);
    assert_eq!(gate.admit(at(0)), Admission::Wait(next));
    assert_eq!(gate.admit(next), Admission::Granted);
    assert!(HOUR < now.since(at(0)));
}

#[test]
fn a_start_that_another_worker_noted_a_moment_ahead_keeps_its_distance() {
    let mut gate = closed();
    let opened = probe(&mut gate, 2);
    gate.passed(JobId(2), Epoch(2), at(opened));
    gate.start(fence(3), at(opened + 10));
    // It asked for the time, and then waited for the other one to have written.
    let asked = Timestamp::from_millis(at(opened + 10).as_millis() - 1);
    gate.mend_clock(asked);
    let next = asked.saturating_add(RELEASE_GAP);
    assert_eq!(gate.admit(asked), Admission::Wait(next));
}

#[test]
fn an_evidence_is_cut_between_characters() {
    let mut gate = Gate::default();
    let mut told = met(1, GateReason::Limit, None, 0);
    told.evidence = Some("ü".repeat(MOST_EVIDENCE));
    gate.limited(&told, at(0));
    let kept = gate.closing().unwrap().evidence.clone().unwrap();
    assert_eq!(kept.len(), MOST_EVIDENCE);
    told.evidence = Some("x".to_owned() + &"ü".repeat(MOST_EVIDENCE));
    let mut gate = Gate::default();
    gate.limited(&told, at(0));
    assert_eq!(
        gate.closing().unwrap().evidence.as_ref().unwrap().len(),
        MOST_EVIDENCE - 1
    );
}

// ── Whatever happens, in whichever order ────────────────────────────────────────────────────

/// Something that happens to a gate.
#[derive(Debug, Clone)]
enum Event {
    /// So many seconds pass.
    Wait(u32),
    /// A job asks to start.
    Start,
    /// A job that runs meets a limit that lifts in so many seconds, or long ago.
    Limited(usize, GateReason, Option<i32>),
    /// A job that runs was answered, or left without having asked.
    Passed(usize),
    Left(usize),
    /// Its provider was away.
    Unavailable(usize),
    /// Somebody looks after the probe.
    Watch,
    /// A person opens it, or closes it for so many seconds.
    Open,
    Close(Option<u32>),
    /// The clock is set back by so many seconds.
    Back(u32),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let limit = (
        0_usize..6,
        prop_oneof![
            20 => Just(GateReason::Limit),
            1 => Just(GateReason::Auth),
            1 => Just(GateReason::Billing),
        ],
        proptest::option::of(prop_oneof![5 => 1_i32..10_000, 1 => -100_i32..1_000_000]),
    );
    let event = prop_oneof![
        4 => (0_u32..100).prop_map(Event::Wait),
        2 => (0_u32..10_000).prop_map(Event::Wait),
        12 => Just(Event::Start),
        4 => limit.prop_map(|(job, reason, span)| Event::Limited(job, reason, span)),
        2 => (0_usize..6).prop_map(Event::Passed),
        2 => (0_usize..6).prop_map(Event::Left),
        3 => (0_usize..6).prop_map(Event::Unavailable),
        2 => Just(Event::Watch),
        1 => Just(Event::Open),
        1 => proptest::option::of(0_u32..1_000).prop_map(Event::Close),
        1 => (0_u32..1_000).prop_map(Event::Back),
    ];
    proptest::collection::vec(event, 1..80)
}

/// Until when a closed gate lets nobody start; the end of time where a person has to open it.
fn shut_until(gate: &Gate, now: Timestamp) -> Option<Timestamp> {
    let Stand::Closed(closing) = &gate.stand else {
        return None;
    };
    let until = closing.until.unwrap_or(Timestamp::from_millis(i64::MAX));
    (until > now).then_some(until)
}

proptest! {
    #[test]
    fn a_gate_keeps_its_promises_whatever_happens(events in events(), stagger in 0_u64..3) {
        let mut gate = Gate { stagger: Some(Duration::from_secs(stagger)), ..Gate::default() };
        let (mut now, mut jobs, mut last) = (at(0), 0, None::<Timestamp>);
        let mut running: Vec<i64> = Vec::new();
        for event in events {
            gate.mend_clock(now);
            let before = gate.clone();
            let shut = shut_until(&before, now);
            let pick = |place: usize| running.get(place % running.len().max(1)).copied();
            let mut may_shorten = false;
            match event {
                Event::Wait(seconds) => {
                    now = now.saturating_add(Duration::from_secs(seconds.into()));
                }
                Event::Back(seconds) => {
                    now = now.saturating_sub(Duration::from_secs(seconds.into()));
                    gate.mend_clock(now);
                    last = None;
                    may_shorten = true;
                }
                Event::Start => {
                    if gate.admit(now) == Admission::Granted {
                        prop_assert_eq!(shut, None, "a closed gate lets nothing start");
                        prop_assert!(gate.probe().is_none(), "one probe at a time");
                        if let (Some(last), Stand::Open) = (last, &gate.stand) {
                            prop_assert!(now.since(last) >= gate.stagger());
                        }
                        jobs += 1;
                        gate.start(fence(jobs), now);
                        running.push(jobs);
                        last = Some(now);
                        let was_open = before.stand == Stand::Open;
                        prop_assert_eq!(gate.probe().is_some(), !was_open);
                    }
                }
                Event::Limited(place, reason, span) => if let Some(job) = pick(place) {
                    let seconds = (now.as_millis() - at(0).as_millis()) / 1_000;
                    let until = span.map(|span| at(seconds + i64::from(span)));
                    let told = met(job, reason, until, seconds);
                    gate.limited(&told, now);
                    running.retain(|other| *other != job);
                    prop_assert!(matches!(gate.stand, Stand::Closed(_)));
                    if let (GateReason::Limit, Some(until), Stand::Closed(closing)) =
                        (reason, until, &gate.stand)
                    {
                        prop_assert!(closing.until.is_none_or(|noted| noted > until));
                    }
                },
                Event::Unavailable(place) => if let Some(job) = pick(place) {
                    let seconds = (now.as_millis() - at(0).as_millis()) / 1_000;
                    let was_probe = gate.unavailable(&met(job, GateReason::Breaker, None, seconds), now);
                    let probe = before.probe().map(|probe| probe.job);
                    prop_assert_eq!(was_probe, probe == Some(JobId(job)));
                    running.retain(|other| *other != job);
                },
                Event::Passed(place) => if let Some(job) = pick(place) {
                    gate.passed(JobId(job), Epoch(job), now);
                    let probe = before.probe().map(|probe| probe.job);
                    let opens = probe == Some(JobId(job)) || before.stand == Stand::Open;
                    prop_assert_eq!(gate.stand == Stand::Open, opens);
                },
                Event::Left(place) => if let Some(job) = pick(place) {
                    gate.left(JobId(job), Epoch(job));
                    running.retain(|other| *other != job);
                    prop_assert_ne!(gate.probe().map(|probe| probe.job), Some(JobId(job)));
                },
                Event::Watch => {
                    let look = match gate.probe() {
                        Some(probe) if running.contains(&probe.job.0) => ProbeLook::Runs(probe.holder),
                        _ => ProbeLook::Gone,
                    };
                    gate.watch(look, now);
                }
                Event::Open => {
                    gate.open();
                    prop_assert_eq!(gate.admit(now), Admission::Granted);
                    (may_shorten, last) = (true, None);
                }
                Event::Close(span) => {
                    let until = span.map(|span| now.saturating_add(Duration::from_secs(span.into())));
                    let by = "a person".to_owned();
                    gate.close(&CloseGate { until, why: None, by }, now);
                    may_shorten = true;
                }
            }
            if let (Some(shut), false) = (shut, may_shorten) && shut > now {
                let after = shut_until(&gate, now);
                prop_assert!(after.is_some_and(|after| after >= shut), "{shut} became {after:?}");
            }
            if let Some(Closing { until: Some(until), reason, .. }) = gate.closing()
                && *reason != GateReason::Person
            {
                let most = LONGEST_CLOSED + Duration::from_secs(30);
                prop_assert!(until.since(now) <= most, "closed for too long: {until}");
            }
        }
    }
}
