//! Output that is plain text: only its end is kept, and the accounts that aider prints.
//!
//! `Tokens: 12k sent, 1.5k received. Cost: $0.01 message, $0.05 session.`, after Aider-AI/aider
//! `base_coder.py`. What always holds: such a line is believed only at the beginning of a line and
//! only from aider, since anything may stand in prose.

use std::sync::LazyLock;

use regex::Regex;

use crate::agent::facts::{Facts, Usage};

static ACCOUNT: LazyLock<Regex> = LazyLock::new(|| {
    let form = r"^Tokens: ([\d.,]+[kM]?) sent,(?: ([\d.,]+[kM]?) cache write,)?(?: ([\d.,]+[kM]?) cache hit,)? ([\d.,]+[kM]?) received\.(?: Cost: \$[\d.,]+ message, \$([\d.,]+) session\.)?";
    Regex::new(form).expect("the form of the account is a valid expression")
});

pub(super) fn take(facts: &mut Facts, line: &str) {
    facts.push_plain(line);
    if facts.agent == "aider"
        && let Some(found) = ACCOUNT.captures(line)
    {
        let tokens = |group| found.get(group).map_or(0, |it| tokens(it.as_str()));
        let usage = Usage {
            input: tokens(1),
            cache_write: tokens(2),
            cache_read: tokens(3),
            output: tokens(4),
            cost_usd: None,
        };
        let session = found
            .get(5)
            .and_then(|it| it.as_str().replace(',', "").parse().ok());
        facts.first_answer = true;
        facts.turns = facts.turns.saturating_add(1);
        facts.cost_usd = session.or(facts.cost_usd);
        let cost_usd = facts.cost_usd;
        let model = facts.usage.entry(facts.model_name()).or_default();
        model.add(&usage);
        model.cost_usd = cost_usd;
    }
}

/// Reads `950`, `1.2k` or `3M`.
fn tokens(text: &str) -> u64 {
    let (digits, factor) = match text.strip_suffix(['k', 'M']) {
        Some(digits) if text.ends_with('k') => (digits, 1e3),
        Some(digits) => (digits, 1e6),
        None => (text, 1.0),
    };
    let number: f64 = digits.replace(',', "").parse().unwrap_or_default();
    (number * factor).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accounts_of_aider_are_added_up_and_its_session_cost_is_a_sum_already() {
        let mut facts = Facts::of("aider");
        take(
            &mut facts,
            "Tokens: 2.5k sent, 120 received. Cost: $0.01 message, $0.01 session.",
        );
        take(
            &mut facts,
            "Tokens: 3k sent, 1k cache hit, 80 received. Cost: $0.02 message, $0.03 session.",
        );
        let usage = facts.usage["unknown"];
        assert_eq!(
            (usage.input, usage.cache_read, usage.output),
            (5_500, 1_000, 200)
        );
        assert_eq!(
            (usage.cost_usd, facts.cost_usd, facts.turns),
            (Some(0.03), Some(0.03), 2)
        );
    }

    #[test]
    fn a_model_without_a_price_stays_unpriced() {
        let mut facts = Facts::of("aider");
        take(&mut facts, "Tokens: 950 sent, 12 received.");
        assert_eq!(
            (facts.tokens(), facts.cost_usd, facts.is_unpriced()),
            (962, None, true)
        );
    }
}
