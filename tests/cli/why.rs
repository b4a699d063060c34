//! `qcli why`: what keeps a job, and the command that changes it.

/// Runs the first command that `why` names for a job, and expects it to go well.
fn follow_the_advice(env: &support::TestEnv, job: i64) {
    let answer = env.json(&["why", &job.to_string()]);
    let remedy = answer["causes"][0]["remedies"][0]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"));
    let words: Vec<&str> = remedy.split(' ').skip(1).collect();
    env.qcli(&words).ok();
}

#[test]
fn what_it_advises_can_be_typed_and_lets_the_job_run() {
    let env = support::test_env!();
    let worker = env.spawn_worker(&["--queues", "nobody"]);
    let held = env.enqueue(&["--hold", "--", "true"]);
    let delayed = env.enqueue(&["--delay", "2h", "--", "true"]);
    let paused = env.enqueue(&["--queue", "build", "--", "true"]);
    env.qcli(&["queue", "pause", "build"]).ok();
    for job in [held, delayed, paused] {
        follow_the_advice(&env, job);
    }
    env.drain();
    for job in [held, delayed, paused] {
        assert_eq!(env.state(job), "completed", "job {job}");
    }
    drop(worker);
}

#[test]
fn a_parent_that_failed_is_named_with_its_remedy() {
    let env = support::test_env!();
    env.enqueue(&["--max-attempts", "1", "--shell", "test -e mended"]);
    let child = env.enqueue(&["--after", "1", "--", "true"]);
    env.qcli(&["why", "2"])
        .ok()
        .prints("that job is pending")
        .prints("qcli why 1");
    env.drain();
    env.qcli(&["why", "2"])
        .ok()
        .prints("but that job failed")
        .prints("qcli requeue 1");
    env.file("mended", "");
    follow_the_advice(&env, child);
    env.drain();
    assert_eq!(env.state(child), "completed");
}

#[test]
fn nobody_to_do_it_is_a_reason() {
    let env = support::test_env!();
    env.enqueue(&["--queue", "build", "--", "true"]);
    env.qcli(&["why"])
        .ok()
        .prints("No worker is alive")
        .prints("qcli work --queues build");
}

#[test]
fn of_a_job_that_could_not_start_it_says_what_is_missing() {
    let env = support::test_env!();
    env.enqueue(&["--", "no-such-program"]);
    env.drain();
    env.qcli(&["why", "1"])
        .ok()
        .prints("job 1 failed: spawn failed\n  `no-such-program` is in no directory");
}

#[test]
fn of_a_job_that_has_ended_it_says_so() {
    let env = support::test_env!();
    env.enqueue(&["--max-attempts", "1", "--", "false"]);
    env.drain();
    env.qcli(&["why", "1"])
        .ok()
        .prints("job 1 failed: exit code 1\n    qcli requeue 1\n");
    assert_eq!(env.json(&["why", "1"])["causes"], serde_json::json!([]));
}
