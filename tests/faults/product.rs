//! The product itself, killed with -9 between any two steps: `qcli` and `queue-worker` with real
//! jobs, and `qcli doctor` to say whether all is well.

use crate::scene::assert_sound;
use queue_core::{
    Store, failpoint,
    store::sqlite::{OpenOptions, SqliteStore},
};
use rusqlite::Connection;
use std::{collections::BTreeSet, process::Command};
use support::{Running, Stopped, TestEnv, test_env};

const KILLED: Stopped = Stopped::Killed(9);

/// Starts a command that is to be killed at `failpoint`, and waits until it was.
#[track_caller]
fn kill(env: &TestEnv, mut command: Command, failpoint: &str) -> Running {
    command.env("QUEUE_FAILPOINT", failpoint);
    let mut running = env.spawn(command);
    let ended = running.wait();
    assert_eq!(
        ended,
        KILLED,
        "{failpoint} was not reached: {}",
        running.stderr()
    );
    running
}

/// The numbers of all jobs, oldest first.
fn jobs(env: &TestEnv) -> Vec<i64> {
    let listed = env.json(&["list", "--all"]);
    let mut ids: Vec<i64> = (listed.as_array().unwrap().iter())
        .map(|job| job["id"].as_i64().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

fn reached_by(operations: &[&str]) -> Vec<&'static str> {
    (failpoint::ALL.iter().copied())
        .filter(|name| operations.contains(&name.split('.').next().unwrap()))
        .collect()
}

#[test]
fn qcli_enqueue_killed_between_any_two_steps_leaves_what_it_printed() {
    for name in reached_by(&["migrate", "transaction", "enqueue"]) {
        let env = test_env!();
        let mut printed = Vec::new();
        if !name.starts_with("migrate.") {
            printed.push(env.enqueue(&["--", "true"]));
        }
        let parent = printed.first().map(ToString::to_string);
        let mut words = vec!["enqueue", "--tag", "a=b"];
        if let Some(parent) = &parent {
            words.extend(["--after", parent]);
        }
        words.extend(["--", "true"]);
        let killed = kill(&env, env.command(&words), name);
        assert_eq!(killed.stdout(), "", "{name}: nothing was acknowledged");
        env.qcli(&["doctor"]).ok();
        printed.push(env.enqueue(&["--", "true"]));
        let there: BTreeSet<i64> = jobs(&env).into_iter().collect();
        assert!(
            printed.iter().all(|job| there.contains(job)),
            "{name}: {there:?}"
        );
        assert!(there.len() <= printed.len() + 1, "{name}: {there:?}");
        env.drain();
        assert!(
            there.iter().all(|job| env.state(*job) == "completed"),
            "{name}"
        );
    }
}

#[test]
fn queue_worker_killed_between_any_two_steps_leaves_its_jobs_to_the_next() {
    let operations = [
        "transaction",
        "claim",
        "start",
        "checkpoint",
        "outcome",
        "move",
    ];
    for name in reached_by(&operations) {
        let env = test_env!();
        env.qcli(&["limit", "set", "api", "--rate", "100/s", "--burst", "10"])
            .ok();
        // Each run leaves its mark; an attempt that was cut off leaves one more at the most.
        let line = "echo half > $QUEUE_CHECKPOINT; echo $QUEUE_JOB_ID $QUEUE_EPOCH >> marks";
        let first = env.enqueue(&["--limit", "api", "--shell", line]);
        let second = env.enqueue(&["--after", &first.to_string(), "--shell", line]);
        let words = ["--drain", "--concurrency", "1", "--lease", "1s"];
        kill(&env, env.worker_command(&words), name);
        env.qcli(&["doctor"]).ok();
        // By default the next worker waits for nothing but the lease.
        env.drain();
        for job in [first, second] {
            let shown = env.show(job);
            assert_eq!(shown["state"], "completed", "{name}: {shown:#}");
            let attempts = shown["attempts"].as_array().unwrap();
            let good = attempts.iter().filter(|attempt| attempt["exit_code"] == 0);
            assert_eq!(good.count(), 1, "{name}: {shown:#}");
        }
        let marks = env.read("marks");
        let distinct: BTreeSet<&str> = marks.lines().collect();
        assert_eq!(distinct.len(), marks.lines().count(), "{name}: {marks}");
        env.qcli(&["doctor"]).ok();
    }
}

#[test]
fn qcli_prune_killed_between_any_two_steps_removes_whole_jobs() {
    for name in reached_by(&["prune", "transaction"]) {
        let env = test_env!();
        for _ in 0..3 {
            env.enqueue(&["--", "true"]);
        }
        env.drain();
        kill(&env, env.command(&["prune", "--older-than", "0s"]), name);
        env.qcli(&["doctor"]).ok();
        env.qcli(&["prune", "--older-than", "0s"]).ok();
        assert!(jobs(&env).is_empty());
        assert_eq!(
            env.enqueue(&["--", "true"]),
            4,
            "no number is given out again"
        );
    }
}

#[test]
fn a_job_whose_doorbell_is_lost_starts_all_the_same() {
    // T48: the worker waits on the wake file that somebody took away; who rings, rings a new one.
    let env = test_env!();
    let first = env.enqueue(&["--", "true"]);
    let _worker = env.spawn_worker(&[]);
    let completed = |job: i64| env.state(job) == "completed";
    support::wait_until("the first job's end", || completed(first));
    let wake = env.db().with_file_name("queue.db-wake");
    std::fs::remove_file(&wake).unwrap();
    let second = env.enqueue(&["--", "true"]);
    support::wait_until("a job behind a wake file that is gone", || {
        completed(second)
    });
    std::fs::write(&wake, [0; 4_096]).unwrap();
    let third = env.enqueue(&["--", "true"]);
    support::wait_until("a job behind a wake file that is another one", || {
        completed(third)
    });
}

#[test]
fn whoever_waits_is_woken_by_a_commit_that_rang_no_bell() {
    // T48
    let env = test_env!();
    env.enqueue(&["--", "true"]);
    let store = SqliteStore::open(&env.db(), &OpenOptions::default()).unwrap();
    let wake = env.db().with_file_name("queue.db-wake");
    // Another process makes a new wake file; another program knows of none.
    let seen = store.generation();
    std::fs::remove_file(&wake).unwrap();
    env.enqueue(&["--", "true"]);
    assert!(
        store.wait_for_change(seen, support::PATIENCE),
        "a bell that we do not hear"
    );
    let seen = store.generation();
    let other = Connection::open(env.db()).unwrap();
    other.execute("update queue set ageing_ms = 0", []).unwrap();
    assert!(
        store.wait_for_change(seen, support::PATIENCE),
        "no bell at all"
    );
}

#[test]
fn a_job_that_another_program_lets_go_is_found() {
    // T48: who writes without this library rings no bell at all.
    let env = test_env!();
    env.enqueue(&["--", "true"]);
    env.drain();
    env.qcli(&["queue", "pause", "default"]).ok();
    let job = env.enqueue(&["--", "true"]);
    let mut worker = env.spawn_worker(&[]);
    support::wait_until("the worker", || worker.stderr().contains("started"));
    let other = Connection::open(env.db()).unwrap();
    other.busy_timeout(support::PATIENCE).unwrap();
    other
        .execute("update queue set paused_at = null", [])
        .unwrap();
    drop(other);
    support::wait_until("the job", || env.state(job) == "completed");
    assert_eq!(worker.try_wait(), None);
    let store = SqliteStore::open(&env.db(), &OpenOptions::default()).unwrap();
    assert_sound(&store);
}
