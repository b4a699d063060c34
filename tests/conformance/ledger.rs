//! The ledger: what attempts used, and that nothing in it counts twice.

use proptest::prelude::*;
use queue_core::{
    Class, JobId, Lease, NewJob, Timestamp,
    agent::AgentTask,
    attempt::{AgentFacts, KEPT_UNCOUNTED, Outcome},
    budget::{Budget, Most, Per, Scope},
    job::Command,
    ledger::{Bill, Line, Spent},
    money::Usd,
    store::Cycle,
};
use std::collections::BTreeMap;
use support::{HOUR, MINUTE, SECOND, TestQueue};

/// A job that calls an agent.
pub(crate) fn agents() -> NewJob {
    NewJob::new(Command::Agent(AgentTask::new("claude", "x")))
}

pub(crate) fn line(model: &str, tokens: u64, cost: Option<&str>) -> Line {
    Line {
        model: model.to_owned(),
        input: tokens,
        cost: cost.map(|cost| cost.parse().unwrap()),
        ..Line::default()
    }
}

fn facts(lines: Vec<Line>) -> AgentFacts {
    AgentFacts {
        session_id: None,
        cost_usd: None,
        bill: Bill {
            agent: "claude".to_owned(),
            profile: None,
            lines,
        },
        facts: serde_json::Value::Null,
    }
}

/// Tells what an attempt used so far; whether its lease still stands.
pub(crate) fn tell(q: &TestQueue, worker: &str, lease: &Lease, lines: Vec<Line>) -> bool {
    let cycle = Cycle {
        facts: vec![(lease.fence(), facts(lines))],
        ..q.cycle_of(worker)
    };
    q.cycle(&cycle).lost.is_empty()
}

fn spent(q: &TestQueue, job: JobId) -> (String, u64, u64) {
    let spent = q.store().spent(job, None).unwrap();
    (spent.cost.to_string(), spent.tokens, spent.unpriced)
}

#[test]
fn what_an_attempt_says_last_is_what_it_used() {
    let q = TestQueue::new();
    let job = q.enqueue(agents());
    let lease = q.claim("a");
    assert!(tell(&q, "a", &lease, vec![line("opus", 100, None)]));
    assert_eq!(
        spent(&q, job),
        ("0".into(), 100, 100),
        "unpriced is not paid"
    );
    let last = vec![
        line("opus", 150, Some("0.10")),
        line("haiku", 20, Some("0.005")),
    ];
    assert!(tell(&q, "a", &lease, last.clone()));
    // A worker that does not know whether it was heard says it again.
    assert!(tell(&q, "a", &lease, last));
    assert_eq!(spent(&q, job), ("0.105".into(), 170, 0));
    // The program puts one model in place of another.
    assert!(tell(
        &q,
        "a",
        &lease,
        vec![line("opus[1m]", 170, Some("0.2"))]
    ));
    assert_eq!(spent(&q, job), ("0.2".into(), 170, 0));
    assert_eq!(
        q.store().spent(job, Some(lease.fence().epoch)).unwrap(),
        Spent::default()
    );
}

#[test]
fn a_worker_whose_lease_is_lost_books_nothing() {
    let q = TestQueue::new();
    let job = q.enqueue(agents());
    let late = q.claim("a");
    assert!(tell(&q, "a", &late, vec![line("opus", 10, Some("0.1"))]));
    q.advance(HOUR);
    let orphan = q.adopt("b").pop().unwrap();
    assert!(!tell(&q, "a", &late, vec![line("opus", 99, Some("9"))]));
    assert!(tell(
        &q,
        "b",
        &orphan.lease,
        vec![line("opus", 12, Some("0.12"))]
    ));
    assert_eq!(
        spent(&q, job),
        ("0.12".into(), 12, 0),
        "adopted, it counts once"
    );
}

#[test]
fn money_outlives_attempts_that_are_forgotten_and_jobs_that_are_pruned() {
    let q = TestQueue::new();
    let job = q.enqueue(agents());
    let tries = u64::from(KEPT_UNCOUNTED) + 5;
    for _ in 0..tries {
        let lease = q.claim("a");
        assert!(tell(&q, "a", &lease, vec![line("opus", 10, Some("0.1"))]));
        q.hand_back(lease).unwrap();
    }
    assert_eq!(q.attempts(job).len(), KEPT_UNCOUNTED as usize);
    let expected = (
        Usd::from_nanos(100_000_000 * tries).to_string(),
        10 * tries,
        0,
    );
    assert_eq!(spent(&q, job), expected);
    let lease = q.claim("a");
    q.complete(lease).unwrap();
    q.advance(SECOND);
    assert_eq!(q.prune().len(), 1);
    assert_eq!(spent(&q, job), expected);
    q.examine();
}

#[test]
fn absurd_numbers_are_cut_down_and_keep_nothing_out() {
    let q = TestQueue::new();
    q.store().set_budget(&everything(), &q.now()).unwrap();
    let jobs: Vec<_> = (0..3).map(|_| q.enqueue(agents())).collect();
    for lease in q.claim_many("a", 3) {
        let absurd = Line {
            input: u64::MAX,
            output: u64::MAX,
            cache_read: u64::MAX,
            cache_write: u64::MAX,
            ..line("opus", 0, None)
        };
        let dear = Line {
            cost: Usd::from_dollars(f64::INFINITY),
            ..line("haiku", 1, None)
        };
        assert!(tell(&q, "a", &lease, vec![absurd, dear]));
    }
    let (cost, ..) = spent(&q, jobs[0]);
    assert_eq!(cost, Usd::MOST.to_string());
    let budget = q.store().budgets(&q.now()).unwrap().remove(0);
    assert_eq!(budget.spent.cost, Usd::from_nanos(Usd::MOST.nanos() * 3));
}

