//! Waking up: nothing that was written is missed, and nothing is announced before it is there.

use queue_core::State;
use std::{
    thread,
    time::{Duration, Instant},
};
use support::{PATIENCE, TestQueue};

#[test]
fn every_write_changes_the_generation_for_everybody() {
    let q = TestQueue::new();
    let other = q.another();
    let mut seen = other.store().generation();
    let mut changed = |what: &str| {
        assert!(other.store().wait_for_change(seen, PATIENCE), "{what}");
        let now = other.store().generation();
        assert_ne!(now, seen, "{what}");
        seen = now;
    };
    let id = q.enqueue("x");
    changed("enqueue");
    let lease = q.claim("a");
    q.exit(lease, 1).unwrap();
    changed("claim and retry");
    q.release(id).unwrap();
    changed("release");
    q.hold(id).unwrap();
    changed("hold");
    q.cancel(id).unwrap();
    changed("cancel");
    q.requeue(id).unwrap();
    changed("requeue");
}

// T48
#[test]
fn what_was_written_before_the_wait_is_not_missed() {
    let q = TestQueue::new();
    let generation = q.store().generation();
    q.another().enqueue("x");
    let began = Instant::now();
    assert!(q.store().wait_for_change(generation, PATIENCE));
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(q.count(State::Pending), 1);
}

#[test]
fn a_wait_in_vain_ends_in_time() {
    let q = TestQueue::new();
    let generation = q.store().generation();
    assert!(
        !q.store()
            .wait_for_change(generation, Duration::from_millis(20))
    );
}

// T47, T49
#[test]
fn workers_that_wait_all_wake_for_jobs_that_come_at_once() {
    const WORKERS: usize = 4;
    const JOBS: usize = 100;
    let q = TestQueue::new();
    let claimed: usize = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|number| {
                let q = q.another();
                scope.spawn(move || {
                    let name = format!("w{number}");
                    let began = Instant::now();
                    let mut mine = 0;
                    loop {
                        let generation = q.store().generation();
                        mine += q.claim_many(&name, 5).len();
                        if q.count(State::InProgress) == JOBS {
                            return mine;
                        }
                        assert!(began.elapsed() < PATIENCE, "{name} was never woken");
                        q.store().wait_for_change(generation, PATIENCE / 6);
                    }
                })
            })
            .collect();
        let batch = q.another();
        batch.enqueue_many(JOBS, &support::job("x"));
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    });
    assert_eq!(claimed, JOBS);
}

// T48
#[test]
fn a_change_that_is_announced_can_be_seen() {
    let q = TestQueue::new();
    let reader = q.another();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..200 {
                q.enqueue("x");
            }
        });
        scope.spawn(move || {
            let began = Instant::now();
            let mut seen = 0;
            while seen < 200 {
                let generation = reader.store().generation();
                let jobs = reader.count(State::Pending);
                assert!(jobs >= seen, "{jobs} after {seen}");
                seen = jobs;
                if seen < 200 {
                    reader.store().wait_for_change(generation, PATIENCE / 6);
                }
                assert!(began.elapsed() < PATIENCE, "{seen} of 200 were seen");
            }
        });
    });
}
