//! A queue with a stopped clock, for tests that speak in the verbs of the product.
//!
//! `conformance` and `properties` make one per test. It is a fresh store in a directory of its own
//! (a file, never in memory); time passes only by [`TestQueue::advance`]; and a test that fails
//! prints every job with its history.

mod looks;
mod people;
mod worker;

pub use worker::failed;

use crate::engine::Engine;
use queue_core::{
    Clock as _, Enqueued, Error, JobId, NewJob, Now, StoppedClock, Store, WorkerId, bucket::Quota,
    queue::QueueChange, store::sqlite::Durability, worker::NewWorker,
};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// A second.
pub const SECOND: Duration = Duration::from_secs(1);
/// A minute.
pub const MINUTE: Duration = Duration::from_secs(60);
/// An hour.
pub const HOUR: Duration = Duration::from_secs(3_600);
/// How long the leases run that a [`TestQueue`] takes.
pub const LEASE: Duration = Duration::from_secs(30);
/// More than any test has of anything: "all of them" where a verb asks for a number.
pub const MANY: usize = 10_000;

/// A job that runs `command`, split at its spaces, with the defaults for the rest.
pub fn job(command: &str) -> NewJob {
    NewJob::argv(command.split_whitespace())
}

/// What can be enqueued: a command in words, or a job with all its settings.
pub trait IntoJob {
    /// The job.
    fn into_job(self) -> NewJob;
}

impl IntoJob for NewJob {
    fn into_job(self) -> NewJob {
        self
    }
}

impl IntoJob for &str {
    fn into_job(self) -> NewJob {
        job(self)
    }
}

/// A fresh queue with a stopped clock. See the module.
pub struct TestQueue {
    dir: Arc<TempDir>,
    engine: Engine,
    durability: Durability,
    store: Arc<dyn Store>,
    clock: StoppedClock,
    workers: Mutex<BTreeMap<String, WorkerId>>,
}

impl Default for TestQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl TestQueue {
    /// An empty queue on the engine under test. It may lose the last commits with the machine's
    /// power, which no test takes away.
    pub fn new() -> Self {
        Self::with_durability(Durability::Normal)
    }

    /// An empty queue that acknowledges nothing before it is on the disk, as the product does.
    pub fn durable() -> Self {
        Self::with_durability(Durability::Full)
    }

    fn with_durability(durability: Durability) -> Self {
        let engine = Engine::under_test();
        let dir = tempfile::Builder::new()
            .prefix("queue-test-")
            .tempdir()
            .expect("the system's directory for temporary files can be written");
        Self {
            store: engine.open(dir.path(), durability),
            dir: Arc::new(dir),
            engine,
            durability,
            clock: StoppedClock::new(),
            workers: Mutex::default(),
        }
    }

    /// The same queue opened once more, as another process sees it; it shares the clock.
    #[must_use]
    pub fn another(&self) -> Self {
        Self {
            dir: Arc::clone(&self.dir),
            engine: self.engine,
            durability: self.durability,
            store: self.engine.open(self.dir.path(), self.durability),
            clock: self.clock.clone(),
            workers: Mutex::default(),
        }
    }

    /// The same queue after its process ended and another one opened it.
    #[must_use]
    pub fn reopened(self) -> Self {
        let (dir, engine, durability) = (Arc::clone(&self.dir), self.engine, self.durability);
        let clock = self.clock.clone();
        drop(self);
        Self {
            store: engine.open(dir.path(), durability),
            dir,
            engine,
            durability,
            clock,
            workers: Mutex::default(),
        }
    }

