//! Unique keys: at most one job at a time, and nobody is told of a job that is not there.

use queue_core::{
    Class, Enqueued, Error, NewJob, State,
    job::{Command, OnConflict, Unique, UniqueWhile},
};
use std::{collections::BTreeSet, thread};
use support::{HOUR, TestQueue, job};

fn keyed(while_: UniqueWhile, on_conflict: OnConflict) -> NewJob {
    NewJob {
        unique: Some(Unique {
            key: "nightly".to_owned(),
            while_,
            on_conflict,
        }),
        ..job("x")
    }
}

// T38
#[test]
fn of_many_that_add_one_key_at_once_one_adds_and_all_get_its_number() {
    const THREADS: usize = 8;
    let q = TestQueue::new();
    let answers: Vec<Enqueued> = thread::scope(|scope| {
        let callers: Vec<_> = (0..THREADS)
            .map(|_| {
                let q = q.another();
                scope.spawn(move || {
                    (0..12)
                        .map(|_| q.try_enqueue(keyed(UniqueWhile::Live, OnConflict::Skip)))
                        .collect::<Result<Vec<_>, _>>()
                        .unwrap()
                })
            })
            .collect();
        callers
            .into_iter()
            .flat_map(|caller| caller.join().unwrap())
            .collect()
    });
    let added = answers
        .iter()
        .filter(|answer| matches!(answer, Enqueued::Added(_)));
    assert_eq!(added.count(), 1);
    let ids: BTreeSet<_> = answers.iter().map(|answer| answer.id()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(
        q.ids_in(State::Pending),
        ids.into_iter().collect::<Vec<_>>()
    );
}

// T39
#[test]
fn a_key_of_jobs_that_were_refused_together_is_free() {
    let q = TestQueue::new();
    let jobs = vec![
        keyed(UniqueWhile::Live, OnConflict::Skip),
        NewJob::argv(Vec::<&str>::new()),
    ];
    let refused = q.store().enqueue_all(jobs, &q.now());
    assert!(
        matches!(refused, Err((Some(1), Error::EmptyCommand))),
        "{refused:?}"
    );
    let added = q.try_enqueue(keyed(UniqueWhile::Live, OnConflict::Skip));
    assert!(matches!(added, Ok(Enqueued::Added(_))), "{added:?}");
}

#[test]
fn the_same_key_twice_in_one_batch_is_one_job() {
    let q = TestQueue::new();
    let skip = keyed(UniqueWhile::Live, OnConflict::Skip);
    let added = q
        .store()
        .enqueue_all(vec![skip.clone(), job("between"), skip], &q.now())
        .unwrap();
    assert!(matches!(added[0], Enqueued::Added(_)));
    assert_eq!(added[2], Enqueued::Existing(added[0].id()));
    assert_eq!(q.count(State::Pending), 2);
}

#[test]
fn a_live_key_is_held_until_the_job_ended_however_it_ended() {
    for end in State::ENDED {
        let q = TestQueue::new();
        let again = || q.try_enqueue(keyed(UniqueWhile::Live, OnConflict::Skip));
        let first = again().unwrap().id();
        assert_eq!(again().unwrap(), Enqueued::Existing(first), "it waits");
        let lease = q.claim("a");
        assert_eq!(again().unwrap(), Enqueued::Existing(first), "it runs");
        q.exit(lease, 1).unwrap();
        assert_eq!(
            again().unwrap(),
            Enqueued::Existing(first),
            "it is to be retried"
        );
        q.advance(HOUR);
        let lease = q.claim("a");
        match end {
            State::Completed => q.complete(lease),
            State::Failed => q.fail(lease, Class::Auth),
            _ => q.abort(lease),
        }
        .unwrap();
        assert!(matches!(again().unwrap(), Enqueued::Added(_)), "{end}");
    }
}

// T41
#[test]
fn a_key_held_while_queued_lets_the_next_one_queue_up_behind_one_that_runs() {
    let q = TestQueue::new();
    let again = |words: &str| {
        q.try_enqueue(NewJob {
            command: job(words).command,
            ..keyed(UniqueWhile::Queued, OnConflict::Skip)
        })
    };
    let first = again("first").unwrap().id();
    assert_eq!(again("second").unwrap(), Enqueued::Existing(first));
    let lease = q.claim("a");
    let next = again("with new data").unwrap();
    assert!(matches!(next, Enqueued::Added(_)), "{next:?}");
    let body = q.detail(next.id()).body.command;
    assert_eq!(body, Ok(job("with new data").command));
    q.complete(lease).unwrap();
    assert_eq!(q.claim("a").job(), next.id());
}

#[test]
fn a_kept_key_is_held_until_the_job_is_pruned() {
    let q = TestQueue::new();
    let again = || q.try_enqueue(keyed(UniqueWhile::Kept, OnConflict::Skip));
    let first = again().unwrap().id();
    q.complete(q.claim("a")).unwrap();
    q.advance(1_000 * HOUR);
    assert_eq!(again().unwrap(), Enqueued::Existing(first));
    assert_eq!(q.prune().len(), 1);
    assert!(matches!(again().unwrap(), Enqueued::Added(_)));
}

#[test]
fn replace_gives_the_waiting_job_the_new_contents_and_leaves_its_place() {
    let q = TestQueue::new();
    let first = q.enqueue(keyed(UniqueWhile::Live, OnConflict::Replace));
    let new = NewJob {
        command: Command::Shell("new".to_owned()),
        tags: [("k".to_owned(), "v".to_owned())].into(),
        ..keyed(UniqueWhile::Live, OnConflict::Replace)
    };
    assert_eq!(
        q.try_enqueue(new.clone()).unwrap(),
        Enqueued::Replaced(first)
    );
    assert_eq!(q.detail(first).summary.tags, new.tags);
    assert_eq!(q.detail(first).body.command, Ok(new.command.clone()));
    assert_eq!(q.count(State::Pending), 1);
    let running = q.claim("a");
    let before = q.detail(first);
    match q.try_enqueue(new) {
        Err(Error::UniqueTaken { job, state, key }) => {
            assert_eq!((job, state), (first, State::InProgress));
            assert_eq!(key, "nightly");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(q.detail(first), before, "a job that runs is not touched");
    q.complete(running).unwrap();
}

#[test]
fn a_conflict_can_be_an_error_that_names_the_holder() {
    let q = TestQueue::new();
    let first = q.enqueue(keyed(UniqueWhile::Live, OnConflict::Error));
    match q.try_enqueue(keyed(UniqueWhile::Live, OnConflict::Error)) {
        Err(Error::UniqueTaken { job, state, key }) => {
            assert_eq!((job, state), (first, State::Pending));
            assert_eq!(key, "nightly");
        }
        other => panic!("{other:?}"),
    }
}

// T40
#[test]
fn a_key_that_two_jobs_want_again_affects_only_those_two() {
    let q = TestQueue::new();
    let first = q.enqueue(keyed(UniqueWhile::Queued, OnConflict::Skip));
    let lease = q.claim("a");
    let second = q.enqueue(keyed(UniqueWhile::Queued, OnConflict::Skip));
    assert_ne!(first, second);
    let others = q.enqueue_many(3, &job("other"));
    let held: Vec<_> = q
        .claim_many("a", 4)
        .into_iter()
        .filter(|lease| lease.job() != second)
        .collect();
    assert_eq!(held.len(), 3);
    // The first fails and would wait again, for a key that the second took meanwhile.
    let second_stands = q.state(second);
    q.exit(lease, 1)
        .expect("the attempt ended, whoever has the key");
    for lease in held {
        q.exit(lease, 1).unwrap();
    }
    q.advance(HOUR);
    q.promote();
    for id in &others {
        assert_eq!(q.state(*id), State::Pending, "the others are not held up");
    }
    assert_eq!(q.state(second), second_stands);
    assert_eq!(q.attempts(first).len(), 1);
    assert_eq!(q.attempts(first)[0].class, Some(Class::ExitCode));
    q.examine();
}

#[test]
fn a_requeue_that_would_double_a_live_key_is_refused_alone() {
    let q = TestQueue::new();
    let first = q.enqueue(keyed(UniqueWhile::Live, OnConflict::Skip));
    let other = q.enqueue("other");
    for lease in q.claim_many("a", 2) {
        q.fail(lease, Class::Auth).unwrap();
    }
    let second = q.enqueue(keyed(UniqueWhile::Live, OnConflict::Skip));
    let answers = q
        .store()
        .requeue(
            &[first, other],
            &queue_core::store::Requeue::default(),
            &q.now(),
        )
        .unwrap();
    assert!(
        matches!(&answers[0], Err(Error::UniqueTaken { job, .. }) if *job == second),
        "{answers:?}"
    );
    assert!(answers[1].is_ok());
    assert_eq!(q.state(first), State::Failed);
    assert_eq!(q.state(other), State::Pending);
}

#[test]
fn different_keys_do_not_meet() {
    let q = TestQueue::new();
    q.enqueue(keyed(UniqueWhile::Live, OnConflict::Error));
    let other = NewJob {
        unique: Some(Unique {
            key: "Nightly".to_owned(),
            while_: UniqueWhile::Live,
            on_conflict: OnConflict::Error,
        }),
        ..job("x")
    };
    assert!(matches!(q.try_enqueue(other), Ok(Enqueued::Added(_))));
}
