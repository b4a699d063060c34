//! The order of the rules, and what a verdict holds. The corpus of real endings is in `tests/agents`.

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::agent::stream::{Format, Reader};
use crate::log::Stream;

/// 15 July 2026, 08:00 UTC.
const NOW: Timestamp = Timestamp::from_millis(1_784_102_400_000);

fn facts(agent: &str, events: &[Value]) -> Facts {
    let mut reader = Reader::new(Format::of_agent(agent), Facts::of(agent));
    for event in events {
        reader.feed(Stream::Stdout, format!("{event}\n").as_bytes());
    }
    reader.into_facts()
}

fn verdict(agent: &str, events: &[Value], end: &End) -> Verdict {
    judge(
        &Rules::built_in(),
        &facts(agent, events),
        end,
        NOW,
        Tz::Europe__Berlin,
    )
}

fn limit_result(text: &str) -> Value {
    json!({ "type": "result", "subtype": "success", "is_error": true, "api_error_status": 429,
            "terminal_reason": "api_error", "num_turns": 1, "total_cost_usd": 0, "result": text })
}

fn success(text: &str) -> Value {
    json!({ "type": "result", "subtype": "success", "is_error": false, "num_turns": 3,
            "total_cost_usd": 0.5, "result": text })
}

#[test]
fn a_limit_is_told_from_a_success_by_is_error_and_not_by_its_subtype() {
    let text = "You\u{2019}ve hit your session limit · resets 3:30am (America/New_York)";
    let verdict = verdict("claude", &[limit_result(text)], &End::exited(1));
    assert_eq!(
        (verdict.outcome, verdict.rule.as_str()),
        (Judged::Limit, "claude-limit-text")
    );
    assert_eq!(
        verdict.reset,
        Some(Timestamp::from_millis(1_784_187_000_000))
    );
    assert_eq!(
        (verdict.evidence.as_str(), verdict.scope),
        (text, Scope::Agent)
    );
    assert_eq!(
        verdict.matched,
        [
            "claude-limit-text",
            "claude-429",
            "claude-error",
            "any-throttle",
            "any-error"
        ]
    );
}

#[test]
fn a_successful_answer_that_quotes_every_limit_is_a_success() {
    let text = "You've hit your session limit · resets 9pm. Credit balance is too low. 429";
    let said = json!({ "type": "assistant", "message": { "id": "m", "model": "x", "content": [{ "type": "text", "text": text }] } });
    let verdict = verdict("claude", &[said, success(text)], &End::exited(0));
    assert_eq!(
        (verdict.outcome, verdict.rule.as_str()),
        (Judged::Success, "claude-success")
    );
}

#[test]
fn an_event_that_rejects_only_overage_is_no_limit() {
    let event = json!({ "type": "rate_limit_event", "rate_limit_info": {
        "status": "allowed", "overageStatus": "rejected", "resetsAt": 1_784_109_600 } });
    let throttled = json!({ "type": "result", "subtype": "success", "is_error": true, "api_error_status": 429, "result": "try later" });
    let verdict = verdict("claude", &[event, throttled], &End::exited(1));
    assert_eq!(
        (verdict.outcome, verdict.rule.as_str()),
        (Judged::Transient, "claude-429")
    );
}

#[test]
fn the_latest_of_the_exhausted_windows_counts_and_never_more_than_eight_days() {
    let event = |five: i64, seven: i64| {
        json!({ "type": "rate_limit_event", "rate_limit_info": {
            "status": "rejected", "resetsAt": five, "rateLimitType": "five_hour", "unifiedWindows": {
                "five_hour": { "utilization": 1, "resetsAt": five },
                "seven_day": { "utilization": 1.02, "resetsAt": seven },
                "seven_day_opus": { "utilization": 0.3, "resetsAt": seven + 1000 } } } })
    };
    let limit = limit_result("You've hit your session limit · resets 12pm (UTC)");
    let now = NOW.as_millis() / 1000;
    let near = verdict(
        "claude",
        &[event(now + 60, now + 3600), limit.clone()],
        &End::exited(1),
    );
    assert_eq!(
        (near.rule.as_str(), near.reset.map(Timestamp::as_millis)),
        ("claude-limit-event", Some((now + 3600) * 1000))
    );
    let far = verdict(
        "claude",
        &[event(now + 60, now + 90 * 86_400), limit],
        &End::exited(1),
    );
    assert_eq!(far.outcome, Judged::Limit);
    assert_eq!(
        far.reset.map(Timestamp::as_millis),
        Some((now + 8 * 86_400) * 1000)
    );
}

#[test]
fn a_limit_of_one_model_names_it() {
    let of = |text: &str| verdict("claude", &[limit_result(text)], &End::exited(1)).scope;
    assert_eq!(
        of("You've hit your Opus limit · resets 3am (UTC)"),
        Scope::Model("opus".into())
    );
    assert_eq!(
        of("You've reached your Sonnet 4.5 limit."),
        Scope::Model("sonnet 4.5".into())
    );
    assert_eq!(
        of("You've hit your weekly limit · resets Mon 12:00am (UTC)"),
        Scope::Agent
    );
    let event = json!({ "type": "rate_limit_event", "rate_limit_info": {
        "status": "rejected", "rateLimitType": "seven_day_opus", "resetsAt": 1_784_109_600 } });
    let limit = limit_result("You've hit your limit · resets 3am (UTC)");
    assert_eq!(
        verdict("claude", &[event, limit], &End::exited(1)).scope,
        Scope::Model("opus".into())
    );
}

