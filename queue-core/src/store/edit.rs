//! What to change about jobs that wait.
//!
//! Argument of [`Store::edit`](super::Store::edit). What is not named in it stays as it is.

use crate::{
    clock::Timestamp,
    gate::GateName,
    job::{After, Command, LimitUse, RunOptions},
    raw_text::RawText,
    retry::Backoff,
    way::Way,
};
use std::{collections::BTreeMap, num::NonZeroU32};

/// What to change about waiting jobs; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edit {
    /// The new name, or none.
    pub name: Option<Option<String>>,
    /// The new queue.
    pub queue: Option<String>,
    /// The new priority.
    pub priority: Option<i32>,
    /// The new start; `None` within means now.
    pub run_at: Option<Option<Timestamp>>,
    /// The new number of attempts that count.
    pub max_attempts: Option<NonZeroU32>,
    /// The new wait between attempts.
    pub backoff: Option<Backoff>,
    /// The jobs that have to end first, in place of those it had.
    pub after: Option<Vec<After>>,
    /// The limits it needs, in place of those it had.
    pub limits: Option<Vec<LimitUse>>,
    /// The gates it passes, in place of those it had.
    pub gates: Option<Vec<GateName>>,
    /// The ways in which it may be done, in place of those it had.
    pub ways: Option<Vec<Way>>,
    /// The new concurrency key, or none.
    pub concurrency_key: Option<Option<String>>,
    /// The directory it is to have to itself while it runs, or none.
    pub directory: Option<Option<RawText>>,
    /// Labels to set.
    pub set_tags: BTreeMap<String, String>,
    /// Labels to take away.
    pub remove_tags: Vec<String>,
    /// The new command.
    pub command: Option<Command>,
    /// The new directory.
    pub cwd: Option<RawText>,
    /// The new limits and ways of its attempts.
    pub options: Option<RunOptions>,
}
