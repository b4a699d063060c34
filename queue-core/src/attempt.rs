//! The attempt: one try at a job, and how it ended.
//!
//! A claim writes an attempt's row and nothing removes it before the job itself is pruned, except
//! tries that do not count: of those the newest [`KEPT_UNCOUNTED`] are kept.

use crate::{
    agent::Rung,
    clock::{BootId, Timestamp},
    gate::GateName,
    lease::{Epoch, Fence},
    ledger::Bill,
    proof::Proof,
    question::NewQuestion,
    state::Class,
    worker::WorkerId,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many tries of one job that did not count are remembered: snoozed, limited, handed back, ended with a question. A job may snooze for weeks,
/// and its history must not grow without end.
pub const KEPT_UNCOUNTED: u32 = 20;

/// How many reboots in a row a job survives. Most have nothing to do with it, so the bound is
/// generous; but a job that crashes the machine must not do so for ever.
pub const MAX_REBOOTS: u32 = 10;

/// What the processes of an attempt used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceUsage {
    /// Processor time in user mode, in milliseconds.
    pub user_ms: u64,
    /// Processor time in the kernel, in milliseconds.
    pub system_ms: u64,
    /// The largest resident set of one process, in KiB.
    pub max_rss_kib: u64,
    /// Bytes read from disks; what was in memory already is not among them.
    pub read_bytes: u64,
    /// Bytes written that go to disks, at once or later.
    pub written_bytes: u64,
    /// The most memory that all its processes used together, in bytes, the files they read and
    /// wrote included as far as those were kept in memory; only where a control group counted it.
    pub memory_peak_bytes: Option<u64>,
}

/// How an attempt ended, as the worker saw it. What becomes of the job is decided by the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What it came to.
    pub outcome: Outcome,
    /// When it ended.
    pub ended_at: Timestamp,
    /// The program's exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended the program.
    pub signal: Option<i32>,
    /// One line for people, where the class does not say it all.
    pub message: Option<String>,
    /// What it used.
    pub usage: Option<ResourceUsage>,
    /// The rule by which an agent's attempt was judged.
    pub rule: Option<String>,
    /// The words that the rule went by.
    pub evidence: Option<String>,
    /// What was found when it said that it is done.
    pub proof: Option<Proof>,
    /// What was there when the job first began, where the store does not know it yet.
    pub origin: Option<serde_json::Value>,
}

impl Report {
    /// A report of `outcome` at `ended_at` with nothing else to say.
    pub fn new(outcome: Outcome, ended_at: Timestamp) -> Self {
        Self {
            outcome,
            ended_at,
            exit_code: None,
            signal: None,
            message: None,
            usage: None,
            rule: None,
            evidence: None,
            proof: None,
            origin: None,
        }
    }
}

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It did what was asked.
    Completed {
        /// What it says of its success.
        result: Option<serde_json::Value>,
    },
    /// It failed; the class and the attempts left decide whether another one follows.
    Failed {
        /// Why.
        class: Class,
        /// Set where this failure is final although its class is usually tried again, or the
        /// other way round.
        retryable: Option<bool>,
        /// The wait that the attempt asked for; still bounded by the attempts left.
        retry_after: Option<Duration>,
    },
    /// It asks to run later; the attempt does not count.
    Snoozed {
        /// When.
        until: Timestamp,
    },
    /// It met a limit of its provider: the gate closes, the job takes its old place in the line,
    /// and the attempt does not count.
    Limited {
        /// The gate to close; from then on the job passes it, if it did not before.
        gate: GateName,
        /// Of which kind the limit is: `limit`, `auth` or `billing`. The latter two close the gate
        /// until a person opens it.
        class: Class,
        /// When it lifts, where that is known.
        until: Option<Timestamp>,
        /// What shows it, in the words of the program.
        evidence: String,
    },
    /// An adapter found that the program ended with a question: the job waits for the answer, and
    /// the attempt does not count.
    NeedsInput {
        /// What it asks.
        question: NewQuestion,
    },
    /// The worker stops and hands the job back; the attempt does not count.
    HandedBack,
    /// The process tree is gone because a cancel was asked for.
    Cancelled,
    /// The attempt died with its worker, or found the session of its agent gone. Counts as a stall, of which a job has so many as its
    /// `max_stalls` says; a reboot does not, but more than [`MAX_REBOOTS`] in a row end the job.
    Stalled {
        /// Which it was, or how it was noticed: lease_expired, worker_died, rebooted, session_missing.
        class: Class,
    },
}

