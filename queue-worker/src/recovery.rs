//! Ends what a dead worker left running, before its job is tried again.
//!
//! The dispatcher hands over each lease that it adopted; a thread finds the processes of that
//! attempt, asks them to stop, kills them, and comes back when all are gone. What always holds: a
//! process is signalled only while it is proven to belong to the attempt, and as long as one of
//! them lives the job is not given to anybody.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(not(target_os = "linux"))]
use portable as platform;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use queue_core::{Epoch, JobId};

use crate::signals::StopLevel;

pub(crate) use platform::start_of_child;

/// What asked processes have to save their work.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked whether they are gone.
const TICK: Duration = Duration::from_millis(20);
/// After this long it is said that they do not go, and looked less often.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a process that cannot be killed is looked at then.
const SLOW_TICK: Duration = Duration::from_secs(1);

/// By what the processes of an attempt are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Traces {
    /// The job, as in `QUEUE_JOB_ID`.
    pub(crate) job: JobId,
    /// The process tree, as in `QUEUE_EPOCH`.
    pub(crate) epoch: Epoch,
    /// The store, as in `QUEUE_DB`.
    pub(crate) db: PathBuf,
    /// The first process: its number, and when the kernel started it. Only where it was recorded
    /// and the machine has not been started anew since.
    pub(crate) first: Option<(u32, u64)>,
}

/// Ends all processes with these traces. Returns how many there were once none is left, or `None`
/// when `level` says that there is no time to wait for it.
pub(crate) fn end_all(traces: &Traces, level: impl Fn() -> StopLevel) -> Option<usize> {
    let began = Instant::now();
    let mut hunt = platform::Hunt::new(traces);
    let mut is_told = false;
    loop {
        let waited = began.elapsed();
        let found = if waited < GRACE {
            hunt.ask_to_stop()
        } else {
            hunt.kill()
        };
        if found == 0 {
            return Some(hunt.met());
        }
        if level() >= StopLevel::HandBack {
            return None;
        }
        if waited > PATIENCE && !is_told {
            is_told = true;
            tracing::warn!(
                job = traces.job.0,
                "job {} waits for {found} processes of its dead attempt that cannot be killed",
                traces.job
            );
        }
        std::thread::sleep(if is_told { SLOW_TICK } else { TICK });
    }
}
