//! Token buckets: shared by all, spent by claims alone, and never in anybody else's way.

use queue_core::{
    Error, NewJob, State,
    job::LimitUse,
    limit::Limit,
    store::{Claim, Cycle},
    why::Cause,
};
use std::{collections::BTreeMap, thread};
use support::{HOUR, LEASE, MINUTE, SECOND, TestQueue, job, quota};

fn needs(limits: &[&str]) -> NewJob {
    NewJob {
        limits: limits.iter().map(|limit| limit.parse().unwrap()).collect(),
        ..job("x")
    }
}

fn limit(q: &TestQueue, name: &str) -> Limit {
    let limits = q.store().limits(&q.now()).unwrap();
    limits.into_iter().find(|limit| limit.name == name).unwrap()
}

#[test]
fn as_many_jobs_start_as_there_are_tokens_and_more_as_they_come_back() {
    let q = TestQueue::new();
    q.set_limit("api", "60/min", 5);
    let jobs = q.enqueue_many(20, &needs(&["api"]));
    assert_eq!(q.claim_order("a", 20), jobs[..5]);
    assert_eq!(limit(&q, "api").spent, 5);
    assert_eq!(limit(&q, "api").available, 0);
    assert_eq!(limit(&q, "api").waiting, 15);
    assert_eq!(q.claim_order("a", 20), []);
    q.advance(3 * SECOND);
    assert_eq!(q.claim_order("a", 20), jobs[5..8]);
    q.advance(MINUTE / 3);
    assert_eq!(
        q.claim_order("a", 20),
        jobs[8..13],
        "it holds five at the most"
    );
    assert_eq!(limit(&q, "api").spent, 13);
}

// Tokens used equal jobs claimed.
#[test]
fn an_empty_queue_burns_nothing() {
    let q = TestQueue::new();
    q.set_limit("api", "1/h", 3);
    for _ in 0..10 {
        assert_eq!(q.claim_order("a", 5), []);
    }
    q.enqueue("without");
    q.start("a");
    assert_eq!((limit(&q, "api").available, limit(&q, "api").spent), (3, 0));
    q.enqueue(needs(&["api"]));
    q.start("a");
    assert_eq!((limit(&q, "api").available, limit(&q, "api").spent), (2, 1));
}

// T44
#[test]
fn jobs_on_an_empty_bucket_do_not_hold_up_the_ones_behind_them() {
    let q = TestQueue::new();
    q.set_limit("api", "1/h", 1);
    let limited = q.enqueue_many(300, &needs(&["api"]));
    let free = q.enqueue_many(3, &job("free"));
    let order = q.claim_order("a", 4);
    assert_eq!(order, [&limited[..1], &free[..]].concat());
    assert_eq!(q.count(State::Pending), 299, "they stay pending");
}

#[test]
fn why_says_which_bucket_is_empty_and_until_when() {
    let q = TestQueue::new();
    q.set_limit("api", "1/h", 1);
    q.enqueue(needs(&["api"]));
    let waiting = q.enqueue(needs(&["api"]));
    q.start("a");
    assert_eq!(q.state(waiting), State::Pending);
    let until = q.now().wall.saturating_add(HOUR);
    let expected = Cause::LimitEmpty {
        limit: "api".to_owned(),
        until,
    };
    assert_eq!(q.why(waiting)[0], expected);
    assert_eq!(limit(&q, "api").next_at, Some(until));
}

#[test]
fn a_cycle_says_when_the_next_token_comes() {
    let q = TestQueue::new();
    q.set_limit("api", "1/min", 1);
    q.enqueue_many(2, &needs(&["api"]));
    let cycle = Cycle {
        claim: Some(Claim {
            most: 5,
            ..Claim::default()
        }),
        ..q.cycle_of("a")
    };
    assert_eq!(q.cycle(&cycle).claimed.len(), 1);
    let next_at = q.cycle(&cycle).next_at.expect("a token comes back");
    // The running job's lease ends sooner than the token comes, so either may be named; never
    // later than the token.
    assert!(next_at <= q.now().wall.saturating_add(MINUTE), "{next_at}");
    assert!(next_at > q.now().wall, "{next_at} would be a busy loop");
}

#[test]
fn a_cost_takes_that_many_tokens() {
    let q = TestQueue::new();
    q.set_limit("api", "1/s", 5);
    let jobs = q.enqueue_many(3, &needs(&["api=2"]));
    assert_eq!(q.claim_order("a", 3), jobs[..2]);
    assert_eq!((limit(&q, "api").available, limit(&q, "api").spent), (1, 4));
    q.advance(SECOND);
    assert_eq!(q.claim_order("a", 3), jobs[2..]);
}

