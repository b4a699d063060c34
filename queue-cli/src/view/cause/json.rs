//! A cause as JSON.
//!
//! Programs get the sentence that a person reads, its commands, and one word to decide by.

use queue_core::{Job, Timestamp, why::Cause};
use serde::Serialize;

use super::explain;
use crate::output::time::Times;

/// A cause as JSON.
#[derive(Debug, Serialize)]
pub struct CauseJson {
    cause: &'static str,
    /// A sentence for people.
    text: String,
    /// Commands that change it.
    remedies: Vec<String>,
    /// Whether it goes away without anybody doing something.
    passes_by_itself: bool,
}

impl CauseJson {
    /// Shows a cause that keeps `job` from running.
    #[must_use]
    pub fn new(cause: &Cause, job: &Job, now: Timestamp) -> Self {
        let explained = explain(cause, job, Times::new(now, false));
        Self {
            cause: kind(cause),
            text: explained.sentence,
            remedies: explained.remedies,
            passes_by_itself: explained.passes_by_itself,
        }
    }
}

/// The cause in one word, for programs.
fn kind(cause: &Cause) -> &'static str {
    match cause {
        Cause::Held { .. } => "held",
        Cause::Asks { .. } => "asks",
        Cause::After { .. } => "after",
        Cause::Until { .. } => "until",
        Cause::QueuePaused { .. } => "queue_paused",
        Cause::QueueFull { .. } => "queue_full",
        Cause::KeyFull { .. } => "key_full",
        Cause::DirectoryTaken { .. } => "directory_taken",
        Cause::LimitEmpty { .. } => "limit_empty",
        Cause::GateClosed { .. } => "gate_closed",
        Cause::GateProbed { .. } => "gate_probed",
        Cause::GateStaggered { .. } => "gate_staggered",
        Cause::BudgetUsedUp { .. } => "budget_used_up",
        Cause::NoWorker { .. } => "no_worker",
        Cause::WorkerShort { .. } => "worker_short",
        Cause::InLine { .. } => "in_line",
        Cause::Stopping { .. } => "stopping",
    }
}