fn everything() -> Budget {
    Budget {
        name: "all".to_owned(),
        scope: Scope::default(),
        per: Per::Ever,
        zone: chrono_tz::UTC,
        most: Most {
            cost: Some(Usd::MOST),
            tokens: None,
        },
        hard: false,
    }
}

#[test]
fn the_ledger_goes_with_its_jobs_into_another_store_once() {
    let q = TestQueue::new();
    let job = q.enqueue(agents());
    let lease = q.claim("a");
    assert!(tell(&q, "a", &lease, vec![line("opus", 10, Some("0.25"))]));
    q.fail(lease, Class::Crash).unwrap();
    let rows = q.store().export(JobId(0), 10).unwrap();
    let other = TestQueue::new();
    other
        .store()
        .set_budget(&everything(), &other.now())
        .unwrap();
    other.store().import(rows.clone(), &other.now()).unwrap();
    other.store().import(rows, &other.now()).unwrap();
    assert_eq!(spent(&other, job), ("0.25".into(), 10, 0));
    let budget = other.store().budgets(&other.now()).unwrap().remove(0);
    assert_eq!(budget.spent.cost.to_string(), "0.25");
    other.examine();
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// An attempt tells what it used so far: which, and tokens and millionths of a dollar of models.
    Tell(usize, Vec<(u8, u64, Option<u64>)>),
    /// An attempt ends, and the next one of its job begins.
    End(usize),
    /// Time passes, perhaps over midnight.
    Wait(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let model = (0..3_u8, 0..5_000_u64, prop::option::of(0..3_000_000_u64));
    let step = prop_oneof![
        6 => (0..3_usize, prop::collection::vec(model, 0..4)).prop_map(|(job, lines)| Step::Tell(job, lines)),
        1 => (0..3_usize).prop_map(Step::End),
        1 => (1..900_u16).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..40)
}

/// The attempts of one job, and what each said last.
struct Life {
    lease: Lease,
    began: Timestamp,
    last: Vec<(Timestamp, Spent)>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// In whichever order it is told, sums are those of the last word of each attempt: by the
    /// ledger, and as budgets count them.
    #[test]
    fn sums_are_those_of_what_each_attempt_said_last(steps in steps()) {
        let q = TestQueue::new();
        let budgets = [Per::Day, Per::Month, Per::Ever].map(|per| Budget {
            name: per.to_string(),
            per,
            zone: chrono_tz::America::Santiago,
            ..everything()
        });
        for budget in &budgets {
            q.store().set_budget(budget, &q.now()).unwrap();
        }
        let jobs: Vec<JobId> = (0..3).map(|_| q.enqueue(agents())).collect();
        let mut lives: BTreeMap<JobId, Life> = BTreeMap::new();
        for lease in q.claim_many("a", 3) {
            let began = q.now().wall;
            lives.insert(lease.job(), Life { lease, began, last: vec![(began, Spent::default())] });
        }
        for step in steps {
            match step {
                Step::Tell(job, lines) => {
                    let life = lives.get_mut(&jobs[job]).unwrap();
                    let mut models: BTreeMap<u8, Line> = BTreeMap::new();
                    for (model, tokens, micros) in lines {
                        let cost = micros.map(|micros| Usd::from_nanos(micros * 1_000));
                        models.insert(model, Line { cost, ..line(&model.to_string(), tokens, None) });
                    }
                    let lines: Vec<Line> = models.into_values().collect();
                    let all = Spent::of(&lines);
                    *life.last.last_mut().unwrap() = (life.began, all);
                    prop_assert!(tell(&q, "a", &life.lease, lines));
                }
                Step::End(job) => {
                    let mut life = lives.remove(&jobs[job]).unwrap();
                    q.finish(life.lease, Outcome::HandedBack).unwrap();
                    life.lease = q.claim("a");
                    life.began = q.now().wall;
                    life.last.push((life.began, Spent::default()));
                    lives.insert(jobs[job], life);
                }
                Step::Wait(minutes) => {
                    for _ in 0..minutes {
                        q.advance(MINUTE);
                    }
                    let held: Vec<_> = lives.values().map(|life| life.lease.fence()).collect();
                    let cycle = Cycle { leases: held, ..q.cycle_of("a") };
                    prop_assert_eq!(q.cycle(&cycle).lost.len(), 0);
                }
            }
        }
        let sum = |lasts: &mut dyn Iterator<Item = Spent>| lasts.fold(Spent::default(), Spent::and);
        for (job, life) in &lives {
            let expected = sum(&mut life.last.iter().map(|(_, spent)| *spent));
            prop_assert_eq!(q.store().spent(*job, None).unwrap(), expected);
        }
        for status in q.store().budgets(&q.now()).unwrap() {
            let Budget { per, zone, .. } = status.budget;
            let span = per.span(zone, q.now().wall);
            let lasts = lives.values().flat_map(|life| &life.last);
            let expected = sum(&mut lasts.filter(|(at, _)| span.contains(*at)).map(|(_, spent)| *spent));
            prop_assert_eq!(status.spent, expected, "{}", per);
        }
    }
}
