//! Claude Code, and qwen and cursor-agent, which write as it does.
//!
//! Facts after the Agent SDK (`@anthropic-ai/claude-agent-sdk`, `sdk.d.ts`) and
//! anthropics/claude-agent-sdk-python `types.py`. What always holds: only a `result` that is an error
//! and messages of the model `<synthetic>` count as the program's own words; tool results are not
//! even looked into.

use super::json::Event;
use crate::agent::facts::{Facts, FinalResult, LimitEvent, Retry, Usage, Window};
use crate::agent::text::truncated;
use queue_core::question::{MAX_CHOICES, MAX_QUESTION};

/// The model that stands over messages which the program wrote itself.
const SYNTHETIC: &str = "<synthetic>";

/// Events that say nothing about how an attempt goes.
pub(super) fn passes_over(kind: &str) -> bool {
    matches!(
        kind,
        "user"
            | "stream_event"
            | "tool_progress"
            | "tool_use_summary"
            | "auth_status"
            | "conversation_reset"
            | "prompt_suggestion"
            | "thinking"
            | "tool_call"
            | "control_request"
            | "control_response"
            | "keep_alive"
    )
}

pub(super) fn take(facts: &mut Facts, event: &Event<'_>) -> bool {
    match event.text("type") {
        Some("system") => system(facts, event),
        Some("assistant") => assistant(facts, event),
        Some("result") => result(facts, event),
        Some("rate_limit_event") => {
            facts.limit_event = Some(limit_event(&event.sub("rate_limit_info")));
        }
        Some("error") => {
            let text = event
                .text("message")
                .or_else(|| event.text("error.message"));
            facts.push_error(text.unwrap_or_default());
            facts.error_code = event.owned("error.type");
        }
        Some(kind) => return passes_over(kind),
        // One document without a type, as qwen writes it.
        None if event.at("result").is_some() || event.at("is_error").is_some() => {
            result(facts, event);
        }
        None => return false,
    }
    true
}

fn system(facts: &mut Facts, event: &Event<'_>) {
    match event.text("subtype") {
        Some("init") => {
            facts.session_id = event.owned("session_id").or(facts.session_id.take());
            facts.model = event.owned("model").or(facts.model.take());
            let version = ["claude_code_version", "qwen_code_version", "version"];
            let version = version.iter().find_map(|name| event.owned(name));
            facts.cli_version = version.or(facts.cli_version.take());
        }
        Some("api_retry") => {
            facts.retries = facts.retries.saturating_add(1);
            facts.retry = Some(Retry {
                attempt: u32::try_from(event.count("attempt")).unwrap_or(u32::MAX),
                delay_ms: event.count("retry_delay_ms"),
                status: event.status("error_status"),
                error: event.owned("error"),
            });
        }
        _ => {}
    }
}

fn assistant(facts: &mut Facts, event: &Event<'_>) {
    let model = event.text("message.model");
    let error = event.text("error");
    if model == Some(SYNTHETIC) || error.is_some() {
        facts.error_code = error.map(|it| truncated(it, 64).to_owned());
        facts.push_error(&event.content("message.content"));
        return;
    }
    facts.first_answer = true;
    facts.error_code = None;
    facts.answers = facts.answers.saturating_add(1);
    let message = event.text("message.id").unwrap_or_default();
    let model = model.map_or_else(|| facts.model_name(), |it| truncated(it, 128).to_owned());
    let is_new = facts.count_message(message, &model, event.sub("message.usage").usage());
    // A subagent's answers are no turns of the main loop. A message comes once for each of its blocks.
    if event.at("parent_tool_use_id").is_none() && is_new {
        facts.turns = facts.turns.saturating_add(1);
    }
}

fn result(facts: &mut Facts, event: &Event<'_>) {
    facts.finished = true;
    facts.session_id = event.owned("session_id").or(facts.session_id.take());
    let turns = u32::try_from(event.count("num_turns")).unwrap_or(u32::MAX);
    facts.turns = facts.turns.max(turns);
    facts.cost_usd = event.cost("total_cost_usd").or(facts.cost_usd);
    result_usage(facts, event);
    for denial in event.list("permission_denials") {
        facts.push_denial(denial.text("tool_name").unwrap_or("unknown"));
        if denial.text("tool_name") == Some("AskUserQuestion") {
            ask(facts, &denial.sub("tool_input"));
        }
    }
    if event.at("deferred_tool_use").is_some() {
        deferred(facts, &event.sub("deferred_tool_use"));
    }
    let result = final_result(event);
    facts.first_answer |= result.is_success();
    facts.result = Some(result);
}

