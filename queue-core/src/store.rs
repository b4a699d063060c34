//! What every store promises: one method per verb, each one transaction.
//!
//! The front doors and the worker speak to this trait alone, and nothing of an engine leaks
//! through it; `tests/conformance` holds every engine to the contracts below. Time is always an
//! argument. A method that returns an error has changed nothing, unless its text says otherwise.
//! What the verbs take and give stands beside this file, one noun a file.

mod answered;
mod archive;
mod cancelled;
mod claim;
mod cycle;
mod detail;
mod edit;
mod filter;
mod finding;
mod outlook;
mod place;
mod prune;
mod requeue;
mod session;
pub mod sqlite;
mod stats;
mod unfinished;

pub use self::{
    answered::{Answered, Asking},
    archive::{Archived, Import, Imported, ImportedSettings, SettingsResult, Shared},
    cancelled::Cancelled,
    claim::{Claim, Claimed},
    cycle::{Cycle, Cycled},
    detail::{Detail, Summary},
    edit::Edit,
    filter::Filter,
    finding::Finding,
    outlook::Outlook,
    place::Place,
    prune::{Prune, Pruned},
    requeue::{Requeue, Requeued},
    session::SessionHold,
    stats::{Spread, Stats},
    unfinished::Unfinished,
};

use crate::{
    agent::Rung,
    attempt::{Finished, Orphan, Progress, Report, Started},
    bucket::Quota,
    budget::{Budget, BudgetStatus},
    checkpoint::Checkpoint,
    clock::{Now, Timestamp},
    cost::{CostQuery, Costs},
    error::Result,
    gate::{CloseGate, GateName, GateStatus, Met},
    job::{Enqueued, Job, JobBody, JobId, NewJob},
    lease::{Epoch, Fence, Lease},
    ledger::Spent,
    limit::Limit,
    question::{Asked, NewQuestion},
    queue::{KeyStatus, Queue, QueueChange, QueueStatus},
    state::State,
    why::Cause,
    worker::{NewWorker, Shortage, Worker, WorkerId},
};
use std::{num::NonZeroU32, path::Path, time::Duration};

/// One result for each job that was named, in that order.
pub type PerJob<T> = Vec<Result<T>>;

/// A place that keeps jobs. See the module for what holds for all methods.
pub trait Store: Send + Sync {
    // ── Asking for work ─────────────────────────────────────────────────────────────────────

    /// Adds `jobs`, each on its own: one that is refused does not keep out the others.
    ///
    /// Once this returns, what was added survives a crash of the process and, at full
    /// durability, of the machine.
    fn enqueue_each(&self, jobs: Vec<NewJob>, now: &Now) -> Result<PerJob<Enqueued>>;

    /// Adds all of `jobs` or none. The error comes with the place of the job that was refused;
    /// without one where no single job is at fault, because the store failed.
    fn enqueue_all(
        &self,
        jobs: Vec<NewJob>,
        now: &Now,
    ) -> Result<Vec<Enqueued>, (Option<usize>, crate::Error)>;

    /// Adds one job.
    fn enqueue(&self, job: NewJob, now: &Now) -> Result<Enqueued> {
        self.enqueue_all(vec![job], now)
            .map(|added| added[0])
            .map_err(|(_, error)| error)
    }

    // ── Doing it: the verbs of a worker ─────────────────────────────────────────────────────

    /// Registers a worker and gives it an id that no other ever had.
    fn register_worker(&self, about: &NewWorker, now: &Now) -> Result<WorkerId>;

    /// Notes that a worker stopped in order. Its leases, if any are left, are not touched.
    fn worker_stopped(&self, worker: WorkerId, now: &Now) -> Result<()>;

    /// Notes that a worker starts no jobs because it has too little of something, or that it does
    /// again. Its leases are not touched.
    fn worker_short(&self, worker: WorkerId, shortage: Option<&Shortage>, now: &Now) -> Result<()>;

    /// One cycle of a worker in one transaction, in this order: writes what started and what
    /// ended, extends leases, promotes what is due, takes over leases that ran out, claims.
    ///
    /// A fence that no longer holds is not an error here: it is listed in [`Cycled::lost`]. A job
    /// whose row cannot be read fails with class `bad_payload`, and the cycle goes on.
    fn cycle(&self, cycle: &Cycle, now: &Now) -> Result<Cycled>;

    /// The same, but only if the store is free: where somebody else writes to it at this moment,
    /// or makes it unusable for a while, the answer is `None` and nothing is written.
    ///
    /// It waits for no lock, neither of a process nor of a thread; it may wait for the disk. An
    /// engine that cannot tell whether it would have to wait says `None`, always.
    fn cycle_at_once(&self, _cycle: &Cycle, _now: &Now) -> Result<Option<Cycled>> {
        Ok(None)
    }

