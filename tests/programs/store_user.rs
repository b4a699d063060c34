//! A process that uses the store through the library alone.
//!
//! `faults` starts many of them on one store and kills some. Each verb is what a front door or a
//! worker does, without processes of its own, so that thousands of jobs take seconds. What is
//! acknowledged is printed at once, a line each; an error goes to standard error, with code 1.

use clap::{Parser, Subcommand};
use queue_core::{
    Clock as _, JobId, Lease, NewJob, State, Store, SystemClock, WorkerId,
    attempt::{Outcome, Report, Started},
    job::{After, ParentEnd, StartAt},
    store::{
        Claim, Cycle, Prune,
        sqlite::{OpenOptions, SqliteStore},
    },
    worker::NewWorker,
};
use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

#[derive(Parser)]
struct Args {
    /// The store.
    db: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Opens the store, and makes it where there is none; prints `created` or `opened`.
    Open,
    /// Asks, as any other program would and without waiting, whether the store can be written;
    /// prints `free` or `locked`.
    Probe,
    /// Enqueues jobs one by one, and prints the number of each once it is acknowledged.
    Enqueue {
        /// How many.
        count: usize,
        /// What each is named, with its place: `a` for `a-0`, `a-1` …
        #[arg(long, default_value = "job")]
        name: String,
        /// A limit that each needs.
        #[arg(long)]
        limit: Option<String>,
        /// Each comes after the one before it.
        #[arg(long)]
        chained: bool,
        /// Not before this long from now, in milliseconds.
        #[arg(long)]
        delay: Option<u64>,
        /// Bytes of its command, to fill a disk with.
        #[arg(long, default_value_t = 0)]
        padding: usize,
    },
    /// Works jobs until none is left; prints `job epoch` of each outcome once it is acknowledged.
    Drain {
        /// How many at once.
        #[arg(long, default_value_t = 4)]
        slots: usize,
        /// How long a lease runs, in milliseconds.
        #[arg(long, default_value_t = 30_000)]
        lease: u64,
        /// Where each run leaves its mark: a line `job epoch`.
        #[arg(long)]
        effects: Option<PathBuf>,
        /// Ends only when so many jobs have completed.
        #[arg(long, default_value_t = 0)]
        until: u64,
        /// Ends after so many cycles.
        #[arg(long)]
        cycles: Option<u64>,
    },
    /// Removes everything that has ended, in batches, and prints each number.
    Prune {
        /// The most of one batch.
        #[arg(long, default_value_t = 1_000)]
        batch: usize,
    },
    /// Copies the store so often, each time under a new name.
    Backup {
        /// Where to: a number is added.
        to: PathBuf,
        /// How often.
        times: usize,
    },
    /// Examines the store and shortens its log so often.
    Examine {
        /// How often.
        times: usize,
    },
}

#[expect(clippy::print_stderr, reason = "this is a program of the tests")]
fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}\n{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    if matches!(args.verb, Verb::Probe) {
        return probe(&args.db);
    }
    let store = SqliteStore::open(&args.db, &OpenOptions::default())?;
    match &args.verb {
        Verb::Open => say(if store.was_created() {
            "created"
        } else {
            "opened"
        }),
        Verb::Probe => unreachable!("it does not open the store"),
        Verb::Enqueue { .. } => enqueue(&store, &args.verb),
        Verb::Drain {
            slots,
            lease,
            effects,
            until,
            cycles,
        } => {
            let effects = effects.as_ref().map(|path| {
                let mut options = fs::OpenOptions::new();
                options.append(true).create(true).mode(0o600).open(path)
            });
            Drainer {
                store: &store,
                clock: SystemClock::new(),
                slots: *slots,
                lease_for: Duration::from_millis(*lease),
                effects: effects.transpose()?,
                held: Vec::new(),
            }
            .drain(*until, cycles.unwrap_or(u64::MAX))
        }
        Verb::Prune { batch } => prune(&store, *batch),
        Verb::Backup { to, times } => (0..*times).try_for_each(|number| {
            store.backup(&to.with_extension(number.to_string()))?;
            say(number)
        }),
        Verb::Examine { times } => (0..*times).try_for_each(|number| {
            store.tidy()?;
            for finding in store.examine(&SystemClock::new().now())? {
                anyhow::ensure!(finding.ok, "{finding:?}");
            }
            say(number)
        }),
    }
}

/// Anybody's attempt at the locks: to write, and to be alone with the file.
fn probe(db: &Path) -> anyhow::Result<()> {
    let connection = rusqlite::Connection::open(db)?;
    connection.busy_timeout(Duration::ZERO)?;
    let outcome = connection.execute_batch("begin immediate; rollback");
    let is_locked = outcome
        .is_err_and(|error| error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy));
    say(if is_locked { "locked" } else { "free" })
}

/// Prints a line and sees it off: what was said must not be lost with the process.
fn say(what: impl std::fmt::Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{what}")?;
    Ok(out.flush()?)
}

