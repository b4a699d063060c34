//! The fence: a worker that lost its lease writes nothing, by whichever verb.

use queue_core::{
    Class, Error, Fence, JobId, Lease, State,
    attempt::{Outcome, Progress, Report},
    checkpoint,
    store::Cycle,
};
use support::{LEASE, SECOND, TestQueue, failed};

/// A worker's verb, tried under a lease.
type Try = fn(&TestQueue, Lease) -> Result<(), Error>;

/// The verbs that name the lease by epoch and holder.
const BY_HOLDER: &[(&str, Try)] = &[
    ("heartbeat", |q, lease| q.heartbeat(&lease).map(drop)),
    ("started", |q, lease| q.started(&lease)),
    ("complete", |q, lease| q.complete(lease).map(drop)),
    ("fail", |q, lease| q.fail(lease, Class::Crash).map(drop)),
    ("fail for good", |q, lease| {
        q.fail(lease, Class::Auth).map(drop)
    }),
    ("snooze", |q, lease| q.snooze(lease, SECOND).map(drop)),
    ("hand back", |q, lease| q.hand_back(lease).map(drop)),
    ("abort", |q, lease| q.abort(lease).map(drop)),
    ("stall", |q, lease| {
        let class = Class::WorkerDied;
        q.finish(lease, Outcome::Stalled { class }).map(drop)
    }),
];

/// The job's own verbs, which name the epoch alone.
const BY_EPOCH: &[(&str, Try)] = &[
    ("checkpoint", |q, lease| q.checkpoint(&lease, "late")),
    ("progress", |q, lease| q.progress(&lease, 99)),
];

/// A way to lose a lease: given a running job and its time moved past the lease.
type Lose = fn(&TestQueue, JobId);

/// The ways in which the process tree is replaced or ended, so that every verb has to fail.
const LOST: &[(&str, Lose)] = &[
    ("claimed anew by another worker", |q, _| {
        let fresh = q.claim("b");
        q.checkpoint(&fresh, "fresh").unwrap();
    }),
    ("claimed anew by the same worker", |q, _| {
        q.start("late");
    }),
    ("completed by another worker", |q, _| {
        let fresh = q.claim("b");
        q.complete(fresh).unwrap();
    }),
    ("failed for good by another worker", |q, _| {
        let fresh = q.claim("b");
        q.fail(fresh, Class::Auth).unwrap();
    }),
    ("to be retried after another worker", |q, _| {
        let fresh = q.claim("b");
        q.fail(fresh, Class::Crash).unwrap();
    }),
    ("rescued and not yet claimed", |q, _| drop(q.rescue("b"))),
    ("cancelled after the rescue", |q, id| {
        q.rescue("b");
        q.cancel(id).unwrap();
    }),
    ("failed, requeued and running again", |q, id| {
        let fresh = q.claim("b");
        q.fail(fresh, Class::Auth).unwrap();
        q.requeue(id).unwrap();
        assert_eq!(q.claim("b").job(), id);
    }),
];

/// A queue with a running job, its late lease, and the clock past the lease.
fn late(lose: Lose) -> (TestQueue, JobId, Lease) {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    let lease = q.claim("late");
    q.advance(LEASE + SECOND);
    lose(&q, id);
    (q, id, lease)
}

/// Tries `verb` and expects it to be refused and to change nothing.
fn writes_nothing(q: &TestQueue, id: JobId, lease: Lease, verb: Try, what: &str) {
    let (before, fence) = (q.detail(id), lease.fence());
    match verb(q, lease) {
        Err(Error::LeaseLost {
            job, epoch, state, ..
        }) => {
            assert_eq!((job, epoch), (id, fence.epoch), "{what}");
            assert_eq!(state, before.summary.job.state, "{what}");
        }
        other => panic!("{what}: expected the lease to be lost, got {other:?}"),
    }
    assert_eq!(q.detail(id), before, "{what} changed something");
}

// T01, T02, T46
#[test]
fn every_verb_of_a_late_worker_writes_nothing() {
    for (how, lose) in LOST {
        for (verb, tried) in BY_HOLDER.iter().chain(BY_EPOCH) {
            let (q, id, lease) = late(*lose);
            writes_nothing(&q, id, lease, *tried, &format!("{verb} when {how}"));
        }
    }
}

