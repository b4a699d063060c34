//! Looks whether the workers that the store knows are still there.
//!
//! Owns the question to the system; what follows from the answer is [`crate::view::worker::life`]'s. `status`, `workers`,
//! `doctor` and `run` ask here. Only processes of this machine can be asked about; others are judged by what they wrote.

use queue_core::worker::Worker;
use queue_core::{Store, Timestamp};

use crate::error::CliError;
use crate::view::worker::{Life, life};

/// The workers of a store, each with how it stands at `now`.
///
/// # Errors
/// When the store fails.
pub(crate) fn workers(store: &dyn Store, now: Timestamp) -> Result<Vec<(Worker, Life)>, CliError> {
    let workers = store.workers()?;
    Ok(workers
        .into_iter()
        .map(|worker| {
            let life = life(&worker, now, is_gone(&worker));
            (worker, life)
        })
        .collect())
}

/// Whether a worker of this machine has no process any more. A pid that was given out again counts as its own.
fn is_gone(worker: &Worker) -> bool {
    let here = rustix::system::uname();
    let is_here = here.nodename().to_string_lossy() == worker.about.host;
    let pid = i32::try_from(worker.about.pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    is_here
        && pid.is_some_and(|pid| {
            rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH)
        })
}
