//! What agents cost, summed up by day, model and so on: what `qcli cost` asks.
//!
//! The store hands the lines of the ledger to a [`Summing`] one by one, so that a long history needs
//! no memory. What always holds: a line counts once in the total, however many keys it has; what has no price
//! is summed apart.

use crate::{
    budget::Scope,
    clock::Timestamp,
    job::JobId,
    lease::Epoch,
    ledger::{Booked, Line},
    money::Usd,
    words::spelled_enum,
};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use std::collections::BTreeMap;

spelled_enum! {
    /// By what costs are summed up.
    By, "way to sum up" {
        /// The day on which an attempt began.
        Day = "day",
        /// The model.
        Model = "model",
        /// The agent, with its account where it has several.
        Agent = "agent",
        /// The queue.
        Queue = "queue",
        /// Each label; a job with several counts under each.
        Tag = "tag",
        /// The job.
        Job = "job",
    }
}

/// Which costs are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostQuery {
    /// Those of attempts that began at or after this moment.
    pub since: Option<Timestamp>,
    /// Those of this queue and label.
    pub scope: Scope,
    /// By what they are summed up.
    pub by: By,
    /// The zone whose days count.
    pub zone: Tz,
}

/// What was used, as a sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many attempts it is of.
    pub attempts: u64,
    /// Tokens read by models, without those from a cache.
    pub input: u64,
    /// Tokens written by models.
    pub output: u64,
    /// Tokens that came from a cache.
    pub cache_read: u64,
    /// Tokens that were put into a cache.
    pub cache_write: u64,
    /// Those of all these tokens that have no price.
    pub unpriced: u64,
    /// What is known to have been paid.
    pub cost: Usd,
    /// The attempt that was added last: its lines come one after the other.
    last: Option<(JobId, Epoch)>,
}

impl Sum {
    /// All tokens.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        [self.input, self.output, self.cache_read, self.cache_write]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    fn add(&mut self, booked: &Booked) {
        let attempt = Some((booked.job, booked.epoch));
        if self.last != attempt {
            self.attempts += 1;
            self.last = attempt;
        }
        let Line {
            model: _,
            input,
            output,
            cache_read,
            cache_write,
            cost,
        } = &booked.line;
        self.input = self.input.saturating_add(*input);
        self.output = self.output.saturating_add(*output);
        self.cache_read = self.cache_read.saturating_add(*cache_read);
        self.cache_write = self.cache_write.saturating_add(*cache_write);
        match cost {
            Some(cost) => self.cost = self.cost.saturating_add(*cost),
            None => self.unpriced = self.unpriced.saturating_add(booked.line.tokens()),
        }
    }
}

/// Costs, summed up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Costs {
    /// The sum of each key: days in their order, all others the dearest first. Lines without a
    /// label have none.
    pub rows: Vec<(Option<String>, Sum)>,
    /// The sum of all, each line once.
    pub total: Sum,
}

/// Sums up lines, which are to come by attempt.
#[derive(Debug)]
pub struct Summing<'a> {
    query: &'a CostQuery,
    rows: BTreeMap<Option<String>, Sum>,
    total: Sum,
}

impl<'a> Summing<'a> {
    /// Nothing yet.
    #[must_use]
    pub fn new(query: &'a CostQuery) -> Self {
        Self {
            query,
            rows: BTreeMap::new(),
            total: Sum::default(),
        }
    }

    /// Adds a line, if it is asked for.
    pub fn add(&mut self, booked: &Booked) {
        let CostQuery { since, scope, .. } = self.query;
        if since.is_some_and(|since| booked.began_at < since)
            || !scope.covers(&booked.queue, &booked.tags)
        {
            return;
        }
        self.total.add(booked);
        for key in self.keys(booked) {
            self.rows.entry(key).or_default().add(booked);
        }
    }