#[test]
fn a_worker_that_lost_to_an_adopter_writes_nothing_but_its_job_still_saves() {
    for (verb, tried) in BY_HOLDER {
        let (q, id, lease) = late(|q, _| drop(q.adopt("b")));
        writes_nothing(&q, id, lease, *tried, &format!("{verb} when adopted"));
    }
    for (verb, tried) in BY_EPOCH {
        let (q, _, lease) = late(|q, _| drop(q.adopt("b")));
        tried(&q, lease).unwrap_or_else(|error| panic!("{verb} after an adoption: {error}"));
    }
}

#[test]
fn a_late_lease_names_who_has_the_job_now() {
    let q = TestQueue::new();
    q.enqueue("true");
    let late = q.claim("late");
    q.advance(LEASE + SECOND);
    q.start("fresh");
    match q.complete(late) {
        Err(Error::LeaseLost { taken_by, .. }) => assert_eq!(taken_by.as_deref(), Some("fresh")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_lost_fence_does_not_keep_the_others_of_its_cycle_from_being_written() {
    let q = TestQueue::new();
    q.enqueue("true");
    let late = q.claim("a");
    q.advance(LEASE + SECOND);
    q.start("b");
    let (done, kept) = (q.enqueue("true"), q.enqueue("true"));
    let (done_lease, kept_lease) = (q.claim("a"), q.claim("a"));
    let completed = || Report::new(Outcome::Completed { result: None }, q.now().wall);
    q.advance(SECOND);
    let cycle = Cycle {
        started: vec![
            (late.fence(), q.process()),
            (kept_lease.fence(), q.process()),
        ],
        ended: vec![
            (late.fence(), completed()),
            (done_lease.fence(), completed()),
        ],
        leases: vec![kept_lease.fence()],
        ..q.cycle_of("a")
    };
    let cycled = q.cycle(&cycle);
    assert!(cycled.lost.iter().all(|fence| *fence == late.fence()));
    assert!(!cycled.lost.is_empty());
    assert_eq!(cycled.finished.len(), 1);
    assert_eq!(q.state(done), State::Completed);
    assert_eq!(
        q.job(kept).lease_expires_at,
        Some(q.now().wall.saturating_add(LEASE))
    );
    assert!(q.attempts(kept)[0].process.is_some());
}

#[test]
fn fences_that_never_held_are_lost() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    let lease = q.claim("a");
    let real = lease.fence();
    let forged = [
        Fence {
            epoch: queue_core::Epoch(real.epoch.0 + 1),
            ..real
        },
        Fence {
            holder: queue_core::Holder(real.holder.0 + 1),
            ..real
        },
        Fence {
            job: JobId(id.0 + 1),
            ..real
        },
    ];
    let before = q.detail(id);
    for fence in forged {
        let report = Report::new(failed(Class::Auth), q.now().wall);
        let cycle = Cycle {
            ended: vec![(fence, report)],
            checkpoints: vec![(fence, checkpoint::DEFAULT.to_owned(), b"x".to_vec())],
            ..q.cycle_of("a")
        };
        let cycled = q.cycle(&cycle);
        assert!(cycled.lost.contains(&fence), "{fence}");
        assert!(cycled.finished.is_empty(), "{fence}");
    }
    assert_eq!(q.detail(id).attempts, before.attempts);
    assert_eq!(q.detail(id).summary, before.summary);
}

#[test]
fn a_job_that_is_not_there_cannot_save() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    let epoch = q.job(id).epoch;
    let none = JobId(id.0 + 1);
    let now = q.now();
    let saved = q.store().checkpoint(none, epoch, "x", b"1", &now);
    assert!(matches!(saved, Err(Error::JobNotFound(job)) if job == none));
    let progress = q.store().progress(none, epoch, &Progress::default(), &now);
    assert!(matches!(progress, Err(Error::JobNotFound(job)) if job == none));
    // A job that was never claimed has no attempt that could save anything.
    let saved = q.store().checkpoint(id, epoch, "x", b"1", &now);
    assert!(matches!(saved, Err(Error::LeaseLost { .. })));
}

// T01: as in CONTRIBUTING, word for word.
#[test]
fn late_worker_cannot_complete_a_reclaimed_job() {
    let q = TestQueue::new();
    q.enqueue("true");
    let late = q.claim("a");
    q.advance(LEASE + SECOND);
    let fresh = q.claim("b");
    assert!(matches!(q.complete(late), Err(Error::LeaseLost { .. })));
    q.complete(fresh).unwrap();
}
