//! The SQLite engine of [`Store`].
//!
//! One connection writes, on a thread of its own that gathers callers' changes into shared
//! transactions; a small pool reads. Each method here hands one function the transaction and
//! nothing else: the files beside this one hold them, by subject, and `sqlite/sql/` their
//! statements.

mod archive;
mod bounds;
mod budgets;
mod causes;
mod claim;
mod connection;
mod cycle;
mod dependencies;
mod directories;
mod enqueue;
mod fault;
mod files;
mod foreign;
mod gates;
mod lanes;
mod lease;
mod ledger;
mod limits;
mod looking;
mod migrate;
mod moves;
mod outcome;
mod people;
mod pool;
mod questions;
mod queues;
mod rows;
mod sql;
mod tx;
mod unreadable;
mod upkeep;
mod writer;

use self::{
    fault::{Done, Fault},
    files::Files,
    foreign::ForeignChanges,
    pool::Readers,
    tx::Tx,
    writer::Writer,
};
use crate::{
    agent::Rung,
    attempt::Progress,
    bucket::Quota,
    budget::{Budget, BudgetStatus},
    checkpoint::Checkpoint,
    clock::{Clock, Now, SystemClock, Timestamp},
    cost::{CostQuery, Costs},
    error::{Error, Result, StoreError},
    failpoint,
    gate::{CloseGate, GateName, GateStatus, Met},
    job::{Enqueued, Job, JobBody, JobId, NewJob},
    lease::{Epoch, Fence},
    ledger::Spent,
    limit::Limit,
    question::{Asked, NewQuestion},
    queue::{KeyStatus, Queue, QueueChange, QueueStatus},
    retry::with_busy_retry,
    state::State,
    store::{
        Answered, Archived, Asking, Cancelled, Cycle, Cycled, Detail, Edit, Filter, Finding,
        Import, Outlook, PerJob, Place, Prune, Pruned, Requeue, Requeued, SessionHold, Stats,
        Store, Summary,
    },
    wake::{WakeFile, Woken},
    why::Cause,
    worker::{NewWorker, Shortage, Worker, WorkerId},
};
use rusqlite::named_params;
use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// What a committed change survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// A power cut: each commit is synced to the disk.
    #[default]
    Full,
    /// A crash of the process. A power cut may take back the last commits, never part of one.
    Normal,
}

impl Durability {
    fn as_pragma(self) -> &'static str {
        match self {
            Durability::Full => "2",
            Durability::Normal => "1",
        }
    }
}

/// How to open a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOptions {
    /// Make the store if there is none.
    pub create: bool,
    /// What a committed change survives.
    pub durability: Durability,
    /// How many connections may read at once.
    pub readers: u32,
    /// The longest that one query may take.
    pub query_timeout: Duration,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            create: true,
            durability: Durability::Full,
            readers: 2,
            query_timeout: Duration::from_secs(60),
        }
    }
}

/// A store in one SQLite file. Cheap to share behind an `Arc`; several processes may have the
/// same file open.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    wake: Arc<WakeFile>,
    foreign: ForeignChanges,
    files: Files,
    path: PathBuf,
    was_created: bool,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Every statement of the engine with its name, for the tests of the schema.
pub fn statements() -> &'static [(&'static str, &'static str)] {
    sql::ALL
}

