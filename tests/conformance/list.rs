//! Lists: every filter alone and together, and what a line shows.

use queue_core::{Class, JobId, NewJob, State, job::StartAt, store::Filter, why::Cause};
use support::{HOUR, SECOND, TestQueue, job};

/// Five jobs that differ in everything a filter looks at.
fn five(q: &TestQueue) -> [JobId; 5] {
    let named = q.enqueue(NewJob {
        name: Some("checksums".to_owned()),
        tags: [("repo".to_owned(), "a".to_owned())].into(),
        ..job("sha256sum file")
    });
    q.complete(q.claim("first")).unwrap();
    q.advance(SECOND);
    let failed = q.enqueue(NewJob {
        tags: [
            ("repo".to_owned(), "b".to_owned()),
            ("nightly".to_owned(), String::new()),
        ]
        .into(),
        ..job("make")
    });
    q.fail(q.claim("second"), Class::Timeout).unwrap();
    q.release(failed).unwrap();
    q.fail(q.claim("second"), Class::Auth).unwrap();
    q.advance(SECOND);
    let running = q.enqueue(NewJob {
        queue: "other".to_owned(),
        ..job("sleep 100%_file")
    });
    q.start("second");
    let scheduled = q.enqueue(NewJob {
        start: StartAt::After(HOUR),
        ..job("true")
    });
    let pending = q.enqueue("true");
    [named, failed, running, scheduled, pending]
}

#[test]
fn every_filter_lets_through_what_it_names() {
    let q = TestQueue::new();
    let start = q.now().wall;
    let [named, failed, running, scheduled, pending] = five(&q);
    let second = q.worker("second");
    let expect = |what: &str, filter: Filter, expected: &[JobId]| {
        let filter = Filter {
            oldest_first: true,
            ..filter
        };
        assert_eq!(q.ids(&filter), expected, "{what}");
        let listed = q.store().list(&filter, &q.now()).unwrap();
        let listed: Vec<_> = listed.iter().map(|summary| summary.job.id).collect();
        assert_eq!(listed, expected, "{what}, as a list");
    };
    let none = Filter::default;
    let all = [named, failed, running, scheduled, pending];
    expect("all", none(), &all);
    let states = vec![State::Failed, State::Completed];
    expect("states", Filter { states, ..none() }, &[named, failed]);
    let queues = vec!["other".to_owned(), "none-such".to_owned()];
    expect("queues", Filter { queues, ..none() }, &[running]);
    let name = Some("checksums".to_owned());
    expect("name", Filter { name, ..none() }, &[named]);
    let tags = vec![("repo".to_owned(), None)];
    expect("any value", Filter { tags, ..none() }, &[named, failed]);
    let tags = vec![
        ("repo".to_owned(), Some("b".to_owned())),
        ("nightly".to_owned(), None),
    ];
    expect("all tags", Filter { tags, ..none() }, &[failed]);
    let class = Some(Class::Auth);
    expect("class", Filter { class, ..none() }, &[failed]);
    let worker = Some(second);
    expect("worker", Filter { worker, ..none() }, &[running]);
    let text = Some("file".to_owned());
    expect("text", Filter { text, ..none() }, &[named, running]);
    let text = Some("%_f".to_owned());
    expect("text as it is", Filter { text, ..none() }, &[running]);
    let text = Some("checks".to_owned());
    expect("text in the name", Filter { text, ..none() }, &[named]);
    let created_since = Some(start.saturating_add(2 * SECOND));
    expect(
        "created",
        Filter {
            created_since,
            ..none()
        },
        &all[2..],
    );
    let finished_since = Some(start.saturating_add(SECOND));
    expect(
        "finished",
        Filter {
            finished_since,
            ..none()
        },
        &[failed],
    );
    let before = Some(running);
    expect("before", Filter { before, ..none() }, &[named, failed]);
    let both = Filter {
        states: vec![State::Pending],
        text: Some("sleep".to_owned()),
        ..none()
    };
    expect("both have to hold", both, &[]);
}

#[test]
fn the_newest_is_first_and_pages_follow_each_other() {
    let q = TestQueue::new();
    let mut jobs = q.enqueue_many(7, &job("x"));
    jobs.reverse();
    let mut read = Vec::new();
    let mut before = None;
    loop {
        let page = q.ids(&Filter {
            before,
            most: Some(3),
            ..Filter::default()
        });
        before = page.last().copied();
        if before.is_none() {
            break;
        }
        read.extend(page);
    }
    assert_eq!(read, jobs);
    let oldest = Filter {
        most: Some(2),
        oldest_first: true,
        ..Filter::default()
    };
    jobs.reverse();
    assert_eq!(q.ids(&oldest), jobs[..2]);
}

#[test]
fn a_line_shows_command_tags_cause_and_last_attempt() {
    let q = TestQueue::new();
    let new = NewJob {
        tags: [("k".to_owned(), "v".to_owned())].into(),
        ..job("make all")
    };
    let id = q.enqueue(new.clone());
    q.advance(SECOND);
    let claimed_at = q.now().wall;
    let lease = q.claim("a");
    q.exit(lease, 2).unwrap();
    let line = q
        .store()
        .list(&Filter::default(), &q.now())
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(line.job, q.job(id));
    assert_eq!(line.command, Ok(new.command));
    assert_eq!((line.cwd, line.tags), (new.cwd, new.tags));
    assert!(
        matches!(line.cause, Some(Cause::Until { .. })),
        "{:?}",
        line.cause
    );
    assert_eq!(line.last.unwrap().exit_code, Some(2));
    assert_eq!(line.started_at, Some(claimed_at));
}

#[test]
fn stats_count_what_ended_and_how_long_it_took() {
    let q = TestQueue::new();
    let since = q.now().wall;
    q.enqueue("x");
    q.advance(10 * SECOND);
    let lease = q.claim("a");
    q.advance(5 * SECOND);
    q.complete(lease).unwrap();
    q.enqueue(NewJob {
        backoff: queue_core::retry::Backoff::None,
        ..job("x")
    });
    q.exit(q.claim("a"), 1).unwrap();
    q.fail(q.claim("a"), Class::Auth).unwrap();
    let gone = q.enqueue("x");
    q.cancel(gone).unwrap();
    let stats = q.store().stats(None, since).unwrap();
    assert_eq!(stats.ended.get(&State::Completed), Some(&1));
    assert_eq!(stats.ended.get(&State::Failed), Some(&1));
    assert_eq!(stats.ended.get(&State::Cancelled), Some(&1));
    assert_eq!(stats.classes.get(&Class::Auth), Some(&1));
    assert_eq!(stats.classes.get(&Class::Cancelled), Some(&1));
    assert_eq!((stats.attempts, stats.retries), (3, 1));
    assert_eq!(stats.waited.max, 10 * SECOND);
    assert_eq!(stats.ran.max, 5 * SECOND);
    let later = q.now().wall.saturating_add(SECOND);
    assert!(q.store().stats(None, later).unwrap().ended.is_empty());
    assert!(
        q.store()
            .stats(Some("other"), since)
            .unwrap()
            .ended
            .is_empty()
    );
}
