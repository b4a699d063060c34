//! Cancels of jobs that run, or are about to.

use crate::home::{Home, home, is_alive};
use crate::meddling::Meddling;
use queue_core::{Class, JobId, State, Store};
use queue_worker::{Stop, Until, WorkerOptions};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::programs;

fn cancel(home: &Home, job: JobId) {
    let answers = home.store.cancel(&[job], &home.now());
    assert!(matches!(answers.as_deref(), Ok([Ok(_)])), "{answers:?}");
}

#[test]
fn a_cancel_ends_the_whole_group_at_once() {
    // T17
    let home = home!();
    let line = format!(
        "sh -c '{}' & {}",
        "echo $$ > child; exec sleep 600",
        programs::sleeper("leader")
    );
    let job = home.add_shell(&line);
    let _worker = home.worker(&["-j", "1"]);
    let pids = ["leader", "child"].map(|file| home.pid_in(file));
    let asked = Instant::now();
    cancel(&home, job);
    home.ends(job, State::Cancelled);
    // The next heartbeat would come ten seconds after the last.
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    assert!(!pids.into_iter().any(is_alive));
    let attempts = home.attempts(job);
    assert_eq!(attempts[0].class, Some(Class::Cancelled));
}

#[test]
fn a_cancel_between_claim_and_start_starts_nothing() {
    // T17
    let home = home!();
    let job = home.add_shell("touch ran");
    let inner = Arc::clone(&home.store);
    let meddling = Meddling::with(Arc::clone(&home.store)).before_bodies(move || {
        let now = queue_core::Clock::now(&queue_core::SystemClock::new());
        inner.cancel(&[job], &now).unwrap();
        Ok(())
    });
    let options = WorkerOptions {
        until: Until::Ended(job),
        concurrency: NonZeroUsize::MIN,
        takes_signals: false,
        ..WorkerOptions::default()
    };
    let store: Arc<dyn Store> = Arc::new(meddling);
    let summary = queue_worker::run(&store, &home.env.db(), options, Stop::new()).unwrap();
    assert_eq!(summary.cancelled, 1);
    assert_eq!(home.job(job).state, State::Cancelled);
    assert!(!home.env.work().join("ran").exists());
    assert_eq!(home.attempts(job)[0].process, None);
}