    /// The store itself, for what has no verb here.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The directory that is this queue's own.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The file that keeps the jobs, where the engine is SQLite.
    pub fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("queue.db")
    }

    // ── Time ────────────────────────────────────────────────────────────────────────────────

    /// The clock, for what [`TestQueue::advance`] cannot say: steps, suspends, reboots.
    pub fn clock(&self) -> &StoppedClock {
        &self.clock
    }

    /// The present.
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// Lets time pass.
    pub fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    // ── Asking for work ─────────────────────────────────────────────────────────────────────

    /// Adds a job and gives its number.
    ///
    /// # Panics
    /// Where it is refused.
    #[track_caller]
    pub fn enqueue(&self, job: impl IntoJob) -> JobId {
        match self.try_enqueue(job) {
            Ok(enqueued) => enqueued.id(),
            Err(error) => panic!("could not enqueue: {error}"),
        }
    }

    /// Adds `count` jobs of one kind and gives their numbers.
    ///
    /// # Panics
    /// Where one is refused.
    #[track_caller]
    pub fn enqueue_many(&self, count: usize, job: &NewJob) -> Vec<JobId> {
        let jobs = vec![job.clone(); count];
        match self.store.enqueue_all(jobs, &self.now()) {
            Ok(added) => added.into_iter().map(Enqueued::id).collect(),
            Err((Some(place), error)) => {
                panic!("could not enqueue job {place} of {count}: {error}")
            }
            Err((None, error)) => panic!("could not enqueue {count} jobs: {error}"),
        }
    }

    /// Adds a job, or says why not.
    pub fn try_enqueue(&self, job: impl IntoJob) -> Result<Enqueued, Error> {
        self.store.enqueue(job.into_job(), &self.now())
    }

    // ── Queues, keys and limits ─────────────────────────────────────────────────────────────

    /// Changes a queue.
    #[track_caller]
    pub fn set_queue(&self, name: &str, change: &QueueChange) {
        if let Err(error) = self.store.set_queue(name, change, &self.now()) {
            panic!("could not change queue {name}: {error}");
        }
    }

    /// Pauses a queue, or lets it go on.
    #[track_caller]
    pub fn pause(&self, name: &str, paused: bool) {
        let change = QueueChange {
            paused: Some(paused),
            ..QueueChange::default()
        };
        self.set_queue(name, &change);
    }

    /// Sets a limit: `rate` as `60/min`, and what the bucket holds.
    #[track_caller]
    pub fn set_limit(&self, name: &str, rate: &str, burst: u32) {
        let quota = quota(rate, burst);
        if let Err(error) = self.store.set_limit(name, &quota, &self.now()) {
            panic!("could not set limit {name}: {error}");
        }
    }

    // ── Damage ──────────────────────────────────────────────────────────────────────────────

    /// Makes what is stored of a job's command unreadable, as a bug of another release might.
    pub fn spoil_command(&self, job: JobId) {
        match self.engine {
            Engine::Sqlite => {
                let changed = rusqlite::Connection::open(self.file())
                    .and_then(|connection| {
                        let spoil = "update job_body set command = '{\"no\": such' where job = ?";
                        connection.execute(spoil, [job.0])
                    })
                    .expect("the file of the store can be opened beside it");
                assert_eq!(changed, 1, "job {job} has a body");
            }
        }
    }

    /// Makes the retry policy in a job's row unreadable, as somebody who edits the file might.
    pub fn spoil_row(&self, job: JobId) {
        self.spoil(job, "update job set backoff = 'no such' where id = ?");
    }

    /// Makes the process in the rows of a job's attempts unreadable.
    pub fn spoil_attempt(&self, job: JobId) {
        self.spoil(
            job,
            "update attempt set pid = -7, pid_started = -7 where job = ?",
        );
    }

    /// Makes a job's count of attempts one that cannot be.
    pub fn spoil_number(&self, job: JobId) {
        self.spoil(job, "update job set attempt = 5000000000 where id = ?");
    }

    /// Removes a worker's row, as somebody who tidies the file by hand might.
    pub fn remove_worker(&self, name: &str) {
        let worker = self.worker(name);
        self.spoil(JobId(worker.0), "delete from worker where id = ?");
    }

    fn spoil(&self, job: JobId, statement: &str) {
        match self.engine {
            Engine::Sqlite => {
                let changed = rusqlite::Connection::open(self.file())
                    .and_then(|connection| connection.execute(statement, [job.0]))
                    .expect("the file of the store can be opened beside it");
                assert_eq!(changed, 1, "job {job} is there");
            }
        }
    }

    // ── Others ──────────────────────────────────────────────────────────────────────────────

    /// Does something while a program that knows nothing of queues writes to the store.
    ///
    /// # Panics
    /// Where it cannot begin to.
    pub fn while_another_writes<T>(&self, act: impl FnOnce() -> T) -> T {
        match self.engine {
            Engine::Sqlite => {
                let other = rusqlite::Connection::open(self.file())
                    .and_then(|other| other.execute_batch("begin immediate").map(|()| other))
                    .expect("nobody else holds the lock");
                let answer = act();
                drop(other);
                answer
            }
        }
    }

    // ── Workers ─────────────────────────────────────────────────────────────────────────────

    /// The worker of this name, registered on its first mention.
    pub fn worker(&self, name: &str) -> WorkerId {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        *workers.entry(name.to_owned()).or_insert_with(|| {
            self.store
                .register_worker(&new_worker(name), &self.now())
                .expect("a worker can be registered")
        })
    }
}

/// A bucket's rule: `rate` as `60/min`.
pub fn quota(rate: &str, burst: u32) -> Quota {
    let rate = rate.parse().expect("a test writes a rate that can be read");
    let burst = burst.try_into().expect("a bucket holds at least one token");
    Quota::new(rate, burst).expect("a test writes a bucket that fills")
}

/// What a worker of this name says of itself.
pub fn new_worker(name: &str) -> NewWorker {
    NewWorker {
        name: name.to_owned(),
        host: "test".to_owned(),
        pid: 1,
        concurrency: 4,
        queues: Vec::new(),
        version: "0".to_owned(),
    }
}

impl Drop for TestQueue {
    #[expect(
        clippy::print_stderr,
        reason = "what happened is what one asks for when a test fails"
    )]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("── jobs and their history:\n{}", self.history());
        }
    }
}
