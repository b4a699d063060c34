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
