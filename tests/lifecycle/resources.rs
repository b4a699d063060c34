//! What a job may use, what it used, and who goes first when memory runs out.
//!
//! Bounds are enforced by control groups. A test that needs them asks first what may be made here, in the same way as the
//! worker does, and says so where it cannot show anything.

use std::path::PathBuf;

use crate::home::{Home, LEASE, home, is_alive, says};
use queue_core::attempt::Attempt;
use queue_core::{Class, JobId, State, Store};
use queue_worker::cgroup::{Ground, Lack, Mechanism};
use std::num::NonZeroU32;
use std::process::Command;
use support::{wait_for, wait_until};

/// Takes memory until it is killed: a line without an end has to be kept.
const DEVOURS: &str = "tail /dev/zero";

/// Whether this machine lets us show something; says what is not shown where it does not.
fn is_possible(what: &str, how: &Result<Mechanism, Lack>) -> bool {
    if let Err(lack) = how {
        note(&format!("{what}: {lack}"));
    }
    how.is_ok()
}

#[expect(
    clippy::print_stderr,
    reason = "what could not be shown must not pass in silence"
)]
fn note(what: &str) {
    eprintln!("note: not shown here: {what}");
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

/// Children that cleared their environment and left session, group and parent.
const HIDES: &str = "env -i setsid /bin/sh -c 'echo $$ > bare; exec sleep 600' & \
     env -i setsid /bin/sh -c '(setsid sleep 600 & echo $! > double)' & \
     until [ -s bare ] && [ -s double ]; do sleep 0.01; done; ";

const HIDDEN: [&str; 2] = ["bare", "double"];

#[test]
fn a_child_that_left_everything_but_its_control_group_ends_with_a_bound_direct_job() {
    // P1: with `--direct` nothing else finds it.
    if !is_possible("bounds on memory", &Ground::look().memory) {
        return;
    }
    let home = home!();
    let memory = 256 << 20;
    let cancelled = add_bound(&home, &format!("{HIDES} while :; do sleep 1; done"), memory);
    let _worker = home.direct_worker(&[]);
    let hidden = HIDDEN.map(|file| home.pid_in(file));
    home.store.cancel(&[cancelled], &home.now()).unwrap();
    home.ends(cancelled, State::Cancelled);
    assert!(!hidden.into_iter().any(is_alive));

    for file in HIDDEN {
        std::fs::remove_file(home.env.work().join(file)).unwrap();
    }
    let ends = add_bound(&home, HIDES, memory);
    home.ends(ends, State::Completed);
    let hidden = HIDDEN.map(|file| home.pid_in(file));
    wait_until("nothing is left", || !hidden.into_iter().any(is_alive));
}

#[test]
fn what_worker_and_shim_left_is_found_by_its_control_group_whatever_it_did_to_hide() {
    // P1: no parent, no group, no environment leads to it any more.
    if !is_possible("a hold on all processes", &Ground::look().hold) {
        return;
    }
    let home = home!();
    let line = format!(
        "if [ -e again ]; then exit 0; fi; touch again; {HIDES} echo $PPID > shim; exec sleep 600"
    );
    let job = home.add_shell(&line);
    let mut first = home.worker(&["--lease", LEASE]);
    let hidden = HIDDEN.map(|file| home.pid_in(file));
    let shim = home.pid_in("shim");
    first.kill();
    rustix::process::kill_process(shim, rustix::process::Signal::KILL).unwrap();
    assert!(hidden.into_iter().all(is_alive));
    let _next = home.worker(&["--lease", LEASE]);
    home.ends(job, State::Completed);
    assert!(!hidden.into_iter().any(is_alive));
}

#[test]
fn a_job_with_half_a_processor_is_held_back() {
    let ground = Ground::look();
    if !is_possible("bounds on processors", &ground.cpu) {
        return;
    }
    let home = home!();
    let mut job = home.shell("echo $$ > pid; while [ ! -e enough ]; do :; done");
    job.options.cpu_millis = Some(500);
    let job = home.add(job);
    let _worker = home.worker(&[]);
    let pid = home.pid_in("pid").as_raw_nonzero();
    // By the kernel's own count, and not by what time it takes on a busy machine: it was held back while it could run.
    let group = wait_for("the group", || {
        let runs = home.env.db().with_file_name("queue.db-run");
        let noted = std::fs::read_to_string(runs.join(format!("{job}-1/lock"))).ok()?;
        // Behind the place of the attempt, each with a NUL behind it.
        let groups: Vec<_> = noted.split('\0').skip(1).map(PathBuf::from).collect();
        groups
            .into_iter()
            .filter(|group| {
                group.join("cpu.max").exists() || group.join("cpu.cfs_quota_us").exists()
            })
            .find(|group| {
                let members =
                    std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
                members.lines().any(|member| member == pid.to_string())
            })
    });
    let quota =
        ["cpu.max", "cpu.cfs_quota_us"].map(|file| std::fs::read_to_string(group.join(file)));
    let quota = quota
        .into_iter()
        .find_map(Result::ok)
        .expect("there is a quota");
    assert!(quota.starts_with("50000"), "{quota}");
    wait_until("it is held back", || {
        let counts = std::fs::read_to_string(group.join("cpu.stat")).unwrap_or_default();
        let held = counts
            .lines()
            .find_map(|line| line.strip_prefix("nr_throttled "));
        held.is_some_and(|count| count.trim().parse::<u64>().unwrap_or(0) >= 3)
    });
    home.env.file("enough", "");
    home.ends(job, State::Completed);
    assert!(!group.exists(), "an attempt's group goes with it");
}

#[test]
fn jobs_go_before_their_worker_when_memory_runs_out() {
    let home = home!();
    let line = "cat /proc/self/oom_score_adj > own; sh -c 'cat /proc/self/oom_score_adj' > child; echo $$ > pid; \
                until [ -e enough ]; do sleep 0.01; done";
    let job = home.add_shell(line);
    let worker = home.worker(&[]);
    home.pid_in("pid");
    let score = |process: &str| -> i32 {
        let text = std::fs::read_to_string(format!("/proc/{process}/oom_score_adj")).unwrap();
        text.trim().parse().unwrap()
    };
    let worker = score(&worker.pid().to_string());
    assert_eq!(worker, score("self"));
    let expected = format!("{}\n", (worker + 500).min(1_000));
    assert_eq!(home.env.read("own"), expected);
    assert_eq!(home.env.read("child"), expected);
    home.env.file("enough", "");
    home.ends(job, State::Completed);
}

#[test]
fn a_bound_that_cannot_be_enforced_is_said_in_the_log_and_on_the_page() {
    let home = home!();
    let job = add_bound(&home, "echo mine", 64 << 20);
    // The same worker where no control group can be written.
    let worker = home.env.worker_command(&["--drain"]);
    let mut command = Command::new("unshare");
    let read_only = "for at in $(grep -E ' - cgroup2? ' /proc/self/mountinfo | cut -d' ' -f5); do \
         mount --bind $at $at && mount -o remount,bind,ro $at || exit 77; done; exec \"$@\"";
    command
        .args(["--map-root-user", "--mount", "sh", "-c", read_only, "sh"])
        .arg(worker.get_program())
        .args(worker.get_args())
        .env_clear()
        .envs(
            worker
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(home.env.work());
    let mut worker = home.env.spawn(command);
    worker.wait();
    if !home.job(job).state.is_ended() {
        let words = worker.stderr();
        note(&format!(
            "bounds that cannot be enforced: no mount of its own is permitted: {words}"
        ));
        return;
    }
    home.ends(job, State::Completed);
    let process = the_attempt(&home, job).process.expect("it was started");
    let said = process.unenforced.expect("it is said");
    assert!(said.starts_with("--mem 64MiB is not enforced: "), "{said}");
    let id = job.to_string();
    let logs = home.env.qcli(&["logs", &id]).ok().stdout.clone();
    assert!(logs.contains("qcli: --mem 64MiB is not enforced"), "{logs}");
    assert!(logs.contains("mine"), "{logs}");
    let page = home.env.qcli(&["show", &id]).ok().stdout.clone();
    assert!(
        page.contains("not enforced  --mem 64MiB is not enforced: "),
        "{page}"
    );
    let shown = home.env.show(job.0);
    assert_eq!(shown["attempts"][0]["unenforced"], said);
}
