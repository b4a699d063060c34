//! Upkeep: copies, examinations, and shortening the log.

use queue_core::{
    NewJob, State, Store as _,
    store::sqlite::{OpenOptions, SqliteStore},
};
use support::{SECOND, TestQueue, job};

/// A queue in which something of everything happened.
fn busy() -> TestQueue {
    let q = TestQueue::new();
    q.set_limit("api", "1/s", 5);
    q.enqueue_many(10, &job("x"));
    q.enqueue(NewJob {
        limits: vec!["api".parse().unwrap()],
        concurrency_key: Some("repo".to_owned()),
        ..job("x")
    });
    let mut leases = q.claim_many("a", 11).into_iter();
    q.complete(leases.next().unwrap()).unwrap();
    q.exit(leases.next().unwrap(), 1).unwrap();
    q.hand_back(leases.next().unwrap()).unwrap();
    q
}

#[test]
fn an_examination_of_a_sound_store_finds_nothing_wrong_and_says_what_it_looked_at() {
    let q = busy();
    let findings = q.store().examine(&q.now()).unwrap();
    assert!(findings.len() >= 2, "{findings:?}");
    assert!(findings.iter().all(|finding| finding.ok), "{findings:#?}");
    assert!(findings.iter().all(|finding| !finding.check.is_empty()));
}

#[test]
fn a_copy_is_whole_and_stands_alone() {
    let q = busy();
    let to = q.dir().join("copy.db");
    q.store().backup(&to).unwrap();
    let pending = q.ids_in(State::Pending);
    let running = q.ids_in(State::InProgress);
    // What follows is not in the copy.
    q.enqueue("later");
    let copy = SqliteStore::open(&to, &OpenOptions::default()).unwrap();
    let ids = |state| {
        copy.ids(&queue_core::store::Filter {
            states: vec![state],
            oldest_first: true,
            ..Default::default()
        })
        .unwrap()
    };
    assert_eq!(ids(State::Pending), pending);
    assert_eq!(ids(State::InProgress), running);
    assert!(copy.examine(&q.now()).unwrap().iter().all(|found| found.ok));
}

#[test]
fn a_copy_never_replaces_a_file() {
    let q = busy();
    let to = q.dir().join("precious");
    std::fs::write(&to, "precious").unwrap();
    assert!(q.store().backup(&to).is_err());
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "precious");
}

#[test]
fn tidying_changes_nothing_that_can_be_seen() {
    let q = busy();
    let before: Vec<_> = q
        .ids(&Default::default())
        .into_iter()
        .map(|id| q.detail(id))
        .collect();
    q.store().tidy().unwrap();
    q.another().store().tidy().unwrap();
    let after: Vec<_> = q
        .ids(&Default::default())
        .into_iter()
        .map(|id| q.detail(id))
        .collect();
    assert_eq!(before, after);
    q.advance(SECOND);
    q.examine();
}