#[test]
fn of_several_limits_all_are_spent_or_none() {
    let q = TestQueue::new();
    q.set_limit("roomy", "1/h", 10);
    q.set_limit("tight", "1/h", 1);
    q.enqueue_many(3, &needs(&["roomy", "tight"]));
    assert_eq!(q.claim_order("a", 3).len(), 1);
    assert_eq!(limit(&q, "tight").spent, 1);
    assert_eq!(limit(&q, "roomy").spent, 1);
    assert_eq!(limit(&q, "roomy").available, 9);
}

#[test]
fn what_can_never_be_granted_is_refused_when_it_is_asked_for() {
    let q = TestQueue::new();
    q.set_limit("api", "1/s", 3);
    match q.try_enqueue(needs(&["api=4"])) {
        Err(Error::NeverFits { limit, cost, burst }) => {
            assert_eq!((limit.as_str(), cost, burst), ("api", 4, 3));
        }
        other => panic!("{other:?}"),
    }
    let refused = q.try_enqueue(needs(&["none-such"]));
    assert!(
        matches!(&refused, Err(Error::LimitNotFound(name)) if name == "none-such"),
        "{refused:?}"
    );
    // Twice the same limit costs both.
    let twice = NewJob {
        limits: vec![
            LimitUse {
                name: "api".to_owned(),
                cost: 2.try_into().unwrap(),
            };
            2
        ],
        ..job("x")
    };
    assert!(q.try_enqueue(twice).is_err(), "four of three tokens");
    assert_eq!(q.count(State::Pending), 0);
}

#[test]
fn a_limit_that_waiting_jobs_need_is_not_taken_away_nor_made_too_small() {
    let q = TestQueue::new();
    q.set_limit("api", "1/h", 3);
    let first = q.enqueue(needs(&["api=3"]));
    let now = q.now();
    match q.store().remove_limit("api", &now) {
        Err(Error::LimitInUse {
            limit,
            count,
            first: named,
        }) => assert_eq!((limit.as_str(), count, named), ("api", 1, first)),
        other => panic!("{other:?}"),
    }
    let smaller = q.store().set_limit("api", &quota("1/h", 2), &now);
    assert!(
        matches!(
            smaller,
            Err(Error::NeverFits {
                cost: 3,
                burst: 2,
                ..
            })
        ),
        "{smaller:?}"
    );
    q.complete(q.claim("a")).unwrap();
    q.store().remove_limit("api", &now).unwrap();
    let again = q.store().remove_limit("api", &now);
    assert!(matches!(again, Err(Error::LimitNotFound(_))), "{again:?}");
    assert_eq!(q.store().limits(&now).unwrap(), []);
}

#[test]
fn a_limit_that_is_changed_keeps_what_was_spent() {
    let q = TestQueue::new();
    q.set_limit("api", "1/h", 4);
    let jobs = q.enqueue_many(20, &needs(&["api"]));
    assert_eq!(q.claim_order("a", 20).len(), 4);
    q.set_limit("api", "60/min", 4);
    q.advance(SECOND);
    let more = q.claim_order("a", 20);
    assert!(more.len() <= 4, "{more:?}");
    q.advance(MINUTE);
    assert!(!q.claim_order("a", 20).is_empty(), "the new rate holds");
    assert!(limit(&q, "api").spent <= jobs.len() as u64);
}

#[test]
fn a_retry_needs_a_token_like_any_other_attempt() {
    let q = TestQueue::new();
    q.set_limit("api", "1/h", 2);
    q.enqueue(needs(&["api"]));
    q.exit(q.claim("a"), 1).unwrap();
    q.advance(MINUTE);
    q.exit(q.claim("a"), 1).unwrap();
    assert_eq!(limit(&q, "api").spent, 2);
    q.advance(MINUTE);
    assert_eq!(q.try_claim("a"), None);
}

// T18
#[test]
fn a_clock_stepped_back_an_hour_does_not_shut_a_bucket_for_an_hour() {
    let q = TestQueue::new();
    q.set_limit("api", "60/min", 2);
    q.enqueue_many(20, &needs(&["api"]));
    assert_eq!(q.claim_order("a", 20).len(), 2);
    q.clock().step_wall_back(HOUR);
    let mut started = q.claim_order("a", 20).len();
    assert!(started <= 2, "{started} at once");
    for _ in 0..5 {
        q.advance(SECOND);
        started += q.claim_order("a", 20).len();
    }
    assert!((2..=7).contains(&started), "{started} in five seconds");
}

