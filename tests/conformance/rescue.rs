//! Rescue: what becomes of jobs whose worker died, hung, or was cut off.

use queue_core::{
    Class, Error, JobId, NewJob, State,
    attempt::{Finished, MAX_REBOOTS, Outcome},
    store::Cycle,
};
use std::{collections::BTreeSet, thread};
use support::{LEASE, MANY, SECOND, TestQueue, job};

/// Claims the only job and lets its lease run out.
fn die(q: &TestQueue) {
    q.start("mortal");
    q.advance(LEASE + SECOND);
}

#[test]
fn an_adopted_job_keeps_its_attempt_and_epoch_and_gets_a_new_holder() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    let lost = q.claim("a");
    q.started(&lost).unwrap();
    q.advance(LEASE + SECOND);
    let orphan = q.adopt("b").pop().unwrap();
    assert_eq!(orphan.was, lost.fence());
    assert_eq!(orphan.lease.fence().epoch, lost.fence().epoch);
    assert_eq!(orphan.lease.fence().holder.0, lost.fence().holder.0 + 1);
    assert_eq!(orphan.lease.attempt(), 1);
    assert_eq!(orphan.process.as_ref().unwrap().pid, q.process().pid);
    assert_eq!(orphan.boot, q.now().boot);
    let job = q.job(id);
    assert_eq!(job.state, State::InProgress);
    assert_eq!(job.worker, Some(q.worker("b")));
    assert_eq!(job.holder, orphan.lease.fence().holder);
    let attempts = q.attempts(id);
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].worker_name, "a");
    assert_eq!(attempts[0].adopted_by.as_deref(), Some("b"));
    q.heartbeat(&orphan.lease).unwrap();
    q.complete(orphan.lease).unwrap();
}

#[test]
fn a_rescued_job_gets_its_attempt_back_and_can_be_claimed_at_once() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    die(&q);
    assert_eq!(q.rescue("b"), [(id, Finished::Pending)]);
    let rescued = q.job(id);
    assert_eq!(rescued.state, State::Pending);
    assert_eq!((rescued.attempt, rescued.stalls), (0, 1));
    let lease = q.claim("b");
    assert_eq!(lease.attempt(), 1);
    let attempts = q.attempts(id);
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0].class, Some(Class::LeaseExpired));
    assert_eq!(attempts[0].ended_at, Some(q.now().wall));
    assert!(attempts[0].epoch < attempts[1].epoch);
}

// T11
#[test]
fn a_job_that_kills_its_worker_each_time_fails_after_so_many_stalls() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        max_stalls: 2,
        ..job("true")
    });
    for stalls in 1..=2 {
        die(&q);
        let became = q.rescue("b");
        assert_eq!(became, [(id, Finished::Pending)]);
        assert_eq!(q.job(id).stalls, stalls);
        assert!(q.job(id).attempt <= q.job(id).max_attempts);
    }
    die(&q);
    assert_eq!(q.rescue("b"), [(id, Finished::Failed)]);
    let failed = q.job(id);
    assert_eq!(failed.state, State::Failed);
    assert_eq!(failed.class, Some(Class::LeaseExpired));
    assert_eq!(failed.finished_at, Some(q.now().wall));
    assert_eq!(q.attempts(id).len(), 3);
    assert_eq!(q.try_claim("b"), None);
}

#[test]
fn stalls_and_attempts_are_counted_apart() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        max_attempts: 2.try_into().unwrap(),
        max_stalls: 1,
        backoff: queue_core::retry::Backoff::None,
        ..job("true")
    });
    let lease = q.claim("a");
    q.exit(lease, 1).unwrap();
    die(&q);
    q.rescue("b");
    assert_eq!((q.job(id).attempt, q.job(id).stalls), (1, 1));
    let lease = q.claim("a");
    assert_eq!(lease.attempt(), 2);
    assert_eq!(q.exit(lease, 1).unwrap(), Finished::Failed);
    assert_eq!(q.job(id).class, Some(Class::ExitCode));
}

// T03
#[test]
fn a_rescuer_that_is_late_itself_writes_nothing() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    die(&q);
    let stale = q.adopt("slow").pop().unwrap();
    q.advance(LEASE + SECOND);
    // In the gap another worker rescues the job and completes it.
    let fresh = q.claim("fast");
    q.complete(fresh).unwrap();
    let before = q.detail(id);
    let class = stale.class;
    let late = q.finish(stale.lease, Outcome::Stalled { class });
    assert!(matches!(late, Err(Error::LeaseLost { .. })), "{late:?}");
    assert_eq!(q.detail(id), before);
}

// T03
#[test]
fn a_job_that_ended_in_time_is_not_rescued() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    let lease = q.claim("a");
    q.advance(LEASE + SECOND);
    q.complete(lease).unwrap();
    assert_eq!(q.rescue("b"), []);
    assert_eq!(q.state(id), State::Completed);
}

// T04
#[test]
fn long_jobs_that_are_alive_do_not_hide_orphans_behind_them() {
    let q = TestQueue::new();
    q.enqueue_many(50, &job("true"));
    let alive = q.claim_many("alive", 50);
    let orphan = q.enqueue("true");
    q.start("mortal");
    q.advance(LEASE - SECOND);
    for lease in &alive {
        q.heartbeat(lease).unwrap();
    }
    q.advance(2 * SECOND);
    let store = q.store();
    let found = store.adopt(q.worker("b"), 1, LEASE, &q.now()).unwrap();
    assert_eq!(found[0].lease.job(), orphan);
}

