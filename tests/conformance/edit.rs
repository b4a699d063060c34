//! Changing jobs that wait.

use queue_core::{
    Error, JobId, NewJob, State, Verb, WaitReason,
    job::{After, Command, LimitUse, ParentEnd, RunOptions, StartAt},
    raw_text::RawText,
    retry::Backoff,
    store::Edit,
};
use support::{HOUR, SECOND, TestQueue, job};

fn after(parent: JobId) -> After {
    After {
        parent,
        end: ParentEnd::Success,
    }
}

#[test]
fn what_is_not_named_stays() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        name: Some("a name".to_owned()),
        priority: 3,
        tags: [("k".to_owned(), "v".to_owned())].into(),
        ..job("true x")
    });
    let before = q.detail(id);
    assert_eq!(q.edit(id, &Edit::default()).unwrap(), State::Pending);
    assert_eq!(q.detail(id), before);
}

#[test]
fn every_setting_can_be_changed() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        name: Some("old".to_owned()),
        tags: [("keep", "1"), ("drop", "1"), ("change", "1")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..job("true")
    });
    let edit = Edit {
        name: Some(Some("new".to_owned())),
        queue: Some("other".to_owned()),
        priority: Some(7),
        max_attempts: Some(9.try_into().unwrap()),
        backoff: Some(Backoff::Fixed(SECOND)),
        concurrency_key: Some(Some("repo".to_owned())),
        set_tags: [("change", "2"), ("add", "2")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        remove_tags: vec!["drop".to_owned(), "none-such".to_owned()],
        command: Some(Command::Shell("echo".to_owned())),
        cwd: Some(RawText::from("/tmp")),
        options: Some(RunOptions {
            timeout_ms: Some(5),
            ..RunOptions::default()
        }),
        ..Edit::default()
    };
    assert_eq!(q.edit(id, &edit).unwrap(), State::Pending);
    let detail = q.detail(id);
    let row = &detail.summary.job;
    assert_eq!(row.name.as_deref(), Some("new"));
    assert_eq!((row.queue.as_str(), row.priority), ("other", 7));
    assert_eq!((row.max_attempts, row.backoff), (9, Backoff::Fixed(SECOND)));
    assert_eq!(row.concurrency_key.as_deref(), Some("repo"));
    let tags: Vec<_> = detail.summary.tags.into_iter().collect();
    let expected = [("add", "2"), ("change", "2"), ("keep", "1")];
    assert_eq!(tags, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    assert_eq!(detail.body.command, Ok(Command::Shell("echo".to_owned())));
    assert_eq!(detail.body.cwd, RawText::from("/tmp"));
    assert_eq!(detail.body.options.timeout_ms, Some(5));
    assert_eq!(q.claim_from("a", &["default"]), None);
    assert_eq!(q.claim_from("a", &["other"]).unwrap().job(), id);
}

#[test]
fn a_name_and_a_key_can_be_taken_away() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        name: Some("old".to_owned()),
        concurrency_key: Some("repo".to_owned()),
        ..job("true")
    });
    let edit = Edit {
        name: Some(None),
        concurrency_key: Some(None),
        ..Edit::default()
    };
    q.edit(id, &edit).unwrap();
    assert_eq!((q.job(id).name, q.job(id).concurrency_key), (None, None));
}

#[test]
fn a_new_priority_counts_at_the_next_claim() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(3, &job("x"));
    let edit = Edit {
        priority: Some(5),
        ..Edit::default()
    };
    q.edit(jobs[2], &edit).unwrap();
    assert_eq!(q.claim_order("a", 3), [jobs[2], jobs[0], jobs[1]]);
}

#[test]
fn a_new_start_moves_a_job_between_now_and_later() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let at = q.now().wall.saturating_add(HOUR);
    let later = Edit {
        run_at: Some(Some(at)),
        ..Edit::default()
    };
    assert_eq!(q.edit(id, &later).unwrap(), State::Scheduled);
    assert_eq!(q.job(id).run_at, Some(at));
    assert_eq!(q.job(id).wait_reason, Some(WaitReason::Delay));
    assert_eq!(q.try_claim("a"), None);
    let now = Edit {
        run_at: Some(None),
        ..Edit::default()
    };
    assert_eq!(q.edit(id, &now).unwrap(), State::Pending);
    assert_eq!(q.claim("a").job(), id);
}

#[test]
fn an_edit_does_not_let_a_held_job_go() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    q.hold(id).unwrap();
    let edit = Edit {
        run_at: Some(Some(q.now().wall.saturating_add(HOUR))),
        ..Edit::default()
    };
    assert_eq!(q.edit(id, &edit).unwrap(), State::Blocked);
    assert_eq!(q.release(id).unwrap(), State::Scheduled);
}