impl SqliteStore {
    /// Opens the store at `path`, brings its schema up to date, and makes it if there is none and
    /// the options say so. The file has mode 0600.
    ///
    /// # Errors
    ///
    /// What is wrong with the file or its directory, as [`StoreError`] lists it. A file that is
    /// not ours, is damaged, or was written by a later release is left as it was.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, StoreError> {
        let told = |fault: Fault| match fault.told(path) {
            Error::Store(error) => error,
            other => StoreError::Engine {
                path: path.to_path_buf(),
                detail: other.to_string(),
            },
        };
        connection::check_engine(rusqlite::version_number())?;
        let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        if !options.create && !path.exists() {
            let detail = "there is no such file".to_owned();
            return Err(StoreError::CannotOpen {
                path: path.clone(),
                detail,
            });
        }
        let was_created = connection::create_file(path)?;
        let now = SystemClock::new().now();
        // Several processes may be setting up the same file: one does, the others look again.
        let connection = with_busy_retry(
            |fault| connection::is_transient(fault, path),
            || {
                let mut connection = connection::open(path, options.durability)?;
                migrate::migrate(&mut connection, path, &now)?;
                Ok::<_, Fault>(connection)
            },
        )
        .map_err(told)?;
        let wake =
            WakeFile::open(&beside(path, "-wake")).map_err(
                |error| match connection::file_error(path, &error.source) {
                    StoreError::CannotOpen { path, .. } => StoreError::CannotOpen {
                        path,
                        detail: error.to_string(),
                    },
                    known => known,
                },
            )?;
        let wake = Arc::new(wake);
        let files = Files::of(path);
        Ok(Self {
            writer: Writer::of(connection, files.clone(), path, Arc::clone(&wake)),
            readers: Readers::new(files.clone(), path, options.readers, options.query_timeout),
            wake,
            foreign: ForeignChanges::of(path),
            files,
            path: path.clone(),
            was_created,
        })
    }

    /// Whether opening made a new store.
    pub fn was_created(&self) -> bool {
        self.was_created
    }

    /// Where the store is, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A connection for one long task, which is not to hold up others.
    fn another_connection(&self) -> Result<rusqlite::Connection> {
        self.files.check()?;
        connection::open(&self.path, Durability::Normal).map_err(|fault| fault.told(&self.path))
    }

    /// Runs `change` in a write transaction.
    fn write<T: Send + 'static>(
        &self,
        now: &Now,
        change: impl FnOnce(&Tx<'_>) -> Done<T> + Send + 'static,
    ) -> Result<T> {
        let now = now.clone();
        self.writer
            .write(move |connection| settled(connection, &now, change))
    }

    /// Runs `change` for each of `jobs` in one transaction; one that is refused is undone alone.
    fn write_each<T: Send + 'static>(
        &self,
        jobs: &[JobId],
        now: &Now,
        change: impl Fn(&Tx<'_>, JobId) -> Done<T> + Send + 'static,
    ) -> Result<PerJob<T>> {
        let jobs = jobs.to_vec();
        self.write(now, move |tx| {
            jobs.into_iter()
                .map(|job| alone(tx, || change(tx, job)))
                .collect()
        })
    }
}

