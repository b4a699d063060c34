//! `qcli run`: a job that is looked at while it runs.

use rustix::process::{Pid, Signal, kill_process};
use support::{Stopped, wait_until};

#[test]
fn without_a_worker_it_does_all_and_leaves_with_the_jobs_code() {
    let env = support::test_env!();
    let run = env
        .qcli(&["run", "--shell", "echo out; echo err >&2; exit 7"])
        .exits(7);
    assert_eq!(run.stdout, "out\n");
    assert!(
        run.stderr.contains("job 1\n") && run.stderr.contains("err\n"),
        "{run:?}"
    );
    assert!(run.stderr.contains("job 1 failed: exit code 7"), "{run:?}");
    env.qcli(&["run", "-q", "--", "echo", "hello from the queue"])
        .ok()
        .prints("hello from the queue\n");
    assert_eq!(env.show(1)["attempts"].as_array().unwrap().len(), 1);
}

#[test]
fn a_worker_that_is_alive_takes_it() {
    let env = support::test_env!();
    let _worker = env.spawn_worker(&["--name", "w1"]);
    wait_until("the worker is alive", || {
        env.qcli(&["workers"]).stdout.contains("w1")
    });
    env.qcli(&["run", "--", "true"]).ok();
    assert_eq!(env.show(1)["attempts"][0]["worker"], "w1");
}

#[test]
fn it_is_tried_again_when_that_is_asked_for() {
    let env = support::test_env!();
    let run = env.qcli(&[
        "run",
        "--max-attempts",
        "2",
        "--backoff",
        "none",
        "--shell",
        "echo try $QUEUE_ATTEMPT; test $QUEUE_ATTEMPT = 2",
    ]);
    assert_eq!(run.ok().stdout, "try 1\ntry 2\n");
}

#[test]
fn detached_it_leaves_with_75_and_the_job_goes_on() {
    let env = support::test_env!();
    env.qcli(&[
        "run",
        "--detach-after",
        "100ms",
        "--shell",
        "while ! test -e go; do sleep 0.02; done; exit 5",
    ])
    .exits(75)
    .says("job 1 goes on")
    .says("`qcli wait 1`");
    env.file("go", "");
    env.qcli(&["wait", "1"]).exits(5);
}

#[test]
fn an_interrupt_cancels_the_job() {
    let env = support::test_env!();
    let mut run = env.spawn_qcli(&["run", "--shell", "echo begun; exec sleep 600"]);
    wait_until("the job runs", || run.stdout().contains("begun"));
    run.signal(Signal::INT);
    assert_eq!(run.wait(), Stopped::Exited(130));
    assert_eq!(env.state(1), "cancelled");
}

#[test]
fn killed_it_leaves_the_job_going() {
    let env = support::test_env!();
    let mut run = env.spawn_qcli(&[
        "run",
        "--shell",
        "echo begun; while ! test -e go; do sleep 0.02; done; echo end",
    ]);
    wait_until("the job runs", || run.stdout().contains("begun"));
    run.kill();
    env.file("go", "");
    env.qcli(&["wait", "1"]).ok();
    assert_eq!(env.qcli(&["logs", "1"]).ok().stdout, "begun\nend\n");
}

#[test]
fn when_its_worker_is_killed_the_job_goes_on_and_its_end_is_seen() {
    let env = support::test_env!();
    let mut run = env.spawn_qcli(&[
        "run",
        "--shell",
        "echo begun; while ! test -e go; do sleep 0.02; done; echo end; exit 7",
    ]);
    wait_until("the job runs", || run.stdout().contains("begun"));
    let worker = env.json(&["workers"])[0]["pid"].as_i64();
    let worker = worker.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    kill_process(worker.unwrap(), Signal::KILL).unwrap();
    env.file("go", "");
    assert_eq!(run.wait(), Stopped::Exited(7), "{}", run.stderr());
    assert_eq!(run.stdout(), "begun\nend\n");
    assert_eq!(env.show(1)["attempts"].as_array().unwrap().len(), 1);
}

#[test]
fn what_can_never_start_is_not_waited_for() {
    let env = support::test_env!();
    env.qcli(&["run", "--", "false"]).exits(1);
    env.qcli(&["run", "--after", "1", "--", "true"])
        .exits(4)
        .says("`qcli requeue 1`");
}
