//! What the store keeps to in the corners: odd files, odd orders, odd clocks.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should end")]

use queue_core::{
    Enqueued, Error, JobId, NewJob, Now, SqliteStore, State, Store, WorkerId,
    attempt::{Outcome, Report},
    job::{After, ParentEnd},
    store::{Filter, Requeue, sqlite::OpenOptions},
    worker::NewWorker,
};
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(30);

struct Q {
    store: SqliteStore,
    worker: WorkerId,
    now: Now,
    _dir: tempfile::TempDir,
}

impl Q {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store =
            SqliteStore::open(&dir.path().join("queue.db"), &OpenOptions::default()).unwrap();
        let now = Now::at(1_000_000);
        let about = NewWorker {
            name: "w".to_owned(),
            host: "h".to_owned(),
            pid: 1,
            concurrency: 1,
            queues: Vec::new(),
            version: "0".to_owned(),
        };
        let worker = store.register_worker(&about, &now).unwrap();
        Self {
            store,
            worker,
            now,
            _dir: dir,
        }
    }

    fn add(&self, after: &[JobId]) -> JobId {
        let mut job = NewJob::argv(["true"]);
        job.after = after
            .iter()
            .map(|parent| After {
                parent: *parent,
                end: ParentEnd::Success,
            })
            .collect();
        self.store.enqueue(job, &self.now).unwrap().id()
    }

    fn leases(&self, most: usize) -> Vec<queue_core::Lease> {
        let claimed = self
            .store
            .claim(self.worker, most, LEASE, &self.now)
            .unwrap();
        claimed.into_iter().map(|claimed| claimed.lease).collect()
    }

    fn complete_all(&self) {
        loop {
            let leases = self.leases(100);
            if leases.is_empty() {
                return;
            }
            for lease in leases {
                let report = Report::new(Outcome::Completed { result: None }, self.now.wall);
                self.store.finish(lease, report, &self.now).unwrap();
            }
        }
    }

    fn state(&self, job: JobId) -> State {
        self.store.job(job).unwrap().state
    }
}

#[path = "store/dependencies.rs"]
mod dependencies;
#[path = "store/import.rs"]
mod import;
#[path = "store/next.rs"]
mod next;
#[path = "store/outcome.rs"]
mod outcome;
#[path = "store/refuse.rs"]
mod refuse;
#[path = "store/reposition.rs"]
mod reposition;
#[path = "store/requeue.rs"]
mod requeue;
