//! Workers beside each other, and after each other under one name.

use crate::adoption::shim_of;
use crate::home::{home, is_alive, says};
use queue_core::{Class, Epoch, State, Store};
use queue_worker::{Stop, Until, WorkerOptions};
use rustix::process::{Signal, kill_process};
use std::sync::Arc;
use std::thread;
use support::wait_until;

fn waiting(name: &str) -> String {
    format!(
        "echo $QUEUE_EPOCH >> {name}.runs; echo $$ > {name}; while [ ! -e go ]; do sleep 0.01; done"
    )
}

#[test]
fn a_worker_that_starts_leaves_the_jobs_of_others_alone() {
    // T09
    let home = home!();
    let job = home.add_shell(&waiting("first"));
    let _worker = home.worker(&["-j", "1"]);
    home.pid_in("first");
    let before = home.job(job);
    let _second = home.worker(&["-j", "1"]);
    // It has looked: it runs what waits.
    let other = home.add_shell("true");
    home.ends(other, State::Completed);
    let row = home.job(job);
    assert_eq!(
        (row.epoch, row.holder, row.worker),
        (before.epoch, before.holder, before.worker)
    );
    home.env.file("go", "");
    assert_eq!(home.ends(job, State::Completed).stalls, 0);
    assert_eq!(home.env.read("first.runs"), "1\n");
}

#[test]
fn a_worker_that_takes_the_name_of_a_dead_one_recovers_its_jobs_and_loses_none_of_its_own() {
    // T08
    let home = home!();
    let old = home.add_shell(&waiting("old"));
    let mut first = home.worker(&["--name", "w", "-j", "1"]);
    home.pid_in("old");
    first.kill();
    let second = home.worker(&["--name", "w", "-j", "2"]);
    says(&second, "adopted (");
    let new = home.add_shell(&waiting("new"));
    home.pid_in("new");
    let third = home.worker(&["--name", "x", "-j", "2"]);
    let other = home.add_shell("true");
    home.ends(other, State::Completed);
    home.env.file("go", "");
    for job in [old, new] {
        let row = home.ends(job, State::Completed);
        assert_eq!((row.epoch, row.attempt, row.stalls), (Epoch(1), 1, 0));
    }
    assert_eq!(home.attempts(new)[0].adopted_by, None);
    assert!(!third.stderr().contains("adopted"), "{}", third.stderr());
    assert_eq!(home.env.read("old.runs"), "1\n");
}

#[test]
fn a_job_that_ranks_higher_and_comes_later_starts_next() {
    // T51
    let home = home!();
    let line = |name: &str| format!("echo {name} >> order");
    home.add_shell(&waiting("first"));
    let _worker = home.worker(&["-j", "1"]);
    home.pid_in("first");
    let low: Vec<_> = (0..5).map(|_| home.add_shell(&line("low"))).collect();
    let mut high = home.shell(&line("high"));
    high.priority = 5;
    home.add(high);
    home.env.file("go", "");
    for job in low {
        home.ends(job, State::Completed);
    }
    assert!(
        home.env.read("order").starts_with("high\n"),
        "{}",
        home.env.read("order")
    );
}

#[test]
fn two_workers_in_one_process_that_drain_run_each_job_once() {
    // T52
    let home = home!();
    let jobs: Vec<_> = (0..30)
        .map(|_| home.add_shell("echo $QUEUE_JOB_ID >> ran"))
        .collect();
    let store: Arc<dyn Store> = home.store.clone();
    let db = home.env.db();
    thread::scope(|scope| {
        for name in ["a", "b"] {
            let (store, db) = (&store, &db);
            scope.spawn(move || {
                let options = WorkerOptions {
                    name: name.to_owned(),
                    until: Until::Drained {
                        scheduled_too: false,
                    },
                    takes_signals: false,
                    ..WorkerOptions::default()
                };
                queue_worker::run(store, db, options, Stop::new()).unwrap();
            });
        }
    });
    for job in &jobs {
        let row = home.job(*job);
        assert_eq!((row.state, row.epoch), (State::Completed, Epoch(1)));
    }
    let ran = home.env.read("ran");
    let mut ran: Vec<i64> = ran.lines().map(|line| line.parse().unwrap()).collect();
    ran.sort_unstable();
    assert_eq!(ran, jobs.iter().map(|job| job.0).collect::<Vec<_>>());
}

#[test]
fn after_a_reboot_jobs_go_on_and_a_stranger_with_the_number_of_one_lives() {
    // T20
    let home = home!();
    let mut job = home.shell(&format!(
        "if [ $QUEUE_EPOCH = 1 ]; then {}; fi",
        waiting("first")
    ));
    job.max_attempts = std::num::NonZeroU32::MIN;
    let job = home.add(job);
    let mut worker = home.worker(&[]);
    let pid = home.pid_in("first");
    wait_until("it is recorded", || home.attempts(job)[0].process.is_some());
    let shim = shim_of(pid);
    worker.kill();
    for process in [shim, pid] {
        kill_process(process, Signal::KILL).unwrap();
    }
    wait_until("the power is cut", || !is_alive(pid) && !is_alive(shim));

    // The machine starts anew, and gives the number, and even the tick, to somebody else.
    let mut stranger = std::process::Command::new("sleep")
        .arg("600")
        .spawn()
        .unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", stranger.id())).unwrap();
    let started = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .nth(19)
        .unwrap();
    let posthumous = rusqlite::Connection::open(home.env.db()).unwrap();
    posthumous.busy_timeout(support::PATIENCE).unwrap();
    posthumous
        .execute_batch(&format!(
            "update job set lease_boot = 'before'; \
             update attempt set boot = 'before', pid = {}, pid_started = {started}",
            stranger.id()
        ))
        .unwrap();
    drop(posthumous);
    std::fs::remove_file(
        home.env
            .db()
            .with_file_name(format!("queue.db-run/{job}-1/lock")),
    )
    .unwrap();

    let _next = home.worker(&[]);
    let row = home.ends(job, State::Completed);
    assert_eq!((row.epoch, row.attempt, row.stalls), (Epoch(2), 1, 0));
    assert_eq!(home.attempts(job)[0].class, Some(Class::Rebooted));
    assert_eq!(stranger.try_wait().unwrap(), None);
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}
