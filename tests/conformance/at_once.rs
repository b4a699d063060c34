//! A cycle that waits for nobody: it is made as any other one, or not at all.

use queue_core::{
    Fence, Holder, State,
    attempt::{Outcome, Report},
    store::{Claim, Cycle, Cycled},
};
use std::{thread, time::Instant};
use support::{LEASE, MANY, MINUTE, TestQueue, job};

/// A cycle that claims one job.
fn claiming(q: &TestQueue, worker: &str) -> Cycle {
    Cycle {
        claim: Some(Claim::default()),
        ..q.cycle_of(worker)
    }
}

/// Lets a few things happen and gives what a worker learns of each, by cycles made as `make` does.
fn story(q: &TestQueue, make: impl Fn(&Cycle) -> Cycled) -> Vec<Cycled> {
    let jobs = q.enqueue_many(4, &job("true"));
    let first = make(&claiming(q, "a"));
    let held = first.claimed[0].lease.fence();
    let lost = Fence {
        holder: Holder(held.holder.0 + 1),
        ..held
    };
    q.cancel(jobs[3]).unwrap();
    let report = || Report::new(Outcome::Completed { result: None }, q.now().wall);
    let told = make(&Cycle {
        ended: vec![(held, report()), (lost, report())],
        leases: vec![lost],
        ..claiming(q, "a")
    });
    q.advance(2 * LEASE);
    let adopted = make(&Cycle {
        adopt: MANY,
        promote: MANY,
        ..claiming(q, "b")
    });
    vec![first, told, adopted]
}

#[test]
fn a_cycle_made_at_once_does_and_answers_what_any_other_one_does() {
    let (waits, hurries) = (TestQueue::new(), TestQueue::new());
    let told = story(&waits, |cycle| waits.cycle(cycle));
    let told_at_once = story(&hurries, |cycle| {
        let answer = hurries.store().cycle_at_once(cycle, &hurries.now());
        answer.unwrap().expect("nobody else writes")
    });
    assert_eq!(told, told_at_once);
    assert_eq!(told_at_once[1].finished.len(), 1);
    assert_eq!(told_at_once[1].lost.len(), 1);
    assert_eq!(told_at_once[2].orphans.len(), 1);
    for state in [State::Completed, State::InProgress, State::Cancelled] {
        assert_eq!(waits.count(state), hurries.count(state), "{state:?}");
    }
}

#[test]
fn while_another_process_writes_a_cycle_at_once_is_none_and_nothing_is_written() {
    // T06
    let q = TestQueue::new();
    let id = q.enqueue("true");
    let cycle = claiming(&q, "a");
    let before = q.store().generation();
    let began = Instant::now();
    let answer = q.while_another_writes(|| q.store().cycle_at_once(&cycle, &q.now()));
    assert_eq!(answer.unwrap(), None);
    assert!(began.elapsed() < MINUTE / 2, "it waited for the lock");
    assert_eq!(q.job(id).attempt, 0);
    assert_eq!(
        q.store().generation(),
        before,
        "nobody is woken for nothing"
    );

    let cycled = q.store().cycle_at_once(&cycle, &q.now()).unwrap();
    assert_eq!(cycled.expect("nobody else writes").claimed.len(), 1);
    assert_eq!(q.job(id).attempt, 1);
}

#[test]
fn after_a_cycle_that_could_not_be_made_at_once_others_still_wait_for_the_lock() {
    let q = TestQueue::new();
    let id = q.enqueue("true");
    let cycle = claiming(&q, "a");
    thread::scope(|threads| {
        let waits = q.while_another_writes(|| {
            let answer = q.store().cycle_at_once(&cycle, &q.now());
            assert_eq!(answer.unwrap(), None);
            threads.spawn(|| q.store().cycle(&cycle, &q.now()))
        });
        assert_eq!(waits.join().unwrap().unwrap().claimed.len(), 1);
    });
    assert_eq!(q.state(id), State::InProgress);
}

#[test]
fn of_many_cycles_at_once_each_is_made_whole_or_not_at_all() {
    let q = TestQueue::new();
    let jobs = q.enqueue_many(200, &job("true")).len();
    let claim_all_one_can = |worker: &str| {
        let cycle = claiming(&q, worker);
        let (mut claimed, mut sent_away) = (0, 0);
        loop {
            match q.store().cycle_at_once(&cycle, &q.now()).unwrap() {
                Some(cycled) if cycled.claimed.is_empty() => return claimed,
                Some(cycled) => claimed += cycled.claimed.len(),
                // Now and then somebody waits for a turn, too.
                None => {
                    sent_away += 1;
                    if sent_away % 8 == 0 {
                        claimed += q.cycle(&cycle).claimed.len();
                    }
                    thread::yield_now();
                }
            }
        }
    };
    let claimed: usize = thread::scope(|threads| {
        let workers = ["a", "b", "c"].map(|name| threads.spawn(move || claim_all_one_can(name)));
        workers.map(|one| one.join().unwrap()).iter().sum()
    });
    assert_eq!(claimed, jobs, "none is claimed twice, none is forgotten");
    assert_eq!(q.count(State::InProgress), jobs);
}