#[test]
fn rescue_is_bounded_and_goes_on_where_it_stopped() {
    let q = TestQueue::new();
    q.enqueue_many(5, &job("true"));
    assert_eq!(q.claim_many("mortal", 5).len(), 5);
    q.advance(LEASE + SECOND);
    let mut found = BTreeSet::new();
    for expected in [2, 2, 1, 0] {
        let orphans = q.store().adopt(q.worker("b"), 2, LEASE, &q.now()).unwrap();
        assert_eq!(orphans.len(), expected);
        found.extend(orphans.iter().map(|orphan| orphan.lease.job()));
    }
    assert_eq!(found.len(), 5);
}

// T10
#[test]
fn of_two_rescuers_exactly_one_gets_each_orphan() {
    let q = TestQueue::new();
    let jobs: BTreeSet<_> = q.enqueue_many(60, &job("true")).into_iter().collect();
    assert_eq!(q.claim_many("mortal", MANY).len(), 60);
    q.advance(LEASE + SECOND);
    let found: Vec<JobId> = thread::scope(|scope| {
        let rescuers: Vec<_> = (0..4)
            .map(|number| {
                let q = q.another();
                scope.spawn(move || {
                    let mut mine = Vec::new();
                    loop {
                        let worker = q.worker(&format!("r{number}"));
                        let orphans = q.store().adopt(worker, 7, LEASE, &q.now()).unwrap();
                        if orphans.is_empty() {
                            return mine;
                        }
                        for orphan in orphans {
                            let (job, class) = (orphan.lease.job(), orphan.class);
                            let became = q.finish(orphan.lease, Outcome::Stalled { class });
                            assert!(matches!(became, Ok(Finished::Pending)), "{became:?}");
                            mine.push(job);
                        }
                    }
                })
            })
            .collect();
        rescuers
            .into_iter()
            .flat_map(|rescuer| rescuer.join().unwrap())
            .collect()
    });
    assert_eq!(found.len(), jobs.len(), "each orphan is found once");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), jobs);
    for id in jobs {
        assert_eq!(q.job(id).stalls, 1);
    }
}

// T14
#[test]
fn leases_are_found_although_their_worker_is_marked_as_stopped() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    q.start("a");
    q.store().worker_stopped(q.worker("a"), &q.now()).unwrap();
    assert_eq!(q.state(id), State::InProgress, "its leases are not touched");
    q.advance(LEASE + SECOND);
    assert_eq!(q.adopt("b").len(), 1);
}

// T14
#[test]
fn leases_are_found_although_the_row_of_their_worker_is_gone() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    q.start("a");
    q.remove_worker("a");
    q.advance(LEASE + SECOND);
    assert_eq!(q.rescue("b"), [(id, Finished::Pending)]);
    assert_eq!(q.attempts(id)[0].worker_name, "unknown");
    q.complete(q.claim("b")).unwrap();
}

#[test]
fn an_adopter_that_dies_too_leaves_an_orphan_again() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    die(&q);
    drop(q.adopt("b"));
    assert_eq!(q.adopt("c"), [], "the adopter has a lease of its own");
    q.advance(LEASE + SECOND);
    assert_eq!(q.rescue("c").len(), 1);
    assert_eq!(q.job(id).stalls, 1);
}

#[test]
fn dead_workers_count_however_the_death_was_noticed_but_reboots_do_not() {
    for (class, became) in [
        (Class::LeaseExpired, Finished::Failed),
        (Class::WorkerDied, Finished::Failed),
        (Class::Rebooted, Finished::Pending),
    ] {
        let q = TestQueue::new();
        let id = q.enqueue(NewJob {
            max_stalls: 0,
            ..job("true")
        });
        let lease = q.claim("a");
        assert_eq!(q.finish(lease, Outcome::Stalled { class }).unwrap(), became);
        assert_eq!(q.job(id).class, Some(class));
    }
}

#[test]
fn a_lease_of_a_worker_that_is_proven_dead_is_taken_over_before_it_runs_out() {
    let q = TestQueue::new();
    q.enqueue("true");
    let dead = q.start("a");
    q.enqueue("true");
    let alive = q.start("c");
    let worker = q.worker("b");
    let cycle = Cycle {
        adopt: 10,
        dead: vec![q.worker("a")],
        ..Cycle::of(worker)
    };
    let orphans = q.store().cycle(&cycle, &q.now()).unwrap().orphans;
    assert_eq!(orphans.len(), 1);
    assert_eq!(orphans[0].was.job, dead);
    assert_eq!(orphans[0].class, Class::WorkerDied);
    assert_eq!(q.job(alive).worker, Some(q.worker("c")));
}

#[test]
fn a_job_that_crashes_the_machine_each_time_ends_and_may_be_requeued() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    let reboot = || {
        let class = Class::Rebooted;
        let became = q.finish(q.claim("a"), Outcome::Stalled { class }).unwrap();
        q.advance(SECOND);
        became
    };
    for _ in 0..MAX_REBOOTS {
        assert_eq!(reboot(), Finished::Pending);
    }
    assert_eq!(reboot(), Finished::Failed);
    assert_eq!(q.job(id).class, Some(Class::Rebooted));
    q.requeue(id).unwrap();
    for _ in 1..MAX_REBOOTS {
        assert_eq!(reboot(), Finished::Pending, "it starts anew");
    }
    q.hand_back(q.claim("a")).unwrap();
    for _ in 0..MAX_REBOOTS {
        assert_eq!(reboot(), Finished::Pending, "they are not in a row");
    }
    assert_eq!(reboot(), Finished::Failed);
}
