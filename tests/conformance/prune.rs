//! Pruning: ended jobs go on request, with all that belongs to them, and numbers never come back.

use queue_core::{
    Class, Error, JobId, NewJob, State,
    store::{Filter, Prune, Pruned},
};
use support::{HOUR, MANY, SECOND, TestQueue, job};

fn ended_before(q: &TestQueue) -> Prune {
    Prune {
        states: State::ENDED.to_vec(),
        ended_before: q.now().wall,
        queue: None,
    }
}

fn numbers(pruned: &[Pruned]) -> Vec<JobId> {
    pruned.iter().map(|pruned| pruned.job).collect()
}

#[test]
fn only_ended_jobs_that_ended_before_the_moment_go() {
    let q = TestQueue::new();
    let old = q.enqueue("x");
    q.complete(q.claim("a")).unwrap();
    q.advance(HOUR);
    let prune = ended_before(&q);
    let recent = q.enqueue("x");
    q.complete(q.claim("a")).unwrap();
    let waiting = q.enqueue("x");
    let running = q.claim("a").job();
    assert_eq!(running, waiting);
    let held = q.enqueue(NewJob {
        hold: true,
        ..job("x")
    });
    let pruned = q.store().prune(&prune, MANY, &q.now()).unwrap();
    assert_eq!(numbers(&pruned), [old]);
    assert!(matches!(q.store().job(old), Err(Error::JobNotFound(id)) if id == old));
    for id in [recent, running, held] {
        q.job(id);
    }
    q.examine();
}

#[test]
fn states_and_queues_can_be_chosen() {
    let q = TestQueue::new();
    let other = NewJob {
        queue: "other".to_owned(),
        ..job("x")
    };
    let jobs = [
        q.enqueue("x"),
        q.enqueue("x"),
        q.enqueue(other.clone()),
        q.enqueue(other),
    ];
    for lease in q.claim_many("a", 4) {
        if [jobs[0], jobs[2]].contains(&lease.job()) {
            q.complete(lease).unwrap();
        } else {
            q.fail(lease, Class::Auth).unwrap();
        }
    }
    q.advance(SECOND);
    let prune = Prune {
        states: vec![State::Completed],
        queue: Some("other".to_owned()),
        ..ended_before(&q)
    };
    let pruned = q.store().prune(&prune, MANY, &q.now()).unwrap();
    assert_eq!(numbers(&pruned), [jobs[2]]);
    assert_eq!(q.count(State::Failed), 2);
    assert_eq!(q.count(State::Completed), 1);
}

#[test]
fn the_oldest_end_goes_first_and_no_more_than_asked() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(3, &job("x"));
    let mut leases = q.claim_many("a", 3);
    leases.reverse();
    for lease in leases {
        q.complete(lease).unwrap();
        q.advance(SECOND);
    }
    let prune = ended_before(&q);
    let pruned = q.store().prune(&prune, 2, &q.now()).unwrap();
    assert_eq!(numbers(&pruned), [jobs[2], jobs[1]]);
    let pruned = q.store().prune(&prune, 2, &q.now()).unwrap();
    assert_eq!(numbers(&pruned), [jobs[0]]);
    assert_eq!(q.store().prune(&prune, 2, &q.now()).unwrap(), []);
}

#[test]
fn the_logs_of_all_attempts_are_named() {
    let q = TestQueue::new();
    q.enqueue("x");
    for log in ["1.log", "2.log"] {
        q.advance(HOUR);
        let lease = q.claim("a");
        let process = queue_core::attempt::Started {
            log: log.to_owned(),
            unenforced: None,
            ..q.process()
        };
        q.store().started(&lease, &process, &q.now()).unwrap();
        q.exit(lease, if log == "1.log" { 1 } else { 127 }).unwrap();
    }
    q.advance(SECOND);
    let mut logs = q.prune().pop().unwrap().logs;
    logs.sort();
    assert_eq!(logs, ["1.log", "2.log"]);
}

// S9
#[test]
fn a_number_is_never_given_out_again() {
    let q = TestQueue::new();
    let last = q.enqueue_many(3, &job("x"))[2];
    for lease in q.claim_many("a", 3) {
        q.complete(lease).unwrap();
    }
    q.advance(SECOND);
    assert_eq!(q.prune().len(), 3);
    assert_eq!(q.ids(&Filter::default()), []);
    assert!(q.enqueue("x") > last);
    let q = q.reopened();
    let before = q.enqueue("x");
    q.complete(q.claim("a")).unwrap();
    q.complete(q.claim("a")).unwrap();
    q.advance(SECOND);
    q.prune();
    let q = q.reopened();
    assert!(q.enqueue("x") > before);
}

#[test]
fn a_parent_goes_once_its_children_have_ended() {
    let q = TestQueue::new();
    let parent = q.enqueue("x");
    let child = q.enqueue(NewJob {
        after: vec![queue_core::job::After {
            parent,
            end: queue_core::job::ParentEnd::Success,
        }],
        ..job("x")
    });
    q.complete(q.claim("a")).unwrap();
    q.advance(SECOND);
    let lease = q.claim("a");
    assert_eq!(numbers(&q.prune()), [], "the child is still live");
    q.complete(lease).unwrap();
    q.advance(SECOND);
    let mut pruned = numbers(&q.prune());
    pruned.sort();
    assert_eq!(pruned, [parent, child]);
    q.examine();
}
