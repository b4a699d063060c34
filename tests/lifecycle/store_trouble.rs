//! Stores that fail under a worker.

use crate::home::{Home, home, is_alive};
use crate::meddling::Meddling;
use queue_core::attempt::{Outcome, Report};
use queue_core::store::Cycle;
use queue_core::{Fence, JobId, State, Store, StoreError};
use queue_worker::{Stop, StopLevel, Summary, Until, WorkerError, WorkerOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use support::{programs, wait_until};

fn work(home: &Home, store: Meddling, until: Until, stop: Stop) -> Result<Summary, WorkerError> {
    let options = WorkerOptions {
        until,
        concurrency: std::num::NonZeroUsize::MIN,
        takes_signals: false,
        ..WorkerOptions::default()
    };
    let store: Arc<dyn Store> = Arc::new(store);
    queue_worker::run(&store, &home.env.db(), options, stop)
}

fn full(home: &Home) -> queue_core::Error {
    StoreError::DiskFull(home.env.db()).into()
}

#[test]
fn outcomes_are_kept_until_the_store_takes_them() {
    // T06
    let home = home!();
    let jobs = [(); 2].map(|()| home.add_shell("echo $QUEUE_JOB_ID >> ran"));
    let path = home.env.db();
    let failures = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&failures);
    let store = Meddling::with(Arc::clone(&home.store)).before_cycle(move |cycle| {
        if !cycle.ended.is_empty() && seen.fetch_add(1, Ordering::SeqCst) < 4 {
            return Err(StoreError::DiskFull(path.clone()).into());
        }
        Ok(())
    });
    let until = Until::Drained {
        scheduled_too: false,
    };
    let summary = work(&home, store, until, Stop::new()).unwrap();
    assert_eq!(summary.completed, 2);
    assert!(failures.load(Ordering::SeqCst) > 4);
    for job in jobs {
        let row = home.ends(job, State::Completed);
        assert_eq!((row.attempt, row.stalls), (1, 0));
    }
    assert_eq!(home.env.read("ran").lines().count(), 2);
}

#[test]
fn a_claimed_job_whose_body_cannot_be_read_waits_for_it() {
    let home = home!();
    let job = home.add_shell("touch ran");
    let tries = AtomicU32::new(0);
    let error = move || {
        let path = std::path::PathBuf::from("queue.db");
        Err(StoreError::Busy {
            path,
            waited: std::time::Duration::ZERO,
        }
        .into())
    };
    let store = Meddling::with(Arc::clone(&home.store)).before_bodies(move || {
        if tries.fetch_add(1, Ordering::SeqCst) < 3 {
            error()
        } else {
            Ok(())
        }
    });
    let summary = work(&home, store, Until::Ended(job), Stop::new()).unwrap();
    assert_eq!(summary.completed, 1);
    assert_eq!(home.ends(job, State::Completed).attempt, 1);
}

