//! Jobs that come after others: freed by the right end, and by nothing else.

use queue_core::{
    Class, Error, JobId, NewJob, State, WaitReason,
    job::{After, ParentEnd, StartAt},
    store::Edit,
    why::Cause,
};
use std::thread;
use support::{HOUR, LEASE, SECOND, TestQueue, job};

fn child(parents: &[(JobId, ParentEnd)]) -> NewJob {
    NewJob {
        after: parents
            .iter()
            .map(|(parent, end)| After {
                parent: *parent,
                end: *end,
            })
            .collect(),
        ..job("child")
    }
}

/// Ends the next job in this way.
fn end_next(q: &TestQueue, state: State) {
    let lease = q.claim("a");
    match state {
        State::Completed => q.complete(lease),
        State::Failed => q.fail(lease, Class::Auth),
        State::Cancelled => q.abort(lease),
        other => panic!("{other} is no end"),
    }
    .unwrap();
}

/// Whether a child that waits for `end` is freed by a parent that ended in `state`.
fn frees(end: ParentEnd, state: State) -> bool {
    match end {
        ParentEnd::Success => state == State::Completed,
        ParentEnd::Failure => state != State::Completed,
        ParentEnd::Any => true,
    }
}

// T45
#[test]
fn a_child_is_freed_by_the_end_it_waits_for_and_by_no_other() {
    for end in ParentEnd::ALL {
        for state in State::ENDED {
            let q = TestQueue::new();
            let parent = q.enqueue("parent");
            let before = q.enqueue(child(&[(parent, *end)]));
            assert_eq!(q.job(before).wait_reason, Some(WaitReason::Dependency));
            assert_eq!(q.job(before).waiting_on, 1);
            end_next(&q, *state);
            let behind = q.enqueue(child(&[(parent, *end)]));
            let expected = if frees(*end, *state) {
                State::Pending
            } else {
                State::Blocked
            };
            assert_eq!(q.state(before), expected, "{end} after {state}");
            assert_eq!(q.state(behind), expected, "{end}, added after {state}");
            q.advance(100 * HOUR);
            q.promote();
            assert_eq!(q.state(before), expected, "{end} after {state}, later");
        }
    }
}

#[test]
fn a_parent_cancelled_while_it_waits_counts_as_cancelled() {
    let q = TestQueue::new();
    let parent = q.enqueue("parent");
    let success = q.enqueue(child(&[(parent, ParentEnd::Success)]));
    let failure = q.enqueue(child(&[(parent, ParentEnd::Failure)]));
    q.cancel(parent).unwrap();
    assert_eq!(q.state(success), State::Blocked);
    assert_eq!(q.state(failure), State::Pending);
}

#[test]
fn a_parent_that_fails_by_stalls_or_by_waiting_too_long_counts_as_failed() {
    let q = TestQueue::new();
    let stalled = q.enqueue(NewJob {
        max_stalls: 0,
        ..job("parent")
    });
    let after_stalled = q.enqueue(child(&[(stalled, ParentEnd::Failure)]));
    q.start("a");
    q.advance(LEASE + SECOND);
    q.rescue("b");
    assert_eq!(q.state(after_stalled), State::Pending);

    let expired = q.enqueue(NewJob {
        max_wait: Some(SECOND),
        hold: true,
        ..job("parent")
    });
    let after_expired = q.enqueue(child(&[(expired, ParentEnd::Failure)]));
    q.advance(HOUR);
    q.promote();
    assert_eq!(q.state(expired), State::Cancelled);
    assert_eq!(q.state(after_expired), State::Pending);
}

#[test]
fn a_retry_of_the_parent_frees_nobody() {
    let q = TestQueue::new();
    let parent = q.enqueue("parent");
    let children = ParentEnd::ALL
        .iter()
        .map(|end| q.enqueue(child(&[(parent, *end)])));
    let children: Vec<_> = children.collect();
    q.exit(q.claim("a"), 1).unwrap();
    for id in children {
        assert_eq!(q.state(id), State::Blocked);
    }
}

#[test]
fn a_failed_parent_that_is_requeued_and_completes_frees_its_child() {
    let q = TestQueue::new();
    let parent = q.enqueue("parent");
    let waiting = q.enqueue(child(&[(parent, ParentEnd::Success)]));
    end_next(&q, State::Failed);
    assert_eq!(q.try_claim("a"), None, "never silently started");
    assert_eq!(
        q.why(waiting),
        [Cause::After {
            parent,
            end: ParentEnd::Success,
            state: Some(State::Failed)
        }]
    );
    q.requeue(parent).unwrap();
    assert_eq!(q.state(waiting), State::Blocked);
    end_next(&q, State::Completed);
    assert_eq!(q.state(waiting), State::Pending);
    assert_eq!(q.job(waiting).waiting_on, 0);
    assert_eq!(q.claim("a").job(), waiting);
}

#[test]
fn a_child_of_several_waits_for_all_of_them() {
    let q = TestQueue::new();
    let parents = q.enqueue_many(3, &job("parent"));
    let waits: Vec<_> = parents
        .iter()
        .map(|parent| (*parent, ParentEnd::Success))
        .collect();
    let waiting = q.enqueue(child(&waits));
    for left in [3, 2, 1] {
        assert_eq!(q.job(waiting).waiting_on, left);
        assert_eq!(q.state(waiting), State::Blocked);
        end_next(&q, State::Completed);
    }
    assert_eq!(q.state(waiting), State::Pending);
}

