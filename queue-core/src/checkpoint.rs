//! The checkpoint: data that an attempt saves for the next one to resume from.
//!
//! Saved at once and fenced by the epoch alone, so that a job goes on saving while its lease
//! moves from one worker to another; a value of an older epoch never replaces a newer one.

use crate::{clock::Timestamp, lease::Epoch};

/// The name of the checkpoint that `$QUEUE_CHECKPOINT` stands for.
pub const DEFAULT: &str = "default";

/// The largest value, in bytes. A checkpoint says where to go on; data belongs into files.
pub const MAX_BYTES: usize = 1 << 20;

/// A saved value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which one: a step of the job.
    pub name: String,
    /// What was saved.
    pub value: Vec<u8>,
    /// The process tree that saved it.
    pub epoch: Epoch,
    /// When.
    pub at: Timestamp,
}
