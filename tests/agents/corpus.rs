//! Endings as they were captured, each with its source: all of them are judged right. A4

use std::fs;

use chrono_tz::Tz;
use queue_core::Timestamp;
use queue_worker::agent::detect::{End, Judged, Scope, judge};
use queue_worker::agent::facts::Facts;
use queue_worker::agent::rules::Rules;
use queue_worker::agent::stream::{Format, Reader};
use queue_worker::log::Stream;
use serde::Deserialize;
use serde_json::{Value, json};
use support::fixture;

/// Wednesday, 15 July 2026, 08:00 UTC.
const NOW: Timestamp = Timestamp::from_millis(1_784_102_400_000);

/// One ending.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    source: String,
    expect: Expected,
    exit: i32,
    #[serde(default)]
    pub(crate) stderr: String,
    output: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    outcome: Judged,
    rule: String,
    reset: Option<String>,
    model: Option<String>,
    cost: Option<f64>,
}

impl Case {
    /// What the program wrote on standard output.
    pub(crate) fn output(&self) -> String {
        let line = |value: &Value| match value {
            Value::String(text) => format!("{text}\n"),
            event => format!("{event}\n"),
        };
        self.output.iter().map(line).collect()
    }
}

/// All endings of an agent.
pub(crate) fn cases(agent: &str) -> Vec<Case> {
    let text =
        fs::read_to_string(fixture(&format!("corpus/{agent}.jsonl"))).expect("the corpus is there");
    let case = |line| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{agent}: {error}: {line}"))
    };
    text.lines().map(case).collect()
}

pub(crate) const AGENTS: [&str; 9] = [
    "claude",
    "codex",
    "gemini",
    "opencode",
    "qwen",
    "cursor-agent",
    "goose",
    "agy",
    "aider",
];

fn facts(agent: &str, output: &str, stderr: &str) -> Facts {
    let mut reader = Reader::new(Format::of_agent(agent), Facts::of(agent));
    reader.feed(Stream::Stdout, output.as_bytes());
    reader.feed(Stream::Stderr, stderr.as_bytes());
    reader.into_facts()
}

#[test]
fn every_captured_ending_is_judged_right() {
    let mut wrong = Vec::new();
    let mut judged = 0;
    for agent in AGENTS {
        for case in cases(agent) {
            judged += 1;
            let facts = facts(agent, &case.output(), &case.stderr);
            let end = End::exited(case.exit);
            let verdict = judge(&Rules::built_in(), &facts, &end, NOW, Tz::Europe__Berlin);
            let reset = verdict.reset.map(|at| {
                let at =
                    chrono::DateTime::from_timestamp_millis(at.as_millis()).expect("it is a time");
                at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
            });
            let model = match &verdict.scope {
                Scope::Model(model) => Some(model.clone()),
                Scope::Job | Scope::Session | Scope::Agent => None,
            };
            let expect = &case.expect;
            let is_right = verdict.outcome == expect.outcome
                && verdict.rule == expect.rule
                && reset == expect.reset
                && model == expect.model
                && (expect.cost.is_none() || facts.cost_usd == expect.cost);
            if !is_right {
                wrong.push(format!(
                    "{agent}, {}: {expect:?}\n  but {verdict:?}",
                    case.source
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {judged}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(judged > 100, "{judged}");
}

/// A run of an agent that went well, in which the model and its tools say `words`.
fn success_that_says(agent: &str, words: &str) -> Option<Vec<Value>> {
    let claude = |agent: &str| {
        vec![
            json!({ "type": "system", "subtype": "init", "session_id": "s", "model": agent }),
            json!({ "type": "assistant", "message": { "id": "m", "model": agent, "content": [{ "type": "text", "text": words }] } }),
            json!({ "type": "user", "message": { "content": [{ "type": "tool_result", "content": words }] } }),
            json!({ "type": "result", "subtype": "success", "is_error": false, "result": words }),
        ]
    };
    let opencode =
        |kind: &str, part: Value| json!({ "type": kind, "sessionID": "ses_1", "part": part });
    Some(match agent {
        "claude" | "qwen" | "cursor-agent" => claude(agent),
        "codex" => vec![
            json!({ "type": "thread.started", "thread_id": "t" }),
            json!({ "type": "item.completed", "item": { "type": "command_execution", "aggregated_output": words, "exit_code": 1 } }),
            json!({ "type": "item.completed", "item": { "type": "agent_message", "text": words } }),
            json!({ "type": "turn.completed", "usage": {} }),
        ],
        "gemini" => vec![
            json!({ "type": "tool_result", "output": words }),
            json!({ "type": "message", "role": "assistant", "content": words }),
            json!({ "type": "result", "status": "success" }),
        ],
        "opencode" => vec![
            opencode("tool_use", json!({ "state": { "output": words } })),
            opencode("text", json!({ "text": words })),
            opencode("step_finish", json!({ "reason": "stop" })),
        ],
        "goose" => vec![
            json!({ "type": "message", "message": { "role": "user", "content": [{ "type": "text", "text": words }] } }),
            json!({ "type": "message", "message": { "role": "assistant", "content": [{ "type": "text", "text": words }] } }),
            json!({ "type": "complete", "total_tokens": 1 }),
        ],
        "agy" => vec![json!({ "status": "SUCCESS", "response": words, "denied_actions": [] })],
        // Plain text: of it only the exit code is known.
        _ => return None,
    })
}

/// Whatever any agent ever printed of limits, money or logins: said by a model it means nothing. A4
#[test]
fn prose_that_quotes_every_captured_ending_is_a_success_with_every_agent() {
    let quoted = AGENTS.iter().flat_map(|agent| cases(agent));
    let words: Vec<String> = quoted
        .map(|case| case.output() + &case.stderr)
        .filter(|it| !it.is_empty())
        .collect();
    for agent in AGENTS {
        for words in &words {
            let Some(events) = success_that_says(agent, words) else {
                continue;
            };
            let output: String = events.iter().map(|event| format!("{event}\n")).collect();
            let facts = facts(agent, &output, "");
            let verdict = judge(&Rules::built_in(), &facts, &End::exited(0), NOW, Tz::UTC);
            assert_eq!(
                verdict.outcome,
                Judged::Success,
                "{agent}: {words}\n{verdict:#?}"
            );
            let says_limit =
                |id: &String| id.contains("limit") || id.contains("billing") || id.contains("auth");
            assert!(
                !verdict.matched.iter().any(says_limit),
                "{agent}: {words}\n{verdict:#?}"
            );
        }
    }
}

/// A prose line of Claude Code in text mode, or of aider, is not taken for the program's own.
#[test]
fn prose_without_json_is_no_limit_either() {
    let words: Vec<String> = cases("claude").iter().map(Case::output).collect();
    let prose = format!(
        "I searched for these:\n{}\nThat is all.\nIt works.\n",
        words.join("\n")
    );
    for agent in ["claude", "aider"] {
        let mut reader = Reader::new(Format::Text, Facts::of(agent));
        reader.feed(Stream::Stdout, prose.as_bytes());
        let verdict = judge(
            &Rules::built_in(),
            &reader.into_facts(),
            &End::exited(0),
            NOW,
            Tz::UTC,
        );
        assert!(
            matches!(verdict.outcome, Judged::Success | Judged::Suspect),
            "{verdict:#?}"
        );
    }
}
