//! A small model of leases, searched exhaustively: two workers, one job, its shims.
//!
//! Beside the tests of the real thing, which try some orders of events, this tries all of them. What
//! always holds: the rules as they are lead nowhere bad, and each mistake that was made or thought of
//! leads to the violation that it is known for, so the search can be trusted to find one.

mod search;
mod world;

use search::search;
use world::Rules;

#[test]
fn whatever_happens_no_two_attempts_run_at_once_and_the_job_comes_to_its_end() {
    let searched = search(Rules::Right);
    assert_eq!(searched.violation, None);
    // Far fewer would mean that steps are missing.
    assert!(searched.states > 10_000, "{} states", searched.states);
}

/// Either way to run what nobody looks after: beside the next attempt, or after the end.
const RUNS_ON: &[&str] = &[
    "two attempts run at once",
    "the job has ended and its processes run",
];

#[track_caller]
fn leads_to(mistake: Rules, expected: &[&str]) {
    let Some((wrong, path)) = search(mistake).violation else {
        panic!("{mistake:?} leads nowhere bad");
    };
    assert!(expected.contains(&wrong), "{wrong}\n{}", path.join("\n"));
}

#[test]
fn without_an_epoch_a_late_worker_writes_for_another_attempt() {
    leads_to(Rules::NoEpochFence, &["two workers can both write"]);
}

#[test]
fn without_a_holder_two_workers_write_for_one_attempt() {
    leads_to(Rules::NoHolderFence, &["two workers can both write"]);
}

#[test]
fn a_retry_before_the_sweep_runs_beside_what_is_left() {
    leads_to(Rules::RetryBeforeSweep, RUNS_ON);
}

#[test]
fn an_end_that_counts_by_the_state_alone_is_that_of_another_attempt() {
    let expected = ["an end counts that was not the attempt's"];
    leads_to(Rules::CompletionByStateOnly, &expected);
}

#[test]
fn a_start_long_after_the_claim_runs_beside_the_next_attempt() {
    leads_to(Rules::StartWithoutAsking, RUNS_ON);
}

#[test]
fn to_ask_before_the_lock_is_to_ask_too_early() {
    leads_to(Rules::AskBeforeTheLock, RUNS_ON);
}

#[test]
fn a_lock_that_nobody_holds_after_it_was_sent_is_somebody_elses_by_then() {
    leads_to(Rules::LockSentAway, RUNS_ON);
}

#[test]
fn who_does_not_look_for_a_living_shim_starts_beside_it() {
    leads_to(Rules::NoAdoption, RUNS_ON);
}

#[test]
fn a_lease_that_nobody_takes_over_is_stuck_for_ever() {
    leads_to(Rules::NoTakeOver, &["the job is stuck for ever"]);
}
