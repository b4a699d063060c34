//! Whether an agent's attempt may use a session.
//!
//! Answer of [`Store::begin_session`](super::Store::begin_session). A session has one live holder.

use crate::job::JobId;

/// Whether an attempt may use a session of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionHold {
    /// It may, and nobody else may until it has ended.
    Held,
    /// An attempt of this job uses it.
    InUse(JobId),
    /// The lease of the attempt is lost.
    LeaseLost,
}