#[test]
fn a_parent_named_twice_counts_once() {
    let q = TestQueue::new();
    let parent = q.enqueue("parent");
    let waiting = q.enqueue(child(&[
        (parent, ParentEnd::Success),
        (parent, ParentEnd::Success),
    ]));
    assert_eq!(q.job(waiting).waiting_on, 1);
    end_next(&q, State::Completed);
    assert_eq!(q.state(waiting), State::Pending);
}

#[test]
fn a_parent_that_is_not_there_is_refused() {
    let q = TestQueue::new();
    let none = JobId(4_711);
    let refused = q.try_enqueue(child(&[(none, ParentEnd::Any)]));
    assert!(
        matches!(refused, Err(Error::ParentNotFound(id)) if id == none),
        "{refused:?}"
    );
    assert_eq!(q.count(State::Blocked), 0);
}

#[test]
fn a_delay_is_counted_from_the_enqueue_and_kept_after_the_parent() {
    let q = TestQueue::new();
    let parent = q.enqueue("parent");
    let delayed = NewJob {
        start: StartAt::After(HOUR),
        ..child(&[(parent, ParentEnd::Success)])
    };
    let early = q.enqueue(delayed.clone());
    let due = q.job(early).run_at.unwrap();
    assert_eq!(due, q.now().wall.saturating_add(HOUR));
    end_next(&q, State::Completed);
    assert_eq!(q.state(early), State::Scheduled);
    assert_eq!(q.job(early).run_at, Some(due));

    let parent = q.enqueue("parent");
    let late = q.enqueue(NewJob {
        after: vec![After {
            parent,
            end: ParentEnd::Success,
        }],
        ..delayed
    });
    let lease = q.claim_from("a", &[]).unwrap();
    for _ in 0..200 {
        q.advance(LEASE);
        q.heartbeat(&lease).unwrap();
    }
    q.complete(lease).unwrap();
    assert_eq!(
        q.state(late),
        State::Pending,
        "its time has passed meanwhile"
    );
}

// S10
#[test]
fn a_parent_that_somebody_waits_for_is_not_pruned() {
    let q = TestQueue::new();
    let parent = q.enqueue("parent");
    let waiting = q.enqueue(child(&[(parent, ParentEnd::Success)]));
    end_next(&q, State::Failed);
    let done = q.enqueue("other");
    end_next(&q, State::Completed);
    q.advance(HOUR);
    let pruned: Vec<_> = q.prune().into_iter().map(|pruned| pruned.job).collect();
    assert_eq!(pruned, [done]);
    assert_eq!(q.state(parent), State::Failed);
    assert_eq!(q.state(waiting), State::Blocked);
    assert_eq!(q.job(waiting).wait_reason, Some(WaitReason::Dependency));
}

// T45
#[test]
fn a_child_added_while_its_parent_ends_is_freed_all_the_same() {
    const ROUNDS: usize = 60;
    let q = TestQueue::new();
    let parents = q.enqueue_many(ROUNDS, &job("parent"));
    let leases = q.claim_many("a", ROUNDS);
    let (ends, adds) = (q.another(), q.another());
    let children: Vec<_> = thread::scope(|scope| {
        let ending = scope.spawn(move || {
            for lease in leases {
                ends.complete(lease).unwrap();
            }
        });
        let adding = scope.spawn(move || {
            parents
                .iter()
                .map(|parent| adds.enqueue(child(&[(*parent, ParentEnd::Success)])))
                .collect()
        });
        ending.join().unwrap();
        adding.join().unwrap()
    });
    for id in children {
        assert_eq!((q.state(id), q.job(id).waiting_on), (State::Pending, 0));
    }
    q.examine();
}

#[test]
fn dependencies_and_dependants_are_shown() {
    let q = TestQueue::new();
    let parent = q.enqueue("parent");
    let waiting = q.enqueue(child(&[(parent, ParentEnd::Any)]));
    let after = After {
        parent,
        end: ParentEnd::Any,
    };
    assert_eq!(
        q.detail(waiting).after,
        [(after, Some(State::Pending), false)]
    );
    assert_eq!(
        q.detail(parent).dependants,
        [(waiting, ParentEnd::Any, State::Blocked)]
    );
    end_next(&q, State::Failed);
    assert_eq!(
        q.detail(waiting).after,
        [(after, Some(State::Failed), true)]
    );
}

#[test]
fn a_chain_runs_in_its_order() {
    let q = TestQueue::new();
    let mut chain = vec![q.enqueue("first")];
    for _ in 0..20 {
        let last = chain[chain.len() - 1];
        chain.push(q.enqueue(child(&[(last, ParentEnd::Success)])));
    }
    let mut order = Vec::new();
    while let Some(lease) = q.try_claim("a") {
        order.push(lease.job());
        q.complete(lease).unwrap();
    }
    assert_eq!(order, chain);
}

#[test]
fn a_child_freed_by_an_edit_does_not_come_back_when_its_old_parent_ends() {
    let q = TestQueue::new();
    let parent = q.enqueue("parent");
    let waiting = q.enqueue(child(&[(parent, ParentEnd::Success)]));
    let free = Edit {
        after: Some(Vec::new()),
        ..Edit::default()
    };
    assert_eq!(q.edit(waiting, &free).unwrap(), State::Pending);
    end_next(&q, State::Completed);
    let lease = q.claim("a");
    assert_eq!(lease.job(), waiting);
    q.complete(lease).unwrap();
    assert_eq!(q.try_claim("a"), None);
}
