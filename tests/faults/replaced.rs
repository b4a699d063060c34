//! A store that is taken away, or replaced by another one, under those who use it.

use rustix::process::Signal;
use std::{fs, path::PathBuf};
use support::{Running, Stopped, TestEnv, test_env, wait_until};

/// Runs until `go` is there, and ends with 7.
const WAITS: &str =
    "echo $$ > pid; echo begun; while [ ! -e go ]; do sleep 0.01; done; echo done; exit 7";

/// The files of the store itself; its logs and run directories stay.
fn files(env: &TestEnv) -> Vec<PathBuf> {
    let name = |suffix| env.db().with_file_name(format!("queue.db{suffix}"));
    ["", "-wal", "-shm", "-wake"].map(name).to_vec()
}

fn move_away(env: &TestEnv) {
    for file in files(env) {
        fs::rename(&file, file.with_file_name(kept(&file))).unwrap();
    }
}

fn put_back(env: &TestEnv) {
    for file in files(env) {
        let _ = fs::remove_file(&file);
        fs::rename(file.with_file_name(kept(&file)), &file).unwrap();
    }
}

fn kept(file: &std::path::Path) -> String {
    format!("kept-{}", file.file_name().unwrap().display())
}

/// A job that runs under a worker, and the worker.
fn running(env: &TestEnv) -> (i64, Running) {
    let job = env.enqueue(&["--max-attempts", "1", "--shell", WAITS]);
    let worker = env.spawn_worker(&["-j", "2", "--name", "first"]);
    wait_until("the job runs", || env.read("pid").ends_with('\n'));
    wait_until("it is recorded", || {
        !env.show(job)["attempts"][0]["pid"].is_null()
    });
    (job, worker)
}

/// Where a job that goes on without a worker says how it ended.
fn status(env: &TestEnv, job: i64) -> PathBuf {
    env.db()
        .with_file_name(format!("queue.db-run/{job}-1/status"))
}

#[track_caller]
fn stops_loudly(env: &TestEnv, worker: &mut Running, job: i64, how: &str) {
    assert_eq!(worker.wait(), Stopped::Exited(5), "{}", worker.stderr());
    let said = worker.stderr();
    assert!(
        said.contains(&format!("queue.db was {how} while it was in use")),
        "{said}"
    );
    assert_eq!(
        said.matches("goes on without a worker").count(),
        1,
        "{said}"
    );
    assert!(
        said.contains(&status(env, job).display().to_string()),
        "{said}"
    );
}

#[test]
fn a_worker_whose_store_is_replaced_stops_and_touches_neither_the_new_one_nor_its_jobs() {
    // T50
    let env = test_env!();
    let (job, mut worker) = running(&env);
    move_away(&env);
    // Of the same number, so that both would have the same directory.
    let other = env.enqueue(&[
        "--max-attempts",
        "1",
        "--shell",
        "echo $QUEUE_EPOCH >> other",
    ]);
    assert_eq!(other, job);
    let outcome = worker.wait();
    assert_eq!(outcome, Stopped::Exited(5), "{}", worker.stderr());
    assert!(
        worker.stderr().contains("while it was in use"),
        "{}",
        worker.stderr()
    );
    assert_eq!(env.state(other), "pending", "it belongs to another store");

    // A worker of the new store harms neither.
    let mut next = env.spawn_worker(&["--name", "next"]);
    wait_until("it is met", || {
        next.stderr().contains("still runs in it") || env.state(other) == "completed"
    });
    assert!(next.stderr().contains("has no room"), "{}", next.stderr());
    env.file("go", "");
    wait_until("the first job's end", || status(&env, job).exists());
    env.qcli(&["wait", &other.to_string()]).ok();
    assert_eq!(env.show(other)["attempt"], 1);
    next.signal(Signal::TERM);
    next.wait();
    let told = fs::read_to_string(status(&env, job)).unwrap();
    assert!(told.contains(r#""code":7"#), "{told}");
}

#[test]
fn a_worker_whose_store_is_removed_stops_and_goes_on_when_it_is_put_back() {
    // T50
    let env = test_env!();
    let (job, mut worker) = running(&env);
    move_away(&env);
    stops_loudly(&env, &mut worker, job, "removed");
    env.file("go", "");
    wait_until("the job's end", || status(&env, job).exists());
    put_back(&env);
    let mut next = env.spawn_worker(&[]);
    env.qcli(&["wait", &job.to_string()]).exits(7);
    let shown = env.show(job);
    assert_eq!(shown["attempts"].as_array().unwrap().len(), 1, "{shown:#}");
    assert_eq!(
        env.qcli(&["logs", &job.to_string()]).stdout,
        "begun\ndone\n"
    );
    next.signal(Signal::TERM);
    next.wait();
}

#[test]
fn a_worker_whose_log_of_the_store_is_removed_stops_too() {
    // T50, T54: what is committed into a log that nobody can open is lost with the process.
    let env = test_env!();
    let (job, mut worker) = running(&env);
    fs::remove_file(env.db().with_file_name("queue.db-wal")).unwrap();
    assert_eq!(worker.wait(), Stopped::Exited(5), "{}", worker.stderr());
    assert!(
        worker.stderr().contains("queue.db-wal was removed"),
        "{}",
        worker.stderr()
    );
    env.file("go", "");
    wait_until("the job's end", || status(&env, job).exists());
}

#[test]
fn whoever_waits_for_a_job_of_a_store_that_is_gone_is_told() {
    // T50
    let env = test_env!();
    let job = env.enqueue(&["--hold", "--", "true"]).to_string();
    let wait = env.spawn_qcli(&["wait", &job]);
    let logs = env.spawn_qcli(&["logs", "-f", &job]);
    wait_until("both wait", || {
        wait.stderr().contains("is held") && logs.stderr().contains("has not started yet")
    });
    move_away(&env);
    for mut one in [wait, logs] {
        assert_eq!(one.wait(), Stopped::Exited(5), "{}", one.stderr());
        assert!(
            one.stderr().contains("was removed while it was in use"),
            "{}",
            one.stderr()
        );
    }
}
