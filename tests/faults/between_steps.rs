//! Worker, shim and adopter killed with -9 between any two steps in the life of one attempt.
//!
//! Each scene arms one failpoint, sees that somebody was killed there, and lets others finish. What
//! always holds then: the job has ended once, by the attempt that the recovery table names; no two
//! attempts were alive at once, no process and no run directory is left, and the log is whole.

use queue_core::failpoint::OF_ATTEMPTS;
use rustix::process::{Pid, Signal, kill_process};
use std::{collections::BTreeSet, fs};
use support::{Running, Stopped, TestEnv, test_env, wait_for, wait_until};

/// Holds a lock that all of its tree inherits, leaves a process behind (in a session of its own,
/// where somebody would find it there), and goes on until it may end.
const JOB: &str = "exec 9>>turn; flock -w 5 9 || touch overlap; \
     env | grep -q FAILPOINT && touch leaked; echo $QUEUE_EPOCH >> begun; \
     if [ -e direct ]; then sleep 600 & else setsid sleep 600 & fi; \
     echo one; while [ ! -e go ]; do sleep 0.01; done; \
     echo two; echo $QUEUE_EPOCH >> ended";

/// A job, and the failpoint that somebody is to be killed at.
struct Scene {
    env: TestEnv,
    job: i64,
    point: &'static str,
}

impl Scene {
    fn at(point: &'static str) -> Self {
        let env = test_env!();
        let job = env.enqueue(&["--max-attempts", "1", "--shell", JOB]);
        Self { env, job, point }
    }

    /// Lets the job come to its end.
    fn let_end(&self) {
        self.env.file("go", "");
    }

    /// A worker whose process, or one of whose shims, gets this signal at the failpoint; once.
    fn armed(&self, signal: &str, more: &[&str]) -> Running {
        let words = [&["--drain=all", "--name", "armed"], more].concat();
        let mut command = self.env.worker_command(&words);
        command.env("QUEUE_FAILPOINT", format!("{}:1:{signal}", self.point));
        command.env("QUEUE_FAILPOINT_MARK", self.env.work().join("mark"));
        self.env.spawn(command)
    }

    /// Starts an armed worker and waits until it is killed at the failpoint. To be kept until the
    /// end: with it goes its group, and a shim leaves that a moment after its start.
    #[track_caller]
    #[must_use]
    fn killed(&self, more: &[&str]) -> Running {
        let mut worker = self.armed("kill", more);
        let ended = worker.wait();
        let said = worker.stderr();
        assert_eq!(ended, Stopped::Killed(9), "{}: {said}", self.point);
        assert!(self.env.work().join("mark").exists(), "{}", self.point);
        worker
    }

    /// The process that is at the failpoint.
    #[track_caller]
    fn marked(&self) -> Pid {
        wait_for(self.point, || {
            Pid::from_raw(self.env.read("mark").parse().ok()?)
        })
    }

    /// Works until nothing is left to do.
    #[track_caller]
    fn finish(&self) {
        self.let_end();
        let mut last = self.env.spawn_worker(&["--drain=all", "--name", "last"]);
        let ended = last.wait();
        assert_eq!(ended, Stopped::Exited(0), "{}", last.stderr());
    }

    /// All is as it should be, and it was this attempt that completed.
    #[track_caller]
    fn is_over_by(&self, epoch: i64) {
        let Self { env, job, point } = self;
        let shown = env.show(*job);
        assert_eq!(shown["state"], "completed", "{point}: {shown:#}\n{env:?}");
        let attempts = shown["attempts"].as_array().unwrap();
        let last = attempts.last().unwrap();
        assert_eq!(last["epoch"], epoch, "{point}: {shown:#}\n{env:?}");
        for attempt in attempts {
            let is_good = attempt["exit_code"] == 0;
            assert_eq!(is_good, attempt["epoch"] == epoch, "{point}: {shown:#}");
            assert!(!attempt["ended_at"].is_null(), "{point}: {shown:#}");
        }
        for file in ["begun", "ended"] {
            let epochs = env.read(file);
            let distinct: BTreeSet<&str> = epochs.lines().collect();
            assert_eq!(distinct.len(), epochs.lines().count(), "{point}: {epochs}");
            assert!(distinct.contains(epoch.to_string().as_str()), "{point}");
        }
        for file in ["overlap", "leaked"] {
            assert!(!env.work().join(file).exists(), "{point}: {file}");
        }
        let log = env.qcli(&["logs", &job.to_string()]).ok();
        assert_eq!(log.stdout, "one\ntwo\n", "{point}");
        wait_until("no process is left", || env.processes().is_empty());
        let runs = env.db().with_file_name("queue.db-run");
        let left: Vec<_> = (fs::read_dir(runs).unwrap().flatten())
            .filter(|entry| entry.path().is_dir())
            .collect();
        assert!(left.is_empty(), "{point}: {left:?}");
        env.qcli(&["doctor"]).ok();
    }

    /// Starts the job and kills its worker; the job goes on in its shim.
    fn orphaned(&self) {
        let mut first = self.env.spawn_worker(&["--name", "first"]);
        wait_until("the job runs", || !self.env.read("begun").is_empty());
        first.kill();
    }
}

/// The steps of these parts, as `failpoint::OF_ATTEMPTS` lists them.
fn steps(parts: &[&str]) -> Vec<&'static str> {
    let is_of = |name: &&str| parts.contains(&name.split('.').next().unwrap());
    OF_ATTEMPTS.iter().copied().filter(is_of).collect()
}