    fn keys(&self, booked: &Booked) -> Vec<Option<String>> {
        let key = match self.query.by {
            By::Day => {
                let at = DateTime::<Utc>::from(booked.began_at);
                at.with_timezone(&self.query.zone).date_naive().to_string()
            }
            By::Model => booked.line.model.clone(),
            By::Agent => match &booked.profile {
                Some(profile) => format!("{}/{profile}", booked.agent),
                None => booked.agent.clone(),
            },
            By::Queue => booked.queue.clone(),
            By::Job => booked.job.to_string(),
            By::Tag if booked.tags.is_empty() => return vec![None],
            By::Tag => {
                let tags = booked.tags.iter();
                return tags
                    .map(|(key, value)| Some(format!("{key}={value}")))
                    .collect();
            }
        };
        vec![Some(key)]
    }

    /// Ends it.
    #[must_use]
    pub fn into_costs(self) -> Costs {
        let mut rows: Vec<_> = self.rows.into_iter().collect();
        if self.query.by != By::Day {
            let weight = |sum: &Sum| std::cmp::Reverse((sum.cost, sum.tokens()));
            rows.sort_by_key(|(_, sum)| weight(sum));
        }
        Costs {
            rows,
            total: self.total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn booked(job: i64, epoch: i64, at: &str, model: &str, cost: Option<&str>) -> Booked {
        Booked {
            job: JobId(job),
            epoch: Epoch(epoch),
            queue: "q".to_owned(),
            tags: BTreeMap::from([("team".into(), "web".into()), ("env".into(), "ci".into())]),
            agent: "claude".to_owned(),
            profile: Some("work".to_owned()),
            began_at: DateTime::parse_from_rfc3339(at).unwrap().to_utc().into(),
            line: Line {
                model: model.to_owned(),
                input: 10,
                output: 1,
                cost: cost.map(|cost| cost.parse().unwrap()),
                ..Line::default()
            },
        }
    }

    fn sum_by(by: By, lines: &[Booked]) -> Costs {
        let query = CostQuery {
            since: None,
            scope: Scope::default(),
            by,
            zone: chrono_tz::Europe::Oslo,
        };
        let mut summing = Summing::new(&query);
        lines.iter().for_each(|line| summing.add(line));
        summing.into_costs()
    }

    #[test]
    fn a_line_counts_under_each_of_its_labels_and_once_in_the_total() {
        let lines = [
            booked(1, 1, "2026-03-01T12:00:00Z", "opus", Some("0.1")),
            booked(1, 1, "2026-03-01T12:00:00Z", "haiku", Some("0.2")),
            booked(1, 2, "2026-03-01T13:00:00Z", "opus", None),
        ];
        let costs = sum_by(By::Tag, &lines);
        let keys: Vec<_> = costs
            .rows
            .iter()
            .map(|(key, _)| key.clone().unwrap())
            .collect();
        assert_eq!(keys, ["env=ci", "team=web"]);
        for (_, sum) in &costs.rows {
            assert_eq!((sum.attempts, sum.cost.to_string().as_str()), (2, "0.3"));
        }
        let Sum {
            attempts, unpriced, ..
        } = costs.total;
        assert_eq!((attempts, unpriced, costs.total.tokens()), (2, 11, 33));
        let models = sum_by(By::Model, &lines).rows;
        assert_eq!(
            models[0].0.as_deref(),
            Some("haiku"),
            "the dearest comes first"
        );
        assert_eq!((models[1].1.attempts, models[1].1.unpriced), (2, 11));
        let agents = sum_by(By::Agent, &lines).rows;
        assert_eq!(agents[0].0.as_deref(), Some("claude/work"));
    }

    #[test]
    fn days_are_those_of_the_zone_and_in_their_order() {
        let lines = [
            booked(1, 1, "2026-03-29T21:59:59Z", "opus", Some("9")),
            booked(2, 1, "2026-03-28T22:59:59Z", "opus", Some("1")),
            booked(3, 1, "2026-03-28T23:00:00Z", "opus", Some("2")),
            booked(4, 1, "2026-03-29T22:00:00Z", "opus", Some("3")),
        ];
        let days = sum_by(By::Day, &lines).rows;
        let days: Vec<_> = days
            .into_iter()
            .map(|(day, sum)| (day.unwrap(), sum.cost.to_string()))
            .collect();
        let expected = [
            ("2026-03-28", "1"),
            ("2026-03-29", "11"),
            ("2026-03-30", "3"),
        ];
        assert_eq!(days, expected.map(|(day, cost)| (day.into(), cost.into())));
    }
}
