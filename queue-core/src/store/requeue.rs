//! How ended jobs run again, and what came of it.
//!
//! Argument and answer of [`Store::requeue`](super::Store::requeue). The history of a job stays whatever
//! is asked for here.

use crate::{budget::Most, job::JobId, state::State};
use std::time::Duration;

/// How to run ended jobs again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requeue {
    /// Their ended dependants wait for them again, and run again too.
    pub with_dependants: bool,
    /// Not before this long from now.
    pub delay: Option<Duration>,
    /// What it may cost from now on, with all that it has cost; as before where nothing is named.
    /// `NothingLeft` where it has cost that already. Its dependants stay as they are.
    pub most: Most,
}

/// What a requeue did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requeued {
    /// Where the job stands now.
    pub state: State,
    /// Dependants that will run again as well.
    pub dependants: Vec<JobId>,
}
