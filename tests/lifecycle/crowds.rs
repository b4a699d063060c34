//! Files that dead processes left, and many workers at once: nobody takes what is not theirs.

use crate::home::home;
use queue_core::{Epoch, State, Store};
use rustix::fs::{FlockOperation, flock};
use std::{collections::BTreeMap, fs, fs::File, path::Path};
use support::{Running, wait_until};

fn is_locked(path: &Path) -> bool {
    let file = File::open(path);
    file.is_ok_and(|file| flock(file, FlockOperation::NonBlockingLockShared).is_err())
}

#[test]
fn files_that_name_a_living_stranger_keep_no_worker_from_starting() {
    // P5
    let home = home!();
    let job = home.add_shell("echo $QUEUE_EPOCH > ran");
    let runs = home.env.db().with_file_name("queue.db-run");
    let own = std::process::id();
    // As after a restart of the machine: this test has the number that the worker had.
    fs::create_dir_all(runs.join("1-1")).unwrap();
    for worker in 1..=3 {
        fs::write(runs.join(format!("worker-{worker}.lock")), own.to_string()).unwrap();
    }
    let started = format!(r#"{{"pid":{own},"pid_started":1,"started_at":0,"log":"log"}}"#);
    fs::write(runs.join("1-1/lock"), started).unwrap();
    home.env.drain();
    home.ends(job, State::Completed);
    assert_eq!(home.env.read("ran"), "1\n");
    assert!(!runs.join("1-1").exists());
}

#[test]
fn of_ten_workers_at_once_whoever_dies_the_others_keep_what_is_theirs() {
    // P6
    let home = home!();
    let jobs: Vec<_> = (0..5)
        .map(|n| {
            home.add_shell(&format!(
                "echo $$ > {n}; while [ ! -e go ]; do sleep 0.05; done"
            ))
        })
        .collect();
    let mut workers: Vec<Running> = (0..10).map(|_| home.worker(&["-j", "1"])).collect();
    for n in 0..5 {
        home.pid_in(&n.to_string());
    }
    // SplitMix64, from a seed that stays the same.
    let mut seed = 6_u64;
    let mut below = |bound: usize| {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        usize::try_from(mixed >> 33).unwrap() % bound
    };
    for round in 0..3 {
        wait_until("all are known, with their locks", || {
            locks(&home, &workers)
                .values()
                .filter(|held| **held)
                .count()
                == workers.len()
        });
        for _ in 0..4 {
            let mut worker = workers.swap_remove(below(workers.len()));
            worker.kill();
        }
        workers.extend((0..4).map(|_| home.worker(&["-j", "1"])));
        wait_until("the jobs have workers that live", || {
            let living = home.store.workers().unwrap();
            jobs.iter().all(|job| {
                let holder = home.job(*job).worker;
                let holder = living.iter().find(|one| Some(one.id) == holder);
                holder.is_some_and(|one| workers.iter().any(|worker| worker.pid() == one.about.pid))
            })
        });
        // One that is just registered has none yet; one that is gone stays gone.
        let what = format!("round {round}: all that live have their locks");
        wait_until(&what, || {
            locks(&home, &workers).into_values().all(|held| held)
        });
    }
    home.env.file("go", "");
    for job in jobs {
        let row = home.ends(job, State::Completed);
        assert_eq!(
            (row.epoch, row.stalls),
            (Epoch(1), 0),
            "{:#?}",
            home.attempts(job)
        );
    }
}

/// Of each living worker that the store knows: whether it holds its lock.
fn locks(home: &crate::home::Home, workers: &[Running]) -> BTreeMap<u32, bool> {
    let known = home.store.workers().expect("the store can be read");
    let runs = home.env.db().with_file_name("queue.db-run");
    let is_ours = |pid: u32| workers.iter().any(|worker| worker.pid() == pid);
    known
        .iter()
        .filter(|one| is_ours(one.about.pid))
        .map(|one| {
            (
                one.about.pid,
                is_locked(&runs.join(format!("worker-{}.lock", one.id))),
            )
        })
        .collect()
}