    /// Claims up to `most` jobs: those of highest priority first, and of these the oldest.
    ///
    /// Each claim raises the epoch and the holder, counts an attempt, and spends the tokens that
    /// the job needs. Jobs in a paused or full queue, behind a full key or an empty bucket are
    /// passed over without holding up the ones after them.
    fn claim(
        &self,
        worker: WorkerId,
        most: usize,
        lease_for: Duration,
        now: &Now,
    ) -> Result<Vec<Claimed>> {
        let claim = Some(Claim {
            most,
            ..Claim::default()
        });
        self.cycle(
            &Cycle {
                lease_for,
                claim,
                ..Cycle::of(worker)
            },
            now,
        )
        .map(|cycled| cycled.claimed)
    }

    /// Extends one lease. `Error::LeaseLost` when it is not this worker's any more; the answer
    /// is whether somebody asked for the job to be cancelled.
    ///
    /// A lease that ran out but that nobody took over is extended: to stop the work would gain
    /// nothing.
    fn heartbeat(&self, lease: &Lease, lease_for: Duration, now: &Now) -> Result<bool> {
        let fence = lease.fence();
        let cycle = Cycle {
            lease_for,
            leases: vec![fence],
            ..Cycle::of(lease.worker())
        };
        let cycled = self.cycle(&cycle, now)?;
        self.held(fence, &cycled)
            .map(|()| cycled.cancels.contains(&fence))
    }

    /// Records the process of an attempt.
    fn started(&self, lease: &Lease, process: &Started, now: &Now) -> Result<()> {
        let fence = lease.fence();
        let started = vec![(fence, process.clone())];
        let cycled = self.cycle(
            &Cycle {
                started,
                ..Cycle::of(lease.worker())
            },
            now,
        )?;
        self.held(fence, &cycled)
    }

    /// Ends an attempt and decides what becomes of the job. The lease is consumed; where the
    /// store failed it comes back with the error, to be tried again.
    fn finish(&self, lease: Lease, report: Report, now: &Now) -> Result<Finished, Unfinished> {
        let fence = lease.fence();
        let cycle = Cycle {
            ended: vec![(fence, report)],
            ..Cycle::of(lease.worker())
        };
        let cycled = match self.cycle(&cycle, now) {
            Ok(cycled) => cycled,
            Err(error) => {
                return Err(Unfinished {
                    lease: Some(lease),
                    error: Box::new(error),
                });
            }
        };
        match cycled.finished.first() {
            Some((_, finished)) => Ok(*finished),
            None => Err(Unfinished {
                error: Box::new(
                    self.held(fence, &cycled)
                        .err()
                        .unwrap_or(crate::Error::JobNotFound(fence.job)),
                ),
                lease: None,
            }),
        }
    }

    /// Takes over up to `most` leases that ran out. See [`Orphan`] for what the caller then owes.
    fn adopt(
        &self,
        worker: WorkerId,
        most: usize,
        lease_for: Duration,
        now: &Now,
    ) -> Result<Vec<Orphan>> {
        self.cycle(
            &Cycle {
                lease_for,
                adopt: most,
                ..Cycle::of(worker)
            },
            now,
        )
        .map(|cycled| cycled.orphans)
    }

    /// Moves up to `most` due jobs from scheduled to pending, those whose delay is over to the end
    /// of the line unless they were moved meanwhile, and gives up those that waited longer than
    /// they may. Returns how many were moved.
    fn promote(&self, worker: WorkerId, most: usize, now: &Now) -> Result<usize> {
        self.cycle(
            &Cycle {
                promote: most,
                ..Cycle::of(worker)
            },
            now,
        )
        .map(|cycled| cycled.promoted)
    }

    /// The error that says who has the lease of `fence` now, if `cycled` lists it as lost.
    fn held(&self, fence: Fence, cycled: &Cycled) -> Result<()> {
        if !cycled.lost.contains(&fence) {
            return Ok(());
        }
        let job = self.job(fence.job)?;
        let taken_by = self
            .workers()?
            .into_iter()
            .find(|worker| Some(worker.id) == job.worker)
            .map(|worker| worker.about.name);
        Err(crate::Error::LeaseLost {
            job: fence.job,
            epoch: fence.epoch,
            state: job.state,
            taken_by,
        })
    }

    /// What the jobs need to run. Jobs that are gone are left out.
    fn bodies(&self, jobs: &[JobId]) -> Result<Vec<JobBody>>;

    /// Notes how an agent's attempt is about to begin: on which rung, and with which session. To
    /// be called before it is started, so that the session is known whatever happens then.
    fn begin_session(
        &self,
        fence: Fence,
        rung: Rung,
        session: Option<&str>,
        now: &Now,
    ) -> Result<SessionHold>;