fn enqueue(store: &dyn Store, verb: &Verb) -> anyhow::Result<()> {
    let Verb::Enqueue {
        count,
        name,
        limit,
        chained,
        delay,
        padding,
    } = verb
    else {
        unreachable!("called for this verb alone");
    };
    let clock = SystemClock::new();
    let mut before: Option<JobId> = None;
    for place in 0..*count {
        let mut job = NewJob::argv(["true".to_owned(), "x".repeat(*padding)]);
        job.name = Some(format!("{name}-{place}"));
        job.tags.insert("by".to_owned(), name.clone());
        job.limits = limit
            .iter()
            .filter_map(|limit| limit.parse().ok())
            .collect();
        if let Some(delay) = delay {
            job.start = StartAt::After(Duration::from_millis(*delay));
        }
        let parent = before.filter(|_| *chained);
        job.after = parent.into_iter().map(after).collect();
        let id = store.enqueue(job, &clock.now())?.id();
        before = Some(id);
        say(id)?;
    }
    Ok(())
}

fn after(parent: JobId) -> After {
    After {
        parent,
        end: ParentEnd::Success,
    }
}

fn prune(store: &dyn Store, batch: usize) -> anyhow::Result<()> {
    let clock = SystemClock::new();
    loop {
        let now = clock.now();
        let prune = Prune {
            states: State::ENDED.to_vec(),
            ended_before: now.wall.saturating_add(Duration::from_secs(1)),
            queue: None,
        };
        let removed = store.prune(&prune, batch, &now)?;
        if removed.is_empty() {
            return Ok(());
        }
        for pruned in removed {
            say(pruned.job)?;
        }
    }
}

/// A worker whose jobs are a line in a file.
struct Drainer<'a> {
    store: &'a dyn Store,
    clock: SystemClock,
    slots: usize,
    lease_for: Duration,
    effects: Option<fs::File>,
    held: Vec<Lease>,
}

impl Drainer<'_> {
    /// Every job takes three cycles: it is claimed, extended, ended.
    fn drain(mut self, until: u64, cycles: u64) -> anyhow::Result<()> {
        let worker = self.register()?;
        let mut to_end: Vec<Lease> = Vec::new();
        let mut stalled: Vec<(Lease, Outcome)> = Vec::new();
        for _ in 0..cycles {
            let seen = self.store.generation();
            let cycle = self.next(worker, &to_end, &stalled);
            let cycled = self.store.cycle(&cycle, &self.clock.now())?;
            anyhow::ensure!(cycled.lost.is_empty(), "leases were lost: {cycled:?}");
            for (fence, _) in cycled.finished {
                say(format_args!("{} {}", fence.job, fence.epoch))?;
            }
            to_end = std::mem::take(&mut self.held);
            stalled = (cycled.orphans.into_iter())
                .map(|orphan| {
                    (
                        orphan.lease,
                        Outcome::Stalled {
                            class: orphan.class,
                        },
                    )
                })
                .collect();
            for claimed in cycled.claimed {
                self.leave_mark(&claimed.lease)?;
                self.held.push(claimed.lease);
            }
            if self.held.is_empty() && to_end.is_empty() && stalled.is_empty() {
                if self.is_drained(until)? {
                    return Ok(self.store.worker_stopped(worker, &self.clock.now())?);
                }
                self.store.wait_for_change(seen, Duration::from_millis(50));
            }
        }
        Ok(())
    }

    fn register(&self) -> queue_core::Result<WorkerId> {
        let about = NewWorker {
            name: format!("drainer-{}", std::process::id()),
            host: "here".to_owned(),
            pid: std::process::id(),
            concurrency: 4,
            queues: Vec::new(),
            version: "0".to_owned(),
        };
        self.store.register_worker(&about, &self.clock.now())
    }

    /// What there is to tell: jobs claimed last time have started, those before that have ended.
    fn next(&self, worker: WorkerId, ended: &[Lease], stalled: &[(Lease, Outcome)]) -> Cycle {
        let at = self.clock.now().wall;
        let process = Started {
            pid: std::process::id(),
            pid_started: None,
            started_at: at,
            log: "none".to_owned(),
            unenforced: None,
        };
        let well = Outcome::Completed { result: None };
        let ended = ended.iter().map(|lease| (lease, &well));
        let stalled = stalled.iter().map(|(lease, outcome)| (lease, outcome));
        Cycle {
            lease_for: self.lease_for,
            started: (self.held.iter())
                .map(|lease| (lease.fence(), process.clone()))
                .collect(),
            checkpoints: (self.held.iter())
                .map(|lease| (lease.fence(), "default".to_owned(), b"half".to_vec()))
                .collect(),
            leases: self.held.iter().map(Lease::fence).collect(),
            ended: (ended.chain(stalled))
                .map(|(lease, outcome)| (lease.fence(), Report::new(outcome.clone(), at)))
                .collect(),
            promote: 100,
            adopt: 100,
            claim: Some(Claim {
                most: self.slots,
                ..Claim::default()
            }),
            ..Cycle::of(worker)
        }
    }

    fn leave_mark(&mut self, lease: &Lease) -> anyhow::Result<()> {
        let fence = lease.fence();
        if let Some(effects) = &mut self.effects {
            // One write, so that lines of several processes do not mix.
            effects.write_all(format!("{} {}\n", fence.job, fence.epoch).as_bytes())?;
        }
        Ok(())
    }

    fn is_drained(&self, until: u64) -> anyhow::Result<bool> {
        let outlook = self
            .store
            .outlook(&[], queue_core::job::PROCESS, &self.clock.now())?;
        if outlook.pending + outlook.in_progress + outlook.scheduled > 0 {
            return Ok(false);
        }
        let completed = |queue: &queue_core::queue::QueueStatus| queue.count(State::Completed);
        Ok(until == 0 || self.store.queues()?.iter().map(completed).sum::<u64>() >= until)
    }
}
