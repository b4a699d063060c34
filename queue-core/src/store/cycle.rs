//! One cycle of a worker: what it tells the store, and what it learns.
//!
//! Built by the dispatcher and by the single verbs of a lease, which are parts of a cycle; taken by
//! [`Store::cycle`](super::Store::cycle). Everything in it goes into one transaction.

use super::{Claim, Claimed};
use crate::{
    attempt::{AgentFacts, Finished, Orphan, Report, Started},
    clock::Timestamp,
    gate::{Closing, GateName},
    job::JobId,
    lease::{Epoch, Fence},
    worker::WorkerId,
};
use std::time::Duration;

/// What a worker has to tell and wants to know in one cycle.
#[derive(Debug, Clone, PartialEq)]
pub struct Cycle {
    /// Who.
    pub worker: WorkerId,
    /// How long leases run that are given or extended now.
    pub lease_for: Duration,
    /// Processes that were started.
    pub started: Vec<(Fence, Started)>,
    /// Checkpoints that jobs left in their file. Unlike what a job saves itself they count only
    /// under the holder as well: an adopter may have read a newer value from the same file.
    pub checkpoints: Vec<(Fence, String, Vec<u8>)>,
    /// Attempts that their gates have let through: their provider has answered. Those that ended
    /// are not among them.
    pub passed: Vec<Fence>,
    /// What was read of agents' output, each in place of what was told before.
    pub facts: Vec<(Fence, AgentFacts)>,
    /// Attempts that ended.
    pub ended: Vec<(Fence, Report)>,
    /// Leases to extend; those of `ended` are not among them.
    pub leases: Vec<Fence>,
    /// How many due jobs to promote at the most.
    pub promote: usize,
    /// How many leases that ran out to take over at the most.
    pub adopt: usize,
    /// Workers that are proven to be dead: their leases count as run out.
    pub dead: Vec<WorkerId>,
    /// What to claim.
    pub claim: Option<Claim>,
}

impl Cycle {
    /// A cycle in which `worker` has nothing to say yet.
    pub fn of(worker: WorkerId) -> Self {
        Self {
            worker,
            lease_for: Duration::from_secs(30),
            started: Vec::new(),
            checkpoints: Vec::new(),
            passed: Vec::new(),
            facts: Vec::new(),
            ended: Vec::new(),
            leases: Vec::new(),
            promote: 0,
            adopt: 0,
            dead: Vec::new(),
            claim: None,
        }
    }
}

/// What came of a cycle.
#[derive(Debug, Default, PartialEq)]
pub struct Cycled {
    /// What became of the jobs whose attempts ended.
    pub finished: Vec<(Fence, Finished)>,
    /// Gates that these ends closed, or closed until a person opens them. Only the cycle that did
    /// so says it.
    pub closed: Vec<(GateName, Closing)>,
    /// Attempts that were dropped from the history of their jobs, because they did not count and
    /// newer ones like them are kept: their logs are of no more use.
    pub forgotten: Vec<(JobId, Epoch)>,
    /// Fences that hold no more: stop what runs under them, and write nothing.
    pub lost: Vec<Fence>,
    /// Leases whose job somebody asked to cancel.
    pub cancels: Vec<Fence>,
    /// Leases of jobs that are to stop because a shared budget is used up, with its name.
    pub over_budget: Vec<(Fence, String)>,
    /// How many jobs were promoted or given up. Equal to what was asked for when more are due.
    pub promoted: usize,
    /// Leases taken over.
    pub orphans: Vec<Orphan>,
    /// Jobs claimed.
    pub claimed: Vec<Claimed>,
    /// The next moment after now at which something falls due by itself: a start, an expiry, a
    /// token, a lease. What is due already and was not asked for is not among them.
    pub next_at: Option<Timestamp>,
}