fn final_result(event: &Event<'_>) -> FinalResult {
    let subtype = event.text("subtype").unwrap_or_default().to_lowercase();
    let is_error = event.flag("is_error");
    let is_error = is_error.unwrap_or(event.at("error").is_some() || subtype.starts_with("error"));
    let subtype = match (subtype.is_empty(), is_error) {
        (true, true) => "error".to_owned(),
        (true, false) => "success".to_owned(),
        _ => truncated(&subtype, 64).to_owned(),
    };
    let mut result = FinalResult {
        subtype,
        is_error,
        terminal_reason: event.owned("terminal_reason"),
        status: event.status("api_error_status"),
        stop_reason: event.owned("stop_reason"),
        ..FinalResult::default()
    };
    result.set_text(&result_text(event));
    if let Some(value) = event.at("structured_output") {
        result.set_structured(value);
    }
    result
}

/// The answer; of an error, all that the program says about it.
fn result_text(event: &Event<'_>) -> String {
    let mut texts = Vec::new();
    texts.extend(event.text("result").or_else(|| event.text("response")));
    texts.extend(event.list("errors").filter_map(|it| it.0.as_str()));
    texts.extend(event.text("error.message").or_else(|| event.text("error")));
    texts.join("\n")
}

/// Puts the account of the whole tree in place of what was counted from messages.
fn result_usage(facts: &mut Facts, event: &Event<'_>) {
    let by_model: Vec<_> = event.entries("modelUsage").collect();
    if !by_model.is_empty() {
        let usage =
            |(model, usage): (&str, Event<'_>)| (truncated(model, 128).to_owned(), usage.usage());
        facts.usage = by_model.into_iter().map(usage).collect();
        facts.counted.clear();
        return;
    }
    let usage = event.sub("usage").usage();
    if usage.tokens() > 0 && facts.usage.is_empty() {
        facts.usage.insert(facts.model_name(), usage);
    }
    price_the_only_model(facts);
}

/// Where one model was used, what the process cost is what that model cost.
fn price_the_only_model(facts: &mut Facts) {
    let cost = facts.cost_usd;
    if let (1, Some(usage)) = (facts.usage.len(), facts.usage.values_mut().next()) {
        *usage = Usage {
            cost_usd: cost,
            ..*usage
        };
    }
}

/// A tool that a hook put off until a person has decided. One that asks says what; of any other it
/// is asked whether it may run.
fn deferred(facts: &mut Facts, used: &Event<'_>) {
    let inputs = ["tool_input", "input"];
    for input in inputs {
        ask(facts, &used.sub(input));
    }
    if facts.question.is_some() {
        return;
    }
    let tool = used.text("tool_name").or_else(|| used.text("name"));
    let input = inputs.into_iter().find_map(|input| used.at(input));
    let input = input.map(ToString::to_string).unwrap_or_default();
    let question = format!("May it use {}? {input}", tool.unwrap_or("a tool"));
    facts.question = Some(truncated(question.trim_end(), MAX_QUESTION).to_owned());
}

/// Notes what the tool for questions was called with. Several questions become one, each on a line
/// with what can be chosen from.
fn ask(facts: &mut Facts, input: &Event<'_>) {
    let asked: Vec<_> = input
        .list("questions")
        .filter_map(|it| Some((it.text("question")?.to_owned(), options(&it))))
        .collect();
    let single = input
        .text("question")
        .map(|text| (text.to_owned(), options(input)));
    let (text, choices) = match asked.as_slice() {
        [] => match single {
            Some(single) => single,
            None => return,
        },
        [one] => one.clone(),
        several => {
            let line = |(text, choices): &(String, Vec<String>)| match choices.as_slice() {
                [] => text.clone(),
                choices => format!("{text} ({})", choices.join(" | ")),
            };
            let lines: Vec<_> = several.iter().map(line).collect();
            (lines.join("\n"), Vec::new())
        }
    };
    facts.question = Some(truncated(&text, MAX_QUESTION).to_owned());
    facts.choices = choices;
}

fn options(question: &Event<'_>) -> Vec<String> {
    let labels = question.list("options").filter_map(|it| {
        it.text("label")
            .or_else(|| it.0.as_str())
            .map(str::to_owned)
    });
    labels
        .map(|label| truncated(&label, 256).to_owned())
        .filter(|label| !label.trim().is_empty())
        .take(MAX_CHOICES)
        .collect()
}

/// Reads `rate_limit_info`; also `quotaLimits` of a transcript, which has the same fields.
fn limit_event(info: &Event<'_>) -> LimitEvent {
    let window = |event: &Event<'_>| Window {
        utilization: event.real("utilization"),
        resets_at: event.number("resetsAt"),
    };
    let windows = info.entries("unifiedWindows").take(16);
    LimitEvent {
        status: info.owned("status").unwrap_or_default(),
        resets_at: info.number("resetsAt"),
        window: info.owned("rateLimitType"),
        utilization: info.real("utilization"),
        overage_status: info.owned("overageStatus"),
        error_code: info.owned("errorCode"),
        windows: windows
            .map(|(name, event)| (truncated(name, 64).to_owned(), window(&event)))
            .collect(),
    }
}
