//! A job as people look at it: a line of a list, or all there is.
//!
//! Answers of [`Store::list`](super::Store::list) and [`Store::detail`](super::Store::detail). What
//! cannot be read of a job is said in place of it, so one damaged row never hides the others.

use crate::{
    attempt::Attempt,
    checkpoint::Checkpoint,
    clock::Timestamp,
    job::{After, Command, Job, JobBody, JobId, ParentEnd},
    ledger::Spent,
    question::Question,
    raw_text::RawText,
    state::State,
    why::Cause,
};
use std::collections::BTreeMap;

/// One line of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The job.
    pub job: Job,
    /// The first thing that keeps it from running.
    pub cause: Option<Cause>,
    /// What it does, or why that cannot be read.
    pub command: Result<Command, String>,
    /// Where it runs.
    pub cwd: RawText,
    /// Its labels.
    pub tags: BTreeMap<String, String>,
    /// Its last attempt.
    pub last: Option<Attempt>,
    /// When its first attempt since the last requeue was claimed.
    pub started_at: Option<Timestamp>,
}

/// All about one job.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    /// What a list shows.
    pub summary: Summary,
    /// What an attempt needs.
    pub body: JobBody,
    /// All attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// What it asked and was told, oldest first.
    pub questions: Vec<Question>,
    /// What was saved, by name.
    pub checkpoints: Vec<Checkpoint>,
    /// The jobs it comes after: which, how they have to end, where they stand, and whether that
    /// is met.
    pub after: Vec<(After, Option<State>, bool)>,
    /// The jobs that come after it, and the end they wait for.
    pub dependants: Vec<(JobId, ParentEnd, State)>,
    /// Everything that keeps it from running.
    pub causes: Vec<Cause>,
    /// What all its attempts used by the ledger, also those that are forgotten.
    pub spent: Spent,
}
