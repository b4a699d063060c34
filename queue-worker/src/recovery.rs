//! Finds what a dead worker left running: goes on with it, or ends it before the job is tried again.
//!
//! The dispatcher hands over each lease that it adopted; a thread looks whether the attempt's shim
//! lives or has left a status. Where neither is there, it finds the processes of that attempt, asks
//! them to stop, kills them, and comes back when all are gone. What always holds: a process is
//! signalled only while it is proven to belong to the attempt, and as long as one of them lives the
//! job is not given to anybody.

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

use queue_core::attempt::Started;
use queue_core::{Epoch, JobId, failpoint};

use crate::cgroup::Hold;
use crate::post::{Found, Post};
use crate::signals::StopLevel;
use crate::supervisor::Status;

pub(crate) use platform::start_of_child;

/// What asked processes have to save their work. With the second in which a death is noticed, what is
/// left of an attempt is gone three seconds after its worker and its shim died.
const GRACE: Duration = Duration::from_millis(1_500);
/// How often it is looked whether they are gone.
const TICK: Duration = Duration::from_millis(20);
/// After this long it is said that they do not go, and looked less often.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a process that cannot be killed is looked at then.
const SLOW_TICK: Duration = Duration::from_secs(1);
/// How often it is tried to read what became of an attempt.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How many looks in a row have to find nothing: one may miss a process that is forked behind its
/// back while the parent ends.
const LOOKS: u32 = 2;

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
    /// Whether it ran since the machine was started last. Numbers from before mean nothing now.
    pub(crate) is_this_boot: bool,
    /// Its control groups: who is in one of them belongs to it, whatever else it did.
    pub(crate) groups: Hold,
}

/// What became of an attempt whose worker is gone.
#[derive(Debug)]
pub(crate) enum Recovered {
    /// It lives in its shim and can be followed.
    Alive,
    /// It ended under its shim, and this is how.
    Ended(Box<Status>),
    /// It is dead, and nothing of it runs any more; there were so many processes.
    Cleared(usize),
    /// There was no time to end what is left.
    BrokenOff,
}

/// Finds out what became of an attempt, and ends what is left of a dead one.
pub(crate) fn recover(post: &Post, traces: &Traces, level: impl Fn() -> StopLevel) -> Recovered {
    match look(post, traces, &level) {
        None => Recovered::BrokenOff,
        Some(Found::Alive) => Recovered::Alive,
        Some(Found::Ended(status)) => Recovered::Ended(status),
        Some(Found::Nothing) => {
            let noted = post.started().filter(|_| traces.is_this_boot);
            let left = Traces {
                first: traces.first.or_else(|| noted.as_ref().and_then(first_of)),
                groups: post.groups(),
                ..traces.clone()
            };
            end_all(&left, || post.is_held(), level)
                .map_or(Recovered::BrokenOff, Recovered::Cleared)
        }
    }
}

/// Looks until something is found out: an attempt of which nothing can be read at the moment may
/// live. None when `level` says that there is no time for it.
fn look(post: &Post, traces: &Traces, level: impl Fn() -> StopLevel) -> Option<Found> {
    let mut is_told = false;
    loop {
        match post.look() {
            Ok(found) => return Some(found),
            Err(_) if level() >= StopLevel::HandBack => return None,
            Err(error) if !is_told => {
                is_told = true;
                tracing::warn!(
                    job = traces.job.0,
                    %error,
                    "job {} waits: what became of its attempt cannot be read in `{}`: {error}",
                    traces.job,
                    post.directory().display()
                );
            }
            Err(_) => {}
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn first_of(started: &Started) -> Option<(u32, u64)> {
    Some((started.pid, started.pid_started?))
}

/// Ends all processes with these traces. Returns how many there were once none is left, or `None`
/// when `level` says that there is no time to wait for it.
///
/// As long as none was met and `is_held` says that somebody was about to start one, it is waited
/// for: a worker that stands still there goes on at any time, and a process between its clone(2)
/// and its execve(2) cannot be told from the one that starts it.
pub(crate) fn end_all(
    traces: &Traces,
    is_held: impl Fn() -> bool,
    level: impl Fn() -> StopLevel,
) -> Option<usize> {
    let began = Instant::now();
    let mut hunt = platform::Hunt::new(traces);
    let mut is_told = false;
    let mut looks_in_vain = 0;
    loop {
        let waited = began.elapsed();
        let found = if waited < GRACE {
            hunt.ask_to_stop()
        } else {
            hunt.kill()
        };
        // A process that cannot be told for so long is no attempt of ours that begins. Who cannot
        // look at all has not seen that nothing is left.
        let is_unsure = hunt.is_unsure() && waited < PATIENCE;
        let may_be_more = match &found {
            Ok(count) => *count > 0 || is_unsure || hunt.met() == 0 && is_held(),
            Err(_) => true,
        };
        looks_in_vain = if may_be_more { 0 } else { looks_in_vain + 1 };
        if looks_in_vain == LOOKS {
            failpoint::hit("adopt.swept");
            traces.groups.remove();
            return Some(hunt.met());
        }
        if level() >= StopLevel::HandBack {
            return None;
        }
        if waited > PATIENCE && !is_told {
            is_told = true;
            let why = match found {
                Ok(0) => "a worker stands still as it starts its process".to_owned(),
                Ok(count) => format!("{count} processes of its dead attempt cannot be killed"),
                Err(error) => {
                    format!("the processes of its dead attempt cannot be looked for: {error}")
                }
            };
            tracing::warn!(job = traces.job.0, "job {} waits: {why}", traces.job);
        }
        if may_be_more {
            std::thread::sleep(if is_told { SLOW_TICK } else { TICK });
        }
    }
}
