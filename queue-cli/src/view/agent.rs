//! What is known of the attempts of a coding agent, beyond what is known of every attempt.
//!
//! Owns the table of agents on the page of a job, and reads what the worker stored of an agent's output. What always
//! holds: what the agent did not say is left empty, and a price that it did not name is never shown as 0.

use queue_core::attempt::Attempt;
use queue_core::ledger::Spent;
use queue_core::money::Usd;
use queue_core::units::about_tokens;
use queue_worker::agent::facts::Facts;

use crate::output::table::{Cell, Column, Table};

/// What was read of the agent's output in this attempt; nothing where no agent ran, or where another release stored it
/// in a shape that is not known here.
#[must_use]
pub fn facts(attempt: &Attempt) -> Option<Facts> {
    let stored = attempt.agent.clone()?;
    serde_json::from_value(stored).ok()
}

/// One line for each attempt: where it began, what it used, and the rule by which it was judged; nothing where no
/// attempt was an agent's.
#[must_use]
pub fn table(attempts: &[Attempt]) -> Option<Table> {
    let mut table = Table::new([
        Column::right("#"),
        Column::left("AGENT"),
        Column::left("RUNG"),
        Column::left("RULE"),
        Column::right("TURNS"),
        Column::right("COST"),
        Column::left("MODEL").spare(2),
        Column::left("SESSION").spare(1),
    ]);
    let mut is_empty = true;
    for attempt in attempts.iter().filter(|attempt| is_agents(attempt)) {
        is_empty = false;
        let facts = facts(attempt);
        let named = facts.as_ref().map(|facts| facts.agent.as_str());
        let agent = attempt.way.as_deref().or(named);
        let turns = facts.as_ref().map(|facts| facts.turns.to_string());
        let model = facts.as_ref().and_then(|facts| facts.model.as_deref());
        table.row([
            Cell::from(u64::from(attempt.number)),
            Cell::from(agent.unwrap_or_default()),
            Cell::from(attempt.rung.map_or("", queue_core::agent::Rung::as_str)),
            Cell::from(attempt.rule.as_deref().unwrap_or_default()),
            Cell::from(turns.unwrap_or_default()),
            Cell::from(cost(attempt, facts.as_ref()).unwrap_or_default()),
            Cell::from(model.unwrap_or_default()),
            Cell::from(attempt.session_id.as_deref().unwrap_or_default()),
        ]);
    }
    (!is_empty).then_some(table)
}

fn is_agents(attempt: &Attempt) -> bool {
    attempt.rung.is_some() || attempt.agent.is_some() || attempt.rule.is_some()
}

/// `$0.2500`; `unpriced` where tokens were used and nobody named their price.
#[must_use]
pub fn cost(attempt: &Attempt, facts: Option<&Facts>) -> Option<String> {
    match attempt.cost_usd {
        Some(cost) => Some(format!("${cost:.4}")),
        None => facts
            .is_some_and(Facts::is_unpriced)
            .then(|| "unpriced".to_owned()),
    }
}

/// A sum of the ledger: `$0.50, 12k tokens`; what has no price is said to have none.
#[must_use]
pub fn spent(spent: &Spent) -> String {
    let tokens = match about_tokens(spent.tokens) {
        tokens if spent.tokens == 1 => format!("{tokens} token"),
        tokens => format!("{tokens} tokens"),
    };
    match (spent.unpriced, spent.cost) {
        (0, cost) => format!("{}, {tokens}", cost.words()),
        (_, Usd::ZERO) => format!("unpriced, {tokens}"),
        (unpriced, cost) => {
            let unpriced = about_tokens(unpriced);
            format!("{}, {tokens}, {unpriced} of them unpriced", cost.words())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::output::color::Paint;
    use queue_core::agent::Rung;
    use serde_json::json;

    #[test]
    fn only_attempts_of_agents_are_listed_and_an_unknown_price_is_no_zero() {
        let mut attempts = samples::failed().attempts;
        assert!(table(&attempts).is_none());
        let told = json!({
            "agent": "claude", "model": "opus", "turns": 3,
            "usage": { "opus": { "input": 10 } },
        });
        let last = &mut attempts[1];
        (last.rung, last.agent) = (Some(Rung::Resume), Some(told));
        last.rule = Some("claude-throttle".to_owned());
        last.session_id = Some("5a0d3f6e".to_owned());
        let text = |attempts: &[Attempt]| {
            let table = table(attempts).expect("one is an agent's");
            table.render(None, Paint::plain(), true)
        };
        let told = text(&attempts);
        let rows: Vec<&str> = told.lines().collect();
        assert_eq!(rows.len(), 2, "{told}");
        let words: Vec<&str> = rows[1].split_whitespace().collect();
        let expected = [
            "2",
            "claude",
            "resume",
            "claude-throttle",
            "3",
            "unpriced",
            "opus",
            "5a0d3f6e",
        ];
        assert_eq!(words, expected, "{told}");
        attempts[1].cost_usd = Some(0.25);
        assert!(text(&attempts).contains("$0.2500"));
    }
}
