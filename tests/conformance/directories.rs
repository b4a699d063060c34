//! A directory that a job has to itself: two of them take turns, and it is free on every way out.

use queue_core::{
    Class, JobId, NewJob, State,
    attempt::Outcome,
    job::{OnConflict, Unique, UniqueWhile},
    store::Edit,
    why::Cause,
};
use support::{LEASE, SECOND, TestQueue, failed, job};

fn alone_in(directory: &str) -> NewJob {
    NewJob {
        directory: Some(directory.into()),
        ..job("x")
    }
}

fn taken_by(q: &TestQueue, id: JobId) -> Option<JobId> {
    q.why(id).iter().find_map(|cause| match cause {
        Cause::DirectoryTaken { by, .. } => Some(*by),
        _ => None,
    })
}

// W7
#[test]
fn jobs_that_have_a_directory_to_themselves_take_turns_there() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(3, &alone_in("/src/site"));
    let elsewhere = q.enqueue(alone_in("/src/other"));
    assert_eq!(q.claim_order("a", 9), [jobs[0], elsewhere]);
    assert_eq!(taken_by(&q, jobs[1]), Some(jobs[0]));
    assert_eq!(taken_by(&q, jobs[2]), Some(jobs[0]));
    assert_eq!(q.try_claim("b"), None, "nor any other worker");
}

#[test]
fn jobs_without_one_share_the_place_where_they_run() {
    let q = TestQueue::new();
    q.enqueue(alone_in("/"));
    q.enqueue_many(3, &job("x"));
    assert_eq!(q.claim_many("a", 9).len(), 4, "all of them run in `/`");
}

#[test]
fn a_directory_and_a_key_both_hold() {
    let q = TestQueue::new();
    let both = |key: &str, directory: &str| {
        q.enqueue(NewJob {
            concurrency_key: Some(key.to_owned()),
            ..alone_in(directory)
        })
    };
    let first = both("account", "/a");
    let same_key = both("account", "/b");
    let same_directory = both("other", "/a");
    let neither = both("free", "/c");
    assert_eq!(q.claim_order("a", 9), [first, neither]);
    assert!(matches!(q.why(same_key)[..], [Cause::KeyFull { .. }]));
    assert_eq!(taken_by(&q, same_directory), Some(first));
}

#[test]
fn a_directory_is_free_again_however_its_job_ends() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(6, &alone_in("/src"));
    let outcomes = [
        Outcome::Completed { result: None },
        failed(Class::ExitCode),
        Outcome::HandedBack,
        Outcome::Cancelled,
    ];
    for outcome in outcomes {
        let lease = q.claim("a");
        assert_eq!(q.try_claim("b"), None);
        q.finish(lease, outcome).unwrap();
    }
    // Its worker is gone without a word: the next one finds the lease run out.
    let lost = q.claim("a");
    q.advance(LEASE + SECOND);
    q.rescue("b");
    let next = q.claim("b");
    assert!(jobs.contains(&next.job()) && taken_by(&q, lost.job()).is_some());
}

#[test]
fn a_directory_stays_taken_while_its_job_passes_to_another_worker() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(2, &alone_in("/src"));
    let lease = q.claim("a");
    q.started(&lease).unwrap();
    q.advance(LEASE + SECOND);
    let [orphan] = &q.adopt("b")[..] else {
        panic!("there is one");
    };
    assert_eq!(orphan.lease.job(), jobs[0]);
    assert_eq!(q.try_claim("b"), None);
    assert_eq!(taken_by(&q, jobs[1]), Some(jobs[0]));
}

#[test]
fn many_that_wait_for_a_directory_do_not_hold_up_those_behind_them() {
    let q = TestQueue::new();
    let waiting = q.enqueue_many(300, &alone_in("/busy"));
    let other = q.enqueue(alone_in("/other"));
    let plain = q.enqueue("plain");
    assert_eq!(q.claim_order("a", 9), [waiting[0], other, plain]);
    assert_eq!(q.count(State::Pending), 299);
}

#[test]
fn an_edit_lets_a_job_share_its_directory_or_have_another() {
    let q = TestQueue::new();
    let [first, second] = q.enqueue_many(2, &alone_in("/src"))[..] else {
        unreachable!("two were asked for");
    };
    q.claim("a");
    let change = |directory| Edit {
        directory: Some(directory),
        ..Edit::default()
    };
    q.edit(second, &change(Some("/other".into()))).unwrap();
    assert_eq!(taken_by(&q, second), None);
    q.edit(second, &change(Some("/src".into()))).unwrap();
    assert_eq!(taken_by(&q, second), Some(first));
    q.edit(second, &change(None)).unwrap();
    assert_eq!(q.claim("a").job(), second);
    assert_eq!(q.job(second).directory, None);
}

#[test]
fn a_job_that_is_replaced_waits_for_the_directory_and_the_gates_of_the_new_one() {
    let q = TestQueue::new();
    let unique = |directory: &str, gate: &str| NewJob {
        unique: Some(Unique {
            key: "nightly".to_owned(),
            while_: UniqueWhile::Live,
            on_conflict: OnConflict::Replace,
        }),
        gates: vec![gate.parse().unwrap()],
        ..alone_in(directory)
    };
    let holder = q.enqueue(alone_in("/new"));
    q.claim("a");
    let id = q.enqueue(unique("/old", "claude"));
    assert_eq!(taken_by(&q, id), None);
    assert_eq!(q.enqueue(unique("/new", "codex")), id);
    assert_eq!(taken_by(&q, id), Some(holder));
    assert_eq!(q.job(id).gates, ["codex".parse().unwrap()]);
    assert_eq!(q.try_claim("a"), None);
    q.examine();
}

#[test]
fn a_directory_goes_along_with_an_export_whatever_its_bytes() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};
    let (old, new) = (TestQueue::new(), TestQueue::new());
    let odd = OsString::from_vec(b"/src/\xff\"".to_vec());
    old.enqueue_many(
        2,
        &NewJob {
            directory: Some(odd.clone().into()),
            ..job("x")
        },
    );
    let archived = old.store().export(JobId(0), 9).unwrap();
    let brought = new.store().import(archived, &new.now()).unwrap();
    assert_eq!(brought.jobs.len(), 2);
    let first = new.claim("a");
    assert_eq!(new.job(first.job()).directory, Some(odd.into()));
    assert_eq!(new.try_claim("a"), None);
    new.examine();
}