/// What completes a job whose shim died there: with a status the attempt has ended, without one it
/// has died.
fn after_the_shim(step: &str) -> i64 {
    if step == "shim.status_written" { 1 } else { 2 }
}

#[test]
fn every_step_belongs_to_a_part_whose_death_is_tried() {
    let tried = ["worker", "host", "shim", "supervisor", "adopt", "settle"];
    assert_eq!(steps(&tried).len(), OF_ATTEMPTS.len());
    let adopted = [ADOPTS_LIVING, ADOPTS_ENDED, ADOPTS_DEAD].concat();
    for step in steps(&["adopt", "settle"]) {
        assert!(adopted.contains(&step), "{step}");
    }
}

#[test]
fn worker_killed_between_any_two_steps_of_a_start() {
    for step in steps(&["worker", "host"]) {
        let scene = Scene::at(step);
        let _killed = scene.killed(&[]);
        scene.finish();
        // From when it holds the lock, the shim goes on by itself.
        let epoch = match step {
            "worker.registered" | "worker.locked" | "host.shim_started" => 1,
            _ => 2,
        };
        scene.is_over_by(epoch);
    }
}

#[test]
fn shim_killed_between_any_two_steps_under_its_worker() {
    for step in steps(&["shim", "supervisor"]) {
        let scene = Scene::at(step);
        scene.let_end();
        let mut worker = scene.armed("kill", &[]);
        scene.marked();
        assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
        // One that has not taken the attempt yet is replaced by another.
        let epoch = match step {
            "shim.begun" => 1,
            step => after_the_shim(step),
        };
        scene.is_over_by(epoch);
    }
}

#[test]
fn worker_and_shim_killed_at_once_between_any_two_steps_of_the_shim() {
    for step in steps(&["shim", "supervisor"]) {
        let scene = Scene::at(step);
        scene.let_end();
        let mut worker = scene.armed("stop", &[]);
        let shim = scene.marked();
        worker.kill();
        kill_process(shim, Signal::KILL).unwrap();
        scene.finish();
        scene.is_over_by(after_the_shim(step));
    }
}

#[test]
fn shim_adopted_between_any_two_of_its_steps_goes_on() {
    for step in steps(&["shim", "supervisor"]) {
        let scene = Scene::at(step);
        scene.let_end();
        let mut worker = scene.armed("stop", &[]);
        let shim = scene.marked();
        worker.kill();
        let mut next = scene.env.spawn_worker(&["--drain=all", "--name", "next"]);
        // A shim that has just begun may have no attempt yet: then its worker died in the start.
        let may_be_without = step == "shim.begun";
        let is_adopted = wait_for(step, || {
            let said = next.stderr();
            let is_rescued = may_be_without && said.contains("is rescued");
            let is_adopted = said.contains("goes on: adopted");
            (is_adopted || is_rescued).then_some(is_adopted)
        });
        kill_process(shim, Signal::CONT).unwrap();
        assert_eq!(next.wait(), Stopped::Exited(0), "{}", next.stderr());
        scene.is_over_by(if is_adopted { 1 } else { 2 });
        if is_adopted {
            let shown = scene.env.show(scene.job);
            assert_eq!(shown["attempts"][0]["adopted_by"], "next", "{step}");
        }
    }
}

#[test]
fn worker_killed_between_any_two_steps_of_a_direct_attempt() {
    for step in [&["host.asked"], &*steps(&["supervisor", "settle"])].concat() {
        let scene = Scene::at(step);
        scene.env.file("direct", "");
        scene.let_end();
        let _killed = scene.killed(&["--direct"]);
        scene.finish();
        scene.is_over_by(if step.starts_with("settle") { 1 } else { 2 });
    }
}

/// The steps of an adopter that finds the job alive, ended by itself, dead.
const ADOPTS_LIVING: &[&str] = &["adopt.claimed", "adopt.lock_probed", "adopt.followed"];
const ADOPTS_ENDED: &[&str] = &[
    "adopt.claimed",
    "adopt.lock_probed",
    "adopt.status_read",
    "settle.committed",
    "settle.spared",
    "settle.cleared",
];
const ADOPTS_DEAD: &[&str] = &[
    "adopt.claimed",
    "adopt.lock_probed",
    "adopt.status_read",
    "adopt.swept",
    "settle.committed",
    "settle.spared",
    "settle.cleared",
];

#[test]
fn adopter_of_a_living_job_killed_between_any_two_steps() {
    for step in ADOPTS_LIVING {
        let scene = Scene::at(step);
        scene.orphaned();
        let _killed = scene.killed(&[]);
        scene.finish();
        scene.is_over_by(1);
        let shown = scene.env.show(scene.job);
        assert_eq!(shown["attempts"][0]["adopted_by"], "last", "{step}");
    }
}

#[test]
fn adopter_of_a_job_that_ended_killed_between_any_two_steps() {
    for step in ADOPTS_ENDED {
        let scene = Scene::at(step);
        scene.orphaned();
        scene.let_end();
        wait_until("the shim has ended", || scene.env.processes().is_empty());
        let _killed = scene.killed(&[]);
        scene.finish();
        scene.is_over_by(1);
    }
}

#[test]
fn adopter_of_a_dead_job_killed_between_any_two_steps() {
    for step in ADOPTS_DEAD {
        let scene = Scene::at(step);
        scene.orphaned();
        scene.env.kill_shims();
        let _killed = scene.killed(&[]);
        scene.finish();
        // The transaction that gives the dead attempt up claims the job again, and that claim dies
        // as well.
        scene.is_over_by(if step.starts_with("settle") { 3 } else { 2 });
    }
}
