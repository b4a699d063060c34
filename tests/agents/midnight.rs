//! A budget of a day under a worker whose clock goes over midnights, on a night on which clocks are put forward.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use queue_core::budget::{Budget, Most, Per, Scope};
use queue_core::store::sqlite::{OpenOptions, SqliteStore};
use queue_core::why::Cause;
use queue_core::{Clock, JobId, State, Store, Timestamp};
use queue_worker::{Stop, StopLevel, WorkerOptions};
use support::{SetClock, StopAtEnd, test_env, wait_until};

fn at(moment: &str) -> Timestamp {
    let moment = chrono::DateTime::parse_from_rfc3339(moment);
    moment.expect("the test names a moment").to_utc().into()
}

/// Costs two dollars and is done.
const TWO_DOLLARS: &str = r#"
[[run]]
steps = [
    { print = '''{"type":"system","subtype":"init","session_id":"${session}","model":"opus"}''' },
    { cost = 2.0 },
    { print = '''{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"Done.","session_id":"${session}","total_cost_usd":${cost},"modelUsage":{"opus":{"inputTokens":1,"outputTokens":1,"costUSD":${cost}}}}''' },
]
"#;

#[test]
fn a_budget_of_a_day_begins_anew_at_each_midnight_of_its_zone_under_a_worker() {
    let env = test_env!();
    let agents = support::fake_agents!(env.root().join("agents"));
    let env = env.with("PATH", &agents.path());
    agents.act_out("claude", TWO_DOLLARS);
    let ask = || JobId(env.enqueue(&["--agent", "claude", "--prompt", "x"]));
    let jobs = [ask(), ask(), ask()];
    let store = SqliteStore::open(&env.db(), &OpenOptions::default());
    let store: Arc<dyn Store> = Arc::new(store.expect("the store is there"));
    let clock = SetClock::right();
    // 23:50 in Oslo, on the eve of the day that has 23 hours.
    clock.show(at("2027-03-27T22:50:00Z"));
    let budget = Budget {
        name: "all".to_owned(),
        scope: Scope::default(),
        per: Per::Day,
        zone: chrono_tz::Europe::Oslo,
        most: Most {
            cost: Some("1".parse().expect("it is an amount")),
            tokens: None,
        },
        hard: false,
    };
    let set = store.set_budget(&budget, &clock.now());
    set.expect("the budget can be set");
    let stop = Stop::new();
    thread::scope(|scope| {
        let _end = StopAtEnd(stop.clone());
        let (worker_clock, worker_store): (Arc<dyn Clock>, _) = (clock.clone(), store.clone());
        let (db, worker_stop) = (env.db(), stop.clone());
        scope.spawn(move || {
            let options = WorkerOptions {
                name: "w".to_owned(),
                concurrency: NonZeroUsize::MIN,
                takes_signals: false,
                ..WorkerOptions::default()
            };
            let ended =
                queue_worker::run_by(&worker_clock, &worker_store, &db, options, worker_stop);
            ended.expect("the store can be used");
        });
        let midnights = ["2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"];
        for (index, midnight) in midnights.into_iter().enumerate() {
            let [done, waits] = [jobs[index], jobs[index + 1]];
            wait_until("one job has spent the budget", || {
                state(&*store, done) == State::Completed
            });
            wait_until("the next one waits for midnight", || {
                let why = store
                    .why(waits, &clock.now())
                    .expect("the store can be read");
                why.iter().any(|cause| {
                    matches!(cause, Cause::BudgetUsedUp { until, .. } if *until == Some(at(midnight)))
                })
            });
            assert_eq!(state(&*store, waits), State::Pending);
            clock.show(at(midnight));
        }
        wait_until("the last one is done", || {
            state(&*store, jobs[2]) == State::Completed
        });
        stop.raise(StopLevel::Drain);
    });
    let budgets = store.budgets(&clock.now()).expect("the store can be read");
    assert_eq!(
        budgets[0].spent.cost.to_string(),
        "2",
        "of the last day alone"
    );
    assert_eq!(agents.ledger().len(), 3);
}

fn state(store: &dyn Store, job: JobId) -> State {
    store.job(job).expect("the store can be read").state
}
