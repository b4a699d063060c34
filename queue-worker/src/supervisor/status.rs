//! How an attempt ended, as facts.
//!
//! Made by [`supervise`](super::supervise), turned into an outcome by the worker. What always
//! holds: it records what happened and decides nothing; retry or failure is policy.

use std::io;

use serde::{Deserialize, Serialize};

use super::control::StopCause;
use super::spec::Spec;
use crate::cgroup::Readings;
use crate::output::LogSummary;
use crate::process::{SpawnClass, SpawnProblem, Usage};

/// How the process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ended {
    /// It returned a code.
    Exited {
        /// 0 to 255.
        code: i32,
    },
    /// A signal ended it.
    Signalled {
        /// The signal's number.
        signal: i32,
    },
    /// It could not be started; nothing ran.
    SpawnFailed {
        /// Why.
        problem: SpawnProblem,
    },
    /// It was stopped before it was started; nothing ran.
    NeverStarted,
    /// It ended, but somebody else took its exit status.
    Lost {
        /// The system's words.
        text: String,
    },
}

/// Processes of the group that outlived its leader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftovers {
    /// How many there were when the leader ended by itself.
    pub found: u32,
    /// How many still ran when SIGKILL had been given its time: stuck in the kernel, or not ours to signal.
    pub survived: u32,
}

/// The record of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The job.
    pub job: i64,
    /// Its epoch.
    pub epoch: i64,
    /// The attempt's number.
    pub attempt: u32,
    /// The process, if it started.
    pub pid: Option<u32>,
    /// When the start was tried: wall clock, milliseconds since 1970.
    pub started_at: i64,
    /// When the process ended: wall clock, milliseconds since 1970.
    pub ended_at: i64,
    /// How long it ran, milliseconds of the monotonic clock.
    pub ran_for_ms: u64,
    /// How it ended.
    pub ended: Ended,
    /// Why we stopped it; `None` if it ended by itself.
    pub stopped_by: Option<StopCause>,
    /// Whether SIGKILL was needed.
    pub was_killed: bool,
    /// What it consumed, with the descendants it waited for.
    pub usage: Option<Usage>,
    /// What its control group counted of its memory, where it had one that does.
    #[serde(default)]
    pub memory: Option<Readings>,
    /// Which bounds were asked for and not enforced, and why.
    #[serde(default)]
    pub unenforced: Option<String>,
    /// What became of its output.
    pub log: LogSummary,
    /// Whether somebody outside the group still held a pipe when we let go of it.
    pub drain_cut: bool,
    /// What was left in its group.
    pub leftovers: Leftovers,
}

impl Status {
    /// The record of an attempt that nothing could watch over, and that was not started for that.
    pub(crate) fn unsupervised(spec: &Spec, error: &io::Error) -> Self {
        let text = "its supervisor has no room; free some processes and memory";
        let problem = SpawnProblem::from_io(SpawnClass::Resources, text, error);
        let now = super::attempt::wall_clock();
        Self::never_ran(spec, now, Ended::SpawnFailed { problem }, None)
    }

    /// The record of an attempt whose start was tried at `started_at`, in milliseconds since 1970,
    /// and that never ran.
    pub(super) fn never_ran(
        spec: &Spec,
        started_at: i64,
        ended: Ended,
        stopped_by: Option<StopCause>,
    ) -> Self {
        Self {
            job: spec.job,
            epoch: spec.epoch,
            attempt: spec.attempt,
            pid: None,
            started_at,
            ended_at: super::attempt::wall_clock(),
            ran_for_ms: 0,
            ended,
            stopped_by,
            was_killed: false,
            usage: None,
            memory: None,
            unenforced: None,
            log: LogSummary::default(),
            drain_cut: false,
            leftovers: Leftovers::default(),
        }
    }

    /// The exit code, if it returned one; 126 or 127 if it could not be started for the reason a shell says so.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        match &self.ended {
            Ended::Exited { code } => Some(*code),
            Ended::SpawnFailed { problem } => problem.class.shell_code(),
            Ended::Signalled { .. } | Ended::NeverStarted | Ended::Lost { .. } => None,
        }
    }

    /// Whether it ended by itself with code 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.stopped_by.is_none() && self.ended == Ended::Exited { code: 0 }
    }
}