    /// What a worker that wants to end when nothing is left needs to know of the jobs of `kind` in
    /// `queues` (all, where empty).
    fn outlook(&self, queues: &[String], kind: &str, now: &Now) -> Result<Outlook>;

    // ── The job's own writes, fenced by the epoch alone ─────────────────────────────────────

    /// Saves a checkpoint at once. `LeaseLost` when the job runs under a newer epoch or not at
    /// all: a value of an older epoch never replaces a newer one.
    fn checkpoint(
        &self,
        job: JobId,
        epoch: Epoch,
        name: &str,
        value: &[u8],
        now: &Now,
    ) -> Result<()>;

    /// Notes how far an attempt is. `LeaseLost` as above.
    fn progress(&self, job: JobId, epoch: Epoch, progress: &Progress, now: &Now) -> Result<()>;

    /// Notes what an attempt asks a person. When it ends without the answer, the job waits for it
    /// without a slot (or does what its `on_question` says), and the attempt does not count.
    ///
    /// The same question again is the same question. `AsksAlready` while another one is open,
    /// `LeaseLost` as above.
    fn ask(&self, job: JobId, epoch: Epoch, asked: &NewQuestion, now: &Now) -> Result<Asked>;

    /// The answer to a question of this attempt, which from then on has it: no later attempt is
    /// started to be told. `None` as long as nobody has answered. `LeaseLost` as above.
    fn take_answer(
        &self,
        job: JobId,
        epoch: Epoch,
        number: u32,
        now: &Now,
    ) -> Result<Option<String>>;

    // ── What people ask for ─────────────────────────────────────────────────────────────────

    /// Cancels jobs. One that waits is cancelled now; one that runs is asked to stop; one that
    /// ended stays as it is.
    fn cancel(&self, jobs: &[JobId], now: &Now) -> Result<PerJob<Cancelled>>;

    /// Runs ended jobs again: attempts and stalls start from zero, the history stays.
    fn requeue(&self, jobs: &[JobId], requeue: &Requeue, now: &Now) -> Result<PerJob<Requeued>>;

    /// Holds waiting jobs back. Holding a held job changes nothing.
    fn hold(&self, jobs: &[JobId], now: &Now) -> Result<PerJob<State>>;

    /// Lets held jobs go, and scheduled ones run now. The answer is where each stands then.
    fn release(&self, jobs: &[JobId], now: &Now) -> Result<PerJob<State>>;

    /// Answers what a job asks. One that waits for the answer goes back to its old place in the
    /// line, and its next attempt is told. `NotAsking` where it asks nothing now.
    fn answer(&self, job: JobId, text: &str, now: &Now) -> Result<Answered>;

    /// Changes waiting jobs. `NothingLeft` where one has cost already what it may cost then.
    fn edit(&self, jobs: &[JobId], edit: &Edit, now: &Now) -> Result<PerJob<State>>;

    /// Moves a waiting job within its queue and priority. Beside a job of another priority it
    /// takes that priority on. One whose time is still to come keeps the new place when it has.
    fn reposition(&self, job: JobId, place: Place, now: &Now) -> Result<()>;

    // ── Queues and limits ───────────────────────────────────────────────────────────────────

    /// Changes a queue, and creates it if need be.
    fn set_queue(&self, name: &str, change: &QueueChange, now: &Now) -> Result<Queue>;

    /// All queues with what stands in them, by name.
    fn queues(&self) -> Result<Vec<QueueStatus>>;

    /// Sets a limit. `NeverFits` when a waiting job needs more than the new burst.
    fn set_limit(&self, name: &str, quota: &Quota, now: &Now) -> Result<Limit>;

    /// Takes a limit away. `LimitInUse` when a waiting job needs it.
    fn remove_limit(&self, name: &str, now: &Now) -> Result<()>;

    /// All limits, by name.
    fn limits(&self, now: &Now) -> Result<Vec<Limit>>;

    /// The gate of this name lets jobs start from now on, whatever closed it. `GateNotFound` where
    /// nothing is known of it and no job passes it.
    fn open_gate(&self, name: &GateName, now: &Now) -> Result<GateStatus>;

    /// A person closes a gate, until a moment or until a person opens it.
    fn close_gate(&self, name: &GateName, close: &CloseGate, now: &Now) -> Result<GateStatus>;

    /// Somebody met a limit: closes the gate, unless it is closed for longer already.
    ///
    /// Where `met` names an attempt, it has to run (`LeaseLost`), and if it then exits with
    /// [`EX_TEMPFAIL`](crate::gate::EX_TEMPFAIL) it ends as limited by that gate.
    fn report_limit(&self, name: &GateName, met: &Met, now: &Now) -> Result<GateStatus>;

