//! Concurrency: keys and queues that are full, and places that are freed on every way out.

use queue_core::{
    Class, JobId, Lease, NewJob, State, attempt::Outcome, queue::QueueChange, why::Cause,
};
use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};
use support::{HOUR, LEASE, SECOND, TestQueue, job};

fn keyed(key: &str) -> NewJob {
    NewJob {
        concurrency_key: Some(key.to_owned()),
        ..job("x")
    }
}

fn places(q: &TestQueue, key: &str, places: u32) {
    let places = NonZeroU32::new(places).unwrap();
    q.store().set_key(key, places, &q.now()).unwrap();
}

fn width(q: &TestQueue, queue: &str, width: u32) {
    let change = QueueChange {
        concurrency: Some(NonZeroU32::new(width)),
        ..QueueChange::default()
    };
    q.set_queue(queue, &change);
}

fn running(q: &TestQueue, key: &str) -> Vec<JobId> {
    let keys = q.store().keys().unwrap();
    keys.into_iter()
        .find(|status| status.key == key)
        .map_or_else(Vec::new, |status| status.running)
}

#[test]
fn jobs_with_one_key_run_one_at_a_time() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(3, &keyed("repo"));
    for id in jobs {
        let lease = q.claim("a");
        assert_eq!(lease.job(), id);
        assert_eq!(running(&q, "repo"), [id]);
        assert_eq!(q.try_claim("b"), None);
        q.complete(lease).unwrap();
    }
    assert_eq!(running(&q, "repo"), []);
}

#[test]
fn one_claim_of_many_slots_does_not_overfill_a_key() {
    let q = TestQueue::new();
    q.enqueue_many(5, &keyed("repo"));
    assert_eq!(q.claim_many("a", 5).len(), 1);
    places(&q, "repo", 3);
    assert_eq!(q.claim_many("a", 5).len(), 2);
}

// T44
#[test]
fn a_full_key_does_not_hold_up_other_keys_or_jobs_without_one() {
    let q = TestQueue::new();
    q.enqueue_many(300, &keyed("busy"));
    let other = q.enqueue(keyed("other"));
    let free = q.enqueue("free");
    let order = q.claim_order("a", 10);
    assert_eq!(order.len(), 3);
    assert_eq!(order[1..], [other, free]);
    assert_eq!(q.count(State::Pending), 299, "they stay pending");
}

#[test]
fn why_says_which_key_is_full_and_by_whom() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(2, &keyed("repo"));
    q.start("a");
    assert_eq!(
        q.why(jobs[1])[0],
        Cause::KeyFull {
            key: "repo".to_owned(),
            running: vec![jobs[0]],
            places: 1
        }
    );
    assert_eq!(q.state(jobs[1]), State::Pending);
}

/// A way for an attempt to end.
type Exit = fn(&TestQueue, Lease);

const EXITS: &[(&str, Exit)] = &[
    ("complete", |q, lease| {
        q.complete(lease).unwrap();
    }),
    ("fail", |q, lease| {
        q.fail(lease, Class::Auth).unwrap();
    }),
    ("retry", |q, lease| {
        q.exit(lease, 1).unwrap();
    }),
    ("snooze", |q, lease| {
        q.snooze(lease, HOUR).unwrap();
    }),
    ("abort", |q, lease| {
        q.cancel(lease.job()).unwrap();
        q.abort(lease).unwrap();
    }),
    ("stall", |q, lease| {
        let class = Class::WorkerDied;
        q.finish(lease, Outcome::Stalled { class }).unwrap();
    }),
    ("hand back, then hold", |q, lease| {
        let id = lease.job();
        q.hand_back(lease).unwrap();
        q.hold(id).unwrap();
    }),
    ("rescue, then cancel", |q, lease| {
        q.advance(LEASE + SECOND);
        q.rescue("rescuer");
        q.cancel(lease.job()).unwrap();
    }),
    ("complete, then prune", |q, lease| {
        q.complete(lease).unwrap();
        q.advance(SECOND);
        assert_eq!(q.prune().len(), 1);
    }),
];

// T42
#[test]
fn a_place_is_freed_on_every_way_out() {
    for (name, exit) in EXITS {
        let q = TestQueue::new();
        width(&q, "default", 1);
        q.enqueue(keyed("repo"));
        let lease = q.claim("a");
        exit(&q, lease);
        assert_eq!(running(&q, "repo"), [], "{name}");
        // A stalled job would go first again; what counts is that one can be claimed, and one only.
        q.enqueue_many(3, &keyed("repo"));
        assert_eq!(q.claim_many("b", 4).len(), 1, "{name}");
        q.examine();
    }
}

