//! Named places between two steps at which a test may have the process killed.
//!
//! Present only with the feature `failpoints`, which the test suites alone turn on; without it
//! every call compiles to nothing. `QUEUE_FAILPOINT=NAME` or `NAME:N` arms one: the process sends
//! itself SIGKILL the Nth time it gets there, as a power cut or the kernel would; with `NAME:N:stop`
//! SIGSTOP, as if it stood still between two steps. Where `QUEUE_FAILPOINT_MARK=PATH` is given as
//! well, the first process that gets there leaves its number in that file, and no other one is
//! harmed.

use std::ffi::OsString;

/// Arms a failpoint.
const VARIABLE: &str = "QUEUE_FAILPOINT";
/// Names the file that tells that it was reached.
const MARK: &str = "QUEUE_FAILPOINT_MARK";

/// Every place in a store, by what happens around it.
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

/// Every place in the life of an attempt: `worker` and `host` are steps of the worker that starts
/// it, `shim` and `supervisor` of its shim (the latter of the worker, where there is no shim),
/// `adopt` of a worker that finds it, and `settle` of the one that tells its end.
pub const OF_ATTEMPTS: &[&str] = &[
    "worker.registered",
    "worker.locked",
    "host.control_made",
    "host.lock_taken",
    "host.spec_written",
    "host.asked",
    "host.shim_started",
    "shim.begun",
    "shim.spec_taken",
    "shim.listens",
    "shim.process_started",
    "shim.started_written",
    "supervisor.reaped",
    "supervisor.swept",
    "supervisor.drained",
    "shim.status_staged",
    "shim.status_written",
    "adopt.claimed",
    "adopt.lock_probed",
    "adopt.status_read",
    "adopt.swept",
    "adopt.followed",
    "settle.committed",
    "settle.spared",
    "settle.cleared",
];

/// Every place in the life of a worktree: `tree` are steps of the worker that makes it, `rescue` and
/// `remove` of the command that takes it away.
pub const OF_WORKTREES: &[&str] = &[
    "tree.marked",
    "tree.added",
    "tree.made",
    "rescue.taken",
    "rescue.referred",
    "remove.tree_gone",
    "remove.branch_gone",
];

/// Every place of a worker that has an attempt prove what it says.
pub const OF_PROOF: &[&str] = &[
    "check.expected",
    "check.kept",
    "check.begun",
    "check.noted",
    "check.ended",
];

/// Kills the process here if the environment says so.
#[cfg(feature = "failpoints")]
pub fn hit(name: &'static str) {
    use rustix::process::{Signal, getpid, kill_process};
    use std::sync::{
        OnceLock,
        atomic::{AtomicI64, Ordering},
    };
    static ARMED: OnceLock<Option<(String, AtomicI64, Signal)>> = OnceLock::new();
    debug_assert!(
        [ALL, OF_ATTEMPTS, OF_WORKTREES, OF_PROOF]
            .iter()
            .any(|names| names.contains(&name)),
        "failpoint {name} is not listed"
    );
    let armed = ARMED.get_or_init(|| {
        let text = std::env::var(VARIABLE).ok()?;
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
        && is_first()
    {
        // Nothing is to run after a kill, not even a destructor.
        let _ = kill_process(getpid(), *signal);
    }
}

/// Leaves the mark, where one is asked for. False where another process has.
#[cfg(feature = "failpoints")]
fn is_first() -> bool {
    use std::{fs, path::PathBuf, process};
    let Some(mark) = std::env::var_os(MARK).map(PathBuf::from) else {
        return true;
    };
    let own = mark.with_extension(process::id().to_string());
    // Whole from the moment it is there, and only once.
    let linked =
        fs::write(&own, process::id().to_string()).and_then(|()| fs::hard_link(&own, &mark));
    let _ = fs::remove_file(&own);
    linked.is_ok()
}

/// Nothing: the failpoints are not compiled in.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn hit(_name: &'static str) {}

/// The variables of this process that concern failpoints, for one that is started without its
/// environment. None where the failpoints are not compiled in.
pub fn variables() -> impl Iterator<Item = (&'static str, OsString)> {
    let names: &[&'static str] = if cfg!(feature = "failpoints") {
        &[VARIABLE, MARK]
    } else {
        &[]
    };
    names
        .iter()
        .filter_map(|name| Some((*name, std::env::var_os(name)?)))
}
