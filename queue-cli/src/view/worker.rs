//! A worker, as a line and as JSON.
//!
//! Owns the judgement of whether a worker is alive, as far as its last write tells. `workers`, `status` and `doctor` ask
//! here. Nothing about a job's rescue depends on it: that is decided by the job's lease.

use std::time::Duration;

use queue_core::{
    Timestamp,
    units::format_bytes,
    worker::{Resource, SILENT_AFTER, Shortage, Worker},
};
use serde::Serialize;

use super::json::Time;
use crate::output::{
    color::Role,
    table::{Cell, Column, Table},
    time::Times,
};

/// A worker that wrote within this is alive, even if no such process is seen here.
const BELIEVED_FOR: Duration = Duration::from_secs(3);

/// How a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// It wrote lately.
    Alive,
    /// It stopped in order.
    Stopped,
    /// It went silent without a word.
    Dead,
}

/// Tells how a worker stands at `now`; `is_gone` is whether its process is known to be there no more.
///
/// A worker that wrote a moment ago is believed, whatever is known of its process: it may run in another container.
#[must_use]
pub fn life(worker: &Worker, now: Timestamp, is_gone: bool) -> Life {
    let silent = now.since(worker.seen_at);
    if worker.stopped_at.is_some() {
        Life::Stopped
    } else if silent > SILENT_AFTER || (is_gone && silent > BELIEVED_FOR) {
        Life::Dead
    } else {
        Life::Alive
    }
}

/// Lays out workers as a table.
#[must_use]
pub fn table(workers: &[(Worker, Life)], times: Times) -> Table {
    let mut table = Table::new([
        Column::left("NAME"),
        Column::left("STATE"),
        Column::left("SLOTS"),
        Column::flexible("QUEUES"),
        Column::left("HOST").spare(1),
        Column::right("PID").spare(2),
        Column::left("SEEN"),
        Column::left("STARTED").spare(3),
    ]);
    for (worker, life) in workers {
        table.row([
            Cell::from(worker.about.name.as_str()),
            state(worker, *life),
            Cell::from(slots(worker)),
            Cell::from(queues(worker)),
            Cell::from(worker.about.host.as_str()),
            Cell::from(u64::from(worker.about.pid)),
            Cell::from(times.relative(worker.seen_at)),
            Cell::from(times.relative(worker.started_at)),
        ]);
    }
    table
}

/// How many of its slots are taken: `2/4`.
#[must_use]
pub fn slots(worker: &Worker) -> String {
    format!("{}/{}", worker.in_progress, worker.about.concurrency)
}

/// The commands that change what keeps a worker from starting jobs.
#[must_use]
pub fn remedies(shortage: &Shortage) -> Vec<String> {
    let less = format_bytes((shortage.free_bytes / 2) >> 20 << 20);
    match shortage.resource {
        Resource::Disk => vec![
            "qcli prune --older-than 7d".to_owned(),
            format!("qcli work --min-free-disk {less}"),
        ],
        Resource::Memory => vec![format!("qcli work --min-free-memory {less}")],
    }
}

fn state(worker: &Worker, life: Life) -> Cell {
    match life {
        Life::Alive if worker.short.is_some() => Cell::colored("short", Role::Waiting),
        Life::Alive if worker.in_progress > 0 => Cell::colored("working", Role::Active),
        Life::Alive => Cell::colored("idle", Role::Good),
        Life::Stopped => Cell::colored("stopped", Role::Faint),
        Life::Dead => Cell::colored("dead", Role::Bad),
    }
}

fn queues(worker: &Worker) -> String {
    if worker.about.queues.is_empty() {
        "all".to_owned()
    } else {
        worker.about.queues.join(", ")
    }
}

/// A worker as JSON.
#[derive(Debug, Serialize)]
pub struct WorkerJson<'a> {
    id: i64,
    name: &'a str,
    state: Life,
    alive: bool,
    host: &'a str,
    pid: u32,
    version: &'a str,
    concurrency: u32,
    in_progress: u32,
    /// The queues it serves; empty means all.
    queues: &'a [String],
    started_at: Time,
    seen_at: Time,
    stopped_at: Option<Time>,
    /// What it has too little of to start jobs, and since when.
    shortage: Option<&'a Shortage>,
    short_since: Option<Time>,
}

impl<'a> WorkerJson<'a> {
    /// Shows a worker that stands so.
    #[must_use]
    pub fn new(worker: &'a Worker, state: Life) -> Self {
        Self {
            id: worker.id.0,
            name: &worker.about.name,
            state,
            alive: state == Life::Alive,
            host: &worker.about.host,
            pid: worker.about.pid,
            version: &worker.about.version,
            concurrency: worker.about.concurrency,
            in_progress: worker.in_progress,
            queues: &worker.about.queues,
            started_at: Time(worker.started_at),
            seen_at: Time(worker.seen_at),
            stopped_at: worker.stopped_at.map(Time),
            shortage: worker.short.as_ref().map(|(shortage, _)| shortage),
            short_since: worker.short.as_ref().map(|(_, since)| Time(*since)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, NOON, noon_plus};
    use super::*;
    use crate::output::color::Paint;
    use queue_core::worker::{NewWorker, WorkerId};

    fn worker() -> Worker {
        Worker {
            id: WorkerId(7),
            about: NewWorker {
                name: "desk-1".into(),
                host: "desk".into(),
                pid: 4_711,
                concurrency: 4,
                queues: Vec::new(),
                version: "0.1.0".into(),
            },
            started_at: NOON,
            seen_at: NOON,
            stopped_at: None,
            short: None,
            in_progress: 2,
        }
    }

    #[test]
    fn a_worker_that_went_silent_is_dead_and_one_that_said_so_has_stopped() {
        assert_eq!(life(&worker(), noon_plus(60), false), Life::Alive);
        assert_eq!(life(&worker(), noon_plus(61), false), Life::Dead);
        let stopped = Worker {
            stopped_at: Some(NOON),
            ..worker()
        };
        assert_eq!(life(&stopped, noon_plus(1), true), Life::Stopped);
    }

    #[test]
    fn a_worker_whose_process_is_gone_is_dead_once_it_is_silent() {
        assert_eq!(life(&worker(), noon_plus(3), true), Life::Alive);
        assert_eq!(life(&worker(), noon_plus(4), true), Life::Dead);
    }

    #[test]
    fn a_worker_that_is_short_says_so_whatever_it_still_runs() {
        let short = Worker {
            short: Some((samples::shortage(), NOON)),
            ..worker()
        };
        let now = noon_plus(30);
        let text = table(&[(short, Life::Alive)], Times::new(now, true)).render(
            None,
            Paint::plain(),
            false,
        );
        assert!(text.starts_with("desk-1  short  2/4"), "{text}");
        assert_eq!(
            remedies(&samples::shortage())[1],
            "qcli work --min-free-disk 150MiB"
        );
    }

    #[test]
    fn a_line_says_what_it_serves_and_how_busy_it_is() {
        let now = noon_plus(30);
        let text = table(&[(worker(), Life::Alive)], Times::new(now, true)).render(
            None,
            Paint::plain(),
            false,
        );
        assert_eq!(
            text,
            "desk-1  working  2/4  all  desk  4711  30 s ago  30 s ago\n"
        );
    }
}
