//! Agents that end otherwise than they should.

use support::{test_env, wait_until};

use crate::scene::{calls, with_agent};

#[test]
fn an_agent_that_stays_after_it_said_that_it_is_done_is_ended_and_counts_as_done() {
    // P10
    let env = with_agent(test_env!(), "claude", "ok; sleep 600");
    let config = env.root().join("home/config/qcli");
    std::fs::create_dir_all(&config).unwrap();
    let text = "[agents.claude]\nlinger = '100ms'\n";
    std::fs::write(config.join("agents.toml"), text).unwrap();
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
        (&"completed".into(), &serde_json::Value::Null, &1.into())
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
