//! The worker: a process that holds leases, as the store knows it.
//!
//! A worker is registered at its start, seen at every heartbeat, and marked stopped at its end.
//! Nothing about a job's rescue depends on this row: a lease is judged by the job alone.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// A worker that has not written for longer than this is taken for dead where nothing better is
/// known of it, as when people ask. No lease is judged by it.
pub const SILENT_AFTER: Duration = Duration::from_secs(60);

/// Names one worker process; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub i64);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a worker says of itself when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWorker {
    /// The name people see; not necessarily unique.
    pub name: String,
    /// The machine it runs on.
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// How many attempts it runs at once.
    pub concurrency: u32,
    /// The queues it serves; empty means all.
    pub queues: Vec<String>,
    /// The version of its program.
    pub version: String,
}

/// A worker, as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// Its id.
    pub id: WorkerId,
    /// What it said of itself.
    pub about: NewWorker,
    /// When it started.
    pub started_at: Timestamp,
    /// When it last wrote.
    pub seen_at: Timestamp,
    /// When it stopped in order.
    pub stopped_at: Option<Timestamp>,
    /// How many jobs it holds now.
    pub in_progress: u32,
}
