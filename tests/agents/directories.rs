//! Agents take turns in one checkout: two that write into it at once undo each other's work.

use std::fs;

use serde_json::Value;
use support::{TestEnv, test_env, wait_until};

use crate::scene::{calls, with_agent};

/// An agent that is done once there is a file `go-N` for its call.
const WAITING: &str = "until test -e \"$ROOT/go-$n\"; do sleep 0.05; done; ok";

const ASK: [&str; 4] = ["--agent", "claude", "--prompt", "x"];

fn waiting_agent() -> TestEnv {
    let env = test_env!();
    let root = env.root().display().to_string();
    let env = with_agent(env, "claude", &WAITING.replace("$ROOT", &root));
    let config = env.root().join("home/config/qcli");
    fs::create_dir_all(&config).expect("it is there");
    let plain = "[agents.claude]\nstagger = '0s'\n";
    fs::write(config.join("agents.toml"), plain).expect("it is there");
    env
}

fn go(env: &TestEnv, call: usize) {
    fs::write(env.root().join(format!("go-{call}")), "").expect("it can be written");
}

fn enqueue(env: &TestEnv, more: &[&str]) -> i64 {
    env.enqueue(&[&ASK[..], more].concat())
}

fn cause(env: &TestEnv, job: i64) -> Value {
    let told = env.json(&["why", &job.to_string()]);
    told["causes"][0].clone()
}

// W7
#[test]
fn two_agents_in_one_checkout_take_turns_over_kill_9_of_the_worker() {
    let env = waiting_agent();
    fs::create_dir_all(env.work().join("site/.git")).expect("it can be made");
    fs::write(env.work().join("site/.git/HEAD"), "ref: refs/heads/main\n").expect("it can be made");
    fs::create_dir_all(env.work().join("site/src")).expect("it can be made");
    std::os::unix::fs::symlink("site/src", env.work().join("link")).expect("it can be made");
    let first = enqueue(&env, &["-C", "site"]);
    let second = enqueue(&env, &["-C", "link"]);
    let worker = env.spawn_worker(&["-j", "4"]);
    wait_until("the first works", || calls(&env).len() == 1);
    // Whoever ran this had room for the second one.
    let beside = env.enqueue(&["-C", "site", "--", "true"]);
    wait_until("a plain command shares it", || {
        env.state(beside) == "completed"
    });
    let site = fs::canonicalize(env.work().join("site")).expect("it is there");
    let told = cause(&env, second);
    assert_eq!(told["cause"], "directory_taken", "{told:#}");
    let text = told["text"].as_str().expect("it is a text");
    let expected = format!("Job {first} works in {},", site.display());
    assert!(text.starts_with(&expected), "{text}");
    let shown = env.show(second);
    assert_eq!(shown["directory"], site.to_str().expect("it is UTF-8"));
    assert_eq!(shown["condition"], format!("job {first} has its directory"));

    worker.signal(rustix::process::Signal::KILL);
    drop(worker);
    let _next = env.spawn_worker(&["-j", "4"]);
    wait_until("the next worker has the first job", || {
        env.show(first)["attempts"][0]["adopted_by"].is_string()
    });
    let beside = env.enqueue(&["--", "true"]);
    wait_until("it has room", || env.state(beside) == "completed");
    assert_eq!(calls(&env).len(), 1, "the second still waits");
    go(&env, 1);
    go(&env, 2);
    for job in [first, second] {
        wait_until("it is done", || env.state(job) == "completed");
    }
    let started = |job: i64, at: &str| env.show(job)[at].as_str().map(str::to_owned);
    assert!(started(second, "started_at") >= started(first, "finished_at"));
}

#[test]
fn agents_that_share_their_directory_or_have_another_run_beside_each_other() {
    let env = waiting_agent();
    fs::create_dir_all(env.work().join("other")).expect("it can be made");
    enqueue(&env, &[]);
    enqueue(&env, &["--share-dir"]);
    enqueue(&env, &["-C", "other"]);
    env.file(
        "jobs",
        "{\"agent\":\"claude\",\"prompt\":\"x\",\"share_dir\":true}\n\
         {\"argv\":[\"claude\",\"-p\",\"x\"]}\n",
    );
    env.qcli(&["enqueue", "--from-file", "jobs"]).ok();
    let _worker = env.spawn_worker(&["-j", "9"]);
    wait_until("four of them work", || calls(&env).len() == 4);
    let recognised = 5;
    assert_eq!(cause(&env, recognised)["cause"], "directory_taken");
    env.qcli(&["edit", "5", "--share-dir"]).ok();
    wait_until("an edit lets it share as well", || calls(&env).len() == 5);
    for call in 1..=5 {
        go(&env, call);
    }
    wait_until("all are done", || {
        (1..=5).all(|job| env.state(job) == "completed")
    });
}

#[test]
fn an_edit_moves_the_directory_with_the_job() {
    let env = waiting_agent();
    fs::create_dir_all(env.work().join("other")).expect("it can be made");
    let top = fs::canonicalize(env.work()).expect("it is there");
    let directory = |job: i64| env.show(job)["directory"].as_str().map(str::to_owned);
    let place = |below: &str| Some(top.join(below).display().to_string());
    let job = enqueue(&env, &["-C", "other"]);
    let id = job.to_string();
    let edit = |args: &[&str]| drop(env.qcli(&[&["edit", &id], args].concat()).ok());
    assert_eq!(directory(job), place("other"));
    edit(&["-C", "."]);
    assert_eq!(directory(job), Some(top.display().to_string()));
    edit(&["--share-dir"]);
    assert_eq!(directory(job), None);
    edit(&["-C", "other"]);
    assert_eq!(directory(job), None, "it shares wherever it is");
    edit(&["--share-dir=false"]);
    assert_eq!(directory(job), place("other"));
    edit(&["--", "make"]);
    assert_eq!(directory(job), None, "a plain command shares");
}
