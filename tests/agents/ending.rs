//! Agents that end otherwise than they should.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use support::{fake_agents, fixture, test_env, wait_until};

use crate::scene::{calls, with_agent};

#[test]
fn an_agent_that_stays_after_it_said_that_it_is_done_is_ended_and_counts_as_done() {
    // P10
    let env = with_agent(test_env!(), "claude", "ok; sleep 600");
    let config = env.root().join("home/config/qcli");
    fs::create_dir_all(&config).unwrap();
    let text = "[agents.claude]\nlinger = '100ms'\n";
    fs::write(config.join("agents.toml"), text).unwrap();
    let job = env.enqueue(&["--agent", "claude", "--prompt", "x"]);
    env.drain();
    let shown = env.show(job);
    assert_eq!(shown["state"], "completed", "{shown:#}");
    assert_eq!(shown["attempts"][0]["cost_usd"], 0.25);
}

#[test]
fn an_exit_code_of_0_without_a_last_word_is_no_success_and_1_after_success_is_judged_by_the_words()
{
    // A4
    let lines = "[ $n -gt 1 ] || { init; exit 0; }; ok; exit 1";
    let env = with_agent(test_env!(), "claude", lines);
    let ask = ["--agent", "claude", "--prompt", "x", "--max-attempts", "1"];
    let silent = env.enqueue(&ask);
    env.drain();
    let shown = env.show(silent);
    assert_eq!(
        (&shown["state"], &shown["class"], &shown["exit_code"]),
        (&"failed".into(), &"crash".into(), &0.into())
    );
    assert_eq!(shown["attempts"][0]["rule"], "claude-no-result");
    let done = env.enqueue(&ask);
    env.drain();
    let shown = env.show(done);
    assert_eq!(
        (&shown["state"], &shown["class"], &shown["exit_code"]),
        (&"completed".into(), &Value::Null, &1.into())
    );
    // Done, as it says; but the code that disagrees is not kept quiet.
    let attempt = &shown["attempts"][0];
    assert_eq!(attempt["rule"], "claude-suspect", "{attempt:#}");
    let message = attempt["message"].as_str().unwrap();
    assert!(message.starts_with("suspect: "), "{message}");
    let told = env.json(&["explain"]);
    assert_eq!(
        told["next"][0]["remedies"][1],
        format!("qcli requeue {done}")
    );
}

#[test]
fn an_adopter_reads_on_where_the_killed_worker_stopped_and_counts_once() {
    let lines = "ok | head -n 2; while [ ! -e go ]; do sleep 0.05; done; ok | tail -n 1";
    let env = with_agent(test_env!(), "claude", lines);
    let job = env.enqueue(&["--agent", "claude", "--prompt", "x"]);
    let worker = env.spawn_worker(&[]);
    wait_until("the first answer is told", || {
        env.show(job)["attempts"][0]["agent"]["turns"] == 1
    });
    worker.signal(rustix::process::Signal::KILL);
    drop(worker);
    let worker = env.spawn_worker(&[]);
    env.file("go", "");
    wait_until("it ended", || env.state(job) == "completed");
    drop(worker);
    let shown = env.show(job);
    let attempt = &shown["attempts"][0];
    assert_eq!(shown["attempts"].as_array().unwrap().len(), 1, "{shown:#}");
    assert_eq!(
        (&attempt["agent"]["turns"], &attempt["cost_usd"]),
        (&1.into(), &0.25.into())
    );
    assert_eq!(attempt["agent"]["usage"]["opus"]["output"], 5);
    assert_eq!(calls(&env).len(), 1);
}

/// Announces that a call is tried again after so many milliseconds.
const RETRY: &str = r#"retry() {
    echo "{\"type\":\"system\",\"subtype\":\"api_retry\",\"attempt\":1,\"max_retries\":10,\"retry_delay_ms\":$1,\"error_status\":529,\"error\":\"overloaded\",\"session_id\":\"$s\"}"
}
"#;

#[test]
fn an_agent_that_waits_to_try_its_provider_again_is_not_idle() {
    let lines = format!("{RETRY}init; retry 600000; sleep 9; ok");
    let env = with_agent(test_env!(), "claude", &lines);
    let ask = ["--agent", "claude", "--prompt", "x", "--idle-timeout", "6s"];
    let in_shim = env.enqueue(&[&ask[..], &["--share-dir"]].concat());
    let direct = env.enqueue(&[&ask[..], &["--share-dir", "--direct"]].concat());
    env.qcli(&["gate", "set", "claude", "--stagger", "0s"]).ok();
    env.qcli(&["work", "--drain", "-j", "2"]).ok();
    for job in [in_shim, direct] {
        let shown = env.show(job);
        assert_eq!(shown["state"], "completed", "{shown:#}");
    }
}

