//! Which ended jobs are removed, and what they leave to be cleared away.
//!
//! Argument and answer of [`Store::prune`](super::Store::prune). The store removes rows alone: the files
//! of logs are the caller's.

use crate::{clock::Timestamp, job::JobId, state::State};

/// Which ended jobs to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prune {
    /// Those that ended in one of these states.
    pub states: Vec<State>,
    /// Those that ended before this moment.
    pub ended_before: Timestamp,
    /// Only those of this queue.
    pub queue: Option<String>,
}

/// A job that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// Which.
    pub job: JobId,
    /// Its attempts that counted.
    pub attempt: u32,
    /// The logs of its attempts: files that the caller may now delete.
    pub logs: Vec<String>,
}
