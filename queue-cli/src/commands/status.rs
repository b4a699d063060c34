//! `qcli status`: the queue at a glance.

use queue_core::gate::{GateState, GateStatus};
use queue_core::limit::Limit;
use queue_core::queue::QueueStatus;
use queue_core::store::Asking;
use queue_core::worker::Worker;
use queue_core::{JobId, State, Timestamp};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output::color::Role;
use crate::output::table::{Cell, Column, Fields, Table};
use crate::probe;
use crate::view::json::Time;
use crate::view::question::{self, AskingJson};
use crate::view::worker::{self, Life, WorkerJson};

/// Show the queue at a glance
///
/// Where the store is, which workers are alive, how many jobs are in each state by queue, what is paused, how full the
/// limits are, which gates are closed, and what jobs ask. `qcli` without a verb does the same.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Examples:
  qcli
  qcli status --json | jq .totals.pending
  watch -n 2 qcli status")]
pub(crate) struct Args {}

/// What was read.
struct Status {
    store: String,
    workers: Vec<(Worker, Life)>,
    queues: Vec<QueueStatus>,
    limits: Vec<Limit>,
    gates: Vec<GateStatus>,
    asking: Vec<Asking>,
    now: Timestamp,
}

/// The same as JSON.
#[derive(Serialize)]
struct StatusJson<'a> {
    store: &'a str,
    workers_alive: usize,
    workers: Vec<WorkerJson<'a>>,
    totals: BTreeMap<&'static str, u64>,
    queues: Vec<QueueJson<'a>>,
    limits: Vec<LimitJson<'a>>,
    gates: Vec<Value>,
    /// What jobs ask that nobody has answered yet.
    asking: Vec<AskingJson<'a>>,
}

#[derive(Serialize)]
struct QueueJson<'a> {
    name: &'a str,
    paused_at: Option<Time>,
    concurrency: Option<u32>,
    counts: BTreeMap<&'static str, u64>,
    oldest_pending: Option<OldestJson>,
}

#[derive(Serialize)]
struct OldestJson {
    id: JobId,
    since: Time,
}

#[derive(Serialize)]
struct LimitJson<'a> {
    name: &'a str,
    rate: String,
    burst: u32,
    available: u32,
    next_at: Option<Time>,
    waiting: u64,
    spent: u64,
}

/// Prints the status.
pub(crate) fn run(_: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let store = context.existing_store()?;
    let now = context.now();
    let mut workers = probe::workers(&*store, now.wall)?;
    workers.retain(|(_, life)| *life != Life::Stopped);
    let status = Status {
        store: context.config.store.value.path().display().to_string(),
        workers,
        queues: store.queues()?,
        limits: store.limits(&now)?,
        gates: store.gates()?,
        asking: store.asking()?,
        now: now.wall,
    };
    if context.out.is_json() {
        context.out.json(&as_json(&status))?;
    } else {
        print(context, &status)?;
    }
    Ok(ExitCode::Ok)
}

fn as_json(status: &Status) -> StatusJson<'_> {
    StatusJson {
        store: &status.store,
        workers_alive: alive(status).count(),
        workers: status
            .workers
            .iter()
            .map(|(worker, life)| WorkerJson::new(worker, *life))
            .collect(),
        totals: counts(|state| total(status, state)),
        queues: status.queues.iter().map(queue_json).collect(),
        limits: status.limits.iter().map(limit_json).collect(),
        gates: (status.gates.iter())
            .map(|gate| super::gate::gate_json(gate, status.now))
            .collect(),
        asking: status.asking.iter().map(AskingJson::from).collect(),
    }
}

fn queue_json(queue: &QueueStatus) -> QueueJson<'_> {
    QueueJson {
        name: &queue.queue.name,
        paused_at: queue.queue.paused_at.map(Time),
        concurrency: queue.queue.concurrency.map(std::num::NonZeroU32::get),
        counts: counts(|state| queue.count(state)),
        oldest_pending: queue.oldest_pending.map(|(id, since)| OldestJson {
            id,
            since: Time(since),
        }),
    }
}

fn limit_json(limit: &Limit) -> LimitJson<'_> {
    LimitJson {
        name: &limit.name,
        rate: limit.quota.rate().to_string(),
        burst: limit.quota.burst().get(),
        available: limit.available,
        next_at: limit.next_at.map(Time),
        waiting: limit.waiting,
        spent: limit.spent,
    }
}

fn counts(of: impl Fn(State) -> u64) -> BTreeMap<&'static str, u64> {
    State::ALL
        .iter()
        .map(|state| (state.as_str(), of(*state)))
        .collect()
}

fn total(status: &Status, state: State) -> u64 {
    status.queues.iter().map(|queue| queue.count(state)).sum()
}

fn alive(status: &Status) -> impl Iterator<Item = &Worker> {
    of_life(status, Life::Alive)
}

fn of_life(status: &Status, wanted: Life) -> impl Iterator<Item = &Worker> {
    let workers = status
        .workers
        .iter()
        .filter(move |(_, life)| *life == wanted);
    workers.map(|(worker, _)| worker)
}

