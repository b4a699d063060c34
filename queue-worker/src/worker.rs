//! A worker from its start to its end.
//!
//! `queue-worker`, `qcli work` and `qcli run` call [`run`], and so may any program that embeds the
//! queue. What always holds: when it returns, whatever it started has ended and the store was told
//! so, except attempts that it left to the next worker and what the system does not let it kill.

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use queue_core::attempt::Finished;
use queue_core::worker::NewWorker;
use queue_core::{Clock, JobId, Store, SystemClock, WorkerId, failpoint};

use crate::cgroup::Groups;
use crate::dispatcher::Dispatcher;
use crate::layout::Layout;
use crate::life::{self, Life};
use crate::post::{Found, Post};
use crate::registration::register;
use crate::reserve::Reserve;
use crate::signals::{Listener, Stop};

/// Threads of the pool beside those of the attempts: a cycle, a look at checkpoints, upkeep, and
/// recoveries.
const SPARE_THREADS: usize = 32;

/// When a worker ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Until {
    /// Only when it is asked to stop.
    #[default]
    Stopped,
    /// When nothing in its queues can start by itself and nothing runs, under whichever worker.
    Drained {
        /// Jobs whose time lies ahead are waited for too.
        scheduled_too: bool,
    },
    /// When this job has ended. Jobs of the same queues that go first are worked as well.
    Ended(JobId),
}

/// How a worker works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerOptions {
    /// The name people see.
    pub name: String,
    /// The queues it serves; all, where empty.
    pub queues: Vec<String>,
    /// How many attempts it runs at once.
    pub concurrency: NonZeroUsize,
    /// How long a lease runs; extended every third of it, or every ten seconds.
    pub lease_for: Duration,
    /// Whether attempts run directly under it, and end with it.
    pub is_direct: bool,
    /// When it ends by itself.
    pub until: Until,
    /// The directory of the user's `agents.toml`; only what is built in is known without one.
    pub config: Option<PathBuf>,
    /// What is kept free: with less it starts nothing.
    pub reserve: Reserve,
    /// Whether INT, TERM and HUP stop it. Off where the embedding program listens itself.
    pub takes_signals: bool,
}

impl WorkerOptions {
    /// How long a lease runs when nothing is said.
    pub const LEASE: Duration = Duration::from_secs(30);
    /// The shortest lease: less, and a busy disk costs leases.
    pub const SHORTEST_LEASE: Duration = Duration::from_millis(500);
}

impl Default for WorkerOptions {
    /// All queues, one slot per core, leases of 30 seconds, until it is stopped, named for the
    /// machine and the process.
    fn default() -> Self {
        Self {
            name: format!("{}-{}", host(), std::process::id()),
            queues: Vec::new(),
            concurrency: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            lease_for: Self::LEASE,
            is_direct: false,
            until: Until::Stopped,
            config: None,
            reserve: Reserve::default(),
            takes_signals: true,
        }
    }
}

/// What a worker did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Jobs that completed.
    pub completed: u64,
    /// Jobs that failed for good.
    pub failed: u64,
    /// Attempts after which the job is tried again later.
    pub retried: u64,
    /// Attempts after which the job waits for an answer.
    pub asking: u64,
    /// Jobs that were cancelled.
    pub cancelled: u64,
    /// Jobs that can be claimed again at once: handed back, or rescued from a dead worker.
    pub returned: u64,
    /// Attempts whose lease was lost.
    pub lost: u64,
    /// Attempts that go on for the next worker.
    pub left: u64,
}

impl Summary {
    pub(crate) fn count(&mut self, finished: Finished) {
        *match finished {
            Finished::Completed => &mut self.completed,
            Finished::Failed => &mut self.failed,
            Finished::Cancelled => &mut self.cancelled,
            Finished::Retry(_) | Finished::Limited => &mut self.retried,
            Finished::Asks => &mut self.asking,
            Finished::Pending | Finished::Answered => &mut self.returned,
        } += 1;
    }
}

/// Why a worker could not go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The store takes no more writes from this process.
    #[error("the worker stopped: the store cannot be used any more")]
    Store(#[source] queue_core::Error),
    /// It was told to end at once while the store could not be used.
    #[error(
        "the worker was told to end before the store took {outcomes} outcomes; the next worker takes those jobs up: {problem}"
    )]
    Untold {
        /// How many.
        outcomes: usize,
        /// What is wrong with the store.
        problem: String,
    },
    /// The directories beside the store cannot be made.
    #[error("the directories for logs and running jobs cannot be made beside the store")]
    Layout(#[source] io::Error),
    /// The system gives us no thread, or does not let us listen to signals.
    #[error("the worker cannot be set up")]
    Thread(#[source] io::Error),
    /// A part of the worker broke.
    #[error("the worker broke and stopped what it ran: {0}")]
    Broken(String),
}

/// Works on the store whose file is `db` until `stop` or `options` say that it is enough.
///
/// Blocks the calling thread, which must not be one of an asynchronous runtime.
///
/// # Errors
/// [`WorkerError`]; an end that was asked for is none.
pub fn run(
    store: &Arc<dyn Store>,
    db: &Path,
    options: WorkerOptions,
    stop: Stop,
) -> Result<Summary, WorkerError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    run_by(&clock, store, db, options, stop)
}

