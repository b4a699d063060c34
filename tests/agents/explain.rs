//! `qcli explain`: why an attempt was judged as it was, and what follows.

use serde_json::json;
use support::{test_env, wait_until};

use crate::scene::with_agent;

#[test]
fn a_limit_is_explained_by_its_rule_and_the_gate_that_is_waited_for() {
    let env = with_agent(test_env!(), "claude", "limit $(($(date +%s) + 7200))");
    let job = env.enqueue(&["--agent", "claude", "--prompt", "x"]);
    let id = job.to_string();
    env.qcli(&["explain", &id]).exits(4).says("qcli why 1");
    let worker = env.spawn_worker(&[]);
    wait_until("the limit is met", || {
        env.show(job)["attempts"][0]["class"] == "limit"
    });
    let attempt = &env.show(job)["attempts"][0];
    let told = env.json(&["explain", &id]);
    for field in ["rule", "evidence", "session_id", "rung", "class", "log"] {
        assert!(told[field].is_string(), "{field} in {told:#}");
        assert_eq!(told[field], attempt[field], "{field} in {told:#}");
    }
    assert_eq!(told["rule_outcome"], "limit", "{told:#}");
    assert!(!told["rule_note"].as_str().unwrap().is_empty(), "{told:#}");
    assert_eq!(told["cli_version"], "2.1.300");
    let next = &told["next"][0];
    let text = next["text"].as_str().unwrap();
    assert!(
        text.starts_with("It waits for gate `claude` until 2"),
        "{text}"
    );
    assert_eq!(next["remedies"][0], "qcli gate open claude");
    let session = told["session_id"].as_str().unwrap();
    let begins = json!([{"by": "claude", "rung": "resume", "session_id": session}]);
    assert_eq!(told["next_begins"], begins);
    let words = format!("The next attempt of claude goes on with session {session} (resume).");
    assert_eq!(told["next"][1]["text"], words);
    // Programs get exact times, on a terminal too.
    let on_terminal = env.on_terminal(200, &["explain", &id, "--json"]);
    let on_terminal: serde_json::Value = serde_json::from_str(&on_terminal).unwrap();
    assert_eq!(on_terminal["next"], told["next"]);
    let page = env.qcli(&["explain", &id]).ok();
    let rule = told["rule"].as_str().unwrap();
    let note = told["rule_note"].as_str().unwrap();
    page.prints(&format!("{rule}: {note}"))
        .prints("claude 2.1.300, model opus")
        .prints("`qcli gate open claude`");
    drop(worker);
}

#[test]
fn each_attempt_can_be_explained_and_names_the_one_after_it() {
    let env = with_agent(test_env!(), "claude", "[ $n -gt 1 ] || exit 1; ok");
    let ask = ["--agent", "claude", "--prompt", "x", "--backoff", "none"];
    env.enqueue(&ask);
    env.qcli(&["work", "--drain=all"]).ok();
    let first = env.json(&["explain", "@", "--attempt", "1"]);
    assert_eq!(
        (&first["class"], &first["exit_code"], &first["rung"]),
        (&"crash".into(), &1.into(), &"cold".into())
    );
    assert_eq!(first["next"][0]["text"], "Attempt 2 followed: completed.");
    let last = env.json(&["explain"]);
    assert_eq!(
        (&last["attempt"], &last["rule_outcome"], &last["rung"]),
        (&2.into(), &"success".into(), &"resume".into())
    );
    assert_eq!(last["next"][0]["text"], "The job is done.");
    env.qcli(&["explain", "@", "--attempt", "7"])
        .exits(3)
        .says("job 1 has no attempt 7");
}

#[test]
fn a_rule_that_is_gone_is_still_named() {
    let env = with_agent(test_env!(), "claude", "init");
    let config = env.root().join("home/config/qcli");
    std::fs::create_dir_all(&config).unwrap();
    let ask = ["--agent", "claude", "--prompt", "x", "--max-attempts", "1"];
    env.enqueue(&ask);
    env.drain();
    let before = env.json(&["explain"]);
    let rule = before["rule"].as_str().unwrap();
    let text = format!("[[rule]]\nid = \"{rule}\"\nenabled = false\n");
    std::fs::write(config.join("rules.toml"), text).unwrap();
    let told = env.json(&["explain"]);
    assert_eq!(told["rule"], before["rule"]);
    assert!(told["rule_note"].is_null(), "{told:#}");
    assert_eq!(
        told["next"][0]["text"],
        "The job failed: 1 of 1 attempts are used up."
    );
    env.qcli(&["explain"])
        .ok()
        .prints("which is no rule any more");
}

#[test]
fn a_plain_command_is_explained_by_its_class() {
    let env = test_env!();
    env.enqueue(&["--max-attempts", "1", "--shell", "exit 3"]);
    env.drain();
    env.qcli(&["explain"])
        .ok()
        .prints("exit code 3: The program ended with a code other than 0.")
        .prints("`qcli requeue 1`");
    let told = env.json(&["explain"]);
    assert!(
        told["rule"].is_null() && told["agent"].is_null(),
        "{told:#}"
    );
}

/// Ends as Claude Code does whose conversation is full.
const FULL: &str = r#"full() {
    init
    echo "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"terminal_reason\":\"prompt_too_long\",\"api_error_status\":400,\"num_turns\":1,\"total_cost_usd\":0,\"result\":\"Prompt is too long\",\"session_id\":\"$s\"}"
    exit 1
}
"#;

#[test]
fn what_is_explained_of_the_next_attempt_is_how_it_begins() {
    let lines = format!("{FULL}case $n in 1) exit 1;; 2) full;; esac; ok");
    let env = with_agent(test_env!(), "claude", &lines);
    let job = env.enqueue(&[
        "--agent",
        "claude",
        "--prompt",
        "x",
        "--backoff",
        "fixed:1h",
    ]);
    let mut told = Vec::new();
    for _ in 0..2 {
        env.drain();
        told.push(env.json(&["explain"])["next_begins"][0]["rung"].clone());
        env.qcli(&["release", "1"]).ok();
    }
    env.drain();
    let attempts = env.show(job)["attempts"].clone();
    assert_eq!(
        told,
        [attempts[1]["rung"].clone(), attempts[2]["rung"].clone()]
    );
    assert_eq!(told, ["resume", "fresh"]);
    assert_eq!(env.json(&["explain"])["next_begins"], json!([]));
}
