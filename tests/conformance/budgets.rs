//! Budgets: used up, they hold back the agents' jobs of their scope and nobody else.

use crate::ledger::{agents, line, tell};
use queue_core::{
    Class, Error, JobId, Lease, NewJob, State, Timestamp,
    attempt::Outcome,
    budget::{Budget, BudgetStatus, Most, Per, Scope},
    job::PROCESS,
    store::{Edit, Requeue, SettingsResult, Shared},
    why::Cause,
};
use std::collections::BTreeMap;
use support::{HOUR, MINUTE, SECOND, TestQueue, job};

fn usd(text: &str) -> Most {
    Most {
        cost: Some(text.parse().unwrap()),
        tokens: None,
    }
}

fn budget(name: &str, scope: Scope, per: Per, most: Most) -> Budget {
    Budget {
        name: name.to_owned(),
        scope,
        per,
        zone: chrono_tz::Europe::Oslo,
        most,
        hard: false,
    }
}

fn of_queue(queue: &str) -> Scope {
    Scope {
        queue: Some(queue.to_owned()),
        tag: None,
    }
}

fn of_team(team: &str) -> Scope {
    Scope {
        queue: None,
        tag: Some(("team".to_owned(), Some(team.to_owned()))),
    }
}

fn set(q: &TestQueue, budget: &Budget) -> BudgetStatus {
    q.store().set_budget(budget, &q.now()).unwrap()
}

fn in_queue(queue: &str) -> NewJob {
    NewJob {
        queue: queue.to_owned(),
        ..agents()
    }
}

fn with_team(team: &str) -> NewJob {
    NewJob {
        tags: BTreeMap::from([("team".to_owned(), team.to_owned())]),
        ..agents()
    }
}

/// A job of this kind starts, costs so much and completes.
fn spend(q: &TestQueue, job: NewJob, cost: &str) {
    let id = q.enqueue(NewJob {
        priority: 1_000,
        ..job
    });
    let lease = q.claim("a");
    assert_eq!(lease.job(), id);
    cost_and_complete(q, lease, cost);
}

fn cost_and_complete(q: &TestQueue, lease: Lease, cost: &str) {
    assert!(tell(q, "a", &lease, vec![line("opus", 10, Some(cost))]));
    q.complete(lease).unwrap();
}

fn used_up(q: &TestQueue, job: JobId) -> Option<(String, Option<Timestamp>)> {
    q.why(job).into_iter().find_map(|cause| match cause {
        Cause::BudgetUsedUp { budget, until, .. } => Some((budget, until)),
        _ => None,
    })
}

fn at(text: &str) -> Timestamp {
    text.parse::<chrono::DateTime<chrono::Utc>>()
        .unwrap()
        .into()
}

#[test]
fn a_budget_that_is_used_up_holds_back_its_agents_until_midnight_and_nobody_else() {
    let q = TestQueue::new();
    q.clock().set_wall(at("2026-03-28T20:00:00Z"));
    set(
        &q,
        &budget("nightly", of_queue("nightly"), Per::Day, usd("1")),
    );
    spend(&q, in_queue("nightly"), "1");
    let waits = q.enqueue(in_queue("nightly"));
    let command = q.enqueue(NewJob {
        queue: "nightly".to_owned(),
        ..job("make")
    });
    let elsewhere = q.enqueue(in_queue("daily"));
    let others = q.claim_many("a", 5);
    assert_eq!(
        others.iter().map(Lease::job).collect::<Vec<_>>(),
        [command, elsewhere]
    );
    for lease in others {
        q.complete(lease).unwrap();
    }
    let midnight = at("2026-03-28T23:00:00Z");
    assert_eq!(
        used_up(&q, waits),
        Some(("nightly".to_owned(), Some(midnight)))
    );
    assert_eq!(q.state(waits), State::Pending, "it keeps its place");
    // A worker that looks is told when to look again.
    let cycle = queue_core::store::Cycle {
        claim: Some(queue_core::store::Claim::default()),
        ..q.cycle_of("a")
    };
    assert_eq!(q.cycle(&cycle).next_at, Some(midnight));
    q.clock().set_wall(at("2026-03-28T22:59:59.999Z"));
    assert!(q.try_claim("a").is_none());
    q.clock().set_wall(midnight);
    assert_eq!(q.claim("a").job(), waits);
    // This day has 23 hours: clocks are put forward.
    let more = q.enqueue(in_queue("nightly"));
    let lease = q.claim("a");
    assert!(tell(&q, "a", &lease, vec![line("opus", 1, Some("5"))]));
    q.complete(lease).unwrap();
    let more = [more, q.enqueue(in_queue("nightly"))][1];
    assert!(q.try_claim("a").is_none());
    assert_eq!(
        used_up(&q, more).unwrap().1,
        Some(at("2026-03-29T22:00:00Z"))
    );
    q.examine();
}

