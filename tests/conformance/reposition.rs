//! Moving waiting jobs within their queue and priority.

use queue_core::{
    Error, JobId, NewJob, State, Verb,
    job::StartAt,
    store::{Edit, Place, Requeue},
};
use support::{MINUTE, SECOND, TestQueue, job};

fn three(q: &TestQueue) -> [JobId; 3] {
    [(); 3].map(|()| {
        q.advance(SECOND);
        q.enqueue("x")
    })
}

#[test]
fn a_job_moves_to_the_front_and_to_the_end() {
    let q = TestQueue::new();
    let [a, b, c] = three(&q);
    q.reposition(c, Place::First).unwrap();
    q.reposition(a, Place::Last).unwrap();
    assert_eq!(q.claim_order("w", 3), [c, b, a]);
}

#[test]
fn a_job_moves_right_before_and_right_after_another() {
    let q = TestQueue::new();
    let [a, b, c] = three(&q);
    let d = q.enqueue("x");
    q.reposition(d, Place::Before(b)).unwrap();
    q.reposition(a, Place::After(b)).unwrap();
    assert_eq!(q.claim_order("w", 4), [d, b, a, c]);
}

#[test]
fn there_is_always_room_between_two_jobs() {
    let q = TestQueue::new();
    let [a, b, c] = three(&q);
    for _ in 0..100 {
        q.reposition(b, Place::After(a)).unwrap();
        q.reposition(c, Place::After(a)).unwrap();
    }
    assert_eq!(q.claim_order("w", 3), [a, c, b]);
}

#[test]
fn beside_a_job_of_another_priority_it_takes_that_priority_on() {
    let q = TestQueue::new();
    let [a, b, c] = three(&q);
    let urgent = q.enqueue(NewJob {
        priority: 9,
        ..job("x")
    });
    q.reposition(b, Place::After(urgent)).unwrap();
    assert_eq!(q.job(b).priority, 9);
    assert_eq!(q.claim_order("w", 4), [urgent, b, a, c]);
}

#[test]
fn first_and_last_stay_within_the_priority() {
    let q = TestQueue::new();
    let [a, b, c] = three(&q);
    let urgent = q.enqueue(NewJob {
        priority: 9,
        ..job("x")
    });
    let minor = q.enqueue(NewJob {
        priority: -9,
        ..job("x")
    });
    q.reposition(c, Place::First).unwrap();
    q.reposition(a, Place::Last).unwrap();
    assert_eq!(q.claim_order("w", 5), [urgent, c, b, a, minor]);
}

#[test]
fn a_job_that_is_not_in_the_same_queue_is_no_place() {
    let q = TestQueue::new();
    let here = q.enqueue("x");
    let there = q.enqueue(NewJob {
        queue: "other".to_owned(),
        ..job("x")
    });
    let refused = q.reposition(here, Place::Before(there));
    assert!(
        matches!(refused, Err(Error::NoSuchPlace { job, other, .. }) if (job, other) == (here, there)),
        "{refused:?}"
    );
    assert!(q.reposition(here, Place::After(here)).is_err());
    let none = JobId(there.0 + 1);
    assert!(q.reposition(here, Place::After(none)).is_err());
    assert!(matches!(
        q.reposition(none, Place::First),
        Err(Error::JobNotFound(id)) if id == none
    ));
}

#[test]
fn a_job_that_runs_cannot_be_moved_nor_be_a_place() {
    let q = TestQueue::new();
    let [running, waiting, _] = three(&q);
    let lease = q.claim("w");
    assert_eq!(lease.job(), running);
    match q.reposition(running, Place::First) {
        Err(Error::Refused { job, state, verb }) => {
            assert_eq!((job, state, verb), (running, State::InProgress, Verb::Move));
        }
        other => panic!("{other:?}"),
    }
    let refused = q.reposition(waiting, Place::Before(running));
    assert!(
        matches!(refused, Err(Error::NoSuchPlace { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_job_that_is_held_or_delayed_can_be_moved_and_keeps_its_new_place() {
    let q = TestQueue::new();
    let [a, b, c] = three(&q);
    q.hold(c).unwrap();
    q.reposition(c, Place::First).unwrap();
    assert_eq!(q.state(c), State::Blocked);
    q.release(c).unwrap();
    assert_eq!(q.claim_order("w", 3), [c, a, b]);
}

#[test]
fn a_moved_job_passes_jobs_with_keys_and_limits_of_their_own() {
    let q = TestQueue::new();
    q.set_limit("api", "1/s", 10);
    let [a, _, c] = three(&q);
    let keyed = q.enqueue(NewJob {
        concurrency_key: Some("repo".to_owned()),
        ..job("x")
    });
    let limited = q.enqueue(NewJob {
        limits: vec!["api".parse().unwrap()],
        ..job("x")
    });
    q.reposition(limited, Place::First).unwrap();
    q.reposition(keyed, Place::Before(a)).unwrap();
    q.reposition(c, Place::Before(keyed)).unwrap();
    let order: Vec<_> = (0..4).map(|_| q.claim("w").job()).collect();
    assert_eq!(order, [limited, c, keyed, a]);
}

fn delayed(q: &TestQueue) -> JobId {
    q.enqueue(NewJob {
        start: StartAt::After(MINUTE),
        ..job("x")
    })
}

#[test]
fn a_delayed_job_that_was_moved_keeps_its_new_place_when_it_falls_due() {
    for place in [Place::First, Place::Last] {
        let q = TestQueue::new();
        let late = delayed(&q);
        let [a, b, c] = three(&q);
        q.reposition(late, place).unwrap();
        let after = q.enqueue("x");
        q.advance(MINUTE);
        let expected = match place {
            Place::First => [late, a, b, c, after],
            _ => [a, b, c, late, after],
        };
        assert_eq!(q.claim_order("w", 5), expected, "{place:?}");
    }
}

#[test]
fn a_delayed_job_beside_another_stays_beside_it_also_when_it_is_released_early() {
    let q = TestQueue::new();
    let late = delayed(&q);
    let [a, b, c] = three(&q);
    q.reposition(late, Place::Before(b)).unwrap();
    q.release(late).unwrap();
    assert_eq!(q.claim_order("w", 4), [a, late, b, c]);
}

#[test]
fn a_job_that_is_delayed_anew_or_requeued_has_given_up_the_place_it_was_moved_to() {
    let q = TestQueue::new();
    let (edited, requeued) = (delayed(&q), delayed(&q));
    let [a, b, c] = three(&q);
    for id in [edited, requeued] {
        q.reposition(id, Place::First).unwrap();
    }
    let later = Edit {
        run_at: Some(Some(q.now().wall.saturating_add(2 * MINUTE))),
        ..Edit::default()
    };
    q.edit(edited, &later).unwrap();
    q.cancel(requeued).unwrap();
    let again = Requeue {
        delay: Some(3 * MINUTE),
        ..Requeue::default()
    };
    let answers = q.store().requeue(&[requeued], &again, &q.now()).unwrap();
    assert!(answers[0].is_ok(), "{answers:?}");
    q.advance(5 * MINUTE);
    assert_eq!(q.claim_order("w", 5), [a, b, c, edited, requeued]);
}
