//! A store that does something else first: fails, or lets somebody get in between.

use queue_core::agent::Rung;
use queue_core::attempt::Progress;
use queue_core::bucket::Quota;
use queue_core::budget::{Budget, BudgetStatus};
use queue_core::checkpoint::Checkpoint;
use queue_core::clock::{Now, Timestamp};
use queue_core::cost::{CostQuery, Costs};
use queue_core::error::Result;
use queue_core::gate::{CloseGate, GateName, GateStatus, Met};
use queue_core::job::{Enqueued, Job, JobBody, JobId, NewJob};
use queue_core::ledger::Spent;
use queue_core::limit::Limit;
use queue_core::question::{Asked, NewQuestion};
use queue_core::queue::{KeyStatus, Queue, QueueChange, QueueStatus};
use queue_core::state::State;
use queue_core::store::sqlite::SqliteStore;
use queue_core::store::{
    Answered, Archived, Asking, Cancelled, Cycle, Cycled, Detail, Edit, Filter, Finding, Import,
    Outlook, PerJob, Place, Prune, Pruned, Requeue, Requeued, SessionHold, Stats, Store, Summary,
};
use queue_core::why::Cause;
use queue_core::worker::{NewWorker, Shortage, Worker, WorkerId};
use queue_core::{Epoch, Error, Fence};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

type BeforeCycle = Box<dyn Fn(&Cycle) -> Result<()> + Send + Sync>;
type BeforeBodies = Box<dyn Fn() -> Result<()> + Send + Sync>;

/// See the module.
pub(crate) struct Meddling {
    inner: Arc<SqliteStore>,
    before_cycle: BeforeCycle,
    before_bodies: BeforeBodies,
    before_register: BeforeBodies,
}

impl Meddling {
    pub(crate) fn with(inner: Arc<SqliteStore>) -> Self {
        Self {
            inner,
            before_cycle: Box::new(|_| Ok(())),
            before_bodies: Box::new(|| Ok(())),
            before_register: Box::new(|| Ok(())),
        }
    }

    pub(crate) fn before_cycle(
        mut self,
        step: impl Fn(&Cycle) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.before_cycle = Box::new(step);
        self
    }

    pub(crate) fn before_register(
        mut self,
        step: impl Fn() -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.before_register = Box::new(step);
        self
    }

    pub(crate) fn before_bodies(
        mut self,
        step: impl Fn() -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.before_bodies = Box::new(step);
        self
    }
}

macro_rules! hand_on {
    ($(fn $name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($arg: $kind),*) -> $answer {
            self.inner.$name($($arg),*)
        })*
    };
}

impl Store for Meddling {
    fn cycle(&self, cycle: &Cycle, now: &Now) -> Result<Cycled> {
        (self.before_cycle)(cycle)?;
        self.inner.cycle(cycle, now)
    }

    fn cycle_at_once(&self, cycle: &Cycle, now: &Now) -> Result<Option<Cycled>> {
        (self.before_cycle)(cycle)?;
        self.inner.cycle_at_once(cycle, now)
    }

    fn register_worker(&self, about: &NewWorker, now: &Now) -> Result<WorkerId> {
        (self.before_register)()?;
        self.inner.register_worker(about, now)
    }

    fn bodies(&self, jobs: &[JobId]) -> Result<Vec<JobBody>> {
        (self.before_bodies)()?;
        self.inner.bodies(jobs)
    }

