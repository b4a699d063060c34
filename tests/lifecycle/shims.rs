//! The shims of a worker: one attempt after the other, and none longer than its worker.

use crate::home::{Home, home, is_alive, says};
use queue_core::{JobId, State};
use rustix::process::{Pid, Signal, kill_process};
use support::{Running, Stopped, wait_until};

/// Tells which shim it has.
const TELLS: &str = "echo $PPID > shim-$QUEUE_JOB_ID";

fn one_at_a_time(home: &Home) -> Running {
    home.worker(&["-j", "1"])
}

/// Runs a job that does this at the end, and returns the shim it had.
fn shim_of_a_job(home: &Home, then: &str) -> (JobId, Pid) {
    let job = home.add_shell(&format!("{TELLS}; {then}"));
    (job, home.pid_in(&format!("shim-{job}")))
}

fn stop(mut worker: Running) {
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
}

#[test]
fn a_shim_serves_one_attempt_after_the_other() {
    let home = home!();
    let worker = one_at_a_time(&home);
    let (first, shim) = shim_of_a_job(&home, "true");
    home.ends(first, State::Completed);
    // What it is asked to stop is the attempt that it has.
    let (second, same) = shim_of_a_job(&home, "exec sleep 600");
    home.env.qcli(&["cancel", &second.to_string()]).ok();
    home.ends(second, State::Cancelled);
    let (third, still_the_same) = shim_of_a_job(&home, "echo done");
    home.ends(third, State::Completed);
    assert_eq!((same, still_the_same), (shim, shim));
    assert_eq!(
        home.env.qcli(&["logs", &third.to_string()]).stdout,
        "done\n"
    );
    stop(worker);
}

#[test]
fn a_shim_with_a_process_left_of_its_attempt_gets_no_other_one() {
    let home = home!();
    let worker = one_at_a_time(&home);
    let mut keeper = home.shell(&format!(
        "{TELLS}; setsid sleep 600 > /dev/null 2>&1 & echo $! > left"
    ));
    keeper.options.on_leftover = Some(queue_core::job::OnLeftover::Keep);
    let keeper = home.add(keeper);
    let (left, shim) = (home.pid_in("left"), home.pid_in(&format!("shim-{keeper}")));
    home.ends(keeper, State::Completed);
    let (next, other) = shim_of_a_job(&home, "true");
    home.ends(next, State::Completed);
    assert_ne!(other, shim);
    assert!(is_alive(left), "it was asked for");
    wait_until("the first shim has ended", || !is_alive(shim));
    kill_process(left, Signal::KILL).unwrap();
    stop(worker);
}

#[test]
fn a_shim_that_waits_ends_with_its_worker() {
    let home = home!();
    let mut worker = one_at_a_time(&home);
    let (job, shim) = shim_of_a_job(&home, "true");
    home.ends(job, State::Completed);
    worker.kill();
    wait_until("the shim has ended", || !is_alive(shim));
    let worker = one_at_a_time(&home);
    let (job, shim) = shim_of_a_job(&home, "true");
    home.ends(job, State::Completed);
    stop(worker);
    assert!(!is_alive(shim), "its worker waits for it");
}

#[test]
fn a_shim_that_dies_while_it_waits_costs_the_next_job_nothing() {
    let home = home!();
    let worker = one_at_a_time(&home);
    let (job, shim) = shim_of_a_job(&home, "true");
    home.ends(job, State::Completed);
    kill_process(shim, Signal::KILL).unwrap();
    let (job, other) = shim_of_a_job(&home, "while [ ! -e go ]; do sleep 0.01; done");
    assert_ne!(other, shim);
    says(&worker, "started");
    home.env.file("go", "");
    let row = home.ends(job, State::Completed);
    assert_eq!((row.attempt, row.stalls), (1, 0));
    stop(worker);
}

#[test]
fn a_shim_that_waits_for_long_is_ended() {
    let home = home!();
    let worker = one_at_a_time(&home);
    let (job, shim) = shim_of_a_job(&home, "true");
    home.ends(job, State::Completed);
    wait_until("the shim has ended", || !is_alive(shim));
    let zombie = std::path::Path::new("/proc").join(shim.as_raw_nonzero().to_string());
    wait_until("it is reaped", || !zombie.exists());
    stop(worker);
}

#[test]
fn the_shim_of_a_long_job_gives_back_most_of_the_memory_it_took_to_start() {
    let home = home!();
    let worker = one_at_a_time(&home);
    let (job, shim) = shim_of_a_job(&home, "until test -e go; do sleep 0.1; done; echo whole");
    let kilobytes = |what: &str| -> u64 {
        let status = format!("/proc/{}/status", shim.as_raw_nonzero());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find(|line| line.starts_with(what)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    wait_until("less memory", || {
        kilobytes("VmRSS:") * 2 < kilobytes("VmHWM:")
    });
    home.env.file("go", "");
    home.ends(job, State::Completed);
    let log = home.env.qcli(&["logs", &job.to_string()]).stdout;
    assert_eq!(log, "whole\n", "it works as before");
    stop(worker);
}
