//! The named limit: a token bucket that all workers share.
//!
//! The arithmetic is [`crate::bucket`]'s; the level lives in the store and is spent in the
//! transaction that claims a job, so tokens used always equal jobs claimed.

use crate::{bucket::Quota, clock::Timestamp};

/// A named limit and how full it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// How fast tokens come back, and how many it holds.
    pub quota: Quota,
    /// Whole tokens it holds now.
    pub available: u32,
    /// When it holds one token again, where it is empty.
    pub next_at: Option<Timestamp>,
    /// How many tokens were ever spent.
    pub spent: u64,
    /// How many jobs that wait need it.
    pub waiting: u64,
}
