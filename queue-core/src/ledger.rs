//! The ledger: what attempts used and cost, by model.
//!
//! A worker tells a [`Bill`] each time it has read more of an agent's output, and the store keeps the
//! last one of each attempt; [`Spent`] is a sum of such lines. What always holds: a line stands for
//! one attempt and one model, so that no sum counts anything twice; tokens without a price are summed
//! apart and never taken for free.

use crate::{clock::Timestamp, job::JobId, lease::Epoch, money::Usd};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most tokens that one number of a line may say; more is cut down to it, so that no sum of
/// lines overflows.
pub const MOST_TOKENS: u64 = 1_000_000_000_000;

/// What one attempt used of one model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The model, as the agent names it.
    pub model: String,
    /// Tokens read by the model, without those from a cache.
    pub input: u64,
    /// Tokens written by the model.
    pub output: u64,
    /// Tokens that came from a cache.
    pub cache_read: u64,
    /// Tokens that were put into a cache.
    pub cache_write: u64,
    /// What it cost; none is "unpriced".
    pub cost: Option<Usd>,
}

impl Line {
    /// All tokens together.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        [self.input, self.output, self.cache_read, self.cache_write]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// Adds what another line says of the same model. Where both name tokens and only one a price,
    /// the price stands for both.
    pub fn add(&mut self, more: &Self) {
        self.input = self.input.saturating_add(more.input);
        self.output = self.output.saturating_add(more.output);
        self.cache_read = self.cache_read.saturating_add(more.cache_read);
        self.cache_write = self.cache_write.saturating_add(more.cache_write);
        self.cost = match (self.cost, more.cost) {
            (None, cost) | (cost, None) => cost,
            (Some(cost), Some(more)) => Some(cost.saturating_add(more)),
        };
    }

    /// Whether it says nothing: no token, and no price but perhaps that of nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens() == 0 && self.cost.is_none_or(|cost| cost == Usd::ZERO)
    }
}

/// All that one attempt used so far. It takes the place of what was told of the attempt before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bill {
    /// The agent.
    pub agent: String,
    /// Its account, where there is more than one.
    pub profile: Option<String>,
    /// Each model once.
    pub lines: Vec<Line>,
}

/// A line as it is kept, with what it is counted by. It outlives its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booked {
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub epoch: Epoch,
    /// The job's queue at that time.
    pub queue: String,
    /// The job's labels at that time.
    pub tags: BTreeMap<String, String>,
    /// The agent.
    pub agent: String,
    /// Its account, where there is more than one.
    pub profile: Option<String>,
    /// When the attempt was claimed. All that it used counts at this moment.
    pub began_at: Timestamp,
    /// What it used of one model.
    pub line: Line,
}

/// A sum of lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// What is known to have been paid.
    pub cost: Usd,
    /// All tokens, priced or not.
    pub tokens: u64,
    /// The tokens among them that have no price.
    pub unpriced: u64,
}

impl Spent {
    /// Adds a line.
    pub fn add(&mut self, line: &Line) {
        let tokens = line.tokens();
        self.tokens = self.tokens.saturating_add(tokens);
        match line.cost {
            Some(cost) => self.cost = self.cost.saturating_add(cost),
            None => self.unpriced = self.unpriced.saturating_add(tokens),
        }
    }

    /// The sum of lines.
    #[must_use]
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Self {
        let mut sum = Self::default();
        lines.into_iter().for_each(|line| sum.add(line));
        sum
    }

    /// What is left without a part of it.
    #[must_use]
    pub fn but(self, less: Self) -> Self {
        Self {
            cost: self.cost.saturating_sub(less.cost),
            tokens: self.tokens.saturating_sub(less.tokens),
            unpriced: self.unpriced.saturating_sub(less.unpriced),
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            cost: self.cost.saturating_add(more.cost),
            tokens: self.tokens.saturating_add(more.tokens),
            unpriced: self.unpriced.saturating_add(more.unpriced),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_without_a_price_are_summed_apart() {
        let line = |cost: Option<u64>, input| Line {
            input,
            cost: cost.map(Usd::from_nanos),
            ..Line::default()
        };
        let sum = Spent::of(&[line(Some(5), 10), line(None, 7), line(Some(0), 3)]);
        assert_eq!((sum.cost.nanos(), sum.tokens, sum.unpriced), (5, 20, 7));
        assert!(line(None, 0).is_empty() && line(Some(0), 0).is_empty());
        assert!(!line(None, 1).is_empty() && !line(Some(1), 0).is_empty());
    }
}
