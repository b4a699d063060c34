//! Agents whose worker and shim are killed: what they said last is read before the attempt is judged.

use support::{TestEnv, test_env, wait_until};

use crate::scene::{calls, with_agent};

/// Says the last lines once its worker is dead, and lives on.
fn says_when_nobody_reads(name: &str, last: &str) -> TestEnv {
    let lines = format!(
        "[ $n -gt 1 ] || {{ while [ ! -e go ]; do sleep 0.05; done; {last}; touch said; exec sleep 600; }}; ok"
    );
    with_agent(test_env!(), name, &lines)
}

/// Kills the worker, lets the agent say its last, kills the shim, and has another worker find it.
fn die(env: &TestEnv, job: i64) -> support::Running {
    let mut first = env.spawn_worker(&["--name", "first"]);
    wait_until("it runs", || calls(env).len() == 1);
    first.kill();
    env.file("go", "");
    wait_until("it has spoken", || env.work().join("said").exists());
    let log = format!("queue.db-logs/{job}-1.log");
    let log = env.db().with_file_name(log);
    wait_until("its log has it", || {
        std::fs::read_to_string(&log).is_ok_and(|log| log.contains('{'))
    });
    env.kill_shims();
    env.spawn_worker(&["--name", "second"])
}

fn ask(agent: &str) -> [&str; 6] {
    ["--agent", agent, "--prompt", "x", "--backoff", "none"]
}

#[test]
fn a_session_that_was_named_when_nobody_read_is_gone_on_with() {
    let said = "echo '{\"type\":\"thread.started\",\"thread_id\":\"t-1\"}'";
    let env = says_when_nobody_reads("codex", said);
    let job = env.enqueue(&ask("codex"));
    let _second = die(&env, job);
    wait_until("it is tried again", || {
        !env.show(job)["attempts"][1]["ended_at"].is_null()
    });
    let args = &calls(&env)[1].args;
    assert!(args.contains(&"t-1".to_owned()), "{args:?}");
    let attempts = env.show(job)["attempts"].clone();
    assert_eq!(
        (&attempts[0]["class"], &attempts[0]["session_id"]),
        (&"worker_died".into(), &"t-1".into()),
        "{attempts:#}"
    );
    assert_eq!(attempts[1]["rung"], "resume");
}

#[test]
fn a_limit_that_was_met_when_nobody_read_closes_the_gate() {
    let env = says_when_nobody_reads("claude", "( limit $(($(date +%s) + 7200)) )");
    let job = env.enqueue(&ask("claude"));
    let _second = die(&env, job);
    wait_until("the limit is known", || {
        env.show(job)["attempts"][0]["class"] == "limit"
    });
    let shown = env.show(job);
    assert_eq!(
        (&shown["attempt"], &shown["stalls"]),
        (&0.into(), &0.into()),
        "{shown:#}"
    );
    assert_eq!(env.json(&["gate", "list"])["gates"][0]["state"], "closed");
}

#[test]
fn an_agent_that_was_done_when_nobody_read_is_not_started_again() {
    let env = says_when_nobody_reads("claude", "ok");
    let job = env.enqueue(&ask("claude"));
    let _second = die(&env, job);
    env.qcli(&["wait", "1"]).ok();
    let shown = env.show(job);
    assert_eq!(shown["attempts"][0]["cost_usd"], 0.25, "{shown:#}");
    assert_eq!(shown["attempts"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_success_that_has_to_be_proven_is_not_taken_from_words_alone() {
    let env = says_when_nobody_reads("claude", "ok");
    let job = env.enqueue(&[&ask("claude")[..], &["--check", "true"]].concat());
    let _second = die(&env, job);
    env.qcli(&["wait", "1"]).ok();
    let attempts = env.show(job)["attempts"].clone();
    assert_eq!(attempts[0]["class"], "worker_died", "{attempts:#}");
    assert_eq!(attempts[0]["cost_usd"], 0.25, "what it cost is booked");
    assert_eq!(attempts[1]["rung"], "resume");
}
