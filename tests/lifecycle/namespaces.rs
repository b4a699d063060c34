//! Workers in a PID namespace of their own: as its first process, and where numbers of processes
//! can be made to come again.
//!
//! `unshare` makes the namespace, as root or within a user namespace. Where neither is allowed (a
//! container with the default seccomp profile of Docker, or `user.max_user_namespaces = 0`), these
//! tests say so and prove nothing.

use crate::home::{Home, home};
use queue_core::{Class, Epoch, State};
use std::process::Command;

/// The words that make a namespace here.
fn unshare() -> Option<Vec<&'static str>> {
    let plain = vec!["--pid", "--fork", "--mount-proc", "--kill-child"];
    let within_users = [&["--user", "--map-root-user"], &*plain].concat();
    [plain, within_users].into_iter().find(|words| {
        let made = Command::new("unshare").args(words).arg("true").output();
        made.is_ok_and(|output| output.status.success())
    })
}

/// Runs a script as the first process of a namespace. `$WORKER` is the worker, and all of its
/// environment is there.
#[expect(
    clippy::print_stderr,
    reason = "that nothing was proven has to be seen"
)]
#[track_caller]
fn run_within(home: &Home, script: &str) -> Option<String> {
    let Some(words) = unshare() else {
        eprintln!("skipped: `unshare --pid` is not permitted here");
        return None;
    };
    let worker = home.env.worker_command(&[]);
    let mut command = Command::new("unshare");
    command
        .args(words)
        .args(["sh", "-ec", script])
        .current_dir(home.env.work())
        .env_clear()
        .env("WORKER", worker.get_program());
    for (name, value) in worker.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    Some(home.env.run(command).ok().stdout)
}

/// Waits in shell until a file is there.
fn until(file: &str) -> String {
    format!("while [ ! -s {file} ]; do sleep 0.02; done")
}

/// Kills worker and job, gives the job's number to a stranger, and lets the next worker look.
fn recycled(more: &str) {
    let home = home!();
    let job = home.add_shell("if [ $QUEUE_EPOCH = 1 ]; then echo $$ > pid; exec sleep 600; fi");
    // The worker tells the store of the process shortly after its start.
    let script = format!(
        "$WORKER --name first {more} & first=$!; {}; \
         until grep -q . recorded 2>/dev/null; do sleep 0.02; done; \
         pid=$(cat pid); shim=$(cut -d' ' -f4 /proc/$pid/stat); \
         kill -9 $first; [ $shim = $first ] || kill -9 $shim; kill -9 $pid; \
         while [ -e /proc/$pid ] && ! grep -q '^State:.Z' /proc/$pid/status; do sleep 0.02; done; \
         tries=0; until [ -s stranger ] && [ $(cat stranger) = $pid ]; do \
             tries=$((tries + 1)); [ $tries -lt 500 ]; \
             echo $((pid - 1)) > /proc/sys/kernel/ns_last_pid; \
             sh -c 'echo $$ > stranger; exec sleep 600' & sleep 0.02; \
         done; \
         $WORKER --drain=all --name next; \
         grep '^State' /proc/$pid/status; cat /proc/$pid/comm",
        until("pid")
    );
    let recording = std::thread::scope(|scope| {
        let looks = scope.spawn(|| {
            support::wait_until("the process is recorded", || {
                home.attempts(job)
                    .iter()
                    .any(|attempt| attempt.process.is_some())
            });
            home.env.file("recorded", "yes");
        });
        let said = unshare().and_then(|_| run_within(&home, &script));
        // Without a namespace nobody runs the job: it is recorded by nobody.
        said.map(|said| (looks.join(), said))
    });
    let Some((_, said)) = recording else { return };
    assert!(
        said.contains("S (sleeping)") && said.contains("sleep\n"),
        "{said}"
    );
    let row = home.ends(job, State::Completed);
    assert_eq!((row.epoch, row.stalls), (Epoch(2), 1));
    assert_eq!(home.attempts(job)[0].class, Some(Class::WorkerDied));
}

#[test]
fn a_stranger_with_the_number_of_a_dead_job_is_left_alone() {
    // P4, T20
    recycled("");
}

#[test]
fn nor_is_a_stranger_ended_with_the_number_of_a_direct_job() {
    // P4, T20
    recycled("--direct");
}

#[test]
fn a_worker_that_is_the_first_process_reaps_orphans() {
    // P11
    let home = home!();
    let orphans = "for i in 1 2 3; do (sh -c 'sleep 0.1' &); done; ";
    let direct = home.add_shell(&format!("{orphans} echo $PPID > direct"));
    // What was a shim's is its worker's once that is killed.
    let shimmed = home.add_shell(&format!(
        "{orphans} [ $QUEUE_EPOCH = 2 ] || kill -9 $PPID; sleep 1"
    ));
    let last = home.add_shell(
        "sleep 0.5; grep -l '^State:.Z' /proc/[0-9]*/status > zombies; echo $? > looked; cat /proc/1/cmdline > first",
    );
    let worker = home.env.worker_command(&[]);
    let script = format!("exec {} -j 1 --drain=all", worker.get_program().display());
    if run_within(&home, &script).is_none() {
        return;
    }
    for job in [direct, shimmed, last] {
        home.ends(job, State::Completed);
    }
    assert_eq!(home.env.read("zombies"), "");
    assert_eq!(home.env.read("looked"), "1\n", "grep found none");
    assert!(
        home.env.read("first").contains("--drain=all"),
        "it was not the first"
    );
}

#[test]
fn the_first_process_passes_signals_on_and_ends_with_the_workers_code() {
    // P11
    let home = home!();
    let job = home.add_shell("echo $$ > runs; kill -TERM 1; sleep 0.5");
    let Some(said) = run_within(&home, "exec $WORKER") else {
        return;
    };
    // It ended because it was told to, and with 0.
    assert_eq!(said, "");
    home.ends(job, State::Completed);
}
