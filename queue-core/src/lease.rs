//! The lease: the right to run one attempt and to write about it.
//!
//! Claiming and adopting make leases, ending an attempt consumes them. Two numbers fence every
//! write: the epoch names one running process tree and rises at every claim; the holder rises
//! whenever a worker takes the lease. Neither is ever lowered or given out again.

use crate::{clock::Timestamp, job::JobId, worker::WorkerId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names one running process tree of a job; rises by one at every claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i64);

/// Names one tenure of a lease; rises by one whenever a worker takes it, by claim or adoption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Holder(pub i64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What every write by a worker names: it changes a row only while all three still stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fence {
    /// The job.
    pub job: JobId,
    /// The process tree.
    pub epoch: Epoch,
    /// The tenure.
    pub holder: Holder,
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "job {} epoch {} holder {}",
            self.job, self.epoch, self.holder
        )
    }
}

/// The right to run one attempt. Made only by a claim or an adoption, and consumed by the verb
/// that ends the attempt, so that nothing is finished twice.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease {
    fence: Fence,
    worker: WorkerId,
    attempt: u32,
    expires_at: Timestamp,
}

impl Lease {
    /// Grants the lease. Engines call this after the claim or adoption is committed; whoever
    /// else does holds a lease that no store knows.
    pub fn granted(fence: Fence, worker: WorkerId, attempt: u32, expires_at: Timestamp) -> Self {
        Self {
            fence,
            worker,
            attempt,
            expires_at,
        }
    }

    /// The numbers that fence the writes under this lease.
    pub fn fence(&self) -> Fence {
        self.fence
    }

    /// The job it is about.
    pub fn job(&self) -> JobId {
        self.fence.job
    }

    /// The worker that holds it.
    pub fn worker(&self) -> WorkerId {
        self.worker
    }

    /// The number of the attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When it ran out unless it was extended, as wall clock time. For people: what counts is the
    /// monotonic clock where there is one.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}
