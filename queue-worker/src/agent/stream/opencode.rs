//! `opencode run --format json`.
//!
//! Facts after anomalyco/opencode `packages/opencode/src/cli/cmd/run.ts`. There is no final event:
//! the last step that ended for another reason than tool calls ends the run, unless an error follows.
//! What always holds: cost is the sum of the steps' costs, and unknown while no step named one.

use super::json::Event;
use crate::agent::facts::{Facts, FinalResult, Usage, add_cost};
use crate::agent::text::truncated;

pub(super) fn take(facts: &mut Facts, event: &Event<'_>) -> bool {
    let kind = event.text("type");
    match kind {
        Some("step_start") => facts.finished = false,
        Some("text") => text(facts, event),
        Some("tool_use" | "reasoning") => facts.first_answer = true,
        Some("step_finish") => step_finish(facts, event),
        Some("error") => error(facts, event),
        _ => return false,
    }
    let session = event.owned("sessionID");
    facts.session_id = session.or(facts.session_id.take());
    true
}

fn text(facts: &mut Facts, event: &Event<'_>) {
    facts.first_answer = true;
    facts.answers = facts.answers.saturating_add(1);
    // It goes on after an error: that one is got over.
    let result = facts.result.take().filter(|result| !result.is_error);
    let result = facts.result.insert(result.unwrap_or_default());
    result.set_text(event.text("part.text").unwrap_or_default());
}

fn step_finish(facts: &mut Facts, event: &Event<'_>) {
    facts.first_answer = true;
    facts.turns = facts.turns.saturating_add(1);
    let part = event.sub("part");
    let cost = part.cost("cost");
    let usage = Usage {
        input: part.count("tokens.input"),
        output: part
            .count("tokens.output")
            .saturating_add(part.count("tokens.reasoning")),
        cache_read: part.count("tokens.cache.read"),
        cache_write: part.count("tokens.cache.write"),
        cost_usd: cost,
    };
    facts.cost_usd = add_cost(facts.cost_usd, cost);
    let model = facts.model_name();
    facts.usage.entry(model).or_default().add(&usage);
    let reason = part.text("reason").unwrap_or_default();
    if reason == "tool-calls" {
        return;
    }
    facts.finished = true;
    let said = facts.result.take().filter(|result| !result.is_error);
    facts.result = Some(FinalResult {
        subtype: "success".to_owned(),
        stop_reason: Some(truncated(reason, 64).to_owned()),
        ..said.unwrap_or_default()
    });
}

fn error(facts: &mut Facts, event: &Event<'_>) {
    let name = event.text("error.name").unwrap_or_default();
    let message = event
        .text("error.data.message")
        .or_else(|| event.text("error.message"));
    let text = message.unwrap_or(name);
    facts.error_code = Some(truncated(name, 64).to_owned()).filter(|name| !name.is_empty());
    facts.push_error(text);
    let mut result = FinalResult {
        subtype: "error".to_owned(),
        is_error: true,
        status: event.status("error.data.statusCode"),
        ..FinalResult::default()
    };
    result.set_text(text);
    facts.result = Some(result);
}
