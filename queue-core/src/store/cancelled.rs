//! What became of a job that somebody cancelled.
//!
//! The answer of [`Store::cancel`](super::Store::cancel), one for each job. A job that had ended is no
//! error: what was wanted is so.

use crate::state::State;

/// What a cancel did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It waited, and is cancelled now.
    Now,
    /// It runs, and was asked to stop.
    Asked,
    /// It had ended before.
    Ended(State),
}
