//! Claiming: who gets which job, and that nobody else does.

use queue_core::{
    NewJob, State,
    attempt::Finished,
    job::Command,
    raw_text::RawText,
    store::{Claim, Cycle},
};
use std::{collections::BTreeSet, ffi::OsString, os::unix::ffi::OsStringExt as _, thread};
use support::{LEASE, MANY, SECOND, TestQueue, job};

#[test]
fn the_oldest_job_goes_first() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(5, &job("true"));
    assert_eq!(q.claim_order("a", 2), jobs[..2]);
    assert_eq!(q.claim_order("b", 9), jobs[2..]);
    assert_eq!(q.try_claim("a"), None);
}

#[test]
fn jobs_of_one_moment_and_of_later_ones_keep_their_order() {
    let q = TestQueue::new();
    let mut jobs = q.enqueue_many(3, &job("true"));
    q.advance(SECOND);
    jobs.extend(q.enqueue_many(3, &job("true")));
    let order: Vec<_> = (0..6).map(|_| q.claim("a").job()).collect();
    assert_eq!(order, jobs);
}

#[test]
fn a_claim_raises_epoch_and_holder_and_counts_an_attempt() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    let before = q.job(id);
    let lease = q.claim("a");
    let after = q.job(id);
    assert_eq!(after.state, State::InProgress);
    assert_eq!(after.epoch.0, before.epoch.0 + 1);
    assert_eq!(after.holder.0, before.holder.0 + 1);
    assert_eq!(after.attempt, 1);
    assert_eq!(after.worker, Some(q.worker("a")));
    assert_eq!(
        after.lease_expires_at,
        Some(q.now().wall.saturating_add(LEASE))
    );
    assert_eq!(lease.fence().epoch, after.epoch);
    assert_eq!(lease.fence().holder, after.holder);
    assert_eq!((lease.job(), lease.attempt()), (id, 1));
    let attempts = q.attempts(id);
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].number, attempts[0].epoch), (1, after.epoch));
    assert_eq!(attempts[0].worker_name, "a");
    assert_eq!(attempts[0].claimed_at, q.now().wall);
    assert_eq!(attempts[0].ended_at, None);
}

#[test]
fn a_claim_says_queue_name_and_what_was_saved() {
    let q = TestQueue::new();
    q.enqueue(NewJob {
        queue: "nightly".to_owned(),
        name: Some("checksums".to_owned()),
        ..job("true")
    });
    let claimed = q.claim_with("a", 1).pop().unwrap();
    assert_eq!(claimed.queue, "nightly");
    assert_eq!(claimed.name.as_deref(), Some("checksums"));
    assert_eq!(claimed.checkpoint, None);
    q.checkpoint(&claimed.lease, "page 7").unwrap();
    q.hand_back(claimed.lease).unwrap();
    let again = q.claim_with("b", 1).pop().unwrap();
    assert_eq!(again.checkpoint.as_deref(), Some(b"page 7".as_slice()));
}

#[test]
fn a_claim_from_named_queues_leaves_the_others() {
    let q = TestQueue::new();
    let in_queue = |queue: &str| {
        q.enqueue(NewJob {
            queue: queue.to_owned(),
            ..job("true")
        })
    };
    let (slow, fast) = (in_queue("slow"), in_queue("fast"));
    assert_eq!(q.claim_from("a", &["fast"]).unwrap().job(), fast);
    assert_eq!(q.claim_from("a", &["fast", "none-such"]), None);
    assert_eq!(q.claim_from("a", &["fast", "slow"]).unwrap().job(), slow);
}

#[test]
fn a_worker_claims_only_work_of_its_kind() {
    let q = TestQueue::new();
    let other = q.enqueue(NewJob {
        kind: "mail".to_owned(),
        ..NewJob::new(Command::Payload(serde_json::json!({"to": "x"})))
    });
    assert_eq!(q.try_claim("a"), None);
    let claim = Claim {
        kind: "mail".to_owned(),
        ..Claim::default()
    };
    let cycle = Cycle {
        claim: Some(claim),
        ..q.cycle_of("mailer")
    };
    let claimed = q.cycle(&cycle).claimed;
    assert_eq!(claimed[0].lease.job(), other);
}

