//! Named places between two steps at which a test may have the process killed.
//!
//! Present only with the feature `failpoints`, which the test suites alone turn on; without it
//! every call compiles to nothing. `QUEUE_FAILPOINT=NAME` or `NAME:N` arms one: the process sends
//! itself SIGKILL the Nth time it gets there, as a power cut or the kernel would; with `NAME:N:stop`
//! SIGSTOP, as if it stood still between two steps.

/// Every place, by what happens around it.
pub const ALL: &[&str] = &[
    "migrate.begun",
    "migrate.applied",
    "migrate.versioned",
    "migrate.committed",
    "transaction.begun",
    "transaction.lanes_settled",
    "transaction.done",
    "transaction.committed",
    "enqueue.job_written",
    "enqueue.body_written",
    "enqueue.tags_written",
    "enqueue.dependencies_written",
    "claim.tokens_spent",
    "claim.job_taken",
    "claim.attempt_written",
    "claim.tokens_written",
    "start.written",
    "heartbeat.written",
    "checkpoint.written",
    "promote.job_moved",
    "rescue.job_taken",
    "rescue.attempt_written",
    "outcome.attempt_ended",
    "move.written",
    "outcome.dependant_met",
    "outcome.job_moved",
    "prune.job_removed",
    "prune.lanes_removed",
];

/// Kills the process here if the environment says so.
#[cfg(feature = "failpoints")]
pub fn hit(name: &'static str) {
    use rustix::process::Signal;
    use std::sync::{
        OnceLock,
        atomic::{AtomicI64, Ordering},
    };
    static ARMED: OnceLock<Option<(String, AtomicI64, Signal)>> = OnceLock::new();
    debug_assert!(ALL.contains(&name), "failpoint {name} is not listed");
    let armed = ARMED.get_or_init(|| {
        let text = std::env::var("QUEUE_FAILPOINT").ok()?;
        let mut words = text.split(':');
        let name = words.next()?.to_owned();
        let times = words.next().unwrap_or("1").parse().ok()?;
        let signal = match words.next() {
            Some("stop") => Signal::STOP,
            _ => Signal::KILL,
        };
        Some((name, AtomicI64::new(times), signal))
    });
    if let Some((armed, left, signal)) = armed
        && armed == name
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        let own = rustix::process::getpid();
        // Nothing is to run after a kill, not even a destructor.
        let _ = rustix::process::kill_process(own, *signal);
    }
}

/// Nothing: the failpoints are not compiled in.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn hit(_name: &'static str) {}
