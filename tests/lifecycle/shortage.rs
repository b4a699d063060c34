//! A machine that runs out of file descriptors: what jobs and workers make of it.
//!
//! The limit of a process that runs is lowered from outside (prlimit(2)): what it has open stays
//! open, and nothing more can be opened.

use crate::adoption::shim_of;
use crate::home::{Home, LEASE, home, is_alive, says};
use queue_core::{Epoch, JobId, State};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use std::num::NonZeroU32;
use support::{Running, Stopped, wait_until};

/// A limit that was lowered, and how it was before.
struct Lowered {
    pid: Pid,
    before: Rlimit,
}

impl Lowered {
    /// Lets a process open `room` descriptors beside those it has.
    fn to(pid: Pid, room: usize) -> Self {
        let open = std::fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero()))
            .expect("the process runs");
        let name = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse::<u64>().ok();
        let open: Vec<u64> = open.flatten().filter_map(name).collect();
        let first_refused = (0..).filter(|number| !open.contains(number)).nth(room);
        Self::to_number(pid, first_refused.expect("numbers do not end"))
    }

    /// Lets a process open nothing at all, also where it closes what it has.
    fn to_nothing(pid: Pid) -> Self {
        Self::to_number(pid, 3)
    }

    fn to_number(pid: Pid, number: u64) -> Self {
        let limit = Rlimit {
            current: Some(number),
            // What this process has, its children have.
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        let before = prlimit(Some(pid), Resource::Nofile, limit).expect("it is ours");
        Self { pid, before }
    }

    fn lift(self) {
        prlimit(Some(self.pid), Resource::Nofile, self.before).expect("it is ours");
    }
}

fn pid_of(worker: &Running) -> Pid {
    let number = i32::try_from(worker.pid()).expect("pid_t is an i32");
    Pid::from_raw(number).expect("a process that was started has a number")
}

/// A job for one attempt that writes its pid to a file and ends with 7 when `go` is there.
fn waiting(home: &Home) -> JobId {
    let line = "echo $$ > pid; echo x >> runs; while [ ! -e go ]; do sleep 0.01; done; exit 7";
    let mut job = home.shell(line);
    job.max_attempts = NonZeroU32::MIN;
    home.add(job)
}

/// It ran once, and was told once.
fn ran_once(home: &Home, job: JobId) {
    let row = home.ends(job, State::Failed);
    assert_eq!((row.epoch, row.attempt, row.stalls), (Epoch(1), 1, 0));
    assert_eq!(home.attempts(job)[0].exit_code, Some(7));
    assert_eq!(home.env.read("runs"), "x\n");
}

/// A worker that has opened all it needs beside attempts: a job was run.
fn warm_worker(home: &Home, args: &[&str]) -> Running {
    let worker = home.worker(args);
    // Another worker may take the job while this one still makes its directories.
    says(&worker, "started");
    let first = home.add_shell("true");
    home.ends(first, State::Completed);
    worker
}

fn stop(mut worker: Running) {
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
}

/// With each number of free descriptors, none to all that are needed, a job is put off or runs.
fn is_put_off_while_descriptors_are_short(args: &[&str]) {
    let home = home!();
    let worker = warm_worker(&home, &[&["-j", "1"], args].concat());
    // And has closed what that job needed: it is told after.
    says(&worker, "job 1 completed");
    let mut jobs = Vec::new();
    for room in 0..10 {
        let lowered = Lowered::to(pid_of(&worker), room);
        let mut job = home.shell("echo $QUEUE_JOB_ID >> ran");
        job.max_attempts = NonZeroU32::MIN;
        let job = home.add(job);
        jobs.push(job);
        wait_until("it runs or is put off", || {
            let job = home.job(job);
            job.state == State::Completed || job.state == State::Scheduled
        });
        lowered.lift();
        let row = home.ends(job, State::Completed);
        assert_eq!((row.attempt, row.stalls), (1, 0), "{}", worker.stderr());
    }
    let ran: Vec<String> = jobs.iter().map(ToString::to_string).collect();
    assert_eq!(home.env.read("ran").lines().collect::<Vec<_>>(), ran);
    let said = worker.stderr();
    assert!(said.contains("has no room to start jobs"), "{said}");
    assert_eq!(
        said.matches("has no room to start jobs").count(),
        said.matches("jobs can be started again").count(),
        "{said}"
    );
    let tries = home.attempts(jobs[0]);
    assert!(tries.len() > 1, "it was put off: {tries:#?}");
    let message = tries[0].message.as_deref().unwrap_or_default();
    assert!(message.contains("Too many open files"), "{message}");
    stop(worker);
}

