//! From what an agent printed to what is booked for its attempt.
//!
//! Asked by the attempt's reading each time it tells the store. What always holds: the lines add up to
//! what the agent said that its process cost, to the last digit; a model whose price nobody said has none; what
//! a resumed session had used before is not booked again.

use std::collections::BTreeMap;

use queue_core::Epoch;
use queue_core::attempt::Attempt;
use queue_core::ledger::{Bill, Line, Spent};
use queue_core::money::Usd;
use serde_json::Value;

use super::adapter::TotalsOf;
use super::facts::{Facts, Usage};

/// What an attempt of an agent goes on from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Earlier {
    /// What the other attempts of the job used, by the ledger.
    pub spent: Spent,
    /// What sessions had used in all when the attempts before this one ended, where the agent counts by session.
    pub sessions: BTreeMap<String, BTreeMap<String, Usage>>,
    /// What the worker before read of the attempt's own output, where it is adopted.
    pub facts: Option<Value>,
}

impl Earlier {
    /// What the attempt `epoch` goes on from, by the attempts of its job and by the ledger.
    #[must_use]
    pub fn of(attempts: &[Attempt], epoch: Epoch, spent: Spent, totals: TotalsOf) -> Self {
        let own = attempts.iter().find(|one| one.epoch == epoch);
        let mut sessions = BTreeMap::new();
        if totals == TotalsOf::Session {
            let before = attempts.iter().filter(|one| one.epoch < epoch);
            sessions.extend(before.filter_map(session_total));
        }
        Self {
            spent,
            sessions,
            facts: own.and_then(|own| own.agent.clone()),
        }
    }

    /// What its session had used before, where the agent counts that too.
    fn of_session(&self, facts: &Facts) -> Option<&BTreeMap<String, Usage>> {
        self.sessions.get(facts.session_id.as_ref()?)
    }

    /// What the attempt used by itself, of all that its agent named.
    fn own(&self, facts: &Facts) -> BTreeMap<String, Usage> {
        let Some(before) = self.of_session(facts) else {
            return facts.usage.clone();
        };
        let rest = |(model, now): (&String, &Usage)| {
            let rest = match before.get(model) {
                Some(before) if before.tokens() <= now.tokens() => less(now, before),
                // It counts anew: then it counts the process alone.
                _ => *now,
            };
            (model.clone(), rest)
        };
        facts.usage.iter().map(rest).collect()
    }
}

/// The session of an attempt, and all that it had used by its end.
fn session_total(attempt: &Attempt) -> Option<(String, BTreeMap<String, Usage>)> {
    let facts: Facts = serde_json::from_value(attempt.agent.clone()?).ok()?;
    let is_told = !facts.usage.is_empty();
    is_told.then_some((facts.session_id?, facts.usage))
}

fn less(now: &Usage, before: &Usage) -> Usage {
    let cost = |now: f64| {
        before
            .cost_usd
            .map_or(now, |before| (now - before).max(0.0))
    };
    Usage {
        input: now.input.saturating_sub(before.input),
        output: now.output.saturating_sub(before.output),
        cache_read: now.cache_read.saturating_sub(before.cache_read),
        cache_write: now.cache_write.saturating_sub(before.cache_write),
        cost_usd: now.cost_usd.map(cost),
    }
}

/// What is booked for an attempt whose output came to `facts`.
#[must_use]
pub fn bill(facts: &Facts, profile: Option<&str>, earlier: &Earlier) -> Bill {
    let mut lines: Vec<Line> = earlier.own(facts).into_iter().map(line).collect();
    let total = facts.cost_usd.and_then(Usd::from_dollars);
    // A price of the whole session is not that of this run.
    if let Some(total) = total.filter(|_| earlier.of_session(facts).is_none()) {
        price_the_rest(&mut lines, total, facts);
    }
    Bill {
        agent: facts.agent.clone(),
        profile: profile.map(str::to_owned),
        lines,
    }
}

fn line((model, usage): (String, Usage)) -> Line {
    Line {
        model,
        input: usage.input,
        output: usage.output,
        cache_read: usage.cache_read,
        cache_write: usage.cache_write,
        cost: usage.cost_usd.and_then(Usd::from_dollars),
    }
}

/// Shares what the process cost beyond the models that have a price of their own among those that
/// have none, by their tokens: what they cost together is known. Where all have one, the rest is
/// no model's own, such as a search; it goes to the model that the agent works with.
fn price_the_rest(lines: &mut Vec<Line>, total: Usd, facts: &Facts) {
    let priced: Usd = lines.iter().filter_map(|line| line.cost).sum();
    let mut rest = total.saturating_sub(priced);
    if rest > Usd::ZERO && lines.iter().all(|line| line.cost.is_some()) {
        let line = main_line(lines, facts);
        line.cost = Some(line.cost.unwrap_or_default().saturating_add(rest));
        return;
    }
    let unpriced = |line: &&mut Line| line.cost.is_none();
    let mut tokens: u64 = lines
        .iter_mut()
        .filter(unpriced)
        .map(|line| line.tokens())
        .sum();
    for line in lines.iter_mut().filter(unpriced) {
        let share = match tokens {
            0 => rest,
            all => share(rest, line.tokens(), all),
        };
        tokens -= line.tokens();
        rest = rest.saturating_sub(share);
        line.cost = Some(share);
    }
}