#[test]
fn a_worker_that_the_store_does_not_let_begin_tries_again() {
    let home = home!();
    let job = home.add_shell("true");
    let path = home.env.db();
    let tries = AtomicU32::new(0);
    let store = Meddling::with(Arc::clone(&home.store)).before_register(move || {
        if tries.fetch_add(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        let waited = std::time::Duration::from_secs(60);
        Err(StoreError::Busy {
            path: path.clone(),
            waited,
        }
        .into())
    });
    work(&home, store, Until::Ended(job), Stop::new()).unwrap();
    home.ends(job, State::Completed);
}

#[test]
fn a_worker_whose_store_no_later_try_can_use_does_not_wait() {
    let home = home!();
    let path = home.env.db();
    let store = Meddling::with(Arc::clone(&home.store)).before_register(move || {
        let detail = "two pages claim the same place".to_owned();
        let path = path.clone();
        Err(StoreError::Corrupt { path, detail }.into())
    });
    let ended = work(&home, store, Until::Stopped, Stop::new());
    assert!(matches!(ended, Err(WorkerError::Store(_))), "{ended:?}");
}

#[test]
fn a_lease_that_is_lost_before_the_job_could_be_read_starts_nothing() {
    let home = home!();
    let job = home.add_shell("echo $QUEUE_EPOCH >> ran");
    let inner = Arc::clone(&home.store);
    let tries = AtomicU32::new(0);
    let store = Meddling::with(Arc::clone(&home.store)).before_bodies(move || {
        if tries.fetch_add(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        // Somebody else ends the attempt, and then the store fails.
        let row = inner.job(job)?;
        let fence = Fence {
            job,
            epoch: row.epoch,
            holder: row.holder,
        };
        let now = queue_core::Clock::now(&queue_core::SystemClock::new());
        let report = Report::new(Outcome::HandedBack, now.wall);
        let cycle = Cycle {
            ended: vec![(fence, report)],
            ..Cycle::of(row.worker.expect("it is claimed"))
        };
        inner.cycle(&cycle, &now)?;
        let path = std::path::PathBuf::from("queue.db");
        Err(StoreError::Busy {
            path,
            waited: std::time::Duration::ZERO,
        }
        .into())
    });
    work(&home, store, Until::Ended(job), Stop::new()).unwrap();
    home.ends(job, State::Completed);
    assert_eq!(home.env.read("ran"), "2\n");
}

#[test]
fn a_worker_for_one_job_leaves_those_behind_it_alone() {
    let home = home!();
    let before = home.add_shell("true");
    let mut job = home.shell(&programs::needs_second_try("tried"));
    job.backoff = "none".parse().unwrap();
    let job = home.add(job);
    let mut behind = home.shell("true");
    behind.priority = -1;
    let behind = home.add(behind);
    let store = Meddling::with(Arc::clone(&home.store));
    work(&home, store, Until::Ended(job), Stop::new()).unwrap();
    assert_eq!(home.job(before).state, State::Completed);
    assert_eq!(home.ends(job, State::Completed).attempt, 2);
    let row = home.job(behind);
    assert_eq!((row.state, row.attempt), (State::Pending, 0));
}

#[test]
fn a_store_that_takes_no_more_writes_ends_the_worker_and_all_it_runs() {
    // T65
    let home = home!();
    let runs = home.add_shell(&programs::sleeper("pid"));
    let path = home.env.db();
    let marker = home.env.work().join("pid");
    let store = Meddling::with(Arc::clone(&home.store)).before_cycle(move |_| {
        if marker.exists() {
            let detail = "an earlier write failed".to_owned();
            return Err(StoreError::Stopped {
                path: path.clone(),
                detail,
            }
            .into());
        }
        Ok(())
    });
    let ended = thread::scope(|scope| {
        let worker = scope.spawn(|| work(&home, store, Until::Stopped, Stop::new()));
        let pid = home.pid_in("pid");
        // Something to write about.
        home.add_shell("true");
        let ended = worker.join().unwrap();
        assert!(!is_alive(pid));
        ended
    });
    assert!(matches!(ended, Err(WorkerError::Store(_))), "{ended:?}");
    assert_eq!(home.job(runs).state, State::InProgress);
}

#[test]
fn a_worker_told_to_end_at_once_says_what_it_could_not_tell() {
    let home = home!();
    let job = home.add_shell("touch ran");
    let error = full(&home);
    let detail = error.to_string();
    let path = home.env.db();
    let store = Meddling::with(Arc::clone(&home.store)).before_cycle(move |cycle| {
        if cycle.ended.is_empty() {
            Ok(())
        } else {
            Err(StoreError::DiskFull(path.clone()).into())
        }
    });
    let stop = Stop::new();
    let ended = thread::scope(|scope| {
        let worker = scope.spawn(|| work(&home, store, Until::Stopped, stop.clone()));
        home.appears("ran");
        stop.raise(StopLevel::Kill);
        worker.join().unwrap()
    });
    // It may have been handed back before its end was seen; untold it is either way.
    match ended {
        Err(WorkerError::Untold { outcomes, problem }) => {
            assert_eq!(outcomes, 1);
            assert_eq!(problem, detail);
        }
        other => panic!("{other:?}"),
    }
    let is_running = |job: JobId| home.job(job).state == State::InProgress;
    wait_until("the job is still leased", || is_running(job));
}