/// What became of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// It completed.
    Completed,
    /// It failed for good.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// It runs again at this time.
    Retry(Timestamp),
    /// It waits for a gate to open.
    Limited,
    /// It waits for an answer.
    Asks,
    /// It asked something and was answered; it can be claimed again now.
    Answered,
    /// It can be claimed again now.
    Pending,
}

/// The process of an attempt, recorded right after it was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Its process id, which is also its group's.
    pub pid: u32,
    /// When the kernel started it: field 22 of `/proc/PID/stat`, in clock ticks since boot.
    /// With the boot id it names the process even after the pid was given out again.
    pub pid_started: Option<u64>,
    /// When the worker started it.
    pub started_at: Timestamp,
    /// Where its output goes.
    pub log: String,
    /// What was asked for and could not be set up, and why: a bound on memory or processor time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unenforced: Option<String>,
}

/// How far an attempt says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub done: u64,
    /// Steps in all, where known.
    pub total: Option<u64>,
    /// What it does now.
    pub text: Option<String>,
}

/// One try at a job, as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Its number, from 1; tries that do not count share theirs with the next one.
    pub number: u32,
    /// The process tree.
    pub epoch: Epoch,
    /// The worker that claimed it.
    pub worker: WorkerId,
    /// The name of that worker.
    pub worker_name: String,
    /// The worker that took it over, by name.
    pub adopted_by: Option<String>,
    /// In which of the ways of its job it was done, where that has any.
    pub way: Option<String>,
    /// The boot in which it ran.
    pub boot: Option<BootId>,
    /// When it was claimed.
    pub claimed_at: Timestamp,
    /// The process, once it was started.
    pub process: Option<Started>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended; none where it completed or still runs.
    pub class: Option<Class>,
    /// The program's exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended the program.
    pub signal: Option<i32>,
    /// One line for people.
    pub message: Option<String>,
    /// What it used.
    pub usage: Option<ResourceUsage>,
    /// How far it said it was.
    pub progress: Option<Progress>,
    /// What it cost, in US dollars, where an adapter knows.
    pub cost_usd: Option<f64>,
    /// The agent's session, where an adapter knows.
    pub session_id: Option<String>,
    /// How much of the work before it an agent's attempt began with.
    pub rung: Option<Rung>,
    /// What was read of an agent's output.
    pub agent: Option<serde_json::Value>,
    /// The rule by which an agent's attempt was judged.
    pub rule: Option<String>,
    /// The words that the rule went by.
    pub evidence: Option<String>,
    /// What was found when it said that it is done.
    pub proof: Option<Proof>,
}

/// What was read of an agent's output so far.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentFacts {
    /// Its session, where the output names it.
    pub session_id: Option<String>,
    /// What it cost so far, in US dollars, where that is known.
    pub cost_usd: Option<f64>,
    /// What it used so far, for the ledger.
    pub bill: Bill,
    /// All of it, with the place up to which the log was read: whoever adopts the attempt reads on
    /// from there.
    pub facts: serde_json::Value,
}

/// An attempt whose lease ran out, taken over by a worker that now has to make sure that nothing
/// of it is left running, and then ends it with [`Outcome::Stalled`].
#[derive(Debug, PartialEq)]
pub struct Orphan {
    /// The lease, with the holder risen: the worker that had it can write nothing more.
    pub lease: crate::lease::Lease,
    /// The numbers under which it ran until now.
    pub was: Fence,
    /// How the death was noticed.
    pub class: Class,
    /// The boot in which it ran.
    pub boot: Option<BootId>,
    /// Its process, where the dead worker still recorded one.
    pub process: Option<Started>,
}