// T49
#[test]
fn one_claim_fills_as_many_slots_as_are_idle() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(100, &job("true"));
    assert_eq!(q.claim_order("a", 64), jobs[..64]);
    assert_eq!(q.claim_order("b", 64), jobs[64..]);
}

// T16
#[test]
fn a_job_whose_worker_crashed_right_after_the_claim_comes_back() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    q.start("a");
    let q = q.reopened();
    q.advance(LEASE + SECOND);
    let lease = q.claim("b");
    assert_eq!(lease.job(), id);
    assert_eq!(lease.attempt(), 1, "a dead worker costs no attempt");
    let attempts = q.attempts(id);
    assert_eq!(attempts.len(), 2, "the lost try is in the history");
    assert_eq!(q.complete(lease).unwrap(), Finished::Completed);
}

#[test]
fn no_job_is_claimed_twice_by_workers_that_claim_at_once() {
    const WORKERS: usize = 6;
    let q = TestQueue::new();
    let jobs: BTreeSet<_> = q.enqueue_many(300, &job("true")).into_iter().collect();
    let claimed: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|number| {
                let q = q.another();
                scope.spawn(move || {
                    let name = format!("w{number}");
                    let mut mine = Vec::new();
                    while let Some(lease) = q.try_claim(&name) {
                        mine.push(lease.job());
                        q.complete(lease).unwrap();
                    }
                    mine
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    assert_eq!(claimed.len(), jobs.len());
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>(), jobs);
    assert_eq!(q.count(State::Completed), jobs.len());
    q.examine();
}

#[test]
fn bodies_hold_command_directory_and_environment_exactly() {
    let q = TestQueue::new();
    let odd = RawText::from(OsString::from_vec(b"\xff \n'\"$x".to_vec()));
    let new = NewJob {
        cwd: odd.clone(),
        env: [("ODD".to_owned(), odd.clone())].into(),
        ..NewJob::argv([RawText::from("printf"), odd.clone(), RawText::from("")])
    };
    let id = q.enqueue(new.clone());
    let shell = q.enqueue(NewJob::new(Command::Shell("a | b".to_owned())));
    let script = q.enqueue(NewJob::new(Command::Script("#!/bin/sh\nx".to_owned())));
    let gone = queue_core::JobId(script.0 + 1_000);
    let bodies = q.store().bodies(&[id, gone, shell, script]).unwrap();
    let body = |id| bodies.iter().find(|body| body.id == id).unwrap();
    assert_eq!(bodies.len(), 3, "a job that is gone is left out");
    assert_eq!(body(id).command, Ok(new.command));
    assert_eq!(body(id).cwd, odd);
    assert_eq!(body(id).env, new.env);
    assert_eq!(body(shell).command, Ok(Command::Shell("a | b".to_owned())));
    assert_eq!(
        body(script).command,
        Ok(Command::Script("#!/bin/sh\nx".to_owned()))
    );
}

#[test]
fn one_cycle_ends_promotes_rescues_and_claims() {
    let q = TestQueue::new();
    let dead = q.enqueue("true");
    q.start("dead");
    let done = q.enqueue("true");
    q.advance(LEASE - SECOND);
    let lease = q.claim("a");
    let late = q.enqueue(NewJob {
        start: queue_core::job::StartAt::After(2 * SECOND),
        ..job("true")
    });
    q.advance(2 * SECOND);
    let report = queue_core::attempt::Report::new(
        queue_core::attempt::Outcome::Completed { result: None },
        q.now().wall,
    );
    let cycle = Cycle {
        ended: vec![(lease.fence(), report)],
        promote: MANY,
        adopt: MANY,
        claim: Some(Claim {
            most: 2,
            ..Claim::default()
        }),
        ..q.cycle_of("a")
    };
    let cycled = q.cycle(&cycle);
    assert_eq!(cycled.finished, [(lease.fence(), Finished::Completed)]);
    assert_eq!(q.state(done), State::Completed);
    assert_eq!(cycled.orphans.len(), 1);
    assert_eq!(cycled.orphans[0].lease.job(), dead);
    assert_eq!(cycled.promoted, 1);
    assert_eq!(cycled.claimed.len(), 1);
    assert_eq!(cycled.claimed[0].lease.job(), late);
    assert_eq!((cycled.lost, cycled.cancels), (vec![], vec![]));
}
