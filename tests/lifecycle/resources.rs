//! What a job may use, what it used, and who goes first when memory runs out.
//!
//! Bounds are enforced by control groups. A test that needs them asks first what may be made here, in the same way as the
//! worker does, and says so where it cannot show anything.

use crate::home::{Home, home, is_alive, says};
use queue_core::attempt::Attempt;
use queue_core::{Class, JobId, State, Store};
use queue_worker::cgroup::{Ground, Lack, Mechanism};
use std::num::NonZeroU32;
use support::wait_until;

/// Takes memory until it is killed: a line without an end has to be kept.
const DEVOURS: &str = "tail /dev/zero";

/// Whether this machine lets us show something; says what is not shown where it does not.
#[expect(
    clippy::print_stderr,
    reason = "what could not be shown must not pass in silence"
)]
fn is_possible(what: &str, how: &Result<Mechanism, Lack>) -> bool {
    if let Err(lack) = how {
        eprintln!("not shown here, {what}: {lack}");
    }
    how.is_ok()
}

fn add_bound(home: &Home, line: &str, memory: u64) -> JobId {
    let mut job = home.shell(line);
    job.max_attempts = NonZeroU32::MIN;
    job.options.memory_bytes = Some(memory);
    home.add(job)
}

fn the_attempt(home: &Home, job: JobId) -> Attempt {
    home.attempts(job).pop().expect("it was tried")
}

fn expect_out_of_memory(home: &Home, job: JobId, memory: u64) {
    assert_eq!(home.ends(job, State::Failed).class, Some(Class::Oom));
    let attempt = the_attempt(home, job);
    let peak = attempt.usage.and_then(|usage| usage.memory_peak_bytes);
    let peak = peak.expect("the peak is known");
    assert!(peak <= memory && peak > memory / 2, "{attempt:#?}");
    let message = attempt.message.unwrap_or_default();
    assert!(message.starts_with("out of memory: peak "), "{message}");
    assert!(message.ends_with(" of 48.0 MiB allowed"), "{message}");
    let process = attempt.process.expect("it was started");
    assert_eq!(process.unenforced, None);
}

#[test]
fn a_job_over_its_memory_bound_is_out_of_memory_and_worker_and_sibling_live() {
    // P12
    if !is_possible("bounds on memory", &Ground::look().memory) {
        return;
    }
    let home = home!();
    let memory = 48 << 20;
    let sibling = home.add_shell("echo $$ > sibling; until [ -e enough ]; do sleep 0.05; done");
    let devours = add_bound(&home, &format!("exec {DEVOURS}"), memory);
    // The shell goes on after its child was killed, and ends with a code of its own.
    let child = add_bound(&home, &format!("{DEVOURS}; exit 137"), memory);
    let mut worker = home.worker(&["-j", "3"]);
    expect_out_of_memory(&home, devours, memory);
    expect_out_of_memory(&home, child, memory);
    assert!(is_alive(home.pid_in("sibling")));
    assert!(worker.try_wait().is_none());
    home.env.file("enough", "");
    home.ends(sibling, State::Completed);
    says(&worker, "out of memory: peak");
}

#[test]
fn a_direct_job_over_its_memory_bound_is_out_of_memory_and_the_worker_lives() {
    // P12
    if !is_possible("bounds on memory", &Ground::look().memory) {
        return;
    }
    let home = home!();
    let memory = 48 << 20;
    let job = add_bound(&home, &format!("exec {DEVOURS}"), memory);
    let mut worker = home.direct_worker(&[]);
    expect_out_of_memory(&home, job, memory);
    assert!(worker.try_wait().is_none());
}

#[test]
fn a_job_that_is_not_over_its_bound_just_ends() {
    let home = home!();
    let job = add_bound(&home, "exit 3", 48 << 20);
    let _worker = home.worker(&[]);
    assert_eq!(home.ends(job, State::Failed).class, Some(Class::ExitCode));
}

#[test]
fn a_child_that_left_everything_but_its_control_group_ends_with_a_direct_job() {
    // P1: with `--direct` nothing else finds it.
    if !is_possible("a hold on all processes", &Ground::look().hold) {
        return;
    }
    let home = home!();
    let hides = "env -i setsid /bin/sh -c 'echo $$ > bare; exec sleep 600' & \
                 env -i setsid /bin/sh -c '(setsid sleep 600 & echo $! > double)' & \
                 until [ -s bare ] && [ -s double ]; do sleep 0.01; done; ";
    let cancelled = home.add_shell(&format!("{hides} while :; do sleep 1; done"));
    let _worker = home.direct_worker(&[]);
    let hidden = ["bare", "double"].map(|file| home.pid_in(file));
    home.store.cancel(&[cancelled], &home.now()).unwrap();
    home.ends(cancelled, State::Cancelled);
    assert!(!hidden.into_iter().any(is_alive));

    for file in ["bare", "double"] {
        std::fs::remove_file(home.env.work().join(file)).unwrap();
    }
    let ends = home.add_shell(hides);
    home.ends(ends, State::Completed);
    let hidden = ["bare", "double"].map(|file| home.pid_in(file));
    wait_until("nothing is left", || !hidden.into_iter().any(is_alive));
}
