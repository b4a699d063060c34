//! The order of the line after jobs were moved about in it.

use super::*;
use queue_core::store::Place;

fn order(q: &Q) -> Vec<JobId> {
    q.leases(100).iter().map(queue_core::Lease::job).collect()
}

fn place(q: &Q, job: JobId, place: Place) {
    q.store.reposition(job, place, &q.now).unwrap();
}

#[test]
fn a_new_job_never_overtakes_those_that_were_moved_to_the_end() {
    let q = Q::new();
    let (a, b) = (q.add(&[]), q.add(&[]));
    for _ in 0..3 {
        place(&q, a, Place::After(b));
        place(&q, b, Place::After(a));
    }
    let new = q.add(&[]);
    assert_eq!(order(&q), [a, b, new]);
}

#[test]
fn a_new_job_never_overtakes_those_that_made_room() {
    let q = Q::new();
    let (a, b, c, last) = (q.add(&[]), q.add(&[]), q.add(&[]), q.add(&[]));
    // Each pair of moves halves the room between two neighbours, until there is none.
    for _ in 0..60 {
        place(&q, b, Place::After(a));
        place(&q, c, Place::After(a));
    }
    let new = q.add(&[]);
    assert_eq!(order(&q), [a, c, b, last, new]);
}

#[test]
fn a_job_gets_in_between_two_that_stand_on_the_same_place() {
    let q = Q::new();
    let first = q.add(&[]);
    let (b, c) = (q.add(&[]), q.add(&[]));
    // While the first one runs its place is nobody's; it comes back to it.
    let lease = q.leases(1).pop().unwrap();
    place(&q, c, Place::First);
    let back = Report::new(Outcome::HandedBack, q.now.wall);
    q.store.finish(lease, back, &q.now).unwrap();
    place(&q, b, Place::After(first));
    assert_eq!(order(&q), [first, b, c]);
}
