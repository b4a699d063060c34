//! Priorities, and the ageing that keeps a low one from waiting for ever.

use queue_core::{Error, JobId, NewJob, queue::QueueChange};
use std::time::Duration;
use support::{HOUR, MINUTE, SECOND, TestQueue, job};

fn of_priority(q: &TestQueue, priority: i32) -> JobId {
    q.enqueue(NewJob {
        priority,
        ..job("x")
    })
}

fn ageing(q: &TestQueue, ageing: Duration) {
    let change = QueueChange {
        ageing: Some(ageing),
        ..QueueChange::default()
    };
    q.set_queue("default", &change);
}

#[test]
fn the_highest_priority_goes_first_and_the_oldest_of_it() {
    let q = TestQueue::new();
    let low = of_priority(&q, -5);
    let normal = of_priority(&q, 0);
    let high = of_priority(&q, 10);
    let high_too = of_priority(&q, 10);
    let normal_too = of_priority(&q, 0);
    assert_eq!(
        q.claim_order("a", 9),
        [high, high_too, normal, normal_too, low]
    );
}

#[test]
fn claims_one_by_one_and_together_agree_on_the_order() {
    let enqueue = |q: &TestQueue| {
        let mut jobs = Vec::new();
        for priority in [0, 3, -1, 3, 0, 7, -1] {
            jobs.push(of_priority(q, priority));
            q.advance(SECOND);
        }
        jobs
    };
    let (one, other) = (TestQueue::new(), TestQueue::new());
    assert_eq!(enqueue(&one), enqueue(&other));
    let together = one.claim_order("a", 7);
    let one_by_one: Vec<_> = (0..7).map(|_| other.claim("a").job()).collect();
    assert_eq!(together, one_by_one);
}

#[test]
fn a_job_that_waited_long_goes_before_a_higher_priority() {
    let q = TestQueue::new();
    let old = of_priority(&q, 0);
    q.advance(2 * HOUR + SECOND);
    let two_higher = of_priority(&q, 2);
    let three_higher = of_priority(&q, 3);
    assert_eq!(q.claim_order("a", 3), [three_higher, old, two_higher]);
}

#[test]
fn ageing_is_set_per_queue_and_zero_is_strict() {
    let q = TestQueue::new();
    let old = of_priority(&q, 0);
    q.advance(5 * MINUTE);
    let urgent = of_priority(&q, 1);
    ageing(&q, MINUTE);
    let lease = q.claim("a");
    assert_eq!(lease.job(), old, "five minutes are five priorities");
    q.complete(lease).unwrap();
    let old = of_priority(&q, 0);
    q.advance(1_000 * HOUR);
    let urgent_too = of_priority(&q, 1);
    ageing(&q, Duration::ZERO);
    assert_eq!(q.claim_order("a", 3), [urgent, urgent_too, old]);
}

#[test]
fn a_starved_job_gets_its_turn_among_a_stream_of_higher_ones() {
    let q = TestQueue::new();
    let starving = of_priority(&q, 0);
    for _ in 0..60 {
        of_priority(&q, 1);
        q.advance(2 * MINUTE);
        let lease = q.claim("a");
        let is_its_turn = lease.job() == starving;
        q.complete(lease).unwrap();
        if is_its_turn {
            return;
        }
    }
    panic!("it never got its turn");
}

#[test]
fn priority_holds_across_lanes() {
    let q = TestQueue::new();
    q.set_limit("api", "10/s", 10);
    let plain = of_priority(&q, 1);
    let limited = q.enqueue(NewJob {
        priority: 3,
        limits: vec!["api".parse().unwrap()],
        ..job("x")
    });
    let keyed = q.enqueue(NewJob {
        priority: 2,
        concurrency_key: Some("repo".to_owned()),
        ..job("x")
    });
    let other_queue = q.enqueue(NewJob {
        priority: 4,
        queue: "other".to_owned(),
        ..job("x")
    });
    assert_eq!(q.claim_order("a", 4), [other_queue, limited, keyed, plain]);
}

#[test]
fn the_order_of_lanes_of_one_priority_is_the_order_of_arrival() {
    let q = TestQueue::new();
    let mut jobs = Vec::new();
    for round in 0..4 {
        for key in [None, Some("a"), Some("b")] {
            jobs.push(q.enqueue(NewJob {
                concurrency_key: key.map(|key| format!("{key}{round}")),
                ..job("x")
            }));
            q.advance(SECOND);
        }
    }
    assert_eq!(q.claim_order("w", 20), jobs);
}

#[test]
fn priorities_beyond_the_range_are_refused() {
    let q = TestQueue::new();
    for priority in [1_001, -1_001, i32::MAX, i32::MIN] {
        let refused = q.try_enqueue(NewJob {
            priority,
            ..job("x")
        });
        assert!(
            matches!(refused, Err(Error::OutOfRange { .. })),
            "{priority}: {refused:?}"
        );
    }
    let most = of_priority(&q, 1_000);
    let least = of_priority(&q, -1_000);
    assert_eq!(q.claim_order("a", 2), [most, least]);
}
