//! The lease: how long it runs, by which clock, and what extends it.

use queue_core::{Class, NewJob, State, job::StartAt};
use support::{HOUR, LEASE, MINUTE, SECOND, TestQueue, job};

// T05, T13
#[test]
fn a_job_longer_than_its_lease_runs_once_while_it_is_heartbeating() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    let lease = q.claim("a");
    for _ in 0..200 {
        q.advance(LEASE - SECOND);
        q.heartbeat(&lease).unwrap();
        assert_eq!(q.try_claim("b"), None);
    }
    assert_eq!(q.attempts(id).len(), 1);
    q.complete(lease).unwrap();
}

#[test]
fn a_lease_runs_out_only_when_its_whole_span_has_passed() {
    let q = TestQueue::new();
    q.enqueue("true");
    let lease = q.claim("a");
    q.advance(LEASE - SECOND);
    assert_eq!(q.adopt("b"), []);
    q.advance(2 * SECOND);
    let orphans = q.adopt("b");
    assert_eq!(orphans.len(), 1);
    assert_eq!(orphans[0].was, lease.fence());
    assert_eq!(orphans[0].class, Class::LeaseExpired);
}

// T12
#[test]
fn a_lease_starts_at_the_claim_however_long_the_job_waited() {
    let q = TestQueue::new();
    q.enqueue("true");
    q.enqueue(NewJob {
        start: StartAt::After(HOUR),
        ..job("true")
    });
    q.advance(3 * HOUR);
    let leases = q.claim_many("a", 2);
    assert_eq!(leases.len(), 2);
    q.advance(LEASE - SECOND);
    assert_eq!(q.adopt("b"), []);
}

#[test]
fn a_lease_that_ran_out_but_was_not_taken_is_extended() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    let lease = q.claim("a");
    q.advance(10 * LEASE);
    q.heartbeat(&lease).unwrap();
    assert_eq!(q.adopt("b"), []);
    q.complete(lease).unwrap();
    assert_eq!(q.state(id), State::Completed);
}

#[test]
fn an_attempt_may_end_after_its_lease_if_nobody_took_it() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    let lease = q.claim("a");
    q.advance(10 * LEASE);
    q.complete(lease).unwrap();
    assert_eq!(q.state(id), State::Completed);
}

// T18
#[test]
fn a_wall_clock_that_jumps_expires_no_lease() {
    let q = TestQueue::new();
    q.enqueue("true");
    let lease = q.claim("a");
    q.clock().advance_wall(HOUR);
    assert_eq!(q.adopt("b"), []);
    q.clock().step_wall_back(2 * HOUR);
    assert_eq!(q.adopt("b"), []);
    q.heartbeat(&lease).unwrap();
    q.advance(LEASE + SECOND);
    assert_eq!(
        q.adopt("b").len(),
        1,
        "time that passed counts all the same"
    );
}

// T18
#[test]
fn a_wall_clock_stepped_back_lengthens_no_lease() {
    let q = TestQueue::new();
    q.enqueue("true");
    q.start("a");
    q.clock().step_wall_back(HOUR);
    q.advance(LEASE + SECOND);
    assert_eq!(q.adopt("b").len(), 1);
}

// T1, T2
#[test]
fn a_machine_that_was_suspended_expires_nothing() {
    let q = TestQueue::new();
    q.enqueue("true");
    let lease = q.claim("a");
    q.clock().advance_wall(8 * HOUR);
    assert_eq!(q.adopt("b"), []);
    q.complete(lease).unwrap();
}

// T2
#[test]
fn a_reboot_voids_every_lease_at_once() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(3, &job("true"));
    assert_eq!(q.claim_many("a", 3).len(), 3);
    q.clock().reboot("boot-2");
    q.clock().set_mono(5);
    let orphans = q.adopt("b");
    assert_eq!(orphans.len(), 3);
    for orphan in &orphans {
        assert_eq!(orphan.class, Class::Rebooted);
        assert_eq!(orphan.boot.as_ref().unwrap().as_str(), "boot-1");
    }
    for orphan in orphans {
        let class = orphan.class;
        q.finish(
            orphan.lease,
            queue_core::attempt::Outcome::Stalled { class },
        )
        .unwrap();
    }
    assert_eq!(q.claim_order("b", 3), jobs);
}

#[test]
fn without_a_boot_id_the_wall_clock_decides() {
    let q = TestQueue::new();
    q.clock().set_boot(None);
    q.enqueue("true");
    let lease = q.claim("a");
    q.clock().advance_wall(LEASE - SECOND);
    assert_eq!(q.adopt("b"), []);
    q.heartbeat(&lease).unwrap();
    q.clock().advance_wall(LEASE + SECOND);
    assert_eq!(q.adopt("b").len(), 1);
}

// T2
#[test]
fn a_heartbeat_moves_the_end_that_people_see() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    let lease = q.claim("a");
    q.advance(10 * SECOND);
    q.heartbeat(&lease).unwrap();
    let expected = q.now().wall.saturating_add(LEASE);
    assert_eq!(q.job(id).lease_expires_at, Some(expected));
}

#[test]
fn a_job_that_ended_has_no_lease_and_no_worker() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    let lease = q.claim("a");
    q.advance(MINUTE / 10);
    q.complete(lease).unwrap();
    let job = q.job(id);
    assert_eq!((job.lease_expires_at, job.worker), (None, None));
    assert_eq!(job.finished_at, Some(q.now().wall));
}
