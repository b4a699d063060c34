//! `qcli cancel`: by number, by filter, all.

use serde_json::json;
use support::{programs, wait_until};

#[test]
fn waiting_jobs_are_cancelled_and_the_missing_one_does_not_stop_the_others() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.enqueue(&["-n", "second", "--", "true"]);
    let outcome = env
        .qcli(&["cancel", "1", "77", "second"])
        .exits(3)
        .says("there is no job 77");
    assert_eq!(outcome.stdout, "cancelled 1\ncancelled 2\n");
    env.qcli(&["kill", "1"])
        .ok()
        .prints("1 had ended before: cancelled");
}

#[test]
fn a_running_job_is_asked_to_stop_and_its_tree_is_ended() {
    let env = support::test_env!();
    let job = env.enqueue(&["--shell", &programs::sleeper("pid")]);
    let _worker = env.spawn_worker(&[]);
    wait_until("the job runs", || !env.read("pid").is_empty());
    let answer = env.json(&["cancel", "@"]);
    assert_eq!(
        answer["jobs"],
        json!([{ "id": job, "did": "asked", "state": "in_progress" }])
    );
    wait_until("the job is cancelled", || env.state(job) == "cancelled");
}

#[test]
fn all_jobs_are_only_meant_when_that_is_said() {
    let env = support::test_env!();
    env.enqueue(&["--queue", "a", "--", "true"]);
    env.enqueue(&["--queue", "b", "--", "true"]);
    env.enqueue(&["--queue", "b", "-t", "k=v", "--", "true"]);
    env.qcli(&["cancel"]).exits(2).says("--all");
    env.qcli(&["cancel", "1", "--all"]).exits(2);
    env.qcli(&["cancel", "--tag", "k=v"])
        .ok()
        .prints("cancelled 3");
    env.qcli(&["cancel", "--queue", "b"])
        .ok()
        .prints("cancelled 2");
    assert_eq!(env.state(1), "pending");
    assert_eq!(env.qcli(&["cancel", "--all", "--quiet"]).ok().stdout, "");
    assert_eq!(env.state(1), "cancelled");
}