/// The line of the model that the agent works with, made where it has none.
fn main_line<'a>(lines: &'a mut Vec<Line>, facts: &Facts) -> &'a mut Line {
    let model = facts.model_name();
    let place = match lines.iter().position(|line| line.model == model) {
        Some(place) => place,
        None => {
            lines.push(Line {
                model,
                ..Line::default()
            });
            lines.len() - 1
        }
    };
    &mut lines[place]
}

/// The part of an amount that `some` of `all` tokens stand for.
fn share(amount: Usd, some: u64, all: u64) -> Usd {
    let nanos = u128::from(amount.nanos()) * u128::from(some) / u128::from(all);
    Usd::from_nanos(u64::try_from(nanos).expect("a part is no more than the whole"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usage(input: u64, cost_usd: Option<f64>) -> Usage {
        Usage {
            input,
            cost_usd,
            ..Usage::default()
        }
    }

    fn facts(usage: &[(&str, Usage)], cost_usd: Option<f64>) -> Facts {
        let usage = usage
            .iter()
            .map(|(model, usage)| ((*model).to_owned(), *usage));
        Facts {
            usage: usage.collect(),
            cost_usd,
            session_id: Some("s1".to_owned()),
            ..Facts::of("codex")
        }
    }

    fn costs(facts: &Facts) -> Vec<(String, Option<String>)> {
        let bill = bill(facts, None, &Earlier::default());
        let text = |line: Line| (line.model, line.cost.map(|cost| cost.to_string()));
        bill.lines.into_iter().map(text).collect()
    }

    #[test]
    fn what_nobody_priced_is_unpriced_and_what_is_known_in_sum_is_shared() {
        let unpriced = facts(&[("opus", usage(100, None))], None);
        assert_eq!(costs(&unpriced), [("opus".into(), None)]);
        let own = facts(
            &[("a", usage(1, Some(0.1))), ("b", usage(9, Some(0.2)))],
            Some(0.3),
        );
        assert_eq!(
            costs(&own),
            [
                ("a".into(), Some("0.1".into())),
                ("b".into(), Some("0.2".into()))
            ]
        );
        let shared = facts(&[("a", usage(25, None)), ("b", usage(75, None))], Some(1.0));
        assert_eq!(
            costs(&shared),
            [
                ("a".into(), Some("0.25".into())),
                ("b".into(), Some("0.75".into()))
            ]
        );
        // 0.1 of it is no model's own, and none of them is the one that was named first.
        let dearer = facts(&[("a", usage(1, Some(0.1)))], Some(0.2));
        assert_eq!(
            costs(&dearer),
            [
                ("a".into(), Some("0.1".into())),
                ("unknown".into(), Some("0.1".into()))
            ]
        );
        let without_tokens = facts(&[], Some(0.5));
        assert_eq!(
            costs(&without_tokens),
            [("unknown".into(), Some("0.5".into()))]
        );
        assert!(costs(&facts(&[], Some(0.0))).is_empty());
        assert!(costs(&facts(&[], None)).is_empty());
    }

    fn sessions(total: u64) -> Earlier {
        let models = BTreeMap::from([("gpt".to_owned(), usage(total, None))]);
        Earlier {
            sessions: BTreeMap::from([("s1".to_owned(), models)]),
            ..Earlier::default()
        }
    }

    #[test]
    fn a_resumed_session_that_counts_from_its_beginning_is_not_booked_twice() {
        // openai/codex#17539: `turn.completed` names the total of the session.
        let tokens = |now: u64, before: &Earlier| {
            let facts = facts(&[("gpt", usage(now, None))], None);
            Spent::of(&bill(&facts, None, before).lines).tokens
        };
        assert_eq!(tokens(36_197, &sessions(18_080)), 18_117);
        assert_eq!(tokens(500, &sessions(18_080)), 500, "it counts anew");
        let other = facts(&[("gpt", usage(700, None))], None);
        let other = Facts {
            session_id: Some("s2".to_owned()),
            ..other
        };
        assert_eq!(
            Spent::of(&bill(&other, None, &sessions(500)).lines).tokens,
            700
        );
    }

    proptest! {
        /// However a price is spread over models, the lines add up to it.
        #[test]
        fn the_lines_add_up_to_what_the_process_cost(
            models in prop::collection::vec((0_u64..1_000_000, prop::option::of(0_u64..1_000)), 0..6),
            beyond in 0..=Usd::MOST.nanos() - 6_000,
        ) {
            let line = |(tokens, cost): &(u64, Option<u64>)| Line {
                input: *tokens,
                cost: cost.map(Usd::from_nanos),
                ..Line::default()
            };
            let mut lines: Vec<Line> = models.iter().map(line).collect();
            let priced: u64 = models.iter().filter_map(|(_, cost)| *cost).sum();
            let total = Usd::from_nanos(priced + beyond);
            price_the_rest(&mut lines, total, &Facts::default());
            prop_assert_eq!(lines.iter().filter_map(|line| line.cost).sum::<Usd>(), total);
        }
    }
}
