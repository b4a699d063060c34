//! An agent that asks: its job waits without a slot, and its session goes on with the answer.

use support::{TestEnv, test_env};

use crate::scene::{calls, with_agent};

/// Ends as Claude Code does whose tool for questions was denied.
const ASKS: &str = r#"asks() {
    init
    echo "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"num_turns\":1,\"result\":\"I have to ask.\",\"session_id\":\"$s\",\"total_cost_usd\":0.25,\"permission_denials\":[{\"tool_name\":\"AskUserQuestion\",\"tool_input\":{\"questions\":[{\"question\":\"Which database?\",\"options\":[{\"label\":\"sqlite\"},{\"label\":\"postgres\"}]}]}}]}"
}
"#;

fn asking(lines: &str) -> TestEnv {
    with_agent(test_env!(), "claude", &format!("{ASKS}{lines}"))
}

const ASK: [&str; 4] = ["--agent", "claude", "--prompt", "mend the login"];

#[test]
fn an_agent_that_asks_is_parked_and_goes_on_with_the_answer_in_its_session() {
    let env = asking("[ $n -gt 1 ] || { asks; exit; }; ok");
    let job = env.enqueue(&ASK);
    env.drain();
    let shown = env.show(job);
    assert_eq!(
        (&shown["state"], &shown["wait_reason"], &shown["attempt"]),
        (&"blocked".into(), &"answer".into(), &0.into()),
        "{shown:#}"
    );
    assert_eq!(shown["attempts"][0]["class"], "needs_input");
    assert_eq!(shown["attempts"][0]["rule"], "claude-question");
    let asked = &shown["questions"][0];
    assert_eq!(asked["question"], "Which database?");
    assert_eq!(asked["choices"], serde_json::json!(["sqlite", "postgres"]));
    env.qcli(&["why"])
        .ok()
        .prints("Which database?")
        .prints("qcli answer 1 sqlite");
    env.qcli(&["list"]).ok().prints("asks: Which database?");
    env.qcli(&["answer", "1", "postgres"]).ok();
    env.drain();
    let calls = calls(&env);
    let session = calls[0].value("--session-id").unwrap();
    assert_eq!(calls[1].value("--resume"), Some(session));
    let told = &calls[1].input;
    assert!(
        told.contains("Which database?\n\nThe answer is:\n\npostgres"),
        "{told}"
    );
    assert!(
        !told.contains("mend the login"),
        "the session has it: {told}"
    );
    let shown = env.show(job);
    assert_eq!(
        (&shown["state"], &shown["attempt"]),
        (&"completed".into(), &1.into()),
        "{shown:#}"
    );
    assert_eq!(shown["attempts"][1]["rung"], "resume");
    assert_eq!(shown["questions"][0]["answer"], "postgres");
}

#[test]
fn a_session_that_is_gone_leaves_the_answer_to_a_new_one_with_the_task() {
    let env = asking(
        "case $n in 1) asks; exit;; 2) echo \"No conversation found with session ID: $s\" >&2; exit 1;; esac; ok",
    );
    let job = env.enqueue(&ASK);
    env.drain();
    env.qcli(&["answer", "1", "postgres"]).ok();
    env.qcli(&["work", "--drain=all"]).ok();
    let calls = calls(&env);
    assert!(calls[2].value("--session-id").is_some(), "{calls:?}");
    let told = &calls[2].input;
    assert!(
        told.starts_with("mend the login")
            && told.contains("Which database?\n\nThe answer is:\n\npostgres"),
        "{told}"
    );
    assert_eq!(env.state(job), "completed");
}

#[test]
fn an_answer_is_told_again_when_a_limit_met_the_attempt_that_was_to_have_it() {
    let until = "$(($(date +%s) - 60))";
    let env = asking(&format!(
        "case $n in 1) asks; exit;; 2) limit {until};; esac; ok"
    ));
    let job = env.enqueue(&ASK);
    env.drain();
    env.qcli(&["answer", "1", "postgres"]).ok();
    env.drain();
    env.qcli(&["gate", "open", "claude"]).ok();
    env.drain();
    let calls = calls(&env);
    let told = &calls[2].input;
    assert!(
        told.contains("You were interrupted (limit)") && told.contains("postgres"),
        "{told}"
    );
    assert_eq!(env.state(job), "completed");
}

#[test]
fn an_agent_asks_by_qcli_as_any_job_does_and_a_person_may_answer_at_once() {
    let env = test_env!();
    let qcli = env
        .command(&[])
        .get_program()
        .to_string_lossy()
        .into_owned();
    let lines = format!(
        "[ $n -gt 1 ] || {{ '{qcli}' ask 'Which database?'; '{qcli}' answer $QUEUE_JOB_ID postgres; }}; ok"
    );
    let env = with_agent(env, "claude", &lines);
    let job = env.enqueue(&ASK);
    env.drain();
    let calls = calls(&env);
    assert_eq!(calls.len(), 2, "told once, and by its next attempt");
    assert_eq!(calls[1].value("--resume"), calls[0].value("--session-id"));
    assert!(calls[1].input.contains("postgres"), "{}", calls[1].input);
    assert!(
        !calls[1].env.contains("QUEUE_ANSWER"),
        "it has it in its session"
    );
    assert_eq!(env.show(job)["attempt"], 1);
}

#[test]
fn an_agent_is_answered_by_default_or_fails_where_it_was_enqueued_so() {
    let env = asking("[ $n -gt 1 ] || { asks; exit; }; ok");
    let job = env.enqueue(&[&ASK[..], &["--on-question", "default:sqlite"]].concat());
    env.drain();
    let shown = env.show(job);
    assert_eq!(
        (&shown["state"], &shown["attempt"]),
        (&"completed".into(), &2.into()),
        "that costs an attempt: {shown:#}"
    );
    assert!(calls(&env)[1].input.contains("sqlite"));
    assert_eq!(shown["questions"][0]["answered_by"], "default");
    let env = asking("asks");
    let job = env.enqueue(&[&ASK[..], &["--on-question", "fail"]].concat());
    env.drain();
    let shown = env.show(job);
    assert_eq!(
        (&shown["class"], &shown["message"]),
        (&"needs_input".into(), &"asked: Which database?".into())
    );
    env.qcli(&["explain"]).ok().prints("claude-question");
}

#[test]
fn a_plain_command_line_of_an_agent_cannot_be_told_and_counts_as_done() {
    let env = asking("asks");
    let job = env.enqueue(&["--", "claude", "-p", "--output-format", "stream-json", "x"]);
    env.drain();
    let shown = env.show(job);
    assert_eq!(shown["state"], "completed", "{shown:#}");
    assert_eq!(shown["message"], "suspect: it asked: Which database?");
}