/// Makes a change, and then the lanes true that it touched.
fn settled<T>(
    connection: &rusqlite::Connection,
    now: &Now,
    change: impl FnOnce(&Tx<'_>) -> Done<T>,
) -> Done<T> {
    let tx = Tx::new(connection, now);
    let answer = change(&tx)?;
    tx.settle()?;
    failpoint::hit("transaction.lanes_settled");
    Ok(answer)
}

/// Runs one step of several; what a refused one has written so far is undone.
fn alone<T>(tx: &Tx<'_>, step: impl FnOnce() -> Done<T>) -> Done<Result<T>> {
    tx.run("savepoint step", [])?;
    let outcome = match step() {
        Ok(answer) => Ok(answer),
        Err(Fault::Answer(error)) => {
            tx.run("rollback to step", [])?;
            Err(error)
        }
        Err(fault) => return Err(fault),
    };
    tx.run("release step", [])?;
    Ok(outcome)
}

/// The path of a file that belongs to the store at `path`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

impl Store for SqliteStore {
    fn enqueue_each(&self, jobs: Vec<NewJob>, now: &Now) -> Result<PerJob<Enqueued>> {
        self.write(now, move |tx| enqueue::enqueue_each(tx, &jobs))
    }

    fn enqueue_all(
        &self,
        jobs: Vec<NewJob>,
        now: &Now,
    ) -> Result<Vec<Enqueued>, (Option<usize>, Error)> {
        let refused = Arc::new(std::sync::Mutex::new(None));
        let place = Arc::clone(&refused);
        self.write(now, move |tx| {
            let mut added = Vec::with_capacity(jobs.len());
            for (index, answer) in enqueue::enqueue_each(tx, &jobs)?.into_iter().enumerate() {
                added.push(answer.inspect_err(|_| *lock(&place) = Some(index))?);
            }
            Ok(added)
        })
        .map_err(|error| (*lock(&refused), error))
    }

    fn register_worker(&self, about: &NewWorker, now: &Now) -> Result<WorkerId> {
        let about = about.clone();
        self.write(now, move |tx| queues::register(tx, &about))
    }

    fn worker_stopped(&self, worker: WorkerId, now: &Now) -> Result<()> {
        self.write(now, move |tx| queues::stopped(tx, worker))
    }

    fn worker_short(&self, worker: WorkerId, shortage: Option<&Shortage>, now: &Now) -> Result<()> {
        let shortage = shortage.cloned();
        self.write(now, move |tx| queues::short(tx, worker, shortage.as_ref()))
    }

    fn cycle(&self, cycle: &Cycle, now: &Now) -> Result<Cycled> {
        let cycle = cycle.clone();
        self.write(now, move |tx| cycle::run(tx, &cycle))
    }

    fn cycle_at_once(&self, cycle: &Cycle, now: &Now) -> Result<Option<Cycled>> {
        self.writer
            .write_at_once(|connection| settled(connection, now, |tx| cycle::run(tx, cycle)))
    }

    fn bodies(&self, jobs: &[JobId]) -> Result<Vec<JobBody>> {
        self.readers.read(|c| looking::bodies(c, jobs))
    }

    fn begin_session(
        &self,
        fence: Fence,
        rung: Rung,
        session: Option<&str>,
        now: &Now,
    ) -> Result<SessionHold> {
        let session = session.map(str::to_owned);
        self.write(now, move |tx| {
            lease::begin_session(tx, fence, rung, session.as_deref())
        })
    }

    fn outlook(&self, queues: &[String], kind: &str, now: &Now) -> Result<Outlook> {
        self.readers
            .read(|c| looking::outlook(c, queues, kind, now.wall))
    }

    fn checkpoint(
        &self,
        job: JobId,
        epoch: Epoch,
        name: &str,
        value: &[u8],
        now: &Now,
    ) -> Result<()> {
        let (name, value) = (name.to_owned(), value.to_vec());
        self.write(now, move |tx| {
            match lease::save_checkpoint(tx, job, epoch, None, &name, &value)? {
                true => Ok(()),
                false => Err(lease::lost(tx, job, epoch)?.into()),
            }
        })
    }

    fn progress(&self, job: JobId, epoch: Epoch, progress: &Progress, now: &Now) -> Result<()> {
        let progress = progress.clone();
        self.write(now, move |tx| {
            let values = named_params! {
                ":job": job.0, ":epoch": epoch.0, ":progress": serde_json::to_string(&progress)?,
            };
            match tx.run(sql::SAVE_PROGRESS, values)? {
                0 => Err(lease::lost(tx, job, epoch)?.into()),
                _ => Ok(()),
            }
        })
    }

    fn ask(&self, job: JobId, epoch: Epoch, asked: &NewQuestion, now: &Now) -> Result<Asked> {
        let asked = asked.clone();
        self.write(now, move |tx| questions::ask(tx, job, epoch, &asked))
    }

    fn take_answer(
        &self,
        job: JobId,
        epoch: Epoch,
        number: u32,
        now: &Now,
    ) -> Result<Option<String>> {
        self.write(now, move |tx| {
            questions::take_answer(tx, job, epoch, number)
        })
    }

    fn answer(&self, job: JobId, text: &str, now: &Now) -> Result<Answered> {
        let text = text.to_owned();
        self.write(now, move |tx| questions::answer(tx, job, &text))
    }

    fn cancel(&self, jobs: &[JobId], now: &Now) -> Result<PerJob<Cancelled>> {
        self.write_each(jobs, now, people::cancel)
    }

    fn requeue(&self, jobs: &[JobId], requeue: &Requeue, now: &Now) -> Result<PerJob<Requeued>> {
        let how = requeue.clone();
        self.write_each(jobs, now, move |tx, job| people::requeue(tx, job, &how))
    }

    fn hold(&self, jobs: &[JobId], now: &Now) -> Result<PerJob<State>> {
        self.write_each(jobs, now, people::hold)
    }

    fn release(&self, jobs: &[JobId], now: &Now) -> Result<PerJob<State>> {
        self.write_each(jobs, now, people::release)
    }

    fn edit(&self, jobs: &[JobId], edit: &Edit, now: &Now) -> Result<PerJob<State>> {
        let edit = edit.clone();
        self.write_each(jobs, now, move |tx, job| people::edit(tx, job, &edit))
    }

    fn reposition(&self, job: JobId, place: Place, now: &Now) -> Result<()> {
        self.write(now, move |tx| people::reposition(tx, job, place))
    }

    fn set_queue(&self, name: &str, change: &QueueChange, now: &Now) -> Result<Queue> {
        let (name, change) = (name.to_owned(), change.clone());
        self.write(now, move |tx| queues::set(tx, &name, &change))
    }

    fn queues(&self) -> Result<Vec<QueueStatus>> {
        self.readers.read(queues::all)
    }

    fn set_limit(&self, name: &str, quota: &Quota, now: &Now) -> Result<Limit> {
        let (name, quota) = (name.to_owned(), *quota);
        self.write(now, move |tx| {
            limits::set(tx, &name, &quota)?;
            let set = limits::all(tx.connection(), Some(&name), tx.now.wall)?.pop();
            Ok(set.ok_or(Error::LimitNotFound(name))?)
        })
    }

    fn remove_limit(&self, name: &str, now: &Now) -> Result<()> {
        let name = name.to_owned();
        self.write(now, move |tx| limits::remove(tx, &name))
    }

    fn limits(&self, now: &Now) -> Result<Vec<Limit>> {
        self.readers.read(|c| limits::all(c, None, now.wall))
    }

    fn open_gate(&self, name: &GateName, now: &Now) -> Result<GateStatus> {
        let name = name.clone();
        self.write(now, move |tx| gates::open(tx, &name))
    }

    fn close_gate(&self, name: &GateName, close: &CloseGate, now: &Now) -> Result<GateStatus> {
        let (name, close) = (name.clone(), close.clone());
        self.write(now, move |tx| {
            gates::set(tx, &name, |gate| gate.close(&close, tx.now.wall))
        })
    }

    fn report_limit(&self, name: &GateName, met: &Met, now: &Now) -> Result<GateStatus> {
        let (name, met) = (name.clone(), met.clone());
        self.write(now, move |tx| gates::report(tx, &name, &met))
    }

    fn set_gate(&self, name: &GateName, stagger: Duration, now: &Now) -> Result<GateStatus> {
        let name = name.clone();
        self.write(now, move |tx| {
            gates::set(tx, &name, |gate| gate.stagger = Some(stagger))
        })
    }

    fn gates(&self) -> Result<Vec<GateStatus>> {
        self.readers.read(|c| gates::all(c, None))
    }

    fn set_key(&self, key: &str, places: NonZeroU32, now: &Now) -> Result<()> {
        let key = key.to_owned();
        self.write(now, move |tx| {
            tx.run(
                sql::SET_KEY,
                named_params! {":key": key, ":places": places.get()},
            )?;
            Ok(())
        })
    }

    fn keys(&self) -> Result<Vec<KeyStatus>> {
        self.readers.read(queues::keys)
    }

    fn spent(&self, job: JobId, except: Option<Epoch>) -> Result<Spent> {
        self.readers.read(|c| ledger::spent(c, job, except))
    }

    fn costs(&self, query: &CostQuery) -> Result<Costs> {
        self.readers.read(|c| ledger::costs(c, query))
    }

    fn set_budget(&self, budget: &Budget, now: &Now) -> Result<BudgetStatus> {
        let budget = budget.clone();
        self.write(now, move |tx| budgets::set(tx, &budget))
    }

    fn remove_budget(&self, name: &str, now: &Now) -> Result<()> {
        let name = name.to_owned();
        self.write(now, move |tx| budgets::remove(tx, &name))
    }

    fn budgets(&self, now: &Now) -> Result<Vec<BudgetStatus>> {
        self.readers.read(|c| budgets::all(c, None, now.wall))
    }

    fn job(&self, id: JobId) -> Result<Job> {
        self.readers.read(|c| looking::job(c, id))
    }

    fn detail(&self, id: JobId, now: &Now) -> Result<Detail> {
        self.readers.read(|c| looking::detail(c, id, now))
    }

    fn list(&self, filter: &Filter, now: &Now) -> Result<Vec<Summary>> {
        self.readers.read(|c| looking::list(c, filter, now))
    }

    fn ids(&self, filter: &Filter) -> Result<Vec<JobId>> {
        self.readers.read(|c| looking::ids(c, filter))
    }

    fn checkpoint_value(&self, job: JobId, name: &str) -> Result<Option<Checkpoint>> {
        self.readers
            .read(|c| Ok(looking::checkpoints(c, job, Some(name))?.pop()))
    }

    fn asking(&self) -> Result<Vec<Asking>> {
        self.readers.read(questions::asking)
    }

    fn why(&self, job: JobId, now: &Now) -> Result<Vec<Cause>> {
        self.readers
            .read(|c| causes::of(c, &looking::job(c, job)?, now.wall))
    }

    fn stats(&self, queue: Option<&str>, since: Timestamp) -> Result<Stats> {
        self.readers.read(|c| looking::stats(c, queue, since))
    }

    fn workers(&self) -> Result<Vec<Worker>> {
        self.readers.read(queues::workers)
    }

    fn prune(&self, prune: &Prune, most: usize, now: &Now) -> Result<Vec<Pruned>> {
        let prune = prune.clone();
        self.write(now, move |tx| upkeep::prune(tx, &prune, most))
    }

    fn backup(&self, to: &Path) -> Result<()> {
        let own = self.another_connection()?;
        upkeep::backup(&own, to).map_err(|fault| fault.told(to))
    }

    fn import(&self, jobs: Vec<Archived>, now: &Now) -> Result<Import> {
        self.write(now, move |tx| archive::import(tx, &jobs))
    }

    fn export(&self, after: JobId, most: usize) -> Result<Vec<Archived>> {
        self.readers.read(|c| archive::export(c, after, most))
    }

    fn examine(&self, _now: &Now) -> Result<Vec<Finding>> {
        self.readers.read(upkeep::examine)
    }

    fn tidy(&self) -> Result<()> {
        let own = self.another_connection()?;
        upkeep::shorten_log(&own).map_err(|fault| fault.told(&self.path))
    }

    fn generation(&self) -> u32 {
        // Whoever reads it looks at the store next: what is written from now on has to be noticed.
        self.foreign.begin();
        self.wake.generation().wrapping_add(self.foreign.count())
    }

    fn wait_for_change(&self, generation: u32, at_most: Duration) -> bool {
        let mut left = at_most;
        loop {
            let turn = left.min(foreign::LOOK_EVERY);
            let awaited = generation.wrapping_sub(self.foreign.count());
            if self.wake.wait(awaited, turn) == Woken::Changed {
                return true;
            }
            if turn == foreign::LOOK_EVERY {
                if self.files.check().is_err() {
                    // The next look at the store says so.
                    return true;
                }
                self.foreign.look();
            }
            left -= turn;
            if self.generation() != generation {
                return true;
            }
            if left.is_zero() {
                return false;
            }
        }
    }
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
