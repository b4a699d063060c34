//! Which jobs a list shows.
//!
//! Argument of [`Store::list`](super::Store::list) and [`Store::ids`](super::Store::ids), and of every
//! verb that takes jobs by what they have in common. Everything that is set has to hold.

use crate::{
    clock::Timestamp,
    job::JobId,
    state::{Class, State},
    worker::WorkerId,
};

/// Which jobs to look at. Everything that is set has to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In one of these states; any, where empty.
    pub states: Vec<State>,
    /// In one of these queues; any, where empty.
    pub queues: Vec<String>,
    /// Of this name.
    pub name: Option<String>,
    /// With all of these labels; `None` for any value.
    pub tags: Vec<(String, Option<String>)>,
    /// That ended, or whose last attempt ended, for this reason.
    pub class: Option<Class>,
    /// Held by this worker.
    pub worker: Option<WorkerId>,
    /// Whose command or name contains this text.
    pub text: Option<String>,
    /// Handed in since.
    pub created_since: Option<Timestamp>,
    /// Ended since.
    pub finished_since: Option<Timestamp>,
    /// Only those before this id, to read on page by page.
    pub before: Option<JobId>,
    /// Oldest first.
    pub oldest_first: bool,
    /// At most this many.
    pub most: Option<usize>,
}
