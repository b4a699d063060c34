//! `agy --output-format json|stream-json`.
//!
//! Facts after google-antigravity/antigravity-cli issues 794, 902 and 947. What always holds: only
//! `SUCCESS` is no error; whether it is to be believed is for the rules.

use super::json::Event;
use crate::agent::facts::{Facts, FinalResult};

pub(super) fn take(facts: &mut Facts, event: &Event<'_>) -> bool {
    for name in ["session_id", "conversation_id"] {
        facts.session_id = event.owned(name).or(facts.session_id.take());
    }
    match event.text("type") {
        Some("init" | "system" | "user" | "tool_use" | "tool_result") => {}
        Some("message" | "assistant") => {
            facts.first_answer = true;
            facts.turns = facts.turns.saturating_add(1);
        }
        Some("error") => facts.push_error(event.text("message").unwrap_or_default()),
        Some("result") => result(facts, event),
        None if event.text("status").is_some() => result(facts, event),
        _ => return false,
    }
    true
}

fn result(facts: &mut Facts, event: &Event<'_>) {
    facts.finished = true;
    for denied in event.list("denied_actions") {
        let name = denied.0.as_str().or_else(|| denied.text("tool"));
        facts.push_denial(name.or_else(|| denied.text("action")).unwrap_or("unknown"));
    }
    let subtype = event.owned("status").unwrap_or_default().to_lowercase();
    let is_error = subtype != "success";
    facts.first_answer |= !is_error;
    let mut result = FinalResult {
        subtype,
        is_error,
        ..FinalResult::default()
    };
    let text = event.text("error.message").or_else(|| event.text("error"));
    result.set_text(text.or_else(|| event.text("response")).unwrap_or_default());
    if let Some(value) = event.at("structured_output") {
        result.set_structured(value);
    }
    if result.has_text && !is_error {
        facts.answers = facts.answers.saturating_add(1);
    }
    facts.result = Some(result);
}
