//! What is left to do, as a worker sees it that wants to end.
//!
//! Asked for by a worker that drains. Only counts and one moment: no job is read.

use crate::clock::Timestamp;

/// What stands before a worker that wants to end when nothing is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Pending jobs, claimable or behind something shut that opens by itself.
    pub pending: u64,
    /// Pending jobs in paused queues, or at a gate that a person has to open: they do not start by
    /// themselves.
    pub paused: u64,
    /// Jobs that run, under whichever worker.
    pub in_progress: u64,
    /// Jobs whose time lies ahead, and pending ones at a gate whose time does.
    pub scheduled: u64,
    /// When the next of those falls due.
    pub next_at: Option<Timestamp>,
    /// Blocked jobs: they wait for others or for a person.
    pub blocked: u64,
}