    /// Sets how far apart jobs start that pass a gate. That it is nothing is kept too, whatever
    /// closes and opens the gate.
    fn set_gate(&self, name: &GateName, stagger: Duration, now: &Now) -> Result<GateStatus>;

    /// All gates that somebody closed or set, or that jobs pass which have not ended, by name.
    fn gates(&self) -> Result<Vec<GateStatus>>;

    /// Sets how many jobs with a concurrency key may run at once.
    fn set_key(&self, key: &str, places: NonZeroU32, now: &Now) -> Result<()>;

    /// The concurrency keys that were set or are in use now.
    fn keys(&self) -> Result<Vec<KeyStatus>>;

    // ── Money ───────────────────────────────────────────────────────────────────────────────

    /// What all attempts of a job used by the ledger, also those that did not count or are
    /// forgotten, but for the attempt `except`.
    fn spent(&self, job: JobId, except: Option<Epoch>) -> Result<Spent>;

    /// What agents cost, also those of jobs that were pruned.
    fn costs(&self, query: &CostQuery) -> Result<Costs>;

    /// Sets a budget, in place of the one of that name. Jobs that waited for it start where it is
    /// raised.
    fn set_budget(&self, budget: &Budget, now: &Now) -> Result<BudgetStatus>;

    /// Takes a budget away: what waited for it starts. `BudgetNotFound` where there is none.
    fn remove_budget(&self, name: &str, now: &Now) -> Result<()>;

    /// All budgets, by name.
    fn budgets(&self, now: &Now) -> Result<Vec<BudgetStatus>>;

    // ── Looking ─────────────────────────────────────────────────────────────────────────────

    /// One job's row. `JobNotFound` where there is none.
    fn job(&self, id: JobId) -> Result<Job>;

    /// All about one job. `JobNotFound` where there is none.
    fn detail(&self, id: JobId, now: &Now) -> Result<Detail>;

    /// The jobs that `filter` lets through, newest first unless it says otherwise.
    fn list(&self, filter: &Filter, now: &Now) -> Result<Vec<Summary>>;

    /// The ids of the jobs that `filter` lets through; cheaper than [`Store::list`].
    fn ids(&self, filter: &Filter) -> Result<Vec<JobId>>;

    /// A saved checkpoint.
    fn checkpoint_value(&self, job: JobId, name: &str) -> Result<Option<Checkpoint>>;

    /// What jobs ask that nobody has answered yet, the longest asked first.
    fn asking(&self) -> Result<Vec<Asking>>;

    /// Everything that keeps the job from running, the first thing to mend in front. Empty where
    /// it runs or has ended.
    fn why(&self, job: JobId, now: &Now) -> Result<Vec<Cause>>;

    /// What ended since a moment, how, and how long it took.
    fn stats(&self, queue: Option<&str>, since: Timestamp) -> Result<Stats>;

    /// Workers that run, and those that stopped or died lately, newest first.
    fn workers(&self) -> Result<Vec<Worker>>;

    // ── Upkeep ──────────────────────────────────────────────────────────────────────────────

    /// Removes up to `most` ended jobs with all that belongs to them, oldest end first, and says
    /// which logs are of no more use. Jobs that a live job comes after are kept.
    fn prune(&self, prune: &Prune, most: usize, now: &Now) -> Result<Vec<Pruned>>;

    /// Writes a whole, consistent copy to `to`, which must not exist.
    fn backup(&self, to: &Path) -> Result<()>;

    /// Adds jobs of another store with their history, under new ids where theirs are taken. A
    /// job whose uid is here already is left out. A job that comes after one that is not among
    /// `jobs` stays blocked: its parent is gone, and no other job takes that one's number.
    /// Queues, limits and keys that the added jobs use are set as they came along where nobody
    /// set them here; what is set here stays. `LimitNotFound` when a job still to run needs one
    /// that is not here and did not come along.
    fn import(&self, jobs: Vec<Archived>, now: &Now) -> Result<Import>;

    /// All of some jobs with the settings they use, for another store to import: those after `after`, by id, at most `most`.
    fn export(&self, after: JobId, most: usize) -> Result<Vec<Archived>>;

    /// Looks for damage and for contradictions, and says what it looked at.
    fn examine(&self, now: &Now) -> Result<Vec<Finding>>;

    /// Does what is best done when nothing else is to do: shortens the write-ahead log.
    fn tidy(&self) -> Result<()>;

    // ── Waking up ───────────────────────────────────────────────────────────────────────────

    /// A number that changes when anybody has written. Read it, look for work, then
    /// [`Store::wait_for_change`] with it: nothing written in between is missed.
    fn generation(&self) -> u32;

    /// Waits until the generation is another one, or for `at_most`. Returns whether it changed.
    fn wait_for_change(&self, generation: u32, at_most: Duration) -> bool;
}
