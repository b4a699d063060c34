//! Workers, as the store knows them.

use queue_core::why::Cause;
use queue_core::worker::{Resource, Shortage};
use queue_core::{Error, WorkerId};
use support::{SECOND, TestQueue, job, new_worker};

#[test]
fn every_registration_gets_a_number_of_its_own() {
    let q = TestQueue::new();
    let about = new_worker("same-name");
    let now = q.now();
    let first = q.store().register_worker(&about, &now).unwrap();
    let second = q.another().store().register_worker(&about, &now).unwrap();
    assert!(second > first);
}

#[test]
fn a_worker_is_listed_with_what_it_said_and_holds() {
    let q = TestQueue::new();
    q.enqueue_many(2, &job("x"));
    let started = q.now().wall;
    let id = q.worker("a");
    q.advance(SECOND);
    let leases = q.claim_many("a", 2);
    let listed = q.store().workers().unwrap();
    let worker = listed.iter().find(|worker| worker.id == id).unwrap();
    assert_eq!(worker.about, new_worker("a"));
    assert_eq!((worker.started_at, worker.stopped_at), (started, None));
    assert_eq!((worker.seen_at, worker.in_progress), (q.now().wall, 2));
    for lease in leases {
        q.complete(lease).unwrap();
    }
    q.advance(SECOND);
    q.store().worker_stopped(id, &q.now()).unwrap();
    let listed = q.store().workers().unwrap();
    let worker = listed.iter().find(|worker| worker.id == id).unwrap();
    assert_eq!(
        (worker.stopped_at, worker.in_progress),
        (Some(q.now().wall), 0)
    );
}

#[test]
fn a_worker_that_nobody_registered_cannot_stop() {
    let q = TestQueue::new();
    let nobody = WorkerId(4_711);
    let refused = q.store().worker_stopped(nobody, &q.now());
    assert!(
        matches!(refused, Err(Error::WorkerNotFound(id)) if id == nobody),
        "{refused:?}"
    );
}

#[test]
fn a_worker_that_is_short_of_something_is_why_a_job_waits_until_it_has_enough() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let worker = q.worker("a");
    let shortage = Shortage {
        resource: Resource::Disk,
        free_bytes: 300 << 20,
        kept_bytes: 1 << 30,
        place: Some("/srv".to_owned()),
    };
    let since = q.now().wall;
    q.store()
        .worker_short(worker, Some(&shortage), &q.now())
        .unwrap();
    let found = q.store().workers().unwrap().remove(0).short;
    assert_eq!(found, Some((shortage.clone(), since)));
    let cause = Cause::WorkerShort {
        worker: new_worker("a").name,
        shortage: shortage.clone(),
        since,
    };
    assert_eq!(q.store().why(id, &q.now()).unwrap(), [cause]);
    assert_eq!(
        shortage.words(),
        "300.0 MiB free on /srv, 1.0 GiB kept free"
    );

    q.store().worker_short(worker, None, &q.now()).unwrap();
    assert_eq!(q.store().workers().unwrap().remove(0).short, None);
    let causes = q.store().why(id, &q.now()).unwrap();
    assert!(
        matches!(causes[..], [Cause::InLine { workers: 1, .. }]),
        "{causes:?}"
    );

    q.store()
        .worker_short(worker, Some(&shortage), &q.now())
        .unwrap();
    q.store().worker_stopped(worker, &q.now()).unwrap();
    assert_eq!(q.store().workers().unwrap().remove(0).short, None);
    let nobody = WorkerId(4_711);
    let refused = q.store().worker_short(nobody, None, &q.now());
    assert!(
        matches!(refused, Err(Error::WorkerNotFound(_))),
        "{refused:?}"
    );
}
