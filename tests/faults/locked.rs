//! A store whose write lock another program holds for longer than anybody should.

use rusqlite::Connection;
use rustix::process::{Pid, Signal, test_kill_process};
use support::{Stopped, TestEnv, test_env, wait_until};

/// The write lock, held by a program that knows nothing of queues, until it is dropped.
fn hold_lock(env: &TestEnv) -> Connection {
    let other = Connection::open(env.db()).unwrap();
    other.busy_timeout(support::PATIENCE).unwrap();
    other.execute_batch("begin immediate").unwrap();
    other
}

#[test]
fn a_worker_that_finds_the_store_locked_waits_with_one_message_and_begins() {
    let env = test_env!();
    let job = env.enqueue(&["--", "true"]);
    let lock = hold_lock(&env);
    let mut worker = env.spawn_worker(&["--drain"]);
    wait_until("it says that it waits", || {
        worker.stderr().contains("begins when it can")
    });
    assert_eq!(worker.try_wait(), None, "{}", worker.stderr());
    assert_eq!(env.state(job), "pending");
    drop(lock);
    assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
    assert_eq!(env.state(job), "completed");
    let said = worker.stderr();
    assert_eq!(said.matches("the store").count(), 1, "{said}");
}

#[test]
fn a_worker_that_waits_for_a_locked_store_can_be_stopped() {
    let env = test_env!();
    env.enqueue(&["--", "true"]);
    let lock = hold_lock(&env);
    let mut worker = env.spawn_worker(&[]);
    wait_until("it says that it waits", || {
        worker.stderr().contains("begins when it can")
    });
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
    drop(lock);
}

#[test]
fn while_the_store_is_locked_jobs_go_on_and_what_became_of_them_is_told_once() {
    // T06, S4, A7
    let env = test_env!();
    let line = "echo x >> runs; echo $$ > pid; while [ ! -e go ]; do sleep 0.01; done; echo done >> runs; exit 7";
    let job = env.enqueue(&["--max-attempts", "1", "--shell", line]);
    let mut worker = env.spawn_worker(&["-j", "1"]);
    wait_until("the job runs", || env.read("pid").ends_with('\n'));
    let waiting = env.enqueue(&["--", "true"]);
    wait_until("it is recorded", || {
        !env.show(job)["attempts"][0]["pid"].is_null()
    });

    let lock = hold_lock(&env);
    env.file("go", "");
    let status = env
        .db()
        .with_file_name(format!("queue.db-run/{job}-1/status"));
    wait_until("its outcome is written down", || status.exists());
    wait_until("the worker says so", || {
        worker.stderr().contains("the store does not answer")
    });
    assert_eq!(env.state(job), "in_progress");
    assert_eq!(env.state(waiting), "pending", "nothing is claimed");
    drop(lock);

    env.qcli(&["wait", &job.to_string()]).exits(7);
    env.qcli(&["wait", &waiting.to_string()]).ok();
    let shown = env.show(job);
    assert_eq!(shown["attempts"].as_array().unwrap().len(), 1, "{shown:#}");
    assert_eq!(env.read("runs"), "x\ndone\n");
    let said = worker.stderr();
    assert_eq!(
        said.matches("the store does not answer").count(),
        1,
        "{said}"
    );
    assert_eq!(
        said.matches("the store can be used again").count(),
        1,
        "{said}"
    );
    assert_eq!(said.matches("the store").count(), 2, "{said}");
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
}

#[test]
fn a_busy_worker_obeys_two_signals_while_the_store_is_locked() {
    // T06, S4
    let env = test_env!();
    let line = "echo $$ > pid; while :; do sleep 0.05; done";
    let long = env.enqueue(&["--priority", "1", "--shell", line]);
    let quick = "{\"argv\":[\"true\"]}\n".repeat(3_000);
    env.qcli_with_input(&["enqueue", "--from-file", "-"], quick)
        .ok();
    let mut worker = env.spawn_worker(&["-j", "2", "--direct"]);
    wait_until("it is in the midst of work", || {
        env.read("pid").ends_with('\n') && worker.stderr().matches("completed").count() > 10
    });

    let lock = hold_lock(&env);
    let says = |what: &str| wait_until(what, || worker.stderr().contains(what));
    says("the store does not answer");
    worker.signal(Signal::TERM);
    says("stopping: ");
    worker.signal(Signal::TERM);
    says("stopping now");
    let pid = Pid::from_raw(env.read("pid").trim().parse().unwrap()).unwrap();
    wait_until("its job is stopped", || test_kill_process(pid).is_err());
    assert_eq!(env.state(long), "in_progress", "nobody could be told");
    drop(lock);

    assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
    assert_eq!(env.state(long), "pending", "handed back");
    let said = worker.stderr();
    assert_eq!(
        said.matches("the store does not answer").count(),
        1,
        "{said}"
    );
}