#[test]
fn an_agent_that_is_silent_beyond_the_retry_it_announced_is_idle() {
    let lines = format!("{RETRY}init; retry 1; exec sleep 600");
    let env = with_agent(test_env!(), "claude", &lines);
    let ask = ["--agent", "claude", "--prompt", "x", "--idle-timeout", "1s"];
    let job = env.enqueue(&[&ask[..], &["--max-attempts", "1"]].concat());
    env.drain();
    assert_eq!(env.show(job)["class"], "idle_timeout");
}

/// Claude Code that heeds signals as said here, and would work for ever.
fn deaf(signals: &str) -> String {
    format!(
        "[signals]\n{signals}\n[[run]]\nsteps = [\n    {{ print = '''{{\"type\":\"system\",\"subtype\":\"init\",\
         \"session_id\":\"${{session}}\",\"model\":\"${{model}}\",\"claude_code_version\":\"2.1.240\"}}''' }},\n    \"hang\",\n]\n"
    )
}

#[test]
fn an_agent_is_asked_to_stop_by_int_then_by_term_and_then_killed() {
    for (signals, expected) in [
        (
            "int = { exit = 31 }\nterm = { exit = 32 }",
            (json!(31), Value::Null),
        ),
        (
            "int = \"ignore\"\nterm = { exit = 32 }",
            (json!(32), Value::Null),
        ),
        (
            "int = \"ignore\"\nterm = \"ignore\"",
            (Value::Null, json!(9)),
        ),
    ] {
        let env = test_env!();
        let agents = fake_agents!(env.root().join("agents"));
        agents.act_out("claude", &deaf(signals));
        let env = env.with("PATH", &agents.path());
        let job = env.enqueue(&["--agent", "claude", "--prompt", "x", "--grace", "1s"]);
        let _worker = env.spawn_worker(&[]);
        wait_until("it works", || {
            env.show(job)["attempts"][0]["agent"]["cli_version"].is_string()
        });
        env.qcli(&["cancel", &job.to_string()]).ok();
        wait_until("it is over", || env.state(job) == "cancelled");
        let shown = env.show(job);
        let attempt = &shown["attempts"][0];
        let ended = (attempt["exit_code"].clone(), attempt["signal"].clone());
        assert_eq!(ended, expected, "{signals}: {shown:#}");
    }
}

#[test]
fn an_agent_that_takes_more_turns_than_it_may_is_stopped() {
    // anthropics/claude-code-action#1577: `--max-turns` leaks
    let env = test_env!();
    let agents = fake_agents!(env.root().join("agents"));
    let leak = fs::read_to_string(fixture("claude-max-turns-leak.toml")).unwrap();
    let (turns, _) = leak.split_once("    { cost = ").unwrap();
    agents.act_out("claude", &format!("{turns}    \"hang\",\n]\n"));
    let env = env.with("PATH", &agents.path());
    let ask = ["--agent", "claude", "--prompt", "x", "--max-attempts", "1"];
    let ask = [&ask[..], &["--max-turns", "3"]].concat();
    let job = env.enqueue(&ask);
    let _worker = env.spawn_worker(&[]);
    wait_until("it is stopped", || env.state(job) == "failed");
    let shown = env.show(job);
    let attempt = &shown["attempts"][0];
    assert_eq!(
        (&attempt["class"], &attempt["rule"]),
        (&"max_turns".into(), &"turn-cap".into()),
        "{shown:#}"
    );
    assert_eq!(attempt["agent"]["turns"], 9);
    let argv = agents.starts()[0]["argv"].to_string();
    assert!(argv.contains("--max-turns"), "it was told as well: {argv}");
}

#[test]
fn a_retry_knows_itself_by_the_same_number_and_a_second_requeue_adds_no_attempt() {
    // A6
    let lines = "[ $n -gt 1 ] || exit 1; ok";
    let env = with_agent(test_env!(), "claude", lines);
    let ask = ["--agent", "claude", "--prompt", "x", "--backoff", "none"];
    let job = env.enqueue(&ask);
    env.qcli(&["work", "--drain=all"]).ok();
    env.qcli(&["requeue", "1"]).ok();
    env.qcli(&["requeue", "1"])
        .exits(4)
        .says("job 1 cannot be requeued: it is pending");
    env.qcli(&["work", "--drain=all"]).ok();
    let calls = calls(&env);
    assert_eq!(calls.len(), 3, "two tries, and one more for both requeues");
    let known_by = |call: &crate::scene::Call, name: &str| -> Vec<String> {
        let lines = call.env.lines().filter(|line| line.starts_with(name));
        lines.map(str::to_owned).collect()
    };
    let (mut jobs, mut epochs) = (BTreeSet::new(), BTreeSet::new());
    for call in &calls {
        jobs.insert(known_by(call, "QUEUE_JOB_ID="));
        epochs.insert(known_by(call, "QUEUE_EPOCH="));
    }
    assert_eq!(
        jobs.into_iter().collect::<Vec<_>>(),
        [[format!("QUEUE_JOB_ID={job}")]]
    );
    assert_eq!(epochs.len(), 3, "what tells the attempts apart");
}
