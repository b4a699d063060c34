//! How a worker ends: because nothing is left, or because it is told to.

use crate::home::{LEASE, home, is_alive, says};
use queue_core::job::StartAt;
use queue_core::queue::QueueChange;
use queue_core::{Class, State, Store};
use rustix::process::Signal;
use std::time::Duration;
use support::{Stopped, programs};

#[test]
fn drain_ends_when_nothing_is_left_and_not_before() {
    let home = home!();
    let jobs: Vec<_> = (0..7)
        .map(|n| home.add_shell(&format!("echo {n} >> ran")))
        .collect();
    let mut retried = home.shell(&programs::needs_second_try("tried"));
    retried.backoff = "fixed:1s".parse().unwrap();
    let retried = home.add(retried);
    let mut worker = home.worker(&["--drain=all", "-j", "3"]);
    assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
    for job in jobs {
        home.ends(job, State::Completed);
    }
    assert_eq!(home.ends(retried, State::Completed).attempt, 2);
    assert_eq!(home.env.read("ran").lines().count(), 7);
}

#[test]
fn drain_leaves_what_cannot_start_by_itself_now() {
    let home = home!();
    let mut later = home.shell("true");
    later.start = StartAt::After(Duration::from_secs(3600));
    let later = home.add(later);
    let mut paused = home.shell("true");
    paused.queue = "paused".to_owned();
    let paused = home.add(paused);
    let change = QueueChange {
        paused: Some(true),
        ..QueueChange::default()
    };
    home.store
        .set_queue("paused", &change, &home.now())
        .unwrap();
    let done = home.add_shell("true");
    let mut worker = home.worker(&["--drain"]);
    assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
    assert_eq!(home.job(done).state, State::Completed);
    assert_eq!(home.job(later).state, State::Scheduled);
    assert_eq!(home.job(paused).state, State::Pending);
}

#[test]
fn drain_waits_for_what_another_worker_runs() {
    let home = home!();
    let job = home.add_shell("touch runs; while [ ! -e go ]; do sleep 0.01; done");
    let _other = home.worker(&[]);
    home.appears("runs");
    let mut draining = home.worker(&["--drain", "--lease", LEASE]);
    says(&draining, "started");
    assert_eq!(draining.try_wait(), None);
    home.env.file("go", "");
    assert_eq!(draining.wait(), Stopped::Exited(0));
    assert_eq!(home.job(job).state, State::Completed);
}

#[test]
fn the_first_signal_lets_running_jobs_end_and_starts_no_more() {
    let home = home!();
    let running = home.add_shell("touch runs; while [ ! -e go ]; do sleep 0.01; done; echo end");
    let waiting = home.add_shell("true");
    let mut worker = home.worker(&["-j", "1"]);
    home.appears("runs");
    worker.signal(Signal::TERM);
    says(&worker, "stopping");
    assert_eq!(worker.try_wait(), None);
    home.env.file("go", "");
    assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
    assert_eq!(home.job(running).state, State::Completed);
    assert_eq!(home.job(waiting).state, State::Pending);
    let told = &home.store.workers().unwrap()[0];
    assert!(told.stopped_at.is_some());
}

#[test]
fn the_second_signal_hands_jobs_back_without_costing_an_attempt() {
    // T29
    let home = home!();
    let mut job = home.shell(&programs::sleeper("pid"));
    job.max_attempts = std::num::NonZeroU32::MIN;
    let job = home.add(job);
    let mut worker = home.direct_worker(&["-j", "1"]);
    let pid = home.pid_in("pid");
    worker.signal(Signal::INT);
    says(&worker, "stopping");
    worker.signal(Signal::INT);
    assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
    assert!(!is_alive(pid));
    let row = home.job(job);
    assert_eq!((row.state, row.attempt, row.stalls), (State::Pending, 0, 0));
    assert_eq!(home.attempts(job)[0].class, Some(Class::Interrupted));

    let _next = home.direct_worker(&[]);
    let again = support::wait_for("the second start", || {
        Some(home.pid_in("pid")).filter(|again| *again != pid)
    });
    assert!(is_alive(again));
}

#[test]
fn the_third_signal_kills_what_does_not_stop() {
    let home = home!();
    let mut job = home.shell(&programs::ignores_term("pid"));
    job.options.grace_ms = Some(3_600_000);
    let job = home.add(job);
    let mut worker = home.direct_worker(&["-j", "1"]);
    let pid = home.pid_in("pid");
    worker.signal(Signal::TERM);
    says(&worker, "stopping:");
    worker.signal(Signal::TERM);
    says(&worker, "stopping now");
    assert!(is_alive(pid));
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
    assert!(!is_alive(pid));
    assert_eq!(home.job(job).state, State::Pending);
}

#[test]
fn a_worker_serves_only_its_queues() {
    let home = home!();
    let theirs = home.add_shell("true");
    let mut ours = home.shell("true");
    ours.queue = "builds".to_owned();
    let ours = home.add(ours);
    let mut worker = home.worker(&["--queues", "builds", "--drain"]);
    assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
    assert_eq!(home.job(ours).state, State::Completed);
    assert_eq!(home.job(theirs).state, State::Pending);
}