#[test]
fn an_adoption_neither_frees_nor_doubles_a_place() {
    let q = TestQueue::new();
    places(&q, "repo", 2);
    let jobs = q.enqueue_many(4, &keyed("repo"));
    q.start("mortal");
    q.advance(LEASE + SECOND);
    let orphan = q.adopt("b").pop().unwrap();
    assert_eq!(running(&q, "repo"), jobs[..1]);
    assert_eq!(q.claim_order("b", 4), jobs[1..2]);
    q.complete(orphan.lease).unwrap();
    assert_eq!(q.claim_order("b", 4), jobs[2..3]);
}

#[test]
fn a_job_whose_attempt_ended_by_somebody_elses_hand_frees_its_place_once() {
    let q = TestQueue::new();
    q.enqueue_many(4, &keyed("repo"));
    let late = q.claim("late");
    q.advance(LEASE + SECOND);
    let fresh = q.claim("b");
    assert!(q.complete(late).is_err());
    assert_eq!(q.try_claim("c"), None, "the late worker freed nothing");
    q.complete(fresh).unwrap();
    assert_eq!(q.claim_many("c", 4).len(), 1);
}

#[test]
fn a_queue_runs_no_more_jobs_than_it_may() {
    let q = TestQueue::new();
    width(&q, "default", 2);
    let jobs = q.enqueue_many(5, &job("x"));
    let other = q.enqueue(NewJob {
        queue: "other".to_owned(),
        ..job("x")
    });
    let leases = q.claim_many("a", 9);
    let order: Vec<_> = leases.iter().map(Lease::job).collect();
    assert_eq!(order, [jobs[0], jobs[1], other]);
    assert_eq!(
        q.why(jobs[2])[0],
        Cause::QueueFull {
            queue: "default".to_owned(),
            running: 2,
            concurrency: 2
        }
    );
    for lease in leases {
        q.complete(lease).unwrap();
    }
    assert_eq!(q.claim_many("b", 9).len(), 2);
    let unbounded = QueueChange {
        concurrency: Some(None),
        ..QueueChange::default()
    };
    q.set_queue("default", &unbounded);
    assert_eq!(q.claim_many("c", 9).len(), 1);
}

#[test]
fn a_bound_that_is_lowered_stops_nothing_but_starts_nothing_either() {
    let q = TestQueue::new();
    q.enqueue_many(6, &job("x"));
    let leases = q.claim_many("a", 3);
    width(&q, "default", 2);
    for lease in &leases {
        q.heartbeat(lease).unwrap();
    }
    let mut leases = leases.into_iter();
    q.complete(leases.next().unwrap()).unwrap();
    assert_eq!(q.try_claim("b"), None, "two still run");
    q.complete(leases.next().unwrap()).unwrap();
    assert_eq!(q.claim_many("b", 9).len(), 1);
}

// T42, T43
#[test]
fn a_full_key_is_never_overfilled_nor_forgotten_while_jobs_come_and_go() {
    const JOBS: usize = 120;
    const PLACES: u32 = 2;
    let q = TestQueue::new();
    places(&q, "repo", PLACES);
    let (at_once, most, done) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    thread::scope(|scope| {
        for _ in 0..2 {
            let q = q.another();
            scope.spawn(move || {
                for _ in 0..JOBS / 2 {
                    q.enqueue(keyed("repo"));
                }
            });
        }
        for number in 0..4 {
            let q = q.another();
            let (at_once, most, done) = (&at_once, &most, &done);
            scope.spawn(move || {
                let name = format!("w{number}");
                while done.load(Ordering::SeqCst) < JOBS {
                    let Some(lease) = q.try_claim(&name) else {
                        thread::yield_now();
                        continue;
                    };
                    let running = at_once.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(running, Ordering::SeqCst);
                    // Before the place is free: another claim may follow within the commit.
                    at_once.fetch_sub(1, Ordering::SeqCst);
                    q.complete(lease).unwrap();
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(q.count(State::Completed), JOBS, "nobody waits for ever");
    assert!(most.into_inner() <= PLACES as usize);
    assert_eq!(running(&q, "repo"), []);
    q.examine();
}

#[test]
fn keys_that_were_set_are_listed_with_their_places() {
    let q = TestQueue::new();
    places(&q, "b", 2);
    places(&q, "a", 7);
    let keys = q.store().keys().unwrap();
    let listed: Vec<_> = keys
        .iter()
        .map(|status| (status.key.as_str(), status.places.get()))
        .collect();
    assert_eq!(listed, [("a", 7), ("b", 2)]);
}
