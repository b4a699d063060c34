//! `--check`, `--expect` and `--on-suspect`: how they are said, shown, changed and refused.

use serde_json::{Value, json};
use support::{TestEnv, test_env};

fn refused(env: &TestEnv, args: &[&str], words: &str) {
    let answer = env.qcli(&[&["enqueue"], args].concat()).exits(2);
    assert!(answer.stderr.contains(words), "{answer:?}");
}

fn terms(env: &TestEnv, job: i64) -> Value {
    env.show(job)["options"]["proof"].clone()
}

#[test]
fn what_could_never_be_met_or_says_nothing_is_refused() {
    let env = test_env!();
    let run = ["--", "true"];
    for (args, words) in [
        (&["--expect", "commits"][..], "known are commit, diff"),
        (&["--expect", "file:"], "file:GLOB"),
        (&["--expect", "diff"], "needs a git repository"),
        (&["--check", " "], "checks nothing"),
        (&["--check-timeout", "5m"], "without --check"),
        (&["--on-suspect", "fail"], "without an agent"),
        (&["--on-suspect", "maybe"], "maybe"),
    ] {
        refused(&env, &[args, &run].concat(), words);
    }
    let ask = ["--agent", "claude", "--prompt", "x"];
    let words = "nothing to check by";
    refused(
        &env,
        &[&ask[..], &["--on-suspect", "check"]].concat(),
        words,
    );
    let line = r#"{"argv": ["true"], "expect": "clean"}"#;
    env.file("jobs.jsonl", line);
    refused(
        &env,
        &["--from-file", "jobs.jsonl"],
        "needs a git repository",
    );
    assert_eq!(env.json(&["list"]), json!([]));
}

#[test]
fn options_and_the_fields_of_a_line_say_the_same() {
    let env = test_env!();
    let said = [
        "--check",
        "make test",
        "--check",
        "make lint",
        "--check-timeout",
        "5m",
        "--expect",
        "file:*.md",
    ];
    let first = env.enqueue(&[&said[..], &["--", "true"]].concat());
    env.file(
        "jobs.jsonl",
        "{\"argv\": [\"true\"], \"check\": [\"make test\", \"make lint\"], \"check_timeout\": \"5m\", \"expect\": \"file:*.md\"}\n\
         {\"argv\": [\"true\"], \"check\": \"make lint\"}\n",
    );
    env.qcli(&[
        "enqueue",
        "--from-file",
        "jobs.jsonl",
        "--expect",
        "json:a.json",
    ])
    .ok();
    let both = json!({
        "checks": ["make test", "make lint"],
        "check_timeout_ms": 300_000,
        "expect": ["file:*.md"],
    });
    assert_eq!(terms(&env, first), both);
    assert_eq!(terms(&env, first + 1), both);
    let over = json!({"checks": ["make lint"], "expect": ["json:a.json"]});
    assert_eq!(terms(&env, first + 2), over);
    let page = env.qcli(&["show", &first.to_string()]).ok();
    let page = page.prints("make lint");
    page.prints("file:*.md");
}

#[test]
fn an_edit_takes_the_place_of_what_was_said_and_takes_it_away() {
    let env = test_env!();
    let job = env.enqueue(&[
        "--check", "a", "--check", "b", "--expect", "file:x", "--", "true",
    ]);
    let id = job.to_string();
    env.qcli(&["edit", &id, "--check", "c"]).ok();
    assert_eq!(
        terms(&env, job),
        json!({"checks": ["c"], "expect": ["file:x"]})
    );
    env.qcli(&["edit", &id, "--no-checks", "--no-expect"]).ok();
    assert_eq!(terms(&env, job), Value::Null);
    let answer = env.qcli(&["edit", &id, "--expect", "commit"]).exits(2);
    assert!(
        answer.stderr.contains("needs a git repository"),
        "{answer:?}"
    );
}

#[test]
fn what_was_asked_and_found_goes_along_to_another_store() {
    let env = test_env!();
    let job = env.enqueue(&[
        "--max-attempts",
        "1",
        "--check",
        "echo no; false",
        "--",
        "true",
    ]);
    env.drain();
    let told = env.qcli(&["export"]).ok().stdout;
    env.file("jobs.jsonl", told);
    env.qcli(&["--db", "other.db", "import", "jobs.jsonl"]).ok();
    let shown = env.json(&["--db", "other.db", "show", &job.to_string()]);
    let before = env.show(job);
    assert_eq!(shown["options"]["proof"], before["options"]["proof"]);
    assert_eq!(
        shown["attempts"][0]["proof"],
        before["attempts"][0]["proof"]
    );
    assert_eq!(
        before["attempts"][0]["proof"]["checks"][0]["output"],
        "no\n"
    );
    env.qcli(&[
        "run",
        "--max-attempts",
        "1",
        "--check",
        "false",
        "--",
        "true",
    ])
    .exits(1);
}
