//! Every scenario, one test each: the double is started, its log read and judged.
//!
//! A4: the exit code of an agent says little, and words that a model writes say nothing.

use crate::stage;

macro_rules! rows {
    ($($test:ident => $name:literal,)+) => {
        $(#[test] fn $test() { stage::play($name); })+

        #[test]
        fn every_scenario_has_a_test() {
            assert_eq!(stage::scenarios(), [$($name),+]);
        }
    };
}

rows! {
    agy_canceled => "agy-canceled",
    agy_denied => "agy-denied",
    agy_empty => "agy-empty",
    agy_linger => "agy-linger",
    agy_ok => "agy-ok",
    aider_ok => "aider-ok",
    aider_prose => "aider-prose",
    aider_ratelimit0 => "aider-ratelimit0",
    claude_400_spend => "claude-400-spend",
    claude_400_spend_month => "claude-400-spend-month",
    claude_429_bare => "claude-429-bare",
    claude_529 => "claude-529",
    claude_auth => "claude-auth",
    claude_auth_stderr => "claude-auth-stderr",
    claude_bad_flag => "claude-bad-flag",
    claude_blocking_limit => "claude-blocking-limit",
    claude_budget => "claude-budget",
    claude_context_full => "claude-context-full",
    claude_crash => "claude-crash",
    claude_crash_exit0 => "claude-crash-exit0",
    claude_credits => "claude-credits",
    claude_deferred => "claude-deferred",
    claude_denied => "claude-denied",
    claude_denied_silent => "claude-denied-silent",
    claude_empty => "claude-empty",
    claude_execution_error => "claude-execution-error",
    claude_exit_disagrees => "claude-exit-disagrees",
    claude_gateway_spend => "claude-gateway-spend",
    claude_in_use => "claude-in-use",
    claude_json => "claude-json",
    claude_json_pretty => "claude-json-pretty",
    claude_limit_mid_commit => "claude-limit-mid-commit",
    claude_limit_mid_work => "claude-limit-mid-work",
    claude_limit_model => "claude-limit-model",
    claude_limit_stale => "claude-limit-stale",
    claude_limit_text_curly => "claude-limit-text-curly",
    claude_limit_text_date => "claude-limit-text-date",
    claude_limit_text_epoch => "claude-limit-text-epoch",
    claude_limit_text_extra => "claude-limit-text-extra",
    claude_limit_text_only => "claude-limit-text-only",
    claude_limit_text_rendered => "claude-limit-text-rendered",
    claude_limit_text_session => "claude-limit-text-session",
    claude_limit_text_u2219 => "claude-limit-text-u2219",
    claude_limit_text_weekday => "claude-limit-text-weekday",
    claude_limit_twice => "claude-limit-twice",
    claude_limit_unknown => "claude-limit-unknown",
    claude_max_turns => "claude-max-turns",
    claude_max_turns_leak => "claude-max-turns-leak",
    claude_monthly_spend => "claude-monthly-spend",
    claude_nested => "claude-nested",
    claude_no_session => "claude-no-session",
    claude_noise => "claude-noise",
    claude_ok => "claude-ok",
    claude_overage_noise => "claude-overage-noise",
    claude_prefix_crlf => "claude-prefix-crlf",
    claude_prose => "claude-prose",
    claude_prose_final => "claude-prose-final",
    claude_question => "claude-question",
    claude_refusal => "claude-refusal",
    claude_schema_fail => "claude-schema-fail",
    claude_seat => "claude-seat",
    claude_session_limit => "claude-session-limit",
    claude_shared_limit => "claude-shared-limit",
    claude_sigint => "claude-sigint",
    claude_sigterm => "claude-sigterm",
    claude_stopped_after_success => "claude-stopped-after-success",
    claude_stubborn => "claude-stubborn",
    claude_text_limit => "claude-text-limit",
    claude_text_prose => "claude-text-prose",
    claude_throttle => "claude-throttle",
    claude_throttle_capacity => "claude-throttle-capacity",
    claude_usage_credits => "claude-usage-credits",
    claude_wrapup => "claude-wrapup",
    codex_401 => "codex-401",
    codex_429 => "codex-429",
    codex_503 => "codex-503",
    codex_budget => "codex-budget",
    codex_capacity => "codex-capacity",
    codex_context => "codex-context",
    codex_credits => "codex-credits",
    codex_limit_clock => "codex-limit-clock",
    codex_limit_date => "codex-limit-date",
    codex_limit_duration => "codex-limit-duration",
    codex_limit_later => "codex-limit-later",
    codex_limit_model => "codex-limit-model",
    codex_ok => "codex-ok",
    codex_policy => "codex-policy",
    codex_quota => "codex-quota",
    codex_reconnect => "codex-reconnect",
    codex_rollout => "codex-rollout",
    codex_silent => "codex-silent",
    codex_spend_cap => "codex-spend-cap",
    codex_stdin => "codex-stdin",
    codex_toolfail => "codex-toolfail",
    codex_upgrade => "codex-upgrade",
    cursor_linger => "cursor-linger",
    cursor_monthly => "cursor-monthly",
    cursor_monthly_soon => "cursor-monthly-soon",
    cursor_ok => "cursor-ok",
    cursor_prefix => "cursor-prefix",
    env_echo => "env-echo",
    gemini_173 => "gemini-173",
    gemini_41 => "gemini-41",
    gemini_42 => "gemini-42",
    gemini_53 => "gemini-53",
    gemini_55 => "gemini-55",
    gemini_capacity => "gemini-capacity",
    gemini_credits => "gemini-credits",
    gemini_json => "gemini-json",
    gemini_ok => "gemini-ok",
    gemini_quota => "gemini-quota",
    gemini_quota_stderr => "gemini-quota-stderr",
    gemini_short_quota => "gemini-short-quota",
    goose_error_complete => "goose-error-complete",
    goose_ok => "goose-ok",
    hang_silent => "hang-silent",
    lost_lease => "lost-lease",
    opencode_empty => "opencode-empty",
    opencode_err0 => "opencode-err0",
    opencode_err0_overloaded => "opencode-err0-overloaded",
    opencode_hang_quota => "opencode-hang-quota",
    opencode_limit => "opencode-limit",
    opencode_linger => "opencode-linger",
    opencode_missing => "opencode-missing",
    opencode_ok => "opencode-ok",
    opencode_recovered_exit1 => "opencode-recovered-exit1",
    opencode_silent => "opencode-silent",
    quiet_but_busy => "quiet-but-busy",
    quiet_but_working => "quiet-but-working",
    qwen_array => "qwen-array",
    qwen_error => "qwen-error",
    qwen_no_session => "qwen-no-session",
    qwen_object => "qwen-object",
    tree_child => "tree-child",
    tree_holder => "tree-holder",
    two_writers => "two-writers",
}

/// The whole way: enqueued, run by a worker under its shim, read from its log. Not even a grandchild
/// in a session of its own is left.
#[test]
fn a_worker_leaves_no_grandchild_of_an_agent_and_its_log_is_judged() {
    let env = support::test_env!();
    let agents = support::fake_agents!(env.root().join("agents"));
    let scenario = r#"
        [[run]]
        steps = [
            { spawn = { kind = "quiet", seconds = 600, pid = "near" } },
            { spawn = { kind = "setsid", seconds = 600, pid = "far" } },
            { cost = 0.5 },
            { print = '{"type":"result","subtype":"success","is_error":false,"result":"done","total_cost_usd":${cost}}' },
        ]"#;
    let program = agents.act_out("claude", scenario);
    let program = program.to_str().expect("the path is text");
    env.enqueue(&["--", program, "-p", "do it"]);
    env.drain();
    assert_eq!(env.state(1), "completed");
    for name in ["near", "far"] {
        let pid = std::fs::read_to_string(agents.state(name)).expect("it was started");
        support::wait_until("the grandchild is gone", || !stage::is_alive(&pid));
    }
    assert_eq!(agents.starts()[0]["env"]["QUEUE_JOB_ID"], "1");
    let log = env.show(1)["log"]
        .as_str()
        .expect("there is a log")
        .to_owned();
    let verdict = env.json(&["agent", "classify", &log]);
    assert_eq!(
        (&verdict["rule"], &verdict["facts"]["cost_usd"]),
        (&"claude-success".into(), &0.5.into())
    );
}
