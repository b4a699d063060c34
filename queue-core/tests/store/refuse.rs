//! What would break later is refused when it is asked for.

use super::*;
use queue_core::{queue::QueueChange, raw_text::RawText, store::Edit};

#[test]
fn an_ageing_beyond_reckoning_is_refused() {
    let q = Q::new();
    let change = QueueChange {
        ageing: Some(Duration::MAX),
        ..QueueChange::default()
    };
    let answer = q.store.set_queue("default", &change, &q.now);
    assert!(
        matches!(
            answer,
            Err(Error::OutOfRange {
                field: "ageing",
                ..
            })
        ),
        "{answer:?}"
    );
    let mut job = NewJob::argv(["true"]);
    job.priority = 1_000;
    q.store.enqueue(job, &q.now).unwrap();
    assert_eq!(q.leases(1).len(), 1);
}

#[test]
fn an_edit_is_held_to_what_an_enqueue_is() {
    let q = Q::new();
    let job = q.add(&[]);
    let edit = |edit: Edit| q.store.edit(&[job], &edit, &q.now).unwrap().pop().unwrap();
    let cwd = Edit {
        cwd: Some(RawText::from("/tmp\0/x")),
        ..Edit::default()
    };
    assert!(matches!(edit(cwd), Err(Error::NulByte(_))));
    let queue = Edit {
        queue: Some(String::new()),
        ..Edit::default()
    };
    assert!(matches!(
        edit(queue),
        Err(Error::OutOfRange { field: "queue", .. })
    ));
    assert_eq!(q.store.job(job).unwrap().queue, "default");
}

#[test]
fn a_store_that_fails_blames_none_of_the_jobs_that_it_was_to_add() {
    let q = Q::new();
    let other = rusqlite::Connection::open(q.store.path()).unwrap();
    other
        .execute_batch("alter table job_body rename to elsewhere")
        .unwrap();
    let answer = q.store.enqueue_all(vec![NewJob::argv(["true"]); 3], &q.now);
    assert!(matches!(answer, Err((None, Error::Store(_)))), "{answer:?}");
}
