//! gemini-cli: `-o stream-json`, or one document with `-o json`.
//!
//! Facts after google-gemini/gemini-cli `docs/cli/headless.md` and `packages/core/src/output`. What
//! always holds: of a document without a type, `error` decides; the numbers of single models are
//! taken where there are any, else the sum.

use super::json::Event;
use crate::agent::facts::{Facts, FinalResult, Usage};
use crate::agent::text::truncated;

pub(super) fn take(facts: &mut Facts, event: &Event<'_>) -> bool {
    match event.text("type") {
        Some("init") => {
            facts.session_id = event.owned("session_id").or(facts.session_id.take());
            facts.model = event.owned("model").or(facts.model.take());
        }
        Some("message") => message(facts, event),
        Some("tool_use") => {
            facts.first_answer = true;
            facts.turns = facts.turns.saturating_add(1);
        }
        Some("tool_result") => {}
        Some("error") => facts.push_error(event.text("message").unwrap_or_default()),
        Some("result") => result(facts, event),
        None if ["response", "error", "stats"]
            .iter()
            .any(|key| event.at(key).is_some()) =>
        {
            result(facts, event);
        }
        _ => return false,
    }
    true
}

fn message(facts: &mut Facts, event: &Event<'_>) {
    if event.text("role") == Some("user") {
        return;
    }
    facts.first_answer = true;
    facts.answers = facts.answers.saturating_add(1);
    let result = facts.result.get_or_insert_default();
    let piece = event.content("content");
    let text = match event.flag("delta") {
        Some(true) => format!("{}{piece}", result.text),
        _ => {
            facts.turns = facts.turns.saturating_add(1);
            piece
        }
    };
    result.set_text(&text);
}

fn result(facts: &mut Facts, event: &Event<'_>) {
    facts.finished = true;
    facts.session_id = event.owned("session_id").or(facts.session_id.take());
    stats(facts, &event.sub("stats"));
    let is_error = event.at("error").is_some() || event.text("status") == Some("error");
    let mut result = facts.result.take().unwrap_or_default();
    result.is_error = is_error;
    result.subtype = if is_error { "error" } else { "success" }.to_owned();
    if let Some(answer) = event.text("response") {
        facts.answers = facts.answers.max(u64::from(!answer.is_empty()));
        result.set_text(answer);
    }
    if is_error {
        let text = event.text("error.message").or_else(|| event.text("error"));
        let text = text.unwrap_or_default();
        facts.push_error(text);
        facts.error_code = event.owned("error.type");
        result = FinalResult {
            status: event.status("error.code"),
            ..result
        };
        result.set_text(text);
    } else {
        facts.first_answer = true;
    }
    facts.result = Some(result);
}

fn stats(facts: &mut Facts, stats: &Event<'_>) {
    let mut found = false;
    for (model, numbers) in stats.entries("models").take(32) {
        let tokens = numbers.sub("tokens");
        let usage = match tokens.at("prompt") {
            Some(_) => usage_of(&tokens, "prompt", "candidates"),
            None => usage_of(&numbers, "input_tokens", "output_tokens"),
        };
        found = true;
        facts.usage.insert(truncated(model, 128).to_owned(), usage);
    }
    let sum = usage_of(stats, "input_tokens", "output_tokens");
    if !found && sum.tokens() > 0 {
        facts.usage.insert(facts.model_name(), sum);
    }
}

fn usage_of(numbers: &Event<'_>, input: &str, output: &str) -> Usage {
    let cached = numbers.count("cached");
    Usage {
        // The provider counts cached tokens among the input, and thoughts beside the output.
        input: numbers.count(input).saturating_sub(cached),
        output: numbers
            .count(output)
            .saturating_add(numbers.count("thoughts")),
        cache_read: cached,
        ..Usage::default()
    }
}
