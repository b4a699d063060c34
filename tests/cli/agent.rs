//! `qcli agent`: saved output is judged.

use serde_json::json;

const INIT: &str = r#"{"type":"system","subtype":"init","session_id":"5d0c","model":"claude-opus-4","claude_code_version":"2.1.240"}"#;
const LIMIT: &str = r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"num_turns":1,"total_cost_usd":0,"result":"You've hit your Opus limit · resets 3:30am (America/New_York)"}"#;

#[test]
fn saved_output_is_judged_and_says_by_which_words() {
    let env = support::test_env!().with("TZ", "Europe/Berlin");
    let file = env.file("saved.jsonl", format!("{INIT}\nnoise\n{LIMIT}"));
    let file = file.to_str().expect("the path is text");
    let at = ["--at", "2026-07-15T08:00:00Z"];
    let shown = env.qcli(&[&["agent", "classify", file, "--exit-code", "1"], &at[..]].concat());
    shown
        .ok()
        .prints("claude-limit-text")
        .prints("resets 3:30am (America/New_York)")
        .prints("2026-07-16T07:30:00.000Z")
        .prints("all that use opus on the same account of claude")
        .prints("claude 2.1.240")
        .prints("1 line");
    let answer = env.json(&[&["agent", "classify", file, "--exit-code", "1"], &at[..]].concat());
    assert_eq!(answer["outcome"], "limit");
    assert_eq!(answer["reset_at"], "2026-07-16T07:30:00.000Z");
    assert_eq!(
        (&answer["scope"], &answer["model"]),
        (&json!("model"), &json!("opus"))
    );
    assert_eq!(answer["facts"]["session_id"], "5d0c");
}

#[test]
fn the_log_of_a_job_is_judged_as_on_the_day_it_was_written() {
    let env = support::test_env!();
    env.enqueue(&[
        "--max-attempts",
        "1",
        "--shell",
        &format!("cat <<'EOF'\n{INIT}\n{LIMIT}\nEOF\nexit 1"),
    ]);
    env.drain();
    let job = env.show(1);
    let log = job["log"].as_str().expect("the attempt has a log");
    let answer = env.json(&["agent", "classify", log, "--exit-code", "1"]);
    assert_eq!(
        (&answer["outcome"], &answer["rule"]),
        (&json!("limit"), &json!("claude-limit-text"))
    );
    assert!(answer["reset_at"].is_string(), "{answer}");
}

#[test]
fn a_users_rules_are_laid_over_the_built_in_ones_and_mistakes_in_them_are_named() {
    let env = support::test_env!();
    let rule = "[[rule]]\nid = \"mine\"\nagents = [\"claude\"]\nwhere = [\"result\"]\n\
                when = [{ contains = [\"opus limit\"] }]\noutcome = \"billing\"\n";
    let rules = env.root().join("home/config/qcli/rules.toml");
    std::fs::create_dir_all(rules.parent().expect("it has a folder"))
        .expect("the folder can be made");
    std::fs::write(&rules, rule).expect("the file can be written");
    let judged = env.qcli_with_input(&["agent", "classify", "-", "--json"], LIMIT);
    judged.ok().prints("\"rule\":\"mine\"");
    std::fs::write(&rules, rule.replace("billing", "poverty")).expect("the file can be written");
    env.qcli_with_input(&["agent", "classify", "-"], LIMIT)
        .exits(2)
        .says("rules.toml, rule `mine`")
        .says("unknown variant `poverty`");
}

#[test]
fn what_cannot_be_judged_says_what_to_type() {
    let env = support::test_env!();
    env.qcli_with_input(&["agent", "classify", "-"], "hello\n")
        .exits(2)
        .says("cannot tell which agent wrote standard input")
        .says("--agent NAME");
    env.qcli(&["agent", "classify", "nothing-there"])
        .exits(2)
        .says("nothing-there");
    env.qcli(&["agent", "classify", "-", "--agent", "cluade"])
        .exits(2)
        .says("known are: claude");
}