/// Works as [`run`] does, by a clock of the caller's.
///
/// The clock says what is due, when a lease runs out, and the times that the store keeps. The
/// timeouts of jobs, the times in their logs and the worker's own waits go by the machine. All
/// workers of a store must have the same idea of the time.
///
/// # Errors
/// [`WorkerError`]; an end that was asked for is none.
pub fn run_by(
    clock: &Arc<dyn Clock>,
    store: &Arc<dyn Store>,
    db: &Path,
    options: WorkerOptions,
    stop: Stop,
) -> Result<Summary, WorkerError> {
    let layout = Arc::new(Layout::beside(db).map_err(WorkerError::Layout)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(options.concurrency.get().saturating_add(SPARE_THREADS))
        .thread_name("attempt")
        .enable_all()
        .build()
        .map_err(WorkerError::Thread)?;
    if options.takes_signals {
        let _within = runtime.enter();
        let listener = Listener::register().map_err(WorkerError::Thread)?;
        drop(runtime.spawn(listener.listen(stop.clone())));
    }
    let about = about(&options);
    let Some(worker) = runtime.block_on(register(store, clock, &about, &stop))? else {
        // Asked to stop before it could begin; the store may still hold up a thread of the pool.
        runtime.shutdown_background();
        return Ok(Summary::default());
    };
    failpoint::hit("worker.registered");
    let life = Life::begin(&layout, worker).map_err(WorkerError::Layout)?;
    failpoint::hit("worker.locked");
    tracing::info!(worker = %options.name, "worker {} started: {}", options.name, describe(&options));
    let groups = Arc::new(Groups::of(layout.db()).map_err(WorkerError::Layout)?);
    for lack in groups.lacks() {
        tracing::debug!(worker = %options.name, "bounds of jobs are not enforced here: {lack}");
    }
    remove_what_is_stale(store.as_ref(), worker, &layout, &groups);
    let name = options.name.clone();
    let dispatcher = Dispatcher::new(
        Arc::clone(store),
        Arc::clone(clock),
        Arc::clone(&layout),
        Arc::clone(&groups),
        worker,
        options,
        stop,
    );
    let outcome = runtime.block_on(dispatcher.run());
    // A recovery that was broken off ends by itself; a file system that hangs does not hold us.
    runtime.shutdown_timeout(Duration::from_secs(2));
    drop(life);
    groups.remove_empty_bases();
    if !holds_anything(store.as_ref(), worker) {
        life::forget(&layout, worker);
    }
    if let Err(error) = store.worker_stopped(worker, &clock.now()) {
        tracing::debug!(%error, "the end of the worker could not be noted");
    }
    tracing::info!(worker = %name, "worker {name} stopped");
    outcome
}

/// Whether leases of this worker are left for others to adopt. When in doubt they are.
fn holds_anything(store: &dyn Store, worker: WorkerId) -> bool {
    store.workers().map_or(true, |workers| {
        workers
            .iter()
            .any(|one| one.id == worker && one.in_progress > 0)
    })
}

fn about(options: &WorkerOptions) -> NewWorker {
    NewWorker {
        name: options.name.clone(),
        host: host(),
        pid: std::process::id(),
        concurrency: u32::try_from(options.concurrency.get()).unwrap_or(u32::MAX),
        queues: options.queues.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn describe(options: &WorkerOptions) -> String {
    let queues = match options.queues.as_slice() {
        [] => "all queues".to_owned(),
        [one] => format!("queue {one}"),
        many => format!("queues {}", many.join(", ")),
    };
    match options.concurrency.get() {
        1 => format!("{queues}, 1 job at a time"),
        count => format!("{queues}, {count} jobs at a time"),
    }
}

/// What a crash left behind: directories and control groups of attempts that are not the job's running
/// one, and the locks of workers that are over and hold nothing any more.
fn remove_what_is_stale(store: &dyn Store, own: WorkerId, layout: &Layout, groups: &Groups) {
    for (keeper, directory) in layout.spares() {
        // One under our own number is of a store that was here before.
        if keeper.is_none_or(|keeper| keeper == own || !life::may_live(layout, keeper)) {
            layout.clear_away(&directory);
        }
    }
    for worker in layout.worker_locks() {
        if life::is_over(layout, worker) && !holds_anything(store, worker) {
            life::forget(layout, worker);
        }
    }
    // A job of a store that was here before may run on, and how it ended is nowhere else.
    let is_over = |job, epoch| {
        let Ok(found) = Post::at(&layout.run_directory(job, epoch)).look() else {
            return false;
        };
        match (store.job(job), found) {
            (_, Found::Alive) | (Err(_), Found::Ended(_)) => false,
            (Ok(job), _) => job.epoch != epoch || job.state != queue_core::State::InProgress,
            (Err(error), Found::Nothing) => matches!(error, queue_core::Error::JobNotFound(_)),
        }
    };
    for (job, epoch) in layout.run_directories() {
        if is_over(job, epoch) {
            layout.remove_run_directory(job, epoch);
        }
    }
    groups.remove_stale(is_over);
    groups.remove_empty_bases();
}

/// The name of this machine.
fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
