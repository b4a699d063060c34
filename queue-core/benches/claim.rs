//! What a claim costs when a lot stands in the store that cannot run: 100,000 delayed jobs,
//! 100,000 finished ones, and 100,000 pending ones each behind an empty bucket, a full key, a closed
//! gate and in a paused queue. The promise is at most twice the cost of a claim in a store with none of them.
//!
//! `cargo bench -p queue-core --bench claim [-- JOBS]`; the machine may be busy, so both stores
//! are measured in turn and only their ratio counts. Exits with 1 when the promise is broken.

#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should end"
)]

use queue_core::{
    Clock, Enqueued, NewJob, Now, SqliteStore, State, Store, SystemClock, WorkerId,
    attempt::{Outcome, Report},
    bucket::Quota,
    gate::{CloseGate, GateName},
    job::{LimitUse, StartAt},
    queue::QueueChange,
    store::{
        Claim, Cycle,
        sqlite::{Durability, OpenOptions},
    },
    worker::NewWorker,
};
use std::{
    num::NonZeroU32,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

const LEASE: Duration = Duration::from_secs(3_600);
const ROUNDS: usize = 600;
const BATCH: usize = 5_000;

fn main() -> ExitCode {
    let jobs = std::env::args()
        .skip(1)
        .find_map(|word| word.parse().ok())
        .unwrap_or(100_000);
    let directory = tempfile::tempdir().unwrap();
    let now = SystemClock::new().now();
    let empty = Bench::new(&directory.path().join("empty.db"), &now);
    let full = Bench::new(&directory.path().join("full.db"), &now);
    println!("filling a store with {jobs} jobs of each sort …");
    full.fill(jobs, &now);
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        few.push(empty.claim_and_finish(&now));
        many.push(full.claim_and_finish(&now));
    }
    let (few, many) = (median(few), median(many));
    let ratio = many.as_secs_f64() / few.as_secs_f64();
    println!("claim and finish, median of {ROUNDS}: {few:?} with nothing else in the store");
    println!(
        "                                  {many:?} behind {} jobs that cannot run",
        6 * jobs
    );
    println!("ratio {ratio:.2} (at most 2.00 is promised)");
    if ratio <= 2.0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

struct Bench {
    store: SqliteStore,
    worker: WorkerId,
}

impl Bench {
    /// A store with enough jobs that can run for all rounds.
    fn new(path: &Path, now: &Now) -> Self {
        let options = OpenOptions {
            durability: Durability::Normal,
            ..OpenOptions::default()
        };
        let store = SqliteStore::open(path, &options).unwrap();
        let about = NewWorker {
            name: "bench".to_owned(),
            host: "here".to_owned(),
            pid: 1,
            concurrency: 1,
            queues: Vec::new(),
            version: "0".to_owned(),
        };
        let worker = store.register_worker(&about, now).unwrap();
        let bench = Self { store, worker };
        bench.add(ROUNDS + 100, now, |_| {});
        bench
    }

    fn add(&self, jobs: usize, now: &Now, change: impl Fn(&mut NewJob)) {
        for start in (0..jobs).step_by(BATCH) {
            let batch = (start..jobs.min(start + BATCH)).map(|_| {
                let mut job = NewJob::argv(["true"]);
                change(&mut job);
                job
            });
            let added = self.store.enqueue_all(batch.collect(), now).unwrap();
            assert!(added.iter().all(|one| matches!(one, Enqueued::Added(_))));
        }
    }

    /// Everything that cannot run has the higher priority, so a scan would meet it first.
    fn fill(&self, jobs: usize, now: &Now) {
        let one = NonZeroU32::MIN;
        self.store
            .set_limit(
                "api",
                &Quota::new("1/d".parse().unwrap(), one).unwrap(),
                now,
            )
            .unwrap();
        let api = |job: &mut NewJob| {
            job.priority = 10;
            job.limits = vec![LimitUse {
                name: "api".to_owned(),
                cost: one,
            }];
        };
        let key = |job: &mut NewJob| {
            job.priority = 10;
            job.concurrency_key = Some("repo".to_owned());
        };
        self.add(jobs, now, |job| {
            job.priority = 10;
            job.queue = "finished".to_owned();
        });
        self.finish_all("finished", now);
        self.add(jobs, now, |job| {
            job.priority = 10;
            job.start = StartAt::After(LEASE);
        });
        self.add(jobs, now, api);
        self.add(jobs, now, key);
        let gate: GateName = "claude".parse().unwrap();
        self.add(jobs, now, |job| {
            job.priority = 10;
            job.gates = vec![gate.clone()];
        });
        let close = CloseGate {
            until: None,
            why: None,
            by: "a person".to_owned(),
        };
        self.store.close_gate(&gate, &close, now).unwrap();
        self.add(jobs, now, |job| job.queue = "paused".to_owned());
        let paused = QueueChange {
            paused: Some(true),
            ..QueueChange::default()
        };
        self.store.set_queue("paused", &paused, now).unwrap();
        // The only token and the only place of the key are taken by these two.
        let taken = self.store.claim(self.worker, 2, LEASE, now).unwrap();
        let waiting = |name: &str| {
            let queues = self.store.queues().unwrap();
            queues
                .iter()
                .find(|queue| queue.queue.name == name)
                .unwrap()
                .count(State::Pending)
        };
        assert_eq!(taken.len(), 2);
        assert!(waiting("default") as usize >= 3 * jobs - 2);
        assert_eq!(waiting("paused") as usize, jobs);
    }

    fn finish_all(&self, queue: &str, now: &Now) {
        let claim = Claim {
            most: BATCH,
            queues: vec![queue.to_owned()],
            ..Claim::default()
        };
        let mut ended = Vec::new();
        loop {
            let cycle = Cycle {
                ended,
                lease_for: LEASE,
                claim: Some(claim.clone()),
                ..Cycle::of(self.worker)
            };
            let claimed = self.store.cycle(&cycle, now).unwrap().claimed;
            if claimed.is_empty() {
                return;
            }
            ended = claimed
                .iter()
                .map(|one| (one.lease.fence(), completed(now)))
                .collect();
        }
    }

    fn claim_and_finish(&self, now: &Now) -> Duration {
        let started = Instant::now();
        let claimed = self
            .store
            .claim(self.worker, 1, LEASE, now)
            .unwrap()
            .pop()
            .unwrap();
        self.store
            .finish(claimed.lease, completed(now), now)
            .unwrap();
        started.elapsed()
    }
}

fn completed(now: &Now) -> Report {
    Report::new(Outcome::Completed { result: None }, now.wall)
}
