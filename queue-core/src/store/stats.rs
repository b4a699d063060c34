//! What ended in a span of time, and how long it took.
//!
//! Answer of [`Store::stats`](super::Store::stats). Worked out when it is asked for; nothing is counted
//! along.

use crate::state::{Class, State};
use std::{collections::BTreeMap, time::Duration};

/// What ended in a span, and how long it took.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Jobs that ended, by state.
    pub ended: BTreeMap<State, u64>,
    /// Jobs that failed or were cancelled, by class.
    pub classes: BTreeMap<Class, u64>,
    /// Attempts that ended.
    pub attempts: u64,
    /// Attempts that failed and were followed by another one.
    pub retries: u64,
    /// How long jobs waited from the enqueue to their first claim.
    pub waited: Spread,
    /// How long the attempts ran that ended the jobs.
    pub ran: Spread,
}

/// How a set of durations is spread. All zero where it is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread {
    /// Half took at most this long.
    pub median: Duration,
    /// Nineteen of twenty took at most this long.
    pub p95: Duration,
    /// The longest.
    pub max: Duration,
}