#[test]
fn a_limit_that_is_over_or_names_no_time_has_no_reset() {
    for text in [
        "Claude AI usage limit reached|1784100000",
        "You've reached your Opus limit.",
    ] {
        let verdict = verdict("claude", &[limit_result(text)], &End::exited(1));
        assert_eq!(
            (verdict.outcome, verdict.reset),
            (Judged::Limit, None),
            "{text}"
        );
    }
}

#[test]
fn a_limit_that_lifts_in_weeks_is_for_a_person_and_says_when() {
    let result = json!({ "type": "result", "subtype": "success", "is_error": true, "api_error_status": 400,
        "result": "API Error: 400 You have reached your specified API usage limits. You will regain access on 2026-08-01 at 00:00 UTC." });
    let verdict = verdict("claude", &[result], &End::exited(1));
    assert_eq!(
        (verdict.outcome, verdict.rule.as_str()),
        (Judged::Billing, "claude-api-spend")
    );
    assert_eq!(
        verdict.reset.map(Timestamp::as_millis),
        Some(1_785_542_400_000)
    );
}

#[test]
fn what_a_dying_process_prints_says_nothing_but_a_success_it_reported_counts() {
    let limit = limit_result("You've hit your session limit · resets 3am (UTC)");
    for (by, outcome) in [
        (Stopped::Cancelled, Judged::Killed),
        (Stopped::Timeout, Judged::Killed),
        (Stopped::IdleTimeout, Judged::Hang),
        (Stopped::TurnCap, Judged::MaxTurns),
        (Stopped::Budget, Judged::Budget),
        // It lingered behind its final event: that event is to be believed.
        (Stopped::Linger, Judged::Limit),
    ] {
        let end = End::exited(143).stopped(by);
        assert_eq!(
            verdict("claude", std::slice::from_ref(&limit), &end).outcome,
            outcome,
            "{by:?}"
        );
        assert_eq!(
            verdict("claude", &[success("done")], &end).outcome,
            Judged::Success,
            "{by:?}"
        );
    }
}

#[test]
fn a_user_turns_a_new_wording_into_a_limit_with_one_rule() {
    let text = limit_result("Your allotment is spent · resets 3am (UTC)");
    let rules = Rules::built_in().with(
        r#"[[rule]]
           id = "allotment"
           agents = ["claude"]
           where = ["result"]
           when = [{ result = ["error"], starts = ["your allotment is spent"] }]
           outcome = "limit"
           reset = ["text"]
           scope = "agent""#,
        Path::new("rules.toml"),
    );
    let facts = facts("claude", &[text]);
    let verdict = judge(&rules.unwrap(), &facts, &End::exited(1), NOW, Tz::UTC);
    assert_eq!(
        (verdict.outcome, verdict.rule.as_str()),
        (Judged::Limit, "allotment")
    );
    assert_eq!(
        verdict.reset.map(Timestamp::as_millis),
        Some(1_784_170_800_000)
    );
}

#[test]
fn without_any_rule_exit_code_0_is_suspect_and_not_a_success() {
    let mut text = String::new();
    for rule in Rules::built_in().iter() {
        text += &format!("[[rule]]\nid = \"{}\"\nenabled = false\n", rule.id);
    }
    let rules = Rules::built_in()
        .with(&text, Path::new("rules.toml"))
        .unwrap();
    let of = |code| {
        judge(
            &rules,
            &Facts::of("claude"),
            &End::exited(code),
            NOW,
            Tz::UTC,
        )
    };
    assert_eq!(
        (of(0).outcome, of(0).rule.as_str()),
        (Judged::Suspect, NO_RULE)
    );
    assert_eq!(of(1).outcome, Judged::Crash);
}

#[test]
fn evidence_is_short_and_cut_between_characters() {
    let text = format!("You've hit your limit {}", "ä".repeat(5_000));
    let verdict = verdict("claude", &[limit_result(&text)], &End::exited(1));
    assert!(verdict.evidence.len() <= MAX_EVIDENCE && verdict.evidence.starts_with("You've hit"));
}

#[test]
fn words_of_the_model_in_a_torn_event_say_nothing() {
    let mut reader = Reader::new(Format::Claude, Facts::of("claude"));
    let torn = r#"{"type":"assistant","message":{"content":[{"type":"text","text":"Not logged in. No conversation found with session ID"#;
    reader.feed(Stream::Stdout, torn.as_bytes());
    let verdict = judge(
        &Rules::built_in(),
        &reader.into_facts(),
        &End::signalled(9),
        NOW,
        Tz::UTC,
    );
    assert_eq!(
        (verdict.outcome, verdict.matched),
        (
            Judged::Crash,
            vec![
                "claude-signal".into(),
                "claude-no-result".into(),
                "any-crash".into()
            ]
        )
    );
}

#[test]
fn a_bracket_among_the_noise_does_not_swallow_the_events_behind_it() {
    let mut reader = Reader::new(Format::Claude, Facts::of("claude"));
    reader.feed(
        Stream::Stdout,
        format!("{{\n noise\n{}\n", success("done")).as_bytes(),
    );
    assert!(reader.facts().finished);
}
