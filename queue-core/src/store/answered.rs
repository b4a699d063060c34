//! What came of an answer.
//!
//! Answer of [`Store::answer`](super::Store::answer).

use crate::{question::Question, state::State};

/// A question that was answered, and the job now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The question, with its answer.
    pub question: Question,
    /// Where the job stands: it runs on, goes back in line, or waits for something else.
    pub state: State,
}
