//! Jobs that outlive their worker: adopted by the next one, and never started again.

use crate::home::{Home, LEASE, home, is_alive, says};
use queue_core::{Class, Epoch, State, Store};
use rustix::process::{Pid, Signal, kill_process};
use support::{Running, Stopped, programs, wait_for, wait_until};

/// Counts to six by the file `go`, and ends with 7.
const COUNTS: &str = "echo $$ > pid; for i in 1 2 3; do echo $i; done; while [ ! -e go ]; do sleep 0.01; done; \
     for i in 4 5 6; do echo $i; done; exit 7";

fn counting(home: &Home) -> queue_core::JobId {
    let mut job = home.shell(COUNTS);
    job.max_attempts = std::num::NonZeroU32::MIN;
    home.add(job)
}

/// The shim of an attempt: the process above the job's.
pub(crate) fn shim_of(job: Pid) -> Pid {
    let stat = format!("/proc/{}/stat", job.as_raw_nonzero());
    let stat = std::fs::read_to_string(stat).expect("the job runs");
    let (_, rest) = stat.rsplit_once(')').expect("proc_pid_stat(5)");
    let parent = rest.split_whitespace().nth(1).map(str::parse);
    let parent = parent.expect("field 4").expect("field 4 is a number");
    Pid::from_raw(parent).expect("a process has a parent")
}

/// It ran once, to its end, and its log is whole.
fn ran_once(home: &Home, job: queue_core::JobId, adopter: &str) {
    let row = home.ends(job, State::Failed);
    assert_eq!((row.epoch, row.attempt, row.stalls), (Epoch(1), 1, 0));
    let attempts = home.attempts(job);
    assert_eq!(attempts.len(), 1, "{attempts:#?}");
    assert_eq!(attempts[0].exit_code, Some(7));
    assert_eq!(attempts[0].class, Some(Class::ExitCode));
    assert_eq!(attempts[0].adopted_by.as_deref(), Some(adopter));
    let logs = home.env.qcli(&["logs", &job.to_string()]);
    assert_eq!(logs.stdout, "1\n2\n3\n4\n5\n6\n");
}

fn stop(worker: &mut Running) {
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
}

#[test]
fn a_job_goes_on_when_its_worker_is_killed_and_the_next_one_adopts_it() {
    // P7
    let home = home!();
    let job = counting(&home);
    let mut first = home.worker(&["--name", "first"]);
    let pid = home.pid_in("pid");
    first.kill();
    assert!(is_alive(pid));
    let mut next = home.worker(&["--name", "next"]);
    says(&next, "adopted (worker_died)");
    home.env.file("go", "");
    ran_once(&home, job, "next");
    stop(&mut next);
}

#[test]
fn a_worker_that_runs_already_adopts_it_as_well() {
    let home = home!();
    let job = counting(&home);
    let mut first = home.worker(&["--name", "first"]);
    home.pid_in("pid");
    let mut other = home.worker(&["--name", "other"]);
    says(&other, "started");
    first.kill();
    says(&other, "adopted (worker_died)");
    home.env.file("go", "");
    ran_once(&home, job, "other");
    stop(&mut other);
}

#[test]
fn a_job_is_adopted_after_all_workers_were_down_for_longer_than_the_lease() {
    let home = home!();
    let job = counting(&home);
    let mut workers =
        ["first", "second"].map(|name| home.worker(&["--name", name, "--lease", LEASE]));
    let pid = home.pid_in("pid");
    workers.iter_mut().for_each(Running::kill);
    let row = home.store.job(job).unwrap();
    let ran_out = row.lease_expires_at.expect("it is in progress");
    wait_until("the lease has run out", || home.now().wall > ran_out);
    assert!(is_alive(pid));
    let mut next = home.worker(&["--name", "next"]);
    says(&next, "goes on: adopted (");
    home.env.file("go", "");
    ran_once(&home, job, "next");
    stop(&mut next);
}

#[test]
fn of_two_workers_that_find_an_orphan_one_adopts_it() {
    let home = home!();
    let job = counting(&home);
    let mut first = home.worker(&["--name", "first"]);
    home.pid_in("pid");
    first.kill();
    let mut others = ["a", "b"].map(|name| home.worker(&["--name", name]));
    let adopter = wait_for("an adoption", || {
        let adopted = |worker: &&Running| worker.stderr().contains("adopted (worker_died)");
        others.iter().position(|worker| adopted(&worker))
    });
    home.env.file("go", "");
    ran_once(&home, job, ["a", "b"][adopter]);
    assert!(!others[1 - adopter].stderr().contains("adopted"));
    others.iter_mut().for_each(stop);
}

#[test]
fn a_job_that_ended_while_no_worker_was_there_is_taken_from_its_status() {
    let home = home!();
    let job = counting(&home);
    let mut first = home.worker(&["--name", "first", "--lease", LEASE]);
    let pid = home.pid_in("pid");
    let shim = shim_of(pid);
    first.kill();
    home.env.file("go", "");
    wait_until("the shim has ended", || !is_alive(shim));
    let mut next = home.worker(&["--name", "next"]);
    ran_once(&home, job, "next");
    stop(&mut next);
}

