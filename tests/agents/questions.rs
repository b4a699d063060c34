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
