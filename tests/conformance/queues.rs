//! Queues: pausing them, counting what stands in them, and what lies ahead of a worker.

use queue_core::{
    NewJob, State,
    job::{PROCESS, StartAt},
    queue::{AGEING, QueueChange},
    store::Outlook,
    why::Cause,
};
use support::{HOUR, SECOND, TestQueue, job};

fn in_queue(queue: &str) -> NewJob {
    NewJob {
        queue: queue.to_owned(),
        ..job("x")
    }
}

#[test]
fn nothing_is_claimed_from_a_paused_queue() {
    let q = TestQueue::new();
    q.pause("nightly", true);
    let paused = q.enqueue_many(100, &in_queue("nightly"));
    let other = q.enqueue("x");
    assert_eq!(q.claim_order("a", 5), [other]);
    assert_eq!(q.claim_from("a", &["nightly"]), None);
    assert_eq!(q.state(paused[0]), State::Pending);
    let since = q.now().wall;
    assert_eq!(
        q.why(paused[0])[0],
        Cause::QueuePaused {
            queue: "nightly".to_owned(),
            since
        }
    );
    q.advance(SECOND);
    q.pause("nightly", true);
    let nightly = q.store().queues().unwrap().pop().unwrap().queue;
    assert_eq!(
        nightly.paused_at,
        Some(since),
        "it has been paused since then"
    );
    q.pause("nightly", false);
    assert_eq!(q.claim_order("a", 2), paused[..2]);
}

#[test]
fn jobs_of_a_paused_queue_that_run_go_on() {
    let q = TestQueue::new();
    q.enqueue("x");
    let lease = q.claim("a");
    q.pause("default", true);
    q.heartbeat(&lease).unwrap();
    q.complete(lease).unwrap();
}

#[test]
fn a_queue_is_made_by_its_first_job_and_has_the_defaults() {
    let q = TestQueue::new();
    q.enqueue(in_queue("b"));
    q.enqueue(in_queue("a"));
    let queues = q.store().queues().unwrap();
    let names: Vec<_> = queues
        .iter()
        .map(|status| status.queue.name.as_str())
        .filter(|name| *name != "default")
        .collect();
    assert_eq!(names, ["a", "b"]);
    let a = &queues
        .iter()
        .find(|status| status.queue.name == "a")
        .unwrap()
        .queue;
    assert_eq!((a.paused_at, a.concurrency, a.ageing), (None, None, AGEING));
}

#[test]
fn a_change_leaves_what_it_does_not_name() {
    let q = TestQueue::new();
    let change = QueueChange {
        concurrency: Some(3.try_into().ok()),
        ageing: Some(HOUR / 2),
        ..QueueChange::default()
    };
    q.set_queue("nightly", &change);
    q.pause("nightly", true);
    let now = q.now();
    let queue = q
        .store()
        .set_queue("nightly", &QueueChange::default(), &now)
        .unwrap();
    assert_eq!(queue.concurrency.map(std::num::NonZeroU32::get), Some(3));
    assert_eq!((queue.ageing, queue.paused_at), (HOUR / 2, Some(now.wall)));
}

#[test]
fn each_state_is_counted_by_queue() {
    let q = TestQueue::new();
    q.enqueue(in_queue("other"));
    let since = q.now().wall;
    for _ in 0..3 {
        q.enqueue("x");
        q.advance(SECOND);
    }
    q.enqueue(NewJob {
        start: StartAt::After(HOUR),
        ..job("x")
    });
    let held = q.enqueue("x");
    q.hold(held).unwrap();
    q.complete(q.claim_from("a", &["default"]).unwrap())
        .unwrap();
    let oldest = q.ids_in(State::Pending);
    q.claim_from("a", &["default"]).unwrap();
    let queues = q.store().queues().unwrap();
    let default = queues.iter().find(|s| s.queue.name == "default").unwrap();
    for (state, count) in [
        (State::Pending, 1),
        (State::InProgress, 1),
        (State::Completed, 1),
        (State::Scheduled, 1),
        (State::Blocked, 1),
        (State::Failed, 0),
    ] {
        assert_eq!(default.count(state), count, "{state}");
    }
    assert!(!default.counts.contains_key(&State::Failed));
    assert_eq!(
        default.oldest_pending,
        Some((*oldest.last().unwrap(), since.saturating_add(2 * SECOND)))
    );
}

#[test]
fn a_worker_that_wants_to_end_learns_what_lies_ahead() {
    let q = TestQueue::new();
    let outlook = |queues: &[&str]| {
        let queues: Vec<_> = queues.iter().map(|queue| (*queue).to_owned()).collect();
        q.store().outlook(&queues, PROCESS, &q.now()).unwrap()
    };
    assert_eq!(outlook(&[]), Outlook::default());
    q.enqueue_many(3, &job("x"));
    q.start("a");
    q.pause("paused", true);
    q.enqueue(in_queue("paused"));
    q.enqueue(NewJob {
        hold: true,
        ..in_queue("other")
    });
    q.enqueue(NewJob {
        start: StartAt::After(HOUR),
        ..in_queue("other")
    });
    let next_at = Some(q.now().wall.saturating_add(HOUR));
    let all = Outlook {
        pending: 2,
        paused: 1,
        in_progress: 1,
        scheduled: 1,
        next_at,
        blocked: 1,
    };
    assert_eq!(outlook(&[]), all);
    let other = Outlook {
        scheduled: 1,
        next_at,
        blocked: 1,
        ..Outlook::default()
    };
    assert_eq!(outlook(&["other", "none-such"]), other);
    // What a worker can never claim does not keep it from ending.
    q.enqueue(NewJob {
        kind: "of a library".to_owned(),
        ..job("x")
    });
    assert_eq!(outlook(&[]), all);
    let theirs = q.store().outlook(&[], "of a library", &q.now()).unwrap();
    let one = Outlook {
        pending: 1,
        ..Outlook::default()
    };
    assert_eq!(theirs, one);
}
