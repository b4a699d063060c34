//! `goose run --output-format stream-json`.
//!
//! Facts after block/goose `crates/goose-cli/src/session`. What always holds: an `error` stays the
//! result, because `complete` follows it as well.

use super::json::Event;
use crate::agent::facts::{Facts, FinalResult, Usage};

pub(super) fn take(facts: &mut Facts, event: &Event<'_>) -> bool {
    match event.text("type") {
        Some("message") => message(facts, event),
        Some("notification") => {}
        Some("error") => error(facts, event),
        Some("complete") => complete(facts, event),
        _ => return false,
    }
    true
}

fn message(facts: &mut Facts, event: &Event<'_>) {
    if event.text("message.role") != Some("assistant") {
        return;
    }
    facts.first_answer = true;
    facts.turns = facts.turns.saturating_add(1);
    let text = event.content("message.content");
    if text.is_empty() {
        return;
    }
    facts.answers = facts.answers.saturating_add(1);
    let result = facts.result.get_or_insert_default();
    if !result.is_error {
        result.set_text(&text);
    }
}

fn error(facts: &mut Facts, event: &Event<'_>) {
    let text = event.text("error").or_else(|| event.text("error.message"));
    let text = text.or_else(|| event.text("message")).unwrap_or_default();
    facts.push_error(text);
    let mut result = FinalResult {
        subtype: "error".to_owned(),
        is_error: true,
        ..FinalResult::default()
    };
    result.set_text(text);
    facts.result = Some(result);
}

fn complete(facts: &mut Facts, event: &Event<'_>) {
    facts.finished = true;
    let tokens = event.count("total_tokens");
    if tokens > 0 {
        // It names one number for both directions.
        let usage = Usage {
            input: tokens,
            ..Usage::default()
        };
        facts.usage.insert(facts.model_name(), usage);
    }
    let result = facts.result.get_or_insert_default();
    if !result.is_error {
        result.subtype = "success".to_owned();
    }
}
