//! The queue: a named line of jobs, with its own pause, width and ageing.

use crate::{clock::Timestamp, job::JobId, state::State};
use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

/// How long a job waits before it counts as one priority higher, when nothing is said.
///
/// Long against the jobs this queue is for: a job of priority 5 goes before everything of
/// priority 0 that was handed in up to five hours before it, and after what waits longer.
pub const AGEING: Duration = Duration::from_secs(3_600);

/// The settings of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// When it was paused; nothing is claimed from it since.
    pub paused_at: Option<Timestamp>,
    /// How many of its jobs may run at once over all workers; no bound where not set.
    pub concurrency: Option<NonZeroU32>,
    /// The wait that counts as one priority; zero for strict priorities.
    pub ageing: Duration,
}

/// What to change about a queue; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueChange {
    /// Pause it, or let it go on.
    pub paused: Option<bool>,
    /// The new bound, or none.
    pub concurrency: Option<Option<NonZeroU32>>,
    /// The new ageing; zero for strict priorities.
    pub ageing: Option<Duration>,
}

/// A queue and what stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueStatus {
    /// Its settings.
    pub queue: Queue,
    /// How many jobs are in each state; states without a job are left out.
    pub counts: BTreeMap<State, u64>,
    /// The pending job that has waited longest, and since when.
    pub oldest_pending: Option<(JobId, Timestamp)>,
}

impl QueueStatus {
    /// How many jobs are in `state`.
    pub fn count(&self, state: State) -> u64 {
        self.counts.get(&state).copied().unwrap_or(0)
    }
}

/// How many jobs with one concurrency key may run at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// The key.
    pub key: String,
    /// Its places.
    pub places: NonZeroU32,
    /// The jobs that take them now.
    pub running: Vec<JobId>,
}