#[test]
fn dependencies_can_be_changed_and_the_state_follows() {
    let q = TestQueue::new();
    let (first, second) = (q.enqueue("x"), q.enqueue("y"));
    let child = q.enqueue("z");
    let with = |parents: Vec<After>| Edit {
        after: Some(parents),
        ..Edit::default()
    };
    assert_eq!(
        q.edit(child, &with(vec![after(first)])).unwrap(),
        State::Blocked
    );
    assert_eq!(q.job(child).wait_reason, Some(WaitReason::Dependency));
    assert_eq!(
        q.edit(child, &with(vec![after(second)])).unwrap(),
        State::Blocked
    );
    let lease = q.claim("a");
    assert_eq!(lease.job(), first);
    q.complete(lease).unwrap();
    assert_eq!(
        q.state(child),
        State::Blocked,
        "it no longer waits for the first"
    );
    assert_eq!(q.edit(child, &with(vec![])).unwrap(), State::Pending);
    assert_eq!(q.job(child).waiting_on, 0);
}

#[test]
fn a_cycle_is_refused_with_its_path() {
    let q = TestQueue::new();
    let first = q.enqueue("x");
    let chained = |parent| {
        q.enqueue(NewJob {
            after: vec![after(parent)],
            ..job("x")
        })
    };
    let second = chained(first);
    let third = chained(second);
    let edit = Edit {
        after: Some(vec![after(third)]),
        ..Edit::default()
    };
    let before = q.detail(first);
    match q.edit(first, &edit) {
        Err(Error::DependencyCycle { job, path }) => {
            assert_eq!(job, first);
            assert!(path.contains(&second) && path.contains(&third), "{path:?}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(q.detail(first), before);
    let itself = Edit {
        after: Some(vec![after(first)]),
        ..Edit::default()
    };
    let refused = q.edit(first, &itself);
    assert!(
        matches!(refused, Err(Error::DependencyCycle { .. })),
        "{refused:?}"
    );
    let missing = Edit {
        after: Some(vec![after(JobId(99))]),
        ..Edit::default()
    };
    let refused = q.edit(first, &missing);
    assert!(
        matches!(refused, Err(Error::ParentNotFound(JobId(99)))),
        "{refused:?}"
    );
}

#[test]
fn limits_can_be_changed_and_are_checked() {
    let q = TestQueue::new();
    q.set_limit("api", "1/h", 2);
    let id = q.enqueue("x");
    let needs = |name: &str, cost: u32| Edit {
        limits: Some(vec![LimitUse {
            name: name.to_owned(),
            cost: cost.try_into().unwrap(),
        }]),
        ..Edit::default()
    };
    let refused = q.edit(id, &needs("api", 3));
    assert!(
        matches!(refused, Err(Error::NeverFits { cost: 3, .. })),
        "{refused:?}"
    );
    let refused = q.edit(id, &needs("none-such", 1));
    assert!(
        matches!(refused, Err(Error::LimitNotFound(_))),
        "{refused:?}"
    );
    assert_eq!(q.job(id).limits, []);
    q.edit(id, &needs("api", 2)).unwrap();
    q.start("a");
    let limit = q.store().limits(&q.now()).unwrap().pop().unwrap();
    assert_eq!((limit.available, limit.spent), (0, 2));
}

#[test]
fn a_job_that_runs_or_ended_is_refused_by_name() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let edit = Edit {
        priority: Some(1),
        ..Edit::default()
    };
    let refused = |expected| match q.edit(id, &edit) {
        Err(Error::Refused { job, state, verb }) => {
            assert_eq!((job, state, verb), (id, expected, Verb::Edit));
        }
        other => panic!("{other:?}"),
    };
    let lease = q.claim("a");
    refused(State::InProgress);
    q.complete(lease).unwrap();
    refused(State::Completed);
    assert_eq!(q.job(id).priority, 0);
}

#[test]
fn a_bad_setting_changes_nothing() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let before = q.detail(id);
    let bad = [
        Edit {
            priority: Some(1_001),
            ..Edit::default()
        },
        Edit {
            command: Some(Command::Argv(Vec::new())),
            name: Some(Some("half".to_owned())),
            ..Edit::default()
        },
        Edit {
            run_at: Some(Some(q.now().wall.saturating_sub(HOUR))),
            priority: Some(3),
            ..Edit::default()
        },
    ];
    for edit in bad {
        assert!(q.edit(id, &edit).is_err(), "{edit:?}");
        assert_eq!(q.detail(id), before);
    }
}

#[test]
fn a_delayed_retry_can_be_edited_and_keeps_its_time() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    q.exit(q.claim("a"), 1).unwrap();
    let before = q.job(id);
    let edit = Edit {
        priority: Some(2),
        ..Edit::default()
    };
    assert_eq!(q.edit(id, &edit).unwrap(), State::Scheduled);
    let after = q.job(id);
    assert_eq!(
        (after.run_at, after.wait_reason),
        (before.run_at, Some(WaitReason::Retry))
    );
}

#[test]
fn a_job_edited_to_start_later_still_waits_for_its_parent_first() {
    let q = TestQueue::new();
    let parent = q.enqueue("x");
    let child = q.enqueue(NewJob {
        start: StartAt::After(HOUR),
        after: vec![after(parent)],
        ..job("y")
    });
    assert_eq!(q.job(child).wait_reason, Some(WaitReason::Dependency));
    q.complete(q.claim("a")).unwrap();
    assert_eq!(q.state(child), State::Scheduled);
    q.advance(HOUR);
    assert_eq!(q.claim("a").job(), child);
}
