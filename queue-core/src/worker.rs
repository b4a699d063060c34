//! The worker: a process that holds leases, as the store knows it.
//!
//! A worker is registered at its start, seen at every heartbeat, and marked stopped at its end.
//! Nothing about a job's rescue depends on this row: a lease is judged by the job alone.

use crate::{clock::Timestamp, units::about_bytes, words::spelled_enum};
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

spelled_enum! {
    /// What a worker keeps free.
    Resource, "resource" {
        /// Memory of the machine, or of the worker's control group.
        Memory = "memory",
        /// Room on a file system that the queue writes to.
        Disk = "disk",
    }
}

/// Too little of something to start another job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// Of what.
    pub resource: Resource,
    /// How much was free when the shortage began, in bytes.
    pub free_bytes: u64,
    /// How much is kept free, in bytes.
    pub kept_bytes: u64,
    /// Where: a directory on that file system, or the control group that bounds the memory.
    pub place: Option<String>,
}

impl Shortage {
    /// In words: `300.0 MiB free on /srv/queue, 1.0 GiB kept free`.
    pub fn words(&self) -> String {
        let (free, kept) = (about_bytes(self.free_bytes), about_bytes(self.kept_bytes));
        let place = match (&self.resource, &self.place) {
            (Resource::Disk, Some(place)) => format!("free on {place}"),
            (Resource::Disk, None) => "free on its disk".to_owned(),
            (Resource::Memory, Some(group)) => format!("of memory free in {group}"),
            (Resource::Memory, None) => "of memory free".to_owned(),
        };
        format!("{free} {place}, {kept} kept free")
    }
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
    /// What it has too little of to start jobs, and since when; running ones go on.
    pub short: Option<(Shortage, Timestamp)>,
    /// How many jobs it holds now.
    pub in_progress: u32,
}