    hand_on! {
        fn enqueue_each(jobs: Vec<NewJob>, now: &Now) -> Result<PerJob<Enqueued>>;
        fn enqueue_all(jobs: Vec<NewJob>, now: &Now) -> Result<Vec<Enqueued>, (Option<usize>, Error)>;
        fn worker_stopped(worker: WorkerId, now: &Now) -> Result<()>;
        fn begin_session(fence: Fence, rung: Rung, session: Option<&str>, now: &Now) -> Result<SessionHold>;
        fn worker_short(worker: WorkerId, shortage: Option<&Shortage>, now: &Now) -> Result<()>;
        fn outlook(queues: &[String], kind: &str, now: &Now) -> Result<Outlook>;
        fn checkpoint(job: JobId, epoch: Epoch, name: &str, value: &[u8], now: &Now) -> Result<()>;
        fn progress(job: JobId, epoch: Epoch, progress: &Progress, now: &Now) -> Result<()>;
        fn ask(job: JobId, epoch: Epoch, asked: &NewQuestion, now: &Now) -> Result<Asked>;
        fn take_answer(job: JobId, epoch: Epoch, number: u32, now: &Now) -> Result<Option<String>>;
        fn answer(job: JobId, text: &str, now: &Now) -> Result<Answered>;
        fn cancel(jobs: &[JobId], now: &Now) -> Result<PerJob<Cancelled>>;
        fn requeue(jobs: &[JobId], requeue: &Requeue, now: &Now) -> Result<PerJob<Requeued>>;
        fn hold(jobs: &[JobId], now: &Now) -> Result<PerJob<State>>;
        fn release(jobs: &[JobId], now: &Now) -> Result<PerJob<State>>;
        fn edit(jobs: &[JobId], edit: &Edit, now: &Now) -> Result<PerJob<State>>;
        fn reposition(job: JobId, place: Place, now: &Now) -> Result<()>;
        fn set_queue(name: &str, change: &QueueChange, now: &Now) -> Result<Queue>;
        fn queues() -> Result<Vec<QueueStatus>>;
        fn set_limit(name: &str, quota: &Quota, now: &Now) -> Result<Limit>;
        fn remove_limit(name: &str, now: &Now) -> Result<()>;
        fn limits(now: &Now) -> Result<Vec<Limit>>;
        fn open_gate(name: &GateName, now: &Now) -> Result<GateStatus>;
        fn close_gate(name: &GateName, close: &CloseGate, now: &Now) -> Result<GateStatus>;
        fn report_limit(name: &GateName, met: &Met, now: &Now) -> Result<GateStatus>;
        fn set_gate(name: &GateName, stagger: Duration, now: &Now) -> Result<GateStatus>;
        fn gates() -> Result<Vec<GateStatus>>;
        fn set_key(key: &str, places: NonZeroU32, now: &Now) -> Result<()>;
        fn keys() -> Result<Vec<KeyStatus>>;
        fn costs(query: &CostQuery) -> Result<Costs>;
        fn set_budget(budget: &Budget, now: &Now) -> Result<BudgetStatus>;
        fn remove_budget(name: &str, now: &Now) -> Result<()>;
        fn budgets(now: &Now) -> Result<Vec<BudgetStatus>>;
        fn spent(job: JobId, except: Option<Epoch>) -> Result<Spent>;
        fn job(id: JobId) -> Result<Job>;
        fn detail(id: JobId, now: &Now) -> Result<Detail>;
        fn list(filter: &Filter, now: &Now) -> Result<Vec<Summary>>;
        fn ids(filter: &Filter) -> Result<Vec<JobId>>;
        fn checkpoint_value(job: JobId, name: &str) -> Result<Option<Checkpoint>>;
        fn asking() -> Result<Vec<Asking>>;
        fn why(job: JobId, now: &Now) -> Result<Vec<Cause>>;
        fn stats(queue: Option<&str>, since: Timestamp) -> Result<Stats>;
        fn workers() -> Result<Vec<Worker>>;
        fn prune(prune: &Prune, most: usize, now: &Now) -> Result<Vec<Pruned>>;
        fn backup(to: &Path) -> Result<()>;
        fn import(jobs: Vec<Archived>, now: &Now) -> Result<Import>;
        fn export(after: JobId, most: usize) -> Result<Vec<Archived>>;
        fn examine(now: &Now) -> Result<Vec<Finding>>;
        fn tidy() -> Result<()>;
        fn generation() -> u32;
        fn wait_for_change(generation: u32, at_most: Duration) -> bool;
    }
}