#[test]
fn raising_or_removing_it_lets_jobs_go_at_once() {
    let q = TestQueue::new();
    let mut of_all = budget("all", Scope::default(), Per::Ever, usd("1"));
    set(&q, &of_all);
    spend(&q, agents(), "1.5");
    let first = q.enqueue(agents());
    let second = q.enqueue(agents());
    assert!(q.try_claim("a").is_none());
    assert_eq!(
        used_up(&q, first),
        Some(("all".to_owned(), None)),
        "a person has to give more"
    );
    let outlook = q.store().outlook(&[], PROCESS, &q.now()).unwrap();
    assert_eq!(
        (outlook.pending, outlook.paused),
        (0, 2),
        "nothing starts by itself"
    );
    of_all.most = usd("2");
    let status = set(&q, &of_all);
    assert_eq!(
        (status.spent.cost.to_string().as_str(), status.waiting),
        ("1.5", 2)
    );
    let lease = q.claim("a");
    assert_eq!(lease.job(), first);
    cost_and_complete(&q, lease, "1");
    assert!(q.try_claim("a").is_none());
    q.store().remove_budget("all", &q.now()).unwrap();
    assert_eq!(q.claim("a").job(), second);
    let gone = q.store().remove_budget("all", &q.now());
    assert!(matches!(gone, Err(Error::BudgetNotFound(_))), "{gone:?}");
    q.examine();
}

#[test]
fn a_budget_finds_the_jobs_that_are_there_and_those_that_come_or_change() {
    let q = TestQueue::new();
    let there = q.enqueue(with_team("web"));
    let other = q.enqueue(with_team("core"));
    set(&q, &budget("web", of_team("web"), Per::Day, usd("1")));
    spend(&q, with_team("web"), "1");
    assert_eq!(q.claim_order("a", 9), [other]);
    assert_eq!(q.job(there).budgets, ["web"]);
    let come = q.enqueue(with_team("web"));
    let changed = q.enqueue(with_team("core"));
    let to_web = Edit {
        set_tags: BTreeMap::from([("team".to_owned(), "web".to_owned())]),
        ..Edit::default()
    };
    q.edit(changed, &to_web).unwrap();
    assert_eq!(q.claim_order("a", 9), []);
    assert_eq!(
        (used_up(&q, come).is_some(), used_up(&q, changed).is_some()),
        (true, true)
    );
    let to_core = Edit {
        remove_tags: vec!["team".to_owned()],
        ..Edit::default()
    };
    q.edit(there, &to_core).unwrap();
    assert_eq!(q.claim_order("a", 9), [there]);
    // The same name for others: those it was for go on.
    set(&q, &budget("web", of_team("core"), Per::Day, usd("1")));
    assert_eq!(q.claim_order("a", 9), [come, changed]);
    q.examine();
}

#[test]
fn a_job_that_was_at_rest_when_a_budget_was_set_is_in_it_when_it_runs_again() {
    let q = TestQueue::new();
    let old = q.enqueue(with_team("web"));
    let lease = q.claim("a");
    cost_and_complete(&q, lease, "3");
    set(&q, &budget("web", of_team("web"), Per::Ever, usd("1")));
    q.requeue_with(old, &Requeue::default()).unwrap();
    assert!(
        q.try_claim("a").is_none(),
        "what was spent before it was set counts"
    );
    assert!(used_up(&q, old).is_some());
    q.examine();
}

#[test]
fn a_job_that_a_limit_or_a_failure_sends_back_stays_in_its_budgets() {
    let q = TestQueue::new();
    set(&q, &budget("all", Scope::default(), Per::Day, usd("1")));
    let id = q.enqueue(agents());
    let lease = q.claim("a");
    assert!(tell(&q, "a", &lease, vec![line("opus", 1, Some("2"))]));
    let gate = "claude".parse().unwrap();
    let limited = Outcome::Limited {
        gate,
        class: Class::Limit,
        until: Some(q.now().wall.saturating_add(SECOND)),
        evidence: "limit".to_owned(),
    };
    q.finish(lease, limited).unwrap();
    q.advance(HOUR);
    assert!(q.try_claim("a").is_none());
    assert_eq!(q.job(id).budgets, ["all"]);
    assert!(used_up(&q, id).is_some());
    q.examine();
}

