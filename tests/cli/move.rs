//! `qcli move`: the place of a waiting job.

#[test]
fn a_moved_job_goes_first() {
    let env = support::test_env!();
    for name in ["a", "b", "c"] {
        env.enqueue(&["-n", name, "--shell", &format!("echo {name} >> order")]);
    }
    env.qcli(&["move", "c", "--first"])
        .ok()
        .prints("moved 3 to the front");
    env.qcli(&["move", "a", "--after", "b"]).ok();
    let worker = env.worker_command(&["--drain", "--concurrency", "1"]);
    env.run(worker).ok();
    assert_eq!(env.read("order"), "c\nb\na\n");
}

#[test]
fn a_place_is_asked_for_and_must_be_in_the_same_line() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.enqueue(&["--queue", "other", "--", "true"]);
    env.qcli(&["move", "1"]).exits(2);
    env.qcli(&["move", "1", "--first", "--last"]).exits(2);
    env.qcli(&["move", "1", "--before", "2"])
        .exits(4)
        .says("job 1 cannot be placed");
}
