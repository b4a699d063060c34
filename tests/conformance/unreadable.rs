//! A job whose contents cannot be read harms nobody but itself.

use queue_core::{Class, State, attempt::Finished, store::Filter};
use support::{SECOND, TestQueue, job};

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
