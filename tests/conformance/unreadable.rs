//! A job whose contents cannot be read harms nobody but itself.

use queue_core::{
    Class, NewJob, State,
    attempt::{Finished, Outcome, Report},
    job::{After, ParentEnd, StartAt},
    store::{Claim, Cycle, Filter},
};
use support::{LEASE, MANY, SECOND, TestQueue, job};

// T27
#[test]
fn a_command_that_cannot_be_read_is_told_in_its_place_and_beside_sound_ones() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(3, &job("true"));
    q.spoil_command(jobs[1]);
    assert_eq!(q.claim_order("a", 3), jobs);
    let bodies = q.store().bodies(&jobs).unwrap();
    assert_eq!(bodies.len(), 3);
    for body in &bodies {
        assert_eq!(body.command.is_err(), body.id == jobs[1], "{body:?}");
    }
    let why = bodies.iter().find_map(|body| body.command.as_ref().err());
    assert!(why.is_some_and(|why| !why.is_empty()));
    let lines = q.store().list(&Filter::default(), &q.now()).unwrap();
    assert_eq!(lines.len(), 3, "a list shows it like the others");
    assert!(q.detail(jobs[1]).body.command.is_err());
}

// T27
#[test]
fn a_job_that_cannot_be_read_fails_and_can_be_requeued_pruned_and_cancelled() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    q.spoil_command(id);
    let became = q.fail(q.claim("a"), Class::BadPayload).unwrap();
    assert_eq!(became, Finished::Failed, "no second try reads it better");
    assert_eq!(q.job(id).class, Some(Class::BadPayload));
    q.requeue(id).unwrap();
    assert_eq!(q.state(id), State::Pending);
    q.cancel(id).unwrap();
    q.advance(SECOND);
    assert_eq!(q.prune().len(), 1);
}

/// The end of an attempt that went well.
fn done(q: &TestQueue) -> Report {
    Report::new(Outcome::Completed { result: None }, q.now().wall)
}

#[test]
fn a_row_that_cannot_be_read_ends_its_own_job_and_the_cycle_goes_on() {
    let q = TestQueue::new();
    let running = q.enqueue_many(2, &job("runs"));
    let leases = q.claim_many("a", 2);
    let delayed = NewJob {
        start: StartAt::After(SECOND),
        ..job("delayed")
    };
    let delayed = q.enqueue_many(2, &delayed);
    let impatient = NewJob {
        max_wait: Some(SECOND),
        hold: true,
        ..job("impatient")
    };
    let impatient = q.enqueue_many(2, &impatient);
    for spoiled in [running[0], delayed[0], impatient[0]] {
        q.spoil_row(spoiled);
    }
    q.advance(2 * SECOND);
    let fences: Vec<_> = leases.iter().map(queue_core::Lease::fence).collect();
    let cycled = q.cycle(&Cycle {
        ended: fences.iter().map(|fence| (*fence, done(&q))).collect(),
        promote: MANY,
        claim: Some(Claim {
            most: MANY,
            ..Claim::default()
        }),
        ..q.cycle_of("a")
    });
    assert_eq!(
        cycled.finished,
        [
            (fences[0], Finished::Failed),
            (fences[1], Finished::Completed)
        ]
    );
    let claimed: Vec<_> = cycled.claimed.iter().map(|one| one.lease.job()).collect();
    assert_eq!(claimed, delayed[1..]);
    for spoiled in [running[0], delayed[0], impatient[0]] {
        let job = q.job(spoiled);
        assert_eq!(
            (job.state, job.class),
            (State::Failed, Some(Class::BadPayload))
        );
    }
    assert_eq!(q.state(impatient[1]), State::Cancelled);
    let attempt = q.attempts(running[0]).pop().unwrap();
    assert_eq!(attempt.class, Some(Class::BadPayload));
    assert!(attempt.message.unwrap().contains("backoff"));
    let findings = q.store().examine(&q.now()).unwrap();
    assert!(findings.iter().all(|finding| finding.ok), "{findings:?}");
    q.requeue(running[0]).unwrap();
    assert_eq!(q.state(running[0]), State::Pending);
}

#[test]
fn a_dependant_that_cannot_be_read_does_not_keep_its_parent_from_ending() {
    let q = TestQueue::new();
    let parent = q.enqueue("parent");
    let after = |end| NewJob {
        after: vec![After { parent, end }],
        ..job("child")
    };
    let spoiled = q.enqueue(after(ParentEnd::Success));
    let sound = q.enqueue(after(ParentEnd::Success));
    q.spoil_row(spoiled);
    q.complete(q.claim("a")).unwrap();
    assert_eq!(q.state(parent), State::Completed);
    assert_eq!(q.state(spoiled), State::Failed);
    assert_eq!(q.state(sound), State::Pending);
}

#[test]
fn an_attempt_that_cannot_be_read_keeps_no_other_from_being_adopted() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(3, &job("x"));
    for lease in &q.claim_many("a", 3) {
        q.started(lease).unwrap();
    }
    q.spoil_attempt(jobs[0]);
    q.advance(LEASE + SECOND);
    let orphans = q.adopt("b");
    let found: Vec<_> = orphans.iter().map(|orphan| orphan.was.job).collect();
    assert_eq!(found, jobs, "it is adopted, too: its job can be read");
    assert_eq!(orphans[0].process, None, "its process is not known");
    assert!(orphans[1].process.is_some());
    for orphan in orphans {
        q.complete(orphan.lease).unwrap();
    }
}

#[test]
fn a_job_whose_attempt_cannot_be_counted_fails_and_the_others_are_adopted() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(2, &job("x"));
    assert_eq!(q.claim_many("a", 2).len(), 2);
    q.spoil_number(jobs[0]);
    q.advance(LEASE + SECOND);
    let orphans = q.adopt("b");
    let found: Vec<_> = orphans.iter().map(|orphan| orphan.was.job).collect();
    assert_eq!(found, jobs[1..]);
    assert_eq!(q.state(jobs[0]), State::Failed);
}

#[test]
fn a_running_job_that_cannot_be_read_is_taken_over_and_ended_when_its_worker_dies() {
    let q = TestQueue::new();
    let spoiled = q.enqueue("x");
    q.start("a");
    q.spoil_row(spoiled);
    let sound = q.enqueue("y");
    q.start("a");
    q.advance(LEASE + SECOND);
    assert_eq!(
        q.rescue("b"),
        [(spoiled, Finished::Failed), (sound, Finished::Pending)]
    );
}
