//! Checkpoints and progress: saved at once, found by the next attempt, fenced by the epoch.

use queue_core::{
    Error,
    attempt::Progress,
    checkpoint::{DEFAULT, MAX_BYTES},
    store::Cycle,
};
use support::{HOUR, LEASE, SECOND, TestQueue};

#[test]
fn a_checkpoint_is_there_at_once_and_for_every_later_attempt() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    assert_eq!(q.saved(id), None);
    let lease = q.claim("a");
    q.checkpoint(&lease, "page 1").unwrap();
    assert_eq!(q.saved(id).as_deref(), Some("page 1"));
    q.checkpoint(&lease, "page 2").unwrap();
    q.exit(lease, 1).unwrap();
    for worker in ["b", "c"] {
        q.advance(HOUR);
        let again = q.claim_with(worker, 1).pop().unwrap();
        assert_eq!(again.checkpoint.as_deref(), Some(b"page 2".as_slice()));
        q.snooze(again.lease, SECOND).unwrap();
    }
}

#[test]
fn a_checkpoint_outlives_the_death_of_its_worker() {
    let q = TestQueue::new();
    q.enqueue("x");
    let lease = q.claim("a");
    q.checkpoint(&lease, "page 9").unwrap();
    let q = q.reopened();
    q.advance(LEASE + SECOND);
    let again = q.claim_with("b", 1).pop().unwrap();
    assert_eq!(again.checkpoint.as_deref(), Some(b"page 9".as_slice()));
}

#[test]
fn checkpoints_have_names_and_any_bytes() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    let (epoch, now) = (lease.fence().epoch, q.now());
    let save = |name: &str, value: &[u8]| q.store().checkpoint(id, epoch, name, value, &now);
    save("step one", b"\xff\x00\n").unwrap();
    save(DEFAULT, b"").unwrap();
    let read = |name: &str| q.store().checkpoint_value(id, name).unwrap();
    let one = read("step one").unwrap();
    assert_eq!(one.value, b"\xff\x00\n");
    assert_eq!(
        (one.name.as_str(), one.epoch, one.at),
        ("step one", epoch, now.wall)
    );
    assert_eq!(read(DEFAULT).unwrap().value, b"");
    assert_eq!(read("none-such"), None);
    let mut names: Vec<_> = q
        .detail(id)
        .checkpoints
        .into_iter()
        .map(|c| c.name)
        .collect();
    names.sort();
    assert_eq!(names, [DEFAULT, "step one"]);
}

#[test]
fn an_older_epoch_never_replaces_a_newer_value() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let late = q.claim("late");
    q.advance(LEASE + SECOND);
    let fresh = q.claim("fresh");
    let refused = q.checkpoint(&late, "old");
    assert!(
        matches!(refused, Err(Error::LeaseLost { .. })),
        "{refused:?}"
    );
    assert_eq!(q.saved(id), None);
    q.checkpoint(&fresh, "new").unwrap();
    assert!(q.checkpoint(&late, "old").is_err());
    assert_eq!(q.saved(id).as_deref(), Some("new"));
}

#[test]
fn a_job_that_waits_or_ended_saves_nothing() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    let epoch = lease.fence().epoch;
    q.exit(lease, 1).unwrap();
    let save = || q.store().checkpoint(id, epoch, DEFAULT, b"x", &q.now());
    assert!(matches!(save(), Err(Error::LeaseLost { .. })));
    q.cancel(id).unwrap();
    assert!(matches!(save(), Err(Error::LeaseLost { .. })));
    assert_eq!(q.saved(id), None);
}

#[test]
fn what_is_too_large_is_refused_and_the_last_value_stays() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    q.checkpoint(&lease, "small").unwrap();
    let epoch = lease.fence().epoch;
    let save = |bytes: usize| {
        q.store()
            .checkpoint(id, epoch, DEFAULT, &vec![7; bytes], &q.now())
    };
    match save(MAX_BYTES + 1) {
        Err(Error::CheckpointTooLarge { name, bytes }) => {
            assert_eq!((name.as_str(), bytes), (DEFAULT, MAX_BYTES + 1));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(q.saved(id).as_deref(), Some("small"));
    save(MAX_BYTES).unwrap();
}

#[test]
fn a_worker_saves_what_jobs_left_in_their_file_within_its_cycle() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    let cycle = Cycle {
        checkpoints: vec![(lease.fence(), DEFAULT.to_owned(), b"page 3".to_vec())],
        ..q.cycle_of("a")
    };
    assert_eq!(q.cycle(&cycle).lost, []);
    assert_eq!(q.saved(id).as_deref(), Some("page 3"));
}

#[test]
fn the_last_checkpoint_of_an_attempt_is_saved_with_its_end() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    let report =
        queue_core::attempt::Report::new(support::failed(queue_core::Class::Crash), q.now().wall);
    let cycle = Cycle {
        checkpoints: vec![(lease.fence(), DEFAULT.to_owned(), b"last".to_vec())],
        ended: vec![(lease.fence(), report)],
        ..q.cycle_of("a")
    };
    let cycled = q.cycle(&cycle);
    assert_eq!((cycled.lost.len(), cycled.finished.len()), (0, 1));
    assert_eq!(q.saved(id).as_deref(), Some("last"));
}

#[test]
fn progress_belongs_to_the_attempt() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    let progress = Progress {
        done: 3,
        total: Some(10),
        text: Some("linking".to_owned()),
    };
    let epoch = lease.fence().epoch;
    q.store().progress(id, epoch, &progress, &q.now()).unwrap();
    assert_eq!(q.attempts(id)[0].progress, Some(progress));
    q.exit(lease, 1).unwrap();
    q.advance(HOUR);
    q.start("a");
    assert_eq!(q.attempts(id)[1].progress, None);
}

#[test]
fn a_worker_that_lost_to_an_adopter_saves_no_checkpoint_over_that_ones() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let late = q.claim("a").fence();
    q.advance(LEASE + SECOND);
    let adopter = q.adopt("b").pop().unwrap().lease.fence();
    let save = |worker, fence, value: &str| {
        q.cycle(&Cycle {
            checkpoints: vec![(fence, DEFAULT.to_owned(), value.as_bytes().to_vec())],
            ..q.cycle_of(worker)
        })
        .lost
    };
    assert_eq!(adopter.epoch, late.epoch);
    assert_eq!(save("b", adopter, "page 2"), []);
    assert_eq!(save("a", late, "page 1"), [late]);
    assert_eq!(q.saved(id).as_deref(), Some("page 2"));
}
