//! What people see of an agent's output: words, not events.

use crate::scene::with_agent;
use support::test_env;

#[test]
fn a_person_reads_what_an_agent_said_and_the_log_keeps_the_events() {
    let lines = r#"echo '{"type":"assistant","message":{"content":[{"type":"text","text":"I \u001b[2Jlook."},{"type":"tool_use","name":"Bash","input":{"command":"npm test"}}]}}'; ok"#;
    let env = with_agent(test_env!(), "claude", lines);
    let job = env
        .enqueue(&["--agent", "claude", "--prompt", "x"])
        .to_string();
    env.drain();
    let shown = env.qcli(&["show", &job]).ok();
    let (_, last) = shown
        .stdout
        .split_once("Last lines of attempt 1\n")
        .unwrap();
    assert!(last.contains("look.\n> Bash npm test\n"), "{last}");
    assert!(
        !last.contains("\"type\"") && !last.contains('\x1b'),
        "{last:?}"
    );
    let said = env.qcli(&["logs", "--said", &job]).ok();
    assert!(said.stdout.contains("\n> Bash npm test\n"), "{said:?}");
    let written = env.qcli(&["logs", &job]).ok();
    assert!(written.stdout.starts_with("{\"type\""), "{written:?}");
}