// Done-when 6, as far as it is a matter of the store.
#[test]
fn stores_that_claim_at_once_share_one_bucket() {
    const BURST: u32 = 40;
    let q = TestQueue::new();
    q.set_limit("api", "1/h", BURST);
    q.enqueue_many(200, &needs(&["api"]));
    let granted: usize = thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|number| {
                let q = q.another();
                scope.spawn(move || {
                    let name = format!("w{number}");
                    let mut mine = 0;
                    while q.try_claim(&name).is_some() {
                        mine += 1;
                    }
                    mine
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    });
    assert_eq!(granted, BURST as usize);
    assert_eq!(limit(&q, "api").spent, u64::from(BURST));
    assert_eq!(q.count(State::InProgress), BURST as usize);
}

#[test]
fn every_span_grants_no_more_than_rate_and_burst() {
    let q = TestQueue::new();
    q.set_limit("api", "10/s", 3);
    q.enqueue_many(200, &needs(&["api"]));
    let mut granted = 0;
    let mut millis = 0_u32;
    for step in [1_u32, 37, 99, 100, 101, 250, 7, 500, 333, 1_000] {
        granted += q.claim_order("a", 200).len();
        q.advance(std::time::Duration::from_millis(step.into()));
        millis += step;
    }
    granted += q.claim_order("a", 200).len();
    let most = 3 + millis as usize / 100;
    assert!(granted <= most, "{granted} of {most}");
    assert_eq!(limit(&q, "api").spent, granted as u64);
}

#[test]
fn a_token_that_was_spent_is_not_given_back_by_a_rescue() {
    let q = TestQueue::new();
    q.set_limit("api", "1/h", 2);
    q.enqueue(needs(&["api"]));
    q.start("a");
    q.advance(LEASE + SECOND);
    q.start("b");
    assert_eq!(limit(&q, "api").spent, 2);
}

#[test]
fn limits_are_listed_by_name() {
    let q = TestQueue::new();
    for name in ["b", "a", "c"] {
        q.set_limit(name, "1/s", 1);
    }
    let limits = q.store().limits(&q.now()).unwrap();
    let by_name: BTreeMap<_, _> = limits.iter().map(|l| (l.name.clone(), l.quota)).collect();
    assert_eq!(
        limits.iter().map(|l| l.name.clone()).collect::<Vec<_>>(),
        by_name.into_keys().collect::<Vec<_>>()
    );
    assert_eq!(limits[0].quota, quota("1/s", 1));
    assert_eq!((limits[0].available, limits[0].next_at), (1, None));
}

#[test]
fn a_job_that_needs_many_tokens_is_not_passed_by_those_that_need_one() {
    let q = TestQueue::new();
    q.set_limit("api", "1/s", 10);
    q.enqueue(needs(&["api=10"]));
    q.start("a");
    let greedy = q.enqueue(needs(&["api=10"]));
    let modest = q.enqueue_many(30, &needs(&["api"]));
    let free = q.enqueue("free");
    assert_eq!(q.claim_order("a", 50), [free], "it needs no token");
    for _ in 0..9 {
        q.advance(SECOND);
        assert_eq!(q.claim_order("a", 50), [], "the tokens are saved up");
        assert!(matches!(&q.why(modest[0])[0], Cause::LimitEmpty { .. }));
    }
    q.advance(SECOND);
    assert_eq!(q.claim_order("a", 50), [greedy]);
    q.advance(2 * SECOND);
    assert_eq!(q.claim_order("a", 50), modest[..2]);
}

#[test]
fn a_job_of_a_higher_rank_takes_tokens_that_another_one_waits_for() {
    let q = TestQueue::new();
    q.set_limit("api", "1/s", 10);
    q.enqueue(needs(&["api=10"]));
    q.start("a");
    let greedy = q.enqueue(needs(&["api=10"]));
    assert_eq!(q.claim_order("a", 5), []);
    q.advance(5 * SECOND);
    let urgent = q.enqueue(NewJob {
        priority: 5,
        ..needs(&["api"])
    });
    assert_eq!(q.claim_order("a", 5), [urgent]);
    q.advance(5 * SECOND);
    assert_eq!(q.claim_order("a", 5), [], "it took one of the ten");
    q.advance(SECOND);
    assert_eq!(q.claim_order("a", 5), [greedy]);
}

#[test]
fn tokens_are_not_saved_for_a_job_that_went_away() {
    for leave in [
        |q: &TestQueue, job| drop(q.cancel(job)),
        |q: &TestQueue, job| drop(q.hold(job)),
        |q: &TestQueue, _| q.pause("greedy", true),
    ] {
        let q = TestQueue::new();
        q.set_limit("api", "1/h", 10);
        q.enqueue(needs(&["api=9"]));
        q.start("a");
        let greedy = q.enqueue(NewJob {
            queue: "greedy".to_owned(),
            ..needs(&["api=10"])
        });
        let modest = q.enqueue(needs(&["api"]));
        assert_eq!(q.claim_order("a", 5), []);
        leave(&q, greedy);
        assert_eq!(q.claim_order("a", 5), [modest]);
    }
}
