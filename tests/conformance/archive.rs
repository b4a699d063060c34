//! Taking jobs from one store to another, with their history.

use queue_core::{
    Class, Error, JobId, NewJob, State, WorkerId,
    gate::CloseGate,
    job::{After, ParentEnd},
    queue::QueueChange,
    store::{Archived, Imported, ImportedSettings, SettingsResult, Shared},
    why::Cause,
};
use std::{num::NonZeroU32, time::Duration};
use support::{HOUR, MANY, SECOND, TestQueue, job, quota};

fn export(q: &TestQueue) -> Vec<Archived> {
    q.store().export(JobId(0), MANY).unwrap()
}

/// A store with a job of each sort, and their numbers.
fn filled() -> (TestQueue, Vec<JobId>) {
    let q = TestQueue::new();
    let failed = q.enqueue(NewJob {
        name: Some("it failed".to_owned()),
        tags: [("k".to_owned(), "v".to_owned())].into(),
        ..job("make all")
    });
    let lease = q.claim("a");
    q.started(&lease).unwrap();
    q.checkpoint(&lease, "page 7").unwrap();
    q.exit(lease, 1).unwrap();
    q.advance(HOUR);
    q.exit(q.claim("a"), 127).unwrap();
    let child = q.enqueue(NewJob {
        after: vec![After {
            parent: failed,
            end: ParentEnd::Success,
        }],
        ..job("x")
    });
    let pending = q.enqueue("true");
    (q, vec![failed, child, pending])
}

