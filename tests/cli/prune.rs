//! `qcli prune`: ended jobs and their logs go, on request.

use std::fs;

#[test]
fn completed_jobs_go_with_their_logs_and_failed_ones_stay() {
    let env = support::test_env!();
    env.enqueue(&["--", "echo", "hello"]);
    let failed = env.enqueue(&["--max-attempts", "1", "--", "false"]);
    let waiting = env.enqueue(&["--hold", "--", "true"]);
    env.drain();
    let logs = || {
        fs::read_dir(env.db().with_file_name("queue.db-logs"))
            .unwrap()
            .count()
    };
    let before = logs();
    env.qcli(&["prune"]).exits(2).says("--older-than");
    env.qcli(&["prune", "--older-than", "1d"])
        .ok()
        .prints("removed 0 jobs");
    env.qcli(&["prune", "--older-than", "0s", "--dry-run"])
        .ok()
        .prints("would remove 1 job");
    env.qcli(&["show", "1"]).ok();
    env.qcli(&["prune", "--older-than", "0s"])
        .ok()
        .prints("removed 1 job and 1 logs");
    assert_eq!(logs(), before - 1);
    env.qcli(&["show", "1"]).exits(3);
    assert_eq!(
        (env.state(failed), env.state(waiting)),
        ("failed".into(), "blocked".into())
    );
    env.qcli(&["prune", "--older-than", "0s", "--state", "failed"])
        .ok()
        .prints("removed 1 job");
}

#[test]
fn a_job_that_another_one_waits_for_is_kept() {
    let env = support::test_env!();
    let parent = env.enqueue(&["--max-attempts", "1", "--", "false"]);
    env.enqueue(&["--after", "1", "--", "true"]);
    env.drain();
    env.qcli(&["prune", "--older-than", "0s", "--state", "failed"])
        .ok()
        .prints("removed 0 jobs");
    assert_eq!(env.state(parent), "failed");
}

#[test]
fn jobs_that_have_not_ended_are_not_pruned() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.qcli(&["prune", "--older-than", "0s", "--state", "pending"])
        .exits(2)
        .says("have not ended");
}