fn print(context: &mut Context, status: &Status) -> Result<(), CliError> {
    context.out.fields(&facts(context, status))?;
    if !status.queues.is_empty() {
        context.out.heading("Queues")?;
        context.out.table(&queues(&status.queues))?;
    }
    if !status.limits.is_empty() {
        context.out.heading("Limits")?;
        context.out.table(&limits(context, &status.limits))?;
    }
    let shut: Vec<GateStatus> = (status.gates.iter())
        .filter(|gate| gate.gate.state(status.now) != GateState::Open)
        .cloned()
        .collect();
    if !shut.is_empty() {
        context.out.heading("Gates")?;
        let table = super::gate::table(context, &shut);
        context.out.table(&table)?;
    }
    if !status.asking.is_empty() {
        context.out.heading("Questions")?;
        let table = question::table(&status.asking, context.out.times());
        context.out.table(&table)?;
    }
    if status.queues.is_empty() {
        context
            .out
            .note("there is no job yet; add one with `qcli enqueue -- COMMAND`");
    } else if alive(status).next().is_none() && total(status, State::Pending) > 0 {
        context
            .out
            .note("jobs are pending and no worker is alive; start one with `qcli work`");
    }
    Ok(())
}

fn facts(context: &Context, status: &Status) -> Fields {
    let times = context.out.times();
    let mut fields = Fields::new();
    fields.add("store", status.store.as_str());
    let alive: Vec<String> = alive(status)
        .map(|worker| {
            let (name, slots) = (&worker.about.name, worker::slots(worker));
            format!(
                "{name} ({slots} busy, seen {})",
                times.relative(worker.seen_at)
            )
        })
        .collect();
    match alive.as_slice() {
        [] => fields.add("workers", Cell::colored("none alive", Role::Waiting)),
        some => fields.add(
            "workers",
            format!("{} alive: {}", some.len(), some.join(", ")),
        ),
    }
    for worker in self::alive(status) {
        if let Some((shortage, since)) = &worker.short {
            let (name, since) = (&worker.about.name, times.relative(*since));
            let words = format!(
                "{name} starts no jobs since {since}: {}; {}",
                shortage.words(),
                worker::remedies(shortage)
                    .iter()
                    .map(|remedy| format!("`{remedy}`"))
                    .collect::<Vec<_>>()
                    .join(" or ")
            );
            fields.add("short", Cell::colored(words, Role::Waiting));
        }
    }
    for dead in of_life(status, Life::Dead) {
        let (name, seen) = (&dead.about.name, times.relative(dead.seen_at));
        fields.add(
            "dead",
            Cell::colored(format!("{name}, last seen {seen}"), Role::Bad),
        );
    }
    let oldest = status
        .queues
        .iter()
        .filter_map(|queue| Some((queue, queue.oldest_pending?)))
        .min_by_key(|(_, (_, since))| *since);
    if let Some((queue, (id, since))) = oldest {
        let waits = crate::output::time::span(status.now.since(since));
        fields.add(
            "oldest",
            format!(
                "job {id} in {} has been pending for {waits}",
                queue.queue.name
            ),
        );
    }
    fields
}

fn queues(queues: &[QueueStatus]) -> Table {
    let mut table = Table::new([
        Column::flexible("QUEUE"),
        Column::right("RUNNING"),
        Column::right("PENDING"),
        Column::right("SCHEDULED").spare(3),
        Column::right("BLOCKED").spare(4),
        Column::right("FAILED"),
        Column::right("COMPLETED").spare(2),
        Column::right("CANCELLED").spare(1),
        Column::left(""),
    ]);
    for queue in queues {
        let count = |state: State, role: Role| match queue.count(state) {
            0 => Cell::colored("0", Role::Faint),
            count => Cell::colored(count.to_string(), role),
        };
        let running = match queue.queue.concurrency {
            Some(most) => Cell::from(format!("{}/{most}", queue.count(State::InProgress))),
            None => count(State::InProgress, Role::Active),
        };
        let paused = match queue.queue.paused_at {
            Some(_) => Cell::colored("paused", Role::Waiting),
            None => Cell::from(""),
        };
        table.row([
            Cell::from(queue.queue.name.as_str()),
            running,
            count(State::Pending, Role::Waiting),
            count(State::Scheduled, Role::Waiting),
            count(State::Blocked, Role::Waiting),
            count(State::Failed, Role::Bad),
            count(State::Completed, Role::Good),
            count(State::Cancelled, Role::Faint),
            paused,
        ]);
    }
    table
}

fn limits(context: &Context, limits: &[Limit]) -> Table {
    let times = context.out.times();
    let mut table = Table::new([
        Column::flexible("LIMIT"),
        Column::left("RATE"),
        Column::right("TOKENS"),
        Column::right("WAITING"),
        Column::left("NEXT TOKEN").spare(1),
    ]);
    for limit in limits {
        table.row([
            Cell::from(limit.name.as_str()),
            Cell::from(limit.quota.rate().to_string()),
            Cell::from(format!("{}/{}", limit.available, limit.quota.burst())),
            Cell::from(limit.waiting),
            Cell::from(
                limit
                    .next_at
                    .map(|at| times.relative(at))
                    .unwrap_or_default(),
            ),
        ]);
    }
    table
}
