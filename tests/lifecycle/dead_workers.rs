//! Workers that are killed: their jobs are rescued, and never run twice at a time.

use crate::home::{LEASE, LEASE_FOR, home, is_alive, tell_overlap};
use queue_core::worker::NewWorker;
use queue_core::{Class, Epoch, State, Store};
use rustix::process::Signal;
use support::{Stopped, programs, wait_until};

#[test]
fn what_a_killed_worker_ran_is_gone_before_the_retry_starts() {
    // T15
    let home = home!();
    let first = format!(
        "{{ {} & }} 2>/dev/null; setsid sh -c 'echo $$ > far; exec sleep 600' & {}",
        programs::ignores_term("near"),
        programs::ignores_term("leader")
    );
    let second = tell_overlap("near far leader");
    let job = home.add_shell(&format!(
        "if [ $QUEUE_EPOCH = 1 ]; then {first}; else {second}; fi"
    ));
    let mut worker = home.direct_worker(&["--lease", LEASE]);
    let tree = ["leader", "near", "far"].map(|file| home.pid_in(file));
    worker.kill();
    assert!(tree.into_iter().all(is_alive));

    let _next = home.direct_worker(&["--lease", LEASE]);
    let row = home.ends(job, State::Completed);
    assert_eq!((row.epoch, row.attempt, row.stalls), (Epoch(2), 1, 1));
    assert!(!home.env.work().join("overlap").exists());
    assert!(!tree.into_iter().any(is_alive));
    assert_eq!(home.attempts(job)[0].class, Some(Class::WorkerDied));
}

#[test]
fn a_job_that_kills_its_worker_each_time_ends_failed() {
    // T11
    let home = home!();
    let mut poison = home.shell("echo $QUEUE_EPOCH >> runs; kill -9 $PPID; sleep 600");
    poison.max_stalls = 2;
    let poison = home.add(poison);
    let mut workers = 0;
    while !home.job(poison).state.is_ended() {
        workers += 1;
        assert!(workers <= 5, "it kills one worker after the other");
        let mut worker = home.direct_worker(&["--lease", LEASE, "--drain"]);
        let ended = worker.wait();
        let expected = [Stopped::Killed(9), Stopped::Exited(0)];
        assert!(expected.contains(&ended), "{ended:?} {}", worker.stderr());
    }
    let row = home.ends(poison, State::Failed);
    assert_eq!(row.stalls, 3);
    assert_eq!(home.env.read("runs"), "1\n2\n3\n");
}

#[test]
fn a_claim_whose_worker_died_before_the_start_comes_back() {
    // T16
    let home = home!();
    let job = home.add_shell("true");
    let about = NewWorker {
        name: "short-lived".to_owned(),
        host: "here".to_owned(),
        pid: 1,
        concurrency: 1,
        queues: Vec::new(),
        version: "0".to_owned(),
    };
    let dead = home.store.register_worker(&about, &home.now()).unwrap();
    let claimed = home.store.claim(dead, 1, LEASE_FOR, &home.now()).unwrap();
    assert_eq!(claimed.len(), 1);
    let mut worker = home.worker(&["--lease", LEASE, "--drain"]);
    assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
    let row = home.job(job);
    assert_eq!(
        (row.state, row.attempt, row.stalls),
        (State::Completed, 1, 1)
    );
    assert_eq!(home.attempts(job).len(), 2);
}

#[test]
fn what_a_job_saved_right_before_its_worker_died_is_not_lost() {
    let home = home!();
    let job = home.add_shell(
        "if [ $QUEUE_EPOCH = 1 ]; then printf 'page 7' > $QUEUE_CHECKPOINT; kill -9 $PPID; sleep 600; \
         else cat $QUEUE_CHECKPOINT > seen; fi",
    );
    let mut first = home.direct_worker(&["--lease", LEASE]);
    assert_eq!(first.wait(), Stopped::Killed(9));
    let _second = home.direct_worker(&["--lease", LEASE]);
    home.ends(job, State::Completed);
    assert_eq!(home.env.read("seen"), "page 7");
    // Nothing of it is left beside the store.
    let runs = home.env.db().with_file_name("queue.db-run");
    wait_until("the run directories are gone", || {
        let entries = std::fs::read_dir(&runs).unwrap().flatten();
        entries.filter(|entry| entry.path().is_dir()).count() == 0
    });
}

#[test]
fn a_cancel_of_a_job_whose_worker_died_ends_what_is_left() {
    let home = home!();
    let job = home.add_shell(&programs::sleeper("pid"));
    let mut worker = home.direct_worker(&["--lease", LEASE]);
    let pid = home.pid_in("pid");
    worker.kill();
    home.store.cancel(&[job], &home.now()).unwrap();
    let next = home.direct_worker(&["--lease", LEASE]);
    home.ends(job, State::Cancelled);
    assert!(!is_alive(pid));
    next.signal(Signal::TERM);
}