#[test]
fn a_job_that_finds_no_descriptor_is_put_off_and_costs_no_attempt() {
    is_put_off_while_descriptors_are_short(&[]);
}

#[test]
fn nor_does_one_that_is_run_directly() {
    is_put_off_while_descriptors_are_short(&["--direct"]);
}

#[test]
fn a_shortage_is_said_once_however_many_jobs_meet_it() {
    let home = home!();
    let worker = warm_worker(&home, &["-j", "4"]);
    says(&worker, "job 1 completed");
    let lowered = Lowered::to(pid_of(&worker), 0);
    let jobs = [(); 8].map(|()| home.add_shell("true"));
    wait_until("each is met, and one again", || {
        let tries: usize = jobs.iter().map(|job| home.attempts(*job).len()).sum();
        tries > jobs.len()
    });
    lowered.lift();
    for job in jobs {
        assert_eq!(home.ends(job, State::Completed).attempt, 1);
    }
    let said = worker.stderr();
    assert_eq!(
        said.matches("has no room to start jobs").count(),
        1,
        "{said}"
    );
    assert_eq!(
        said.matches("jobs can be started again").count(),
        1,
        "{said}"
    );
    stop(worker);
}

#[test]
fn a_shim_without_descriptors_keeps_the_outcome_until_it_can_be_written() {
    let home = home!();
    let job = waiting(&home);
    let worker = home.worker(&[]);
    let pid = home.pid_in("pid");
    let shim = shim_of(pid);
    let lowered = Lowered::to_nothing(shim);
    home.env.file("go", "");
    wait_until("the job has ended", || !is_alive(pid));
    assert!(is_alive(shim));
    assert_eq!(home.job(job).state, State::InProgress);
    lowered.lift();
    ran_once(&home, job);
    stop(worker);
}

#[test]
fn a_worker_that_cannot_read_how_a_job_ended_does_not_run_it_again() {
    let home = home!();
    let job = waiting(&home);
    let worker = home.worker(&[]);
    let pid = home.pid_in("pid");
    let shim = shim_of(pid);
    wait_until("the worker knows of the process", || {
        home.attempts(job)[0].process.is_some()
    });
    let lowered = Lowered::to_nothing(pid_of(&worker));
    home.env.file("go", "");
    wait_until("the shim has ended", || !is_alive(shim));
    assert_eq!(home.job(job).state, State::InProgress);
    lowered.lift();
    ran_once(&home, job);
    stop(worker);
}

#[test]
fn a_worker_that_cannot_look_at_an_orphan_leaves_it_alone_until_it_can() {
    // Were it taken for dead, it would be ended, or run twice at a time.
    let home = home!();
    let job = waiting(&home);
    let mut first = home.worker(&["--lease", LEASE]);
    let pid = home.pid_in("pid");
    let next = warm_worker(&home, &["--lease", LEASE, "-j", "2"]);
    let lowered = Lowered::to_nothing(pid_of(&next));
    first.kill();
    says(&next, "cannot be read");
    assert!(is_alive(pid));
    lowered.lift();
    says(&next, "adopted (lease_expired)");
    assert!(is_alive(pid));
    home.env.file("go", "");
    ran_once(&home, job);
    stop(next);
}