#[test]
fn the_strictest_of_several_budgets_counts_and_tokens_do_too() {
    let q = TestQueue::new();
    let tokens = Most {
        cost: None,
        tokens: Some(15),
    };
    set(&q, &budget("tokens", Scope::default(), Per::Day, tokens));
    set(&q, &budget("money", Scope::default(), Per::Ever, usd("1")));
    spend(&q, agents(), "0.1");
    spend(&q, agents(), "0.1");
    let waits = q.enqueue(agents());
    assert!(q.try_claim("a").is_none());
    assert_eq!(used_up(&q, waits).unwrap().0, "tokens");
    q.store().remove_budget("tokens", &q.now()).unwrap();
    spend(&q, agents(), "0.8");
    assert!(q.try_claim("a").is_none());
    assert_eq!(used_up(&q, waits), Some(("money".to_owned(), None)));
}

#[test]
fn all_workers_share_it_and_it_survives_a_restart() {
    let q = TestQueue::durable();
    set(&q, &budget("all", Scope::default(), Per::Day, usd("1")));
    spend(&q, agents(), "1");
    let waits = q.enqueue(agents());
    assert!(q.another().try_claim("b").is_none());
    let q = q.reopened();
    assert!(q.try_claim("a").is_none());
    assert!(used_up(&q, waits).is_some());
    q.examine();
}

#[test]
fn only_a_hard_budget_stops_what_runs() {
    let q = TestQueue::new();
    let mut all = budget("all", Scope::default(), Per::Day, usd("1"));
    set(&q, &all);
    q.enqueue(agents());
    q.enqueue(agents());
    let (one, two) = (q.claim("a"), q.claim("a"));
    assert!(tell(&q, "a", &one, vec![line("opus", 1, Some("2"))]));
    let stopped = |q: &TestQueue| q.cycle(&q.cycle_of("a")).over_budget;
    assert_eq!(stopped(&q), [], "attempts that run go on");
    all.hard = true;
    set(&q, &all);
    let expected = vec![
        (one.fence(), "all".to_owned()),
        (two.fence(), "all".to_owned()),
    ];
    assert_eq!(stopped(&q), expected);
    // What began yesterday is no matter of today's budget.
    q.advance(24 * HOUR + MINUTE);
    assert_eq!(stopped(&q), []);
}

#[test]
fn what_cannot_be_a_budget_is_refused() {
    let q = TestQueue::new();
    let refused = |budget: &Budget| {
        let answer = q.store().set_budget(budget, &q.now());
        assert!(
            matches!(answer, Err(Error::OutOfRange { .. })),
            "{answer:?}"
        );
    };
    refused(&budget("", Scope::default(), Per::Day, usd("1")));
    refused(&budget("a b", Scope::default(), Per::Day, usd("1")));
    refused(&budget("none", Scope::default(), Per::Day, Most::default()));
    refused(&budget("nothing", Scope::default(), Per::Day, usd("0")));
    assert_eq!(q.store().budgets(&q.now()).unwrap(), []);
}

#[test]
fn a_budget_goes_along_with_its_jobs_and_counts_what_they_cost() {
    let q = TestQueue::new();
    let all = budget("all", Scope::default(), Per::Ever, usd("1"));
    set(&q, &all);
    set(&q, &budget("other", of_queue("other"), Per::Ever, usd("1")));
    spend(&q, agents(), "2");
    let waits = q.enqueue(agents());
    let rows = q.store().export(JobId(0), 10).unwrap();
    let new = TestQueue::new();
    let there = new.enqueue(agents());
    let brought = new.store().import(rows, &new.now()).unwrap();
    let added = ("all".to_owned(), SettingsResult::Added);
    let of_budgets = brought
        .settings
        .into_iter()
        .filter(|one| one.of == Shared::Budget);
    let of_budgets: Vec<_> = of_budgets.map(|one| (one.name, one.result)).collect();
    assert_eq!(of_budgets, [added], "and no other one");
    let status = new.store().budgets(&new.now()).unwrap().remove(0);
    assert_eq!(
        (status.budget, status.spent.cost.to_string()),
        (all, "2".to_owned())
    );
    assert!(new.try_claim("a").is_none());
    assert!(
        used_up(&new, there).is_some(),
        "it is for the jobs that were there, too"
    );
    let imported = new.ids_in(State::Pending);
    assert_eq!((imported.len(), q.state(waits)), (2, State::Pending));
    new.examine();
}
