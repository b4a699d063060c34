//! What an agent said last whose attempt died: with its worker and its shim, so that nobody saw its end.
//!
//! Read by whoever has made sure that nothing of the attempt runs any more. What always holds: what its log has is
//! read to the end before the attempt ends, so that its session goes on and its cost is booked; a success that its job
//! has to prove, or that looks hollow, is not taken from words alone.

use queue_core::Timestamp;
use queue_core::attempt::{AgentFacts, Report};
use queue_core::proof::Terms;

use super::reading::Reading;

/// What was read, and what it came to where that can be told.
#[derive(Debug)]
pub(crate) struct LastWords {
    /// All that was read.
    pub(crate) facts: AgentFacts,
    /// What its final event says; none where there is none, or where it is not enough.
    pub(crate) report: Option<Report>,
}

impl LastWords {
    /// Reads what a reading has not read yet.
    pub(crate) fn of(reading: &mut Reading, terms: &Terms, now: Timestamp) -> Self {
        let facts = reading.rest();
        let report = reading.judge_unseen(terms, now);
        Self { facts, report }
    }
}
