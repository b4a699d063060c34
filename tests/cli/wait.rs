//! `qcli wait`: until jobs have ended, with their exit code.

use rustix::process::Signal;
use serde_json::json;
use support::{Stopped, wait_until};

#[test]
fn it_leaves_with_the_jobs_own_code_and_of_several_with_the_highest() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.enqueue(&["--max-attempts", "1", "--shell", "exit 42"]);
    env.enqueue(&["--max-attempts", "1", "--shell", "kill -9 $$"]);
    env.enqueue(&["--hold", "--", "true"]);
    env.drain();
    env.qcli(&["cancel", "4"]).ok();
    env.qcli(&["wait", "1"]).ok().says("job 1 completed");
    env.qcli(&["wait", "2"])
        .exits(42)
        .says("job 2 failed: exit code 42");
    env.qcli(&["wait", "3"]).exits(137).says("signal 9 (KILL)");
    env.qcli(&["wait", "4"]).exits(1).says("job 4 cancelled");
    env.qcli(&["wait", "1", "2", "4"]).exits(42);
    let quiet = env.qcli(&["wait", "-q", "1"]).ok();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    env.qcli(&["wait", "9"]).exits(3);
}

#[test]
fn it_wakes_when_the_job_ends() {
    let env = support::test_env!();
    env.enqueue(&[
        "--max-attempts",
        "1",
        "--shell",
        "while ! test -e go; do sleep 0.02; done; exit 5",
    ]);
    let mut waiting = env.spawn_qcli(&["wait", "1"]);
    let _worker = env.spawn_worker(&[]);
    wait_until("the job runs", || env.state(1) == "in_progress");
    assert!(waiting.try_wait().is_none());
    env.file("go", "");
    assert_eq!(waiting.wait(), Stopped::Exited(5));
}

#[test]
fn any_ends_with_the_first() {
    let env = support::test_env!();
    env.enqueue(&["--hold", "--", "true"]);
    env.enqueue(&["--max-attempts", "1", "--shell", "exit 6"]);
    env.drain();
    env.qcli(&["wait", "--any", "1", "2"]).exits(6);
}

#[test]
fn the_time_is_over_and_the_job_goes_on() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.qcli(&["wait", "1", "--timeout", "10ms"])
        .exits(124)
        .says("job 1 has not ended after 10ms")
        .says("no worker alive");
    assert_eq!(env.state(1), "pending");
    let waited = env
        .qcli(&["wait", "1", "--timeout", "1ms", "--json"])
        .exits(124)
        .json();
    assert_eq!(
        (&waited[0]["state"], &waited[0]["exit"]),
        (&json!("pending"), &json!(null))
    );
}

#[test]
fn a_job_that_can_never_start_is_told_and_not_waited_for() {
    let env = support::test_env!();
    env.enqueue(&["--max-attempts", "1", "--", "false"]);
    env.enqueue(&["--after", "1", "--", "true"]);
    env.enqueue(&["--after", "2", "--", "true"]);
    env.drain();
    env.qcli(&["wait", "2"])
        .exits(4)
        .says("job 2 can never start")
        .says("`qcli requeue 1`");
    env.qcli(&["wait", "3"])
        .exits(4)
        .says("job 3 can never start")
        .says("job 2: It runs when job 1 completes, but that job failed.");
}

#[test]
fn an_interrupt_ends_the_wait_and_not_the_job() {
    let env = support::test_env!();
    env.enqueue(&["--hold", "--", "true"]);
    let mut waiting = env.spawn_qcli(&["wait", "1"]);
    wait_until("it says what the job waits for", || {
        waiting.stderr().contains("job 1 waits")
    });
    waiting.signal(Signal::INT);
    // A shell shows either as 130.
    let ended = waiting.wait();
    assert!(
        matches!(ended, Stopped::Killed(2) | Stopped::Exited(130)),
        "{ended:?}"
    );
    assert_eq!(env.state(1), "blocked");
}
