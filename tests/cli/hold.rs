//! `qcli hold` and `qcli release`.

#[test]
fn a_held_job_is_not_started_until_it_is_released() {
    let env = support::test_env!();
    let job = env.enqueue(&["--", "true"]);
    env.qcli(&["hold", "1"]).ok().prints("held 1");
    env.drain();
    assert_eq!(env.state(job), "blocked");
    env.qcli(&["release", "1"]).ok().prints("released 1");
    env.drain();
    assert_eq!(env.state(job), "completed");
}

#[test]
fn an_ended_job_is_not_held_and_the_refusal_says_what_to_do() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.enqueue(&["--", "true"]);
    env.qcli(&["cancel", "1"]).ok();
    let outcome = env
        .qcli(&["hold", "1", "2"])
        .exits(4)
        .says("job 1 cannot be held: it is cancelled")
        .says("`qcli requeue 1`");
    assert_eq!(outcome.stdout, "held 2\n");
}

#[test]
fn a_scheduled_job_is_released_to_run_now() {
    let env = support::test_env!();
    let job = env.enqueue(&["--delay", "1h", "--", "true"]);
    env.qcli(&["release", "@"]).ok();
    assert_eq!(env.state(job), "pending");
    env.qcli(&["release", "@"]).exits(4).says("qcli why 1");
}
