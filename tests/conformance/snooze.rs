//! Tries that do not count: an attempt that asks to run later, and a worker that hands back.

use queue_core::{
    Class, State, WaitReason,
    attempt::{Finished, KEPT_UNCOUNTED, Outcome, Report},
    store::{Claim, Cycle},
};
use std::fs;
use support::{HOUR, MANY, SECOND, TestQueue};

#[test]
fn a_snoozed_job_runs_later_under_the_same_number() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    let at = q.now().wall.saturating_add(HOUR);
    assert_eq!(q.snooze(lease, HOUR).unwrap(), Finished::Retry(at));
    let waiting = q.job(id);
    assert_eq!(waiting.state, State::Scheduled);
    assert_eq!(waiting.wait_reason, Some(WaitReason::Snooze));
    assert_eq!((waiting.run_at, waiting.attempt), (Some(at), 0));
    assert_eq!(q.attempts(id)[0].class, Some(Class::Snoozed));
    assert_eq!(q.try_claim("a"), None);
    q.advance(HOUR);
    assert_eq!(q.claim("a").attempt(), 1);
}

// T29
#[test]
fn a_job_that_is_handed_back_can_be_claimed_at_once_and_lost_no_attempt() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    assert_eq!(q.hand_back(lease).unwrap(), Finished::Pending);
    let waiting = q.job(id);
    assert_eq!(waiting.state, State::Pending);
    assert_eq!((waiting.attempt, waiting.stalls), (0, 0));
    assert_eq!((waiting.worker, waiting.lease_expires_at), (None, None));
    assert_eq!(q.attempts(id)[0].class, Some(Class::Interrupted));
    let again = q.claim("b");
    assert_eq!(again.attempt(), 1);
    assert_eq!(q.complete(again).unwrap(), Finished::Completed);
}

#[test]
fn a_job_that_is_handed_back_keeps_its_place_in_front() {
    let q = TestQueue::new();
    let first = q.enqueue("x");
    let lease = q.claim("a");
    q.advance(SECOND);
    q.enqueue("y");
    q.hand_back(lease).unwrap();
    assert_eq!(q.claim("a").job(), first);
}

// T22
#[test]
fn a_job_that_snoozes_a_thousand_times_has_used_no_attempt_and_a_short_history() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    for _ in 0..1_000 {
        let lease = q.claim("a");
        assert_eq!(lease.attempt(), 1);
        q.snooze(lease, SECOND).unwrap();
        q.advance(SECOND);
    }
    let job = q.job(id);
    assert_eq!((job.attempt, job.stalls), (0, 0));
    let kept = q.attempts(id);
    assert!(kept.len() <= KEPT_UNCOUNTED as usize + 1, "{}", kept.len());
    assert_eq!(kept.last().unwrap().epoch, job.epoch, "the newest are kept");
    assert_eq!(job.epoch.0, 1_000, "the fence rises all the same");
}

#[test]
fn attempts_that_count_are_kept_however_often_the_job_snoozed() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    q.exit(lease, 1).unwrap();
    q.advance(HOUR);
    for _ in 0..3 * KEPT_UNCOUNTED {
        let lease = q.claim("a");
        q.hand_back(lease).unwrap();
    }
    let attempts = q.attempts(id);
    assert_eq!(attempts[0].class, Some(Class::ExitCode));
    assert_eq!(q.claim("a").attempt(), 2);
}

// T66
#[test]
fn a_store_does_not_grow_with_snoozes_and_releases() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let mut lease = q.claim("a");
    let size_after = |times: usize, mut lease| {
        for turn in 0..times {
            let outcome = if turn % 2 == 0 {
                Outcome::HandedBack
            } else {
                Outcome::Snoozed {
                    until: q.now().wall,
                }
            };
            let cycle = Cycle {
                ended: vec![(
                    queue_core::Lease::fence(&lease),
                    Report::new(outcome, q.now().wall),
                )],
                promote: MANY,
                claim: Some(Claim::default()),
                ..q.cycle_of("a")
            };
            lease = q.cycle(&cycle).claimed.pop().unwrap().lease;
        }
        q.store().tidy().unwrap();
        let size: u64 = fs::read_dir(q.dir())
            .unwrap()
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum();
        (size, lease)
    };
    let before;
    (before, lease) = size_after(500, lease);
    let (after, _lease) = size_after(3_000, lease);
    assert!(
        after <= before + 64 * 1024,
        "{before} bytes became {after} over 3,000 more turns"
    );
    assert!(q.attempts(id).len() <= KEPT_UNCOUNTED as usize + 1);
}
