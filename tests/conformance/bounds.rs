//! What one job may cost: nobody can change it to what the job has used already.

use crate::ledger::{agents, line, tell};
use queue_core::{
    Error, JobId, Lease, State, Verb,
    budget::Most,
    error::NothingLeft,
    store::{Edit, Requeue},
};
use support::{HOUR, TestQueue};

const NONE: Most = Most {
    cost: None,
    tokens: None,
};

fn usd(text: &str) -> Most {
    Most {
        cost: Some(text.parse().unwrap()),
        ..NONE
    }
}

fn tokens(most: u64) -> Most {
    Most {
        tokens: Some(most),
        ..NONE
    }
}

fn bounded(most: Most) -> Requeue {
    Requeue {
        most,
        ..Requeue::default()
    }
}

/// Its attempt uses a dollar and a thousand tokens.
fn uses_a_dollar(q: &TestQueue) -> Lease {
    let lease = q.claim("a");
    assert!(tell(q, "a", &lease, vec![line("opus", 1_000, Some("1"))]));
    lease
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Error>, job: JobId, verb: Verb, most: Most) {
    let Err(Error::NothingLeft(nothing)) = answer else {
        panic!("{answer:?}")
    };
    let NothingLeft { spent, .. } = *nothing;
    assert_eq!(
        *nothing,
        NothingLeft {
            job,
            verb,
            most,
            spent
        }
    );
    assert_eq!((spent.cost.to_string(), spent.tokens), ("1".into(), 1_000));
}

#[test]
fn a_requeue_that_leaves_nothing_to_spend_is_refused_and_changes_nothing() {
    let q = TestQueue::new();
    let job = q.enqueue(agents());
    let lease = uses_a_dollar(&q);
    q.complete(lease).unwrap();
    let before = q.detail(job);
    for most in [usd("0.5"), usd("1"), tokens(999), tokens(1_000)] {
        refused(
            q.requeue_with(job, &bounded(most)),
            job,
            Verb::Requeue,
            most,
        );
        assert_eq!(q.detail(job), before, "{most:?}");
    }
    let both = Most {
        cost: Some("1.000000001".parse().unwrap()),
        tokens: Some(1_001),
    };
    q.requeue_with(job, &bounded(both)).unwrap();
    assert_eq!(q.detail(job).body.options.most(), both);
    let lease = q.claim("a");
    q.complete(lease).unwrap();
    // More of one helps nothing while the other, which was not named, is used up.
    q.requeue(job).unwrap();
    let lease = q.claim("a");
    assert!(tell(&q, "a", &lease, vec![line("opus", 500, None)]));
    q.complete(lease).unwrap();
    let dollars = q.requeue_with(job, &bounded(usd("5")));
    assert!(matches!(dollars, Err(Error::NothingLeft(_))), "{dollars:?}");
    let more = Most {
        tokens: Some(2_000),
        ..usd("5")
    };
    q.requeue_with(job, &bounded(more)).unwrap();
    q.examine();
}

#[test]
fn of_several_jobs_those_with_something_left_are_requeued() {
    let q = TestQueue::new();
    let spent = q.enqueue(agents());
    let lease = uses_a_dollar(&q);
    q.complete(lease).unwrap();
    let fresh = q.enqueue(agents());
    let lease = q.claim("a");
    q.complete(lease).unwrap();
    let most = bounded(usd("0.5"));
    let answers = q.store().requeue(&[spent, fresh], &most, &q.now()).unwrap();
    assert!(
        matches!(answers[0], Err(Error::NothingLeft(_))),
        "{answers:?}"
    );
    assert!(answers[1].is_ok(), "{answers:?}");
    assert_eq!(
        (q.state(spent), q.state(fresh)),
        (State::Completed, State::Pending)
    );
}

#[test]
fn an_edit_that_leaves_nothing_to_spend_is_refused_and_any_other_is_not() {
    let q = TestQueue::new();
    let job = q.enqueue(agents());
    let lease = uses_a_dollar(&q);
    q.exit(lease, 1).unwrap();
    q.advance(HOUR);
    let before = q.detail(job);
    let edit = |most: Most, priority| {
        let mut options = q.detail(job).body.options;
        (options.max_cost, options.max_tokens) = (most.cost, most.tokens);
        let edit = Edit {
            options: Some(options),
            priority,
            ..Edit::default()
        };
        q.edit(job, &edit)
    };
    for most in [usd("0.5"), usd("1"), tokens(1_000)] {
        refused(edit(most, Some(7)), job, Verb::Edit, most);
        assert_eq!(q.detail(job), before, "{most:?}");
    }
    edit(usd("2"), None).unwrap();
    let lease = uses_a_dollar(&q);
    assert!(tell(&q, "a", &lease, vec![line("opus", 9, Some("1"))]));
    q.exit(lease, 1).unwrap();
    q.advance(HOUR);
    // Used up since: what does not touch that is not refused, nor is taking the bound away.
    edit(usd("2"), Some(3)).unwrap();
    assert_eq!(q.job(job).priority, 3);
    edit(NONE, None).unwrap();
    assert_eq!(q.detail(job).body.options.most(), NONE);
}
