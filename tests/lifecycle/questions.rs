//! Jobs that ask a person something, with real workers and real processes.

use support::{TestEnv, test_env, wait_until};

/// A home in which jobs find the very `qcli` under test.
fn home(env: TestEnv) -> TestEnv {
    let bin = env.root().join("bin");
    std::fs::create_dir_all(&bin).expect("a fresh directory can be written");
    std::os::unix::fs::symlink(env.command(&[]).get_program(), bin.join("qcli"))
        .expect("a fresh directory can be written");
    let path = std::env::var("PATH").unwrap_or_default();
    env.with("PATH", &format!("{}:{path}", bin.display()))
}

/// Asks at its first attempt, and says at the next what it was told.
const SCRIPT: &str = "if [ -z \"$QUEUE_ANSWER\" ]; then qcli ask 'Deploy now?'; exit 0; fi; \
                      echo \"$QUEUE_QUESTION $QUEUE_ANSWER\" >> told";

#[test]
fn a_script_that_asks_waits_without_a_slot_and_is_told_in_its_next_attempt() {
    let env = home(test_env!());
    let job = env.enqueue(&["--max-attempts", "1", "--shell", SCRIPT]);
    let _worker = env.spawn_worker(&["-j", "1"]);
    wait_until("it waits for the answer", || env.state(job) == "blocked");
    let other = env.enqueue(&["--", "true"]);
    wait_until("another one has the slot", || {
        env.state(other) == "completed"
    });
    env.qcli(&["answer", "1", "yes, now"])
        .ok()
        .prints("answered 1");
    wait_until("it goes on", || env.state(job) == "completed");
    assert_eq!(env.read("told"), "Deploy now? yes, now\n");
    let shown = env.show(job);
    assert_eq!(shown["attempt"], 1, "{shown:#}");
    assert_eq!(shown["attempts"][0]["class"], "needs_input");
    env.qcli(&["answer", "1", "no"])
        .exits(4)
        .says("job 1 asks nothing: it is completed");
}

/// Asks, and lives on until it may end.
const LIVES_ON: &str = "if [ -n \"$QUEUE_ANSWER\" ]; then echo $QUEUE_ANSWER >> told; exit 0; fi; \
                        qcli ask 'Deploy now?'; touch asked; while [ ! -e go ]; do sleep 0.05; done";

#[test]
fn a_question_survives_the_worker_and_the_adopter_parks_the_job() {
    let env = home(test_env!());
    let job = env.enqueue(&["--max-attempts", "1", "--shell", LIVES_ON]);
    let mut first = env.spawn_worker(&["--name", "first"]);
    wait_until("it has asked", || env.work().join("asked").exists());
    first.kill();
    let _second = env.spawn_worker(&["--name", "second"]);
    wait_until("it is adopted", || {
        env.show(job)["attempts"][0]["adopted_by"] == "second"
    });
    assert_eq!(env.state(job), "in_progress");
    env.file("go", "");
    wait_until("it is parked", || env.state(job) == "blocked");
    env.qcli(&["answer", "1", "yes"]).ok();
    env.qcli(&["wait", "1"]).ok();
    assert_eq!(env.read("told"), "yes\n");
    assert_eq!(env.show(job)["attempt"], 1);
}

#[test]
fn an_answer_that_comes_while_no_worker_lives_is_told_once() {
    let env = home(test_env!());
    let job = env.enqueue(&["--max-attempts", "1", "--shell", LIVES_ON]);
    let mut first = env.spawn_worker(&[]);
    wait_until("it has asked", || env.work().join("asked").exists());
    first.kill();
    env.qcli(&["answer", "1", "yes"])
        .ok()
        .prints("it still runs");
    env.file("go", "");
    env.drain();
    assert_eq!(env.state(job), "completed");
    assert_eq!(env.read("told"), "yes\n");
    let attempts = env.show(job)["attempts"].clone();
    assert_eq!(attempts.as_array().map(Vec::len), Some(2), "{attempts:#}");
}

#[test]
fn a_question_survives_worker_shim_and_job_and_nothing_is_asked_twice() {
    let env = home(test_env!());
    let job = env.enqueue(&["--max-attempts", "1", "--shell", LIVES_ON]);
    let mut first = env.spawn_worker(&[]);
    wait_until("it has asked", || env.work().join("asked").exists());
    first.kill();
    env.kill_shims();
    let _second = env.spawn_worker(&[]);
    wait_until("it is parked", || env.state(job) == "blocked");
    let shown = env.show(job);
    assert_eq!(
        (&shown["attempt"], &shown["stalls"]),
        (&0.into(), &0.into()),
        "{shown:#}"
    );
    assert_eq!(shown["attempts"][0]["class"], "worker_died");
    env.qcli(&["answer", "1", "yes"]).ok();
    env.qcli(&["wait", "1"]).ok();
    assert_eq!(env.read("told"), "yes\n");
    assert_eq!(env.show(job)["questions"].as_array().map(Vec::len), Some(1));
}

#[test]
fn who_waits_for_the_answer_is_told_over_the_death_of_the_worker() {
    let env = home(test_env!());
    let line = "touch asked; qcli ask --wait 'Deploy now?' >> told";
    let job = env.enqueue(&["--shell", line]);
    let mut first = env.spawn_worker(&[]);
    wait_until("it asks", || !env.show(job)["questions"][0].is_null());
    first.kill();
    env.qcli(&["answer", "1", "yes"]).ok();
    wait_until("it is told", || !env.read("told").is_empty());
    env.drain();
    assert_eq!(
        (env.read("told"), env.state(job)),
        ("yes\n".into(), "completed".into())
    );
    assert_eq!(env.show(job)["attempts"].as_array().map(Vec::len), Some(1));
}
