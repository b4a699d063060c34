//! Handing in work: alone and in bulk, all or each, and what is refused.

use queue_core::{
    Enqueued, Error, JobId, NewJob, State,
    job::{Command, DEFAULT_QUEUE, PROCESS},
    raw_text::RawText,
};
use std::{collections::BTreeSet, thread};
use support::{SECOND, TestQueue, job};

#[test]
fn a_job_has_the_defaults_where_nothing_is_said() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    let row = q.job(id);
    assert_eq!(
        (row.queue.as_str(), row.kind.as_str()),
        (DEFAULT_QUEUE, PROCESS)
    );
    assert_eq!(
        (row.state, row.wait_reason, row.class),
        (State::Pending, None, None)
    );
    assert_eq!((row.priority, row.attempt, row.stalls), (0, 0, 0));
    assert_eq!((row.max_attempts, row.max_stalls), (3, NewJob::MAX_STALLS));
    assert_eq!((row.epoch.0, row.worker, row.run_at), (0, None, None));
    assert_eq!((row.created_at, row.finished_at), (q.now().wall, None));
    assert_eq!(row.uid.len(), 36);
    assert_eq!(
        row.uid.as_bytes()[14],
        b'7',
        "a UUID of version 7: {}",
        row.uid
    );
}

#[test]
fn everything_that_is_said_is_kept() {
    let q = TestQueue::new();
    let new = NewJob {
        queue: "nightly".to_owned(),
        name: Some("all of it".to_owned()),
        priority: -3,
        max_attempts: 7.try_into().unwrap(),
        max_stalls: 9,
        backoff: "fixed:5s".parse().unwrap(),
        max_wait: Some(60 * SECOND),
        concurrency_key: Some("repo".to_owned()),
        tags: [("k".to_owned(), "v".to_owned())].into(),
        cwd: RawText::from("/tmp"),
        env: [("A".to_owned(), RawText::from("b"))].into(),
        ..job("make all")
    };
    let id = q.enqueue(new.clone());
    let detail = q.detail(id);
    let row = detail.summary.job;
    assert_eq!((row.queue, row.name), (new.queue, new.name));
    assert_eq!((row.priority, row.backoff), (new.priority, new.backoff));
    assert_eq!((row.max_attempts, row.max_stalls), (7, 9));
    assert_eq!(
        row.expires_at,
        Some(q.now().wall.saturating_add(60 * SECOND))
    );
    assert_eq!(row.concurrency_key, new.concurrency_key);
    assert_eq!(detail.summary.tags, new.tags);
    assert_eq!(detail.body.command, Ok(new.command));
    assert_eq!((detail.body.cwd, detail.body.env), (new.cwd, new.env));
}

#[test]
fn all_of_a_batch_are_added_in_its_order() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(2_500, &job("x"));
    assert!(jobs.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(q.claim_order("a", 2_500), jobs);
}

#[test]
fn a_batch_is_added_whole_or_not_at_all_and_says_where_it_failed() {
    let q = TestQueue::new();
    let mut batch = vec![job("x"); 50];
    batch[37] = NewJob::argv(Vec::<&str>::new());
    let refused = q.store().enqueue_all(batch, &q.now());
    assert!(
        matches!(refused, Err((Some(37), Error::EmptyCommand))),
        "{refused:?}"
    );
    assert_eq!(q.count(State::Pending), 0);
    assert!(
        q.store()
            .enqueue_all(Vec::new(), &q.now())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn of_jobs_added_each_on_its_own_one_that_is_refused_keeps_out_no_other() {
    let q = TestQueue::new();
    let batch = vec![
        job("first"),
        NewJob::argv(Vec::<&str>::new()),
        job("second"),
        NewJob {
            priority: 5_000,
            ..job("x")
        },
        NewJob {
            limits: vec!["none-such".parse().unwrap()],
            ..job("x")
        },
        job("third"),
    ];
    let answers = q.store().enqueue_each(batch, &q.now()).unwrap();
    assert!(matches!(answers[1], Err(Error::EmptyCommand)));
    assert!(matches!(answers[3], Err(Error::OutOfRange { .. })));
    assert!(matches!(answers[4], Err(Error::LimitNotFound(_))));
    let added: Vec<JobId> = answers.into_iter().flatten().map(Enqueued::id).collect();
    assert_eq!(q.ids_in(State::Pending), added);
    assert_eq!(added.len(), 3);
}

#[test]
fn what_no_program_can_be_given_is_refused() {
    let q = TestQueue::new();
    let nul = RawText::from("a\0b");
    let refused = [
        NewJob::argv([RawText::from("x"), nul.clone()]),
        NewJob::new(Command::Shell("a\0b".to_owned())),
        NewJob {
            cwd: nul.clone(),
            ..job("x")
        },
        NewJob {
            env: [("A".to_owned(), nul)].into(),
            ..job("x")
        },
    ];
    for new in refused {
        let answer = q.try_enqueue(new.clone());
        assert!(
            matches!(answer, Err(Error::NulByte(_))),
            "{new:?}: {answer:?}"
        );
    }
    for empty in [
        NewJob::argv(Vec::<&str>::new()),
        NewJob::argv([""]),
        NewJob::new(Command::Shell(" \n".to_owned())),
        NewJob::new(Command::Script(String::new())),
    ] {
        let answer = q.try_enqueue(empty.clone());
        assert!(
            matches!(answer, Err(Error::EmptyCommand)),
            "{empty:?}: {answer:?}"
        );
    }
    assert_eq!(q.count(State::Pending), 0);
}

#[test]
fn what_was_added_is_there_for_the_next_process() {
    let q = TestQueue::durable();
    let jobs = q.enqueue_many(3, &job("x"));
    let q = q.reopened();
    assert_eq!(q.ids_in(State::Pending), jobs);
}

#[test]
fn stores_that_add_at_once_give_out_each_number_once() {
    const EACH: usize = 100;
    let q = TestQueue::new();
    let ids: Vec<JobId> = thread::scope(|scope| {
        let callers: Vec<_> = (0..6)
            .map(|_| {
                let q = q.another();
                scope.spawn(move || (0..EACH).map(|_| q.enqueue("x")).collect::<Vec<_>>())
            })
            .collect();
        callers
            .into_iter()
            .flat_map(|caller| caller.join().unwrap())
            .collect()
    });
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 6 * EACH);
    assert_eq!(q.count(State::Pending), 6 * EACH);
    let uids: BTreeSet<_> = ids.iter().map(|id| q.job(*id).uid).collect();
    assert_eq!(uids.len(), 6 * EACH);
}

#[test]
fn threads_of_one_store_add_at_once() {
    let q = TestQueue::new();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    q.enqueue("x");
                }
            });
        }
    });
    assert_eq!(q.count(State::Pending), 400);
}
