//! A claim: what a worker would take, and what it got.
//!
//! Part of every [`Cycle`](super::Cycle) with a free slot. What was claimed comes with its lease, and
//! nothing else makes one.

use crate::lease::Lease;

/// What a worker would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// How many jobs at the most: its free slots.
    pub most: usize,
    /// From which queues; all, where empty.
    pub queues: Vec<String>,
    /// Of which kind.
    pub kind: String,
}

impl Default for Claim {
    fn default() -> Self {
        Self {
            most: 1,
            queues: Vec::new(),
            kind: crate::job::PROCESS.to_owned(),
        }
    }
}

/// A job that was claimed.
#[derive(Debug, PartialEq)]
pub struct Claimed {
    /// The right to run it.
    pub lease: Lease,
    /// Its queue.
    pub queue: String,
    /// Its name.
    pub name: Option<String>,
    /// In which of its ways it is to be done, where it has any.
    pub way: Option<String>,
    /// What its earlier attempts saved under the default name.
    pub checkpoint: Option<Vec<u8>>,
}
