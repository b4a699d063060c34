//! Where in its line a waiting job is moved to.
//!
//! Argument of [`Store::reposition`](super::Store::reposition). A place is within one queue and
//! priority.

use crate::job::JobId;

/// Where to move a waiting job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before all of its priority.
    First,
    /// After all of its priority.
    Last,
    /// Right before this job.
    Before(JobId),
    /// Right after this job.
    After(JobId),
}