#[test]
fn a_store_that_is_taken_elsewhere_is_all_there() {
    let (old, jobs) = filled();
    let new = TestQueue::new();
    new.clock().set_wall(old.now().wall);
    let answers = new.store().import(export(&old), &new.now()).unwrap();
    let ids: Vec<_> = answers
        .jobs
        .iter()
        .map(|answer| match answer {
            Imported::Added(id) => *id,
            other @ Imported::Existing(_) => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, jobs, "numbers that are free are kept");
    for id in ids {
        let (mut here, mut there) = (new.detail(id), old.detail(id));
        here.summary.cause.clone_from(&there.summary.cause);
        here.causes.clone_from(&there.causes);
        // The workers of another store are not workers of this one.
        for detail in [&mut here, &mut there] {
            for attempt in detail.attempts.iter_mut().chain(&mut detail.summary.last) {
                attempt.worker = WorkerId(0);
                attempt.worker_name.clear();
            }
        }
        assert_eq!(here, there);
    }
    new.examine();
    // It goes on there: the parent completes and frees its child.
    new.requeue(jobs[0]).unwrap();
    let mut done = Vec::new();
    while let Some(lease) = new.try_claim("b") {
        done.push(lease.job());
        new.complete(lease).unwrap();
    }
    done.sort();
    assert_eq!(done, jobs);
}

#[test]
fn jobs_that_are_there_already_are_left_out() {
    let (q, jobs) = filled();
    let answers = q.store().import(export(&q), &q.now()).unwrap();
    let expected: Vec<_> = jobs.iter().map(|id| Imported::Existing(*id)).collect();
    assert_eq!(answers.jobs, expected);
    assert_eq!(q.detail(jobs[0]).attempts.len(), 2);
}

#[test]
fn numbers_that_are_taken_are_replaced_and_dependencies_follow() {
    let (old, jobs) = filled();
    let new = TestQueue::new();
    let there = new.enqueue_many(2, &job("mine"));
    let answers = new.store().import(export(&old), &new.now()).unwrap();
    let ids: Vec<_> = answers
        .jobs
        .iter()
        .map(|answer| match answer {
            Imported::Added(id) => *id,
            other @ Imported::Existing(_) => panic!("{other:?}"),
        })
        .collect();
    assert!(ids.iter().all(|id| !there.contains(id)), "{ids:?}");
    assert_eq!(new.job(ids[0]).uid, old.job(jobs[0]).uid);
    assert_eq!(new.job(ids[0]).class, Some(Class::ExitCode));
    assert_eq!(new.detail(ids[1]).after[0].0.parent, ids[0]);
    assert_eq!(new.state(ids[1]), State::Blocked);
    new.examine();
}

#[test]
fn an_export_is_read_page_by_page_and_goes_through_json() {
    let (old, jobs) = filled();
    let mut pages = Vec::new();
    let mut after = JobId(0);
    for id in &jobs {
        let mut page = old.store().export(after, 1).unwrap();
        assert_eq!(page.len(), 1);
        pages.append(&mut page);
        after = *id;
    }
    assert!(old.store().export(after, 1).unwrap().is_empty());
    let text = serde_json::to_string(&pages).unwrap();
    let read: Vec<Archived> = serde_json::from_str(&text).unwrap();
    assert_eq!(read, pages);
    assert_eq!(pages, export(&old));
    let new = TestQueue::new();
    new.store().import(read, &new.now()).unwrap();
    assert_eq!(new.saved(jobs[0]).as_deref(), Some("page 7"));
}

#[test]
fn a_job_that_ran_when_it_was_exported_does_not_run_twice_here_unless_it_died() {
    let old = TestQueue::new();
    let id = old.enqueue("x");
    let lease = old.claim("a");
    let new = TestQueue::new();
    new.store().import(export(&old), &new.now()).unwrap();
    assert!(
        new.state(id) != State::InProgress || new.try_claim("b").is_none(),
        "nobody here runs it"
    );
    old.complete(lease).unwrap();
    new.examine();
}

#[test]
fn a_parent_that_did_not_come_along_is_nobody_here_and_its_child_stays_blocked() {
    let (old, jobs) = filled();
    for there in [0, 1, 40] {
        let new = TestQueue::new();
        new.enqueue_many(there, &job("mine"));
        let child = old.store().export(jobs[0], 1).unwrap();
        let answers = new.store().import(child, &new.now()).unwrap();
        let [Imported::Added(child)] = answers.jobs[..] else {
            panic!("{answers:?}")
        };
        new.enqueue_many(10, &job("later"));
        while let Some(lease) = new.try_claim("a") {
            new.complete(lease).unwrap();
        }
        assert_eq!(new.state(child), State::Blocked, "beside {there} others");
        let (after, parent, is_met) = new.detail(child).after[0];
        assert_eq!((parent, is_met), (None, false), "{after:?}");
        let gone = Cause::After {
            parent: after.parent,
            end: after.end,
            state: None,
        };
        assert_eq!(new.why(child)[0], gone);
        new.examine();
    }
}

/// A store with a job that uses a queue, a limit and a key, each of which somebody set.
fn with_settings() -> TestQueue {
    let q = TestQueue::new();
    let (store, now) = (q.store(), q.now());
    let change = QueueChange {
        paused: Some(true),
        concurrency: Some(NonZeroU32::new(3)),
        ageing: Some(2 * HOUR),
    };
    store.set_queue("nightly", &change, &now).unwrap();
    q.set_limit("api", "60/min", 10);
    q.set_limit("unused", "1/s", 1);
    let two = NonZeroU32::new(2).unwrap();
    store.set_key("repo", two, &now).unwrap();
    let gate = "claude".parse().unwrap();
    store.set_gate(&gate, 10 * SECOND, &now).unwrap();
    let closed = CloseGate {
        until: None,
        why: None,
        by: "a person".to_owned(),
    };
    store.close_gate(&gate, &closed, &now).unwrap();
    q.enqueue_many(
        2,
        &NewJob {
            queue: "nightly".to_owned(),
            limits: vec!["api=4".parse().unwrap()],
            concurrency_key: Some("repo".to_owned()),
            gates: vec![gate],
            ..job("x")
        },
    );
    q
}

fn stagger(q: &TestQueue) -> Option<Duration> {
    let gates = q.store().gates().unwrap();
    assert!(gates.iter().all(|one| one.gate.closing().is_none()));
    gates.first().and_then(|one| one.gate.stagger)
}

fn results(settings: &[ImportedSettings]) -> Vec<(Shared, &str, SettingsResult)> {
    settings
        .iter()
        .map(|one| (one.of, one.name.as_str(), one.result))
        .collect()
}

#[test]
fn the_settings_that_jobs_use_go_along_and_no_others() {
    let (old, new) = (with_settings(), TestQueue::new());
    let brought = new.store().import(export(&old), &new.now()).unwrap();
    assert_eq!(
        results(&brought.settings),
        [
            (Shared::Queue, "nightly", SettingsResult::Added),
            (Shared::Limit, "api", SettingsResult::Added),
            (Shared::Gate, "claude", SettingsResult::Added),
            (Shared::ConcurrencyKey, "repo", SettingsResult::Added),
        ]
    );
    let (here, there) = (new.store(), old.store());
    let nightly = &here.queues().unwrap()[0].queue;
    let before = &there.queues().unwrap()[0].queue;
    assert_eq!(
        (&nightly.name, nightly.concurrency, nightly.ageing),
        (&before.name, before.concurrency, before.ageing)
    );
    assert!(nightly.paused_at.is_some(), "a paused queue stays paused");
    let limits = here.limits(&new.now()).unwrap();
    assert_eq!(limits.len(), 1, "{limits:?}");
    assert_eq!((limits[0].quota, limits[0].spent), (quota("60/min", 10), 0));
    let keys = here.keys().unwrap();
    assert_eq!((keys[0].key.as_str(), keys[0].places.get()), ("repo", 2));
    assert_eq!(stagger(&new), Some(10 * SECOND));
    let again = new.store().import(export(&old), &new.now()).unwrap();
    assert_eq!(again.settings, [], "nothing was added, so nothing is used");
    new.examine();
}

#[test]
fn that_nothing_keeps_the_jobs_of_a_gate_apart_is_a_setting_too() {
    let (old, new) = (with_settings(), TestQueue::new());
    let gate = "claude".parse().unwrap();
    let none = Duration::ZERO;
    old.store().set_gate(&gate, none, &old.now()).unwrap();
    let gates_of = |answers: &[ImportedSettings]| {
        let gates = answers.iter().filter(|one| one.of == Shared::Gate);
        gates.map(|one| one.result).collect::<Vec<_>>()
    };
    let brought = new.store().import(export(&old), &new.now()).unwrap();
    assert_eq!(gates_of(&brought.settings), [SettingsResult::Added]);
    assert_eq!(stagger(&new), Some(none));
    let other = with_settings();
    other.store().open_gate(&gate, &other.now()).unwrap();
    let brought = new.store().import(export(&other), &new.now()).unwrap();
    assert_eq!(gates_of(&brought.settings), [SettingsResult::Kept]);
    assert_eq!(stagger(&new), Some(none), "it was set here");
}

#[test]
fn what_is_set_here_is_never_changed_by_an_import() {
    let (old, new) = (with_settings(), TestQueue::new());
    new.set_limit("api", "5/s", 7);
    let strict = QueueChange {
        concurrency: Some(NonZeroU32::new(1)),
        ..QueueChange::default()
    };
    new.store()
        .set_queue("nightly", &strict, &new.now())
        .unwrap();
    let two = NonZeroU32::new(2).unwrap();
    new.store().set_key("repo", two, &new.now()).unwrap();
    let gate = "claude".parse().unwrap();
    new.store().set_gate(&gate, SECOND, &new.now()).unwrap();
    let brought = new.store().import(export(&old), &new.now()).unwrap();
    assert_eq!(
        results(&brought.settings),
        [
            (Shared::Queue, "nightly", SettingsResult::Kept),
            (Shared::Limit, "api", SettingsResult::Kept),
            (Shared::Gate, "claude", SettingsResult::Kept),
            (Shared::ConcurrencyKey, "repo", SettingsResult::Same),
        ]
    );
    let nightly = &new.store().queues().unwrap()[0].queue;
    assert_eq!(
        (nightly.paused_at, nightly.concurrency),
        (None, NonZeroU32::new(1))
    );
    let limits = new.store().limits(&new.now()).unwrap();
    assert_eq!(limits[0].quota, quota("5/s", 7));
    assert_eq!(stagger(&new), Some(SECOND));
    assert!(new.try_claim("a").is_some());
}

#[test]
fn an_export_without_settings_is_still_taken_and_refused_only_for_want_of_a_limit() {
    let mut archived = export(&with_settings());
    for one in &mut archived {
        for table in ["queue", "limit_bucket", "concurrency_key", "gate"] {
            assert!(one.rows.remove(table).is_some(), "{table}");
        }
    }
    let new = TestQueue::new();
    let refused = new.store().import(archived.clone(), &new.now());
    assert!(
        matches!(&refused, Err(Error::LimitNotFound(name)) if name == "api"),
        "{refused:?}"
    );
    new.set_limit("api", "1/s", 4);
    let brought = new.store().import(archived, &new.now()).unwrap();
    assert_eq!((brought.jobs.len(), brought.settings.len()), (2, 0));
    assert!(new.try_claim("a").is_some());
}
