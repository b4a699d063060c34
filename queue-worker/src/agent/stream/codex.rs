//! `codex exec --json`.
//!
//! Facts after openai/codex `codex-rs/exec/src/exec_events.rs`. What always holds: the words of the
//! model and of commands are not kept as errors; `error` alone does not end a turn, since the program
//! also writes it while it reconnects.

use super::json::Event;
use crate::agent::facts::{Facts, FinalResult, Usage};

/// What a model does in one step; counted as turns, because the program has no number of its own.
const STEPS: [&str; 6] = [
    "agent_message",
    "command_execution",
    "file_change",
    "mcp_tool_call",
    "web_search",
    "todo_list",
];

pub(super) fn take(facts: &mut Facts, event: &Event<'_>) -> bool {
    match event.text("type") {
        Some("thread.started") => {
            facts.session_id = event.owned("thread_id").or(facts.session_id.take());
        }
        Some("turn.started") => facts.finished = false,
        Some("item.started" | "item.updated") => facts.first_answer |= is_step(event),
        Some("item.completed") => item(facts, event),
        Some("turn.completed") => completed(facts, event),
        Some("turn.failed") => failed(facts, event.text("error.message").unwrap_or_default()),
        Some("error") => facts.push_error(event.text("message").unwrap_or_default()),
        _ => return false,
    }
    true
}

fn is_step(event: &Event<'_>) -> bool {
    let kind = event
        .text("item.type")
        .or_else(|| event.text("item.item_type"));
    kind.is_some_and(|kind| STEPS.contains(&kind) || kind == "reasoning")
}

fn item(facts: &mut Facts, event: &Event<'_>) {
    facts.first_answer |= is_step(event);
    let kind = event
        .text("item.type")
        .or_else(|| event.text("item.item_type"));
    match kind {
        Some("error") => facts.push_error(event.text("item.message").unwrap_or_default()),
        Some("agent_message" | "assistant_message") => {
            facts.turns = facts.turns.saturating_add(1);
            facts.answers = facts.answers.saturating_add(1);
            let result = facts.result.get_or_insert_default();
            result.set_text(event.text("item.text").unwrap_or_default());
        }
        Some(kind) if STEPS.contains(&kind) => facts.turns = facts.turns.saturating_add(1),
        _ => {}
    }
}

fn completed(facts: &mut Facts, event: &Event<'_>) {
    facts.finished = true;
    facts.first_answer = true;
    let usage = event.sub("usage");
    let cached = usage.count("cached_input_tokens");
    let usage = Usage {
        // The provider counts cached tokens among the input.
        input: usage.count("input_tokens").saturating_sub(cached),
        output: usage.count("output_tokens"),
        cache_read: cached,
        ..Usage::default()
    };
    if usage.tokens() > 0 {
        facts.usage.insert(facts.model_name(), usage);
    }
    let text = facts.result.take().unwrap_or_default();
    facts.result = Some(FinalResult {
        subtype: "success".to_owned(),
        is_error: false,
        ..text
    });
}

fn failed(facts: &mut Facts, message: &str) {
    facts.finished = true;
    facts.push_error(message);
    let mut result = FinalResult {
        subtype: "error".to_owned(),
        is_error: true,
        ..FinalResult::default()
    };
    result.set_text(message);
    facts.result = Some(result);
}
