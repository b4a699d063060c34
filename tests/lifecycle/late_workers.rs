//! Workers that stand still longer than their leases run.

use crate::home::{LEASE, home, is_alive, says, tell_overlap};
use queue_core::{Class, Epoch, State};
use rustix::process::Signal;
use support::Stopped;

#[test]
fn a_late_worker_loses_its_job_and_writes_nothing() {
    // T01
    let home = home!();
    // The second one says so if it runs beside the first.
    let job = home.add_shell(&format!(
        "[ -e first ] && {{ {}; }}; \
         [ -e first ] && echo $$ > second || echo $$ > first; \
         while [ ! -e go ]; do sleep 0.01; done",
        tell_overlap("first")
    ));
    let mut late = home.direct_worker(&["-j", "1", "--lease", LEASE, "--name", "late"]);
    let first = home.pid_in("first");
    home.freeze(&[&late]);
    let mut fresh = home.direct_worker(&["-j", "1", "--lease", LEASE, "--name", "fresh"]);
    let second = home.pid_in("second");
    assert!(!is_alive(first) && is_alive(second));

    late.signal(Signal::CONT);
    says(&late, "its lease is lost");
    assert!(
        is_alive(second),
        "the late worker ended what is not its own"
    );
    home.env.file("go", "");
    let row = home.ends(job, State::Completed);
    assert_eq!((row.epoch, row.stalls), (Epoch(2), 1));
    assert!(!home.env.work().join("overlap").exists());
    let attempts = home.attempts(job);
    let ends: Vec<_> = attempts
        .iter()
        .map(|attempt| (attempt.worker_name.as_str(), attempt.class))
        .collect();
    assert_eq!(ends, [("late", Some(Class::LeaseExpired)), ("fresh", None)]);
    assert_eq!(attempts[0].adopted_by.as_deref(), Some("fresh"));
    for worker in [&mut late, &mut fresh] {
        worker.signal(Signal::TERM);
        assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
    }
}

/// Freezes a worker between the claim and the start, for longer than its lease.
fn frozen_before_the_start(more: &[&str]) {
    let home = home!();
    let job = home.add_shell(
        "echo $QUEUE_EPOCH >> began; echo $$ > pid; while [ ! -e go ]; do sleep 0.01; done",
    );
    // Its third transaction: the first makes it known, and the first cycle claims nothing, because
    // nothing is started before the worker has looked at what the machine has free.
    let args = [&["-j", "1", "--lease", LEASE, "--name", "late"], more].concat();
    let mut command = home.env.worker_command(&args);
    command.env("QUEUE_FAILPOINT", "transaction.committed:3:stop");
    let mut late = home.env.spawn(command);
    support::wait_until("it claims", || home.job(job).state == State::InProgress);
    let args = [&["-j", "1", "--lease", LEASE, "--name", "fresh"], more].concat();
    let mut fresh = home.worker(&args);
    let second = home.pid_in("pid");
    assert_eq!(home.job(job).epoch, Epoch(2));

    late.signal(Signal::CONT);
    says(&late, "is not started");
    says(&late, "its lease is lost");
    assert!(is_alive(second));
    home.env.file("go", "");
    let row = home.ends(job, State::Completed);
    assert_eq!((row.epoch, row.stalls), (Epoch(2), 1));
    assert_eq!(home.env.read("began"), "2\n");
    for worker in [&mut late, &mut fresh] {
        worker.signal(Signal::TERM);
        assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
    }
}

#[test]
fn a_worker_that_stood_still_before_the_start_does_not_start_beside_the_next() {
    frozen_before_the_start(&[]);
}

#[test]
fn nor_does_one_that_runs_its_jobs_directly() {
    frozen_before_the_start(&["--direct"]);
}

/// Freezes a worker that has just found that its lease runs, for longer than that, and lets it
/// start what it holds, once the next one has `said` what it found. Says which attempt completed.
fn frozen_as_it_starts(more: &[&str], said: &str) -> Epoch {
    let home = home!();
    let job = home.add_shell(&format!(
        "[ -e pid ] && {{ {}; }}; echo $$ > pid; while [ ! -e go ]; do sleep 0.01; done",
        tell_overlap("pid")
    ));
    let args = [&["-j", "1", "--lease", LEASE, "--name", "late"], more].concat();
    let mut command = home.env.worker_command(&args);
    command.env("QUEUE_FAILPOINT", "host.asked:1:stop");
    let mut late = home.env.spawn(command);
    support::wait_until("it claims", || home.job(job).state == State::InProgress);
    let mut fresh = home.worker(&["-j", "1", "--lease", LEASE, "--name", "fresh"]);
    says(&fresh, said);
    assert!(!home.env.work().join("pid").exists());
    late.signal(Signal::CONT);
    says(&late, "its lease is lost");
    home.env.file("go", "");
    let row = home.ends(job, State::Completed);
    assert!(!home.env.work().join("overlap").exists());
    assert!(!is_alive(home.pid_in("pid")));
    for worker in [&mut late, &mut fresh] {
        worker.signal(Signal::TERM);
        assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
    }
    row.epoch
}

#[test]
fn what_a_late_worker_starts_all_the_same_goes_on_under_who_adopted_it() {
    assert_eq!(
        frozen_as_it_starts(&[], "goes on: adopted (lease_expired)"),
        Epoch(1)
    );
}

#[test]
fn what_a_late_worker_starts_directly_is_ended_before_the_next_attempt() {
    assert_eq!(
        frozen_as_it_starts(&["--direct"], "lost its worker (lease_expired)"),
        Epoch(2)
    );
}

#[test]
fn a_job_longer_than_the_lease_runs_once_under_a_healthy_worker() {
    // T05, T12, T13
    let home = home!();
    let mut job = home.shell("echo $QUEUE_EPOCH >> epochs; sleep 3");
    // It waits for longer than the lease runs, which begins with the claim.
    job.start = queue_core::job::StartAt::After(2 * crate::home::LEASE_FOR);
    let job = home.add(job);
    let _workers = [(); 2].map(|()| home.worker(&["--lease", LEASE]));
    let row = home.ends(job, State::Completed);
    assert_eq!((row.epoch, row.attempt, row.stalls), (Epoch(1), 1, 0));
    assert_eq!(home.env.read("epochs"), "1\n");
}

#[test]
fn workers_that_all_stood_still_keep_their_jobs() {
    // T19
    let home = home!();
    let jobs = ["a", "b"].map(|name| {
        home.add_shell(&format!(
            "echo $$ > {name}; while [ ! -e go ]; do sleep 0.01; done"
        ))
    });
    let workers = [(); 2].map(|()| home.worker(&["-j", "1", "--lease", LEASE]));
    let pids = ["a", "b"].map(|name| home.pid_in(name));
    home.freeze(&workers.each_ref());
    support::wait_until("both leases run out", || {
        let now = home.now().wall;
        let expired = |job| home.job(job).lease_expires_at.is_some_and(|at| at < now);
        jobs.into_iter().all(expired)
    });
    for worker in &workers {
        worker.signal(Signal::CONT);
    }
    for worker in &workers {
        says(worker, "stood still");
    }
    home.env.file("go", "");
    for (job, pid) in jobs.into_iter().zip(pids) {
        let row = home.ends(job, State::Completed);
        assert_eq!((row.epoch, row.stalls), (Epoch(1), 0), "{pid:?}");
    }
}
