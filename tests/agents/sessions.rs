//! What becomes of a session over several attempts, and when several jobs want one.

use std::fs;

use serde_json::Value;
use support::{fake_agents, fixture, test_env, wait_until};

use crate::scene::{calls, with_agent};

#[test]
fn the_second_attempt_resumes_the_session_of_the_first() {
    // A3
    let env = with_agent(test_env!(), "claude", "[ $n -gt 1 ] || exit 1; ok");
    let job = env.enqueue(&[
        "--agent",
        "claude",
        "--prompt",
        "the task",
        "--model",
        "opus",
        "--backoff",
        "none",
    ]);
    env.qcli(&["work", "--drain=all"]).ok();
    let calls = calls(&env);
    let session = calls[0].value("--session-id").unwrap();
    assert_eq!(calls[1].value("--resume"), Some(session));
    assert_eq!(calls[1].value("--session-id"), None);
    assert_eq!(calls[1].value("--model"), Some("opus"));
    assert!(
        calls[1].input.contains("look before you run it") && calls[1].input.contains("the task")
    );
    let shown = env.show(job);
    assert_eq!(shown["attempts"][1]["rung"], "resume");
    assert_eq!(shown["attempts"][1]["session_id"], session);
    let page = env.qcli(&["show"]).ok().stdout;
    let rows: Vec<Vec<_>> = page
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let second = [
        "2",
        "claude",
        "resume",
        "claude-success",
        "1",
        "$0.2500",
        "opus",
        session,
    ];
    assert!(rows.iter().any(|row| *row == second), "{page}");
}

#[test]
fn a_session_that_is_gone_stalls_once_costs_no_attempt_and_a_new_one_begins() {
    let lines = "case $n in 1) exit 1;; 2) echo \"No conversation found with session ID: $s\" >&2; exit 1;; esac; ok";
    let env = with_agent(test_env!(), "claude", lines);
    let ask = ["--agent", "claude", "--prompt", "x", "--backoff", "none"];
    let job = env.enqueue(&ask);
    env.qcli(&["work", "--drain=all"]).ok();
    let shown = env.show(job);
    assert_eq!(
        (&shown["state"], &shown["attempt"], &shown["stalls"]),
        (&"completed".into(), &2.into(), &1.into()),
        "{shown:#}"
    );
    let rungs: Vec<_> = shown["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| attempt["rung"].as_str().unwrap())
        .collect();
    assert_eq!(rungs, ["cold", "resume", "fresh"]);
    env.qcli(&["show"]).ok().prints("1 of 3: session missing");
}

#[test]
fn a_session_has_one_live_holder() {
    // A8: two-writers
    let env = with_agent(
        test_env!(),
        "claude",
        "[ $n -gt 1 ] || { read -r _ < go; }; ok",
    );
    env.run({
        let mut command = std::process::Command::new("mkfifo");
        command.arg("go").current_dir(env.work());
        command
    })
    .ok();
    let ask = [
        "--agent",
        "claude",
        "--prompt",
        "go on",
        "--session",
        "5a0d3f6e-1c2b-4d5e-8f90-a1b2c3d4e5f6",
        "--share-dir",
    ];
    let first = env.enqueue(&ask);
    let worker = env.spawn_worker(&["-j", "2"]);
    wait_until("the first holds the session", || calls(&env).len() == 1);
    let second = env.enqueue(&ask);
    wait_until("the second waits", || {
        env.show(second)["state"] == "scheduled"
    });
    let shown = env.show(second);
    let message = shown["attempts"][0]["message"].as_str().unwrap();
    assert!(message.contains(&format!("job {first} uses")), "{message}");
    assert_eq!(shown["attempt"], 0, "that costs no attempt");
    assert_eq!(calls(&env).len(), 1, "nothing was started with it");
    env.file("go", "now\n");
    env.qcli(&["wait", &first.to_string()]).ok();
    env.qcli(&["release", &second.to_string()]).ok();
    env.qcli(&["wait", &second.to_string()]).ok();
    assert_eq!(calls(&env)[1].value("--resume"), Some(ask[5]));
    drop(worker);
}

#[test]
fn a_session_is_gone_on_with_in_the_worktree_where_it_began() {
    // W9: a session belongs to its directory; from another one it cannot be found.
    let env = test_env!();
    let agents = fake_agents!(env.root().join("agents"));
    let ok = fs::read_to_string(fixture("claude-ok.toml")).unwrap();
    let (_, done) = ok.split_once("[[run]]").unwrap();
    agents.act_out(
        "claude",
        &format!("[[run]]\nexit = 1\nsteps = []\n[[run]]{done}"),
    );
    let env = env.with("PATH", &agents.path());
    let git = |args: &[&str]| {
        let mut git = std::process::Command::new("git");
        let identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"];
        git.args(identity).args(args).current_dir(env.work());
        assert!(git.status().unwrap().success(), "git {args:?}");
    };
    git(&["init", "--quiet"]);
    git(&["commit", "--quiet", "--allow-empty", "-m", "start"]);
    let ask = ["--agent", "claude", "--prompt", "x", "--backoff", "none"];
    let job = env.enqueue(&[&ask[..], &["--worktree"]].concat());
    env.qcli(&["work", "--drain=all"]).ok();
    let shown = env.show(job);
    assert_eq!(shown["state"], "completed", "{shown:#}");
    assert_eq!(
        shown["directory"],
        Value::Null,
        "it needs no turn of its own"
    );
    let starts = agents.starts();
    assert_eq!(starts.len(), 2);
    assert_eq!(starts[0]["cwd"], starts[1]["cwd"]);
    assert_eq!(starts[0]["cwd"], shown["worktree"]["path"]);
    assert_eq!(
        (&starts[1]["session"], &starts[1]["resumed"]),
        (&starts[0]["session"], &true.into())
    );
}