#[test]
fn what_a_job_saves_is_kept_over_an_adoption() {
    let home = home!();
    let job = home.add_shell(
        "echo $$ > pid; while [ ! -e go ]; do sleep 0.01; done; printf late > $QUEUE_CHECKPOINT",
    );
    let mut first = home.worker(&[]);
    home.pid_in("pid");
    first.kill();
    let mut next = home.worker(&[]);
    says(&next, "adopted");
    home.env.file("go", "");
    home.ends(job, State::Completed);
    let saved = home
        .store
        .checkpoint_value(job, "default")
        .unwrap()
        .unwrap();
    assert_eq!(saved.value, b"late");
    stop(&mut next);
}

#[test]
fn a_late_worker_lets_go_of_a_job_that_another_one_adopted() {
    // T1, T07
    let home = home!();
    let job = counting(&home);
    let mut late = home.worker(&["--name", "late", "--lease", LEASE]);
    let pid = home.pid_in("pid");
    home.freeze(&[&late]);
    let mut next = home.worker(&["--name", "next", "--lease", LEASE]);
    says(&next, "adopted (lease_expired)");
    late.signal(Signal::CONT);
    says(&late, "goes on under another worker");
    assert!(is_alive(pid), "the late worker ended what is not its own");
    stop(&mut late);
    assert!(is_alive(pid));
    home.env.file("go", "");
    ran_once(&home, job, "next");
    stop(&mut next);
}

#[test]
fn the_second_signal_leaves_jobs_running_for_the_next_worker() {
    let home = home!();
    let job = counting(&home);
    let mut first = home.worker(&["--name", "first"]);
    let pid = home.pid_in("pid");
    first.signal(Signal::TERM);
    says(&first, "stopping");
    first.signal(Signal::TERM);
    assert_eq!(first.wait(), Stopped::Exited(0), "{}", first.stderr());
    says(
        &first,
        "stopping now: 1 job left running for the next worker\n",
    );
    assert!(is_alive(pid));
    let mut next = home.worker(&["--name", "next"]);
    says(&next, "adopted (worker_died)");
    home.env.file("go", "");
    ran_once(&home, job, "next");
    stop(&mut next);
}

#[test]
fn signals_that_come_all_at_once_leave_jobs_running_too() {
    let home = home!();
    let job = counting(&home);
    let mut first = home.worker(&["--name", "first"]);
    let pid = home.pid_in("pid");
    first.signal(Signal::TERM);
    says(&first, "stopping");
    // It finds the second and the third in one look.
    first.signal(Signal::STOP);
    first.signal(Signal::TERM);
    first.signal(Signal::INT);
    first.signal(Signal::CONT);
    assert_eq!(first.wait(), Stopped::Exited(0), "{}", first.stderr());
    assert!(is_alive(pid));
    let mut next = home.worker(&["--name", "next"]);
    says(&next, "adopted (worker_died)");
    home.env.file("go", "");
    ran_once(&home, job, "next");
    stop(&mut next);
}

#[test]
fn an_adopted_job_can_be_cancelled_and_saves_its_work() {
    // P3
    let home = home!();
    let job = home.add_shell(
        "trap 'sleep 0.3; echo saved > work; exit 0' TERM; echo $$ > pid; \
         while :; do sleep 0.01; done",
    );
    let mut first = home.worker(&[]);
    let pid = home.pid_in("pid");
    first.kill();
    let mut next = home.worker(&[]);
    says(&next, "adopted");
    home.store.cancel(&[job], &home.now()).unwrap();
    home.ends(job, State::Cancelled);
    assert!(!is_alive(pid));
    assert_eq!(home.env.read("work"), "saved\n");
    stop(&mut next);
}

#[test]
fn when_worker_and_shim_are_killed_the_remains_are_gone_before_the_retry() {
    // T15
    let home = home!();
    let first = format!(
        "{{ {} & }} 2>/dev/null; setsid sh -c 'echo $$ > far; exec sleep 600' & \
         (setsid sh -c 'echo $$ > double; exec sleep 600' &) ; {}",
        programs::ignores_term("near"),
        programs::ignores_term("leader")
    );
    let second = crate::home::tell_overlap("near far double leader");
    let job = home.add_shell(&format!(
        "if [ $QUEUE_EPOCH = 1 ]; then {first}; else {second}; fi"
    ));
    let mut worker = home.worker(&[]);
    let tree = ["leader", "near", "far", "double"].map(|file| home.pid_in(file));
    let shim = shim_of(tree[0]);
    worker.kill();
    kill_process(shim, Signal::KILL).unwrap();
    let mut next = home.worker(&[]);
    let row = home.ends(job, State::Completed);
    assert_eq!((row.epoch, row.attempt, row.stalls), (Epoch(2), 1, 1));
    assert!(!home.env.work().join("overlap").exists());
    assert!(!tree.into_iter().any(is_alive));
    stop(&mut next);
}

#[test]
fn when_the_shim_alone_is_killed_its_worker_clears_away_and_tries_again() {
    let home = home!();
    let job = home.add_shell(
        "if [ $QUEUE_EPOCH = 1 ]; then echo $$ > pid; exec sleep 600; fi; echo again > second",
    );
    let mut worker = home.worker(&[]);
    let pid = home.pid_in("pid");
    kill_process(shim_of(pid), Signal::KILL).unwrap();
    let row = home.ends(job, State::Completed);
    assert_eq!((row.epoch, row.stalls), (Epoch(2), 1));
    assert!(!is_alive(pid));
    assert_eq!(home.attempts(job)[0].class, Some(Class::WorkerDied));
    stop(&mut worker);
}
