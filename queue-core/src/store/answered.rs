//! Who asks, and what came of an answer.
//!
//! Answers of [`Store::asking`](super::Store::asking) and [`Store::answer`](super::Store::answer).

use crate::{job::JobId, question::Question, state::State};

/// A job that asks, and has no answer yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// The job.
    pub job: JobId,
    /// Its name.
    pub name: Option<String>,
    /// Whether it waits, or runs on.
    pub state: State,
    /// What it asks.
    pub question: Question,
}

/// A question that was answered, and the job now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The question, with its answer.
    pub question: Question,
    /// Where the job stands: it runs on, goes back in line, or waits for something else.
    pub state: State,
}
