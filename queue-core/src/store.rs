//! What every store promises: one method per verb, each one transaction.
//!
//! The front doors and the worker speak to this trait alone, and nothing of an engine leaks
//! through it; `tests/conformance` holds every engine to the contracts below. Time is always an
//! argument. A method that returns an error has changed nothing, unless its text says otherwise.

pub mod sqlite;

use crate::{
    attempt::{Attempt, Finished, Orphan, Progress, Report, Started},
    bucket::Quota,
    checkpoint::Checkpoint,
    clock::{Now, Timestamp},
    error::Result,
    job::{After, Enqueued, Job, JobBody, JobId, LimitUse, NewJob, ParentEnd},
    lease::{Epoch, Fence, Lease},
    limit::Limit,
    queue::{KeyStatus, Queue, QueueChange, QueueStatus},
    retry::Backoff,
    state::{Class, State},
    why::Cause,
    worker::{NewWorker, Worker, WorkerId},
};
use std::{collections::BTreeMap, num::NonZeroU32, path::Path, time::Duration};

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

    /// One cycle of a worker in one transaction, in this order: writes what started and what
    /// ended, extends leases, promotes what is due, takes over leases that ran out, claims.
    ///
    /// A fence that no longer holds is not an error here: it is listed in [`Cycled::lost`]. A job
    /// whose row cannot be read fails with class `bad_payload`, and the cycle goes on.
    fn cycle(&self, cycle: &Cycle, now: &Now) -> Result<Cycled>;

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
    /// of the line, and gives up those that waited
    /// longer than they may. Returns how many were moved.
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

    /// Changes waiting jobs.
    fn edit(&self, jobs: &[JobId], edit: &Edit, now: &Now) -> Result<PerJob<State>>;

    /// Moves a waiting job within its queue and priority. Beside a job of another priority it
    /// takes that priority on.
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

    /// Sets how many jobs with a concurrency key may run at once.
    fn set_key(&self, key: &str, places: NonZeroU32, now: &Now) -> Result<()>;

    /// The concurrency keys that were set or are in use now.
    fn keys(&self) -> Result<Vec<KeyStatus>>;

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
    fn import(&self, jobs: Vec<Archived>, now: &Now) -> Result<Vec<Imported>>;

    /// All of some jobs, for another store to import: those after `after`, by id, at most `most`.
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

/// What a worker has to tell and wants to know in one cycle.
#[derive(Debug, Clone, PartialEq)]
pub struct Cycle {
    /// Who.
    pub worker: WorkerId,
    /// How long leases run that are given or extended now.
    pub lease_for: Duration,
    /// Processes that were started.
    pub started: Vec<(Fence, Started)>,
    /// Checkpoints that jobs left in their file. Unlike what a job saves itself they count only
    /// under the holder as well: an adopter may have read a newer value from the same file.
    pub checkpoints: Vec<(Fence, String, Vec<u8>)>,
    /// Attempts that ended.
    pub ended: Vec<(Fence, Report)>,
    /// Leases to extend; those of `ended` are not among them.
    pub leases: Vec<Fence>,
    /// How many due jobs to promote at the most.
    pub promote: usize,
    /// How many leases that ran out to take over at the most.
    pub adopt: usize,
    /// Workers that are proven to be dead: their leases count as run out.
    pub dead: Vec<WorkerId>,
    /// What to claim.
    pub claim: Option<Claim>,
}

impl Cycle {
    /// A cycle in which `worker` has nothing to say yet.
    pub fn of(worker: WorkerId) -> Self {
        Self {
            worker,
            lease_for: Duration::from_secs(30),
            started: Vec::new(),
            checkpoints: Vec::new(),
            ended: Vec::new(),
            leases: Vec::new(),
            promote: 0,
            adopt: 0,
            dead: Vec::new(),
            claim: None,
        }
    }
}

/// What a worker would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// How many jobs at the most: its free slots.
    pub most: usize,
    /// From which queues; all, where empty.
    pub queues: Vec<String>,
    /// Of which kind.
    pub kind: String,
}

impl Default for Claim {
    fn default() -> Self {
        Self {
            most: 1,
            queues: Vec::new(),
            kind: crate::job::PROCESS.to_owned(),
        }
    }
}

/// What came of a cycle.
#[derive(Debug, Default, PartialEq)]
pub struct Cycled {
    /// What became of the jobs whose attempts ended.
    pub finished: Vec<(Fence, Finished)>,
    /// Attempts that were dropped from the history of their jobs, because they did not count and
    /// newer ones like them are kept: their logs are of no more use.
    pub forgotten: Vec<(JobId, Epoch)>,
    /// Fences that hold no more: stop what runs under them, and write nothing.
    pub lost: Vec<Fence>,
    /// Leases whose job somebody asked to cancel.
    pub cancels: Vec<Fence>,
    /// How many jobs were promoted or given up. Equal to what was asked for when more are due.
    pub promoted: usize,
    /// Leases taken over.
    pub orphans: Vec<Orphan>,
    /// Jobs claimed.
    pub claimed: Vec<Claimed>,
    /// The next moment after now at which something falls due by itself: a start, an expiry, a
    /// token, a lease. What is due already and was not asked for is not among them.
    pub next_at: Option<Timestamp>,
}

/// A job that was claimed.
#[derive(Debug, PartialEq)]
pub struct Claimed {
    /// The right to run it.
    pub lease: Lease,
    /// Its queue.
    pub queue: String,
    /// Its name.
    pub name: Option<String>,
    /// What its earlier attempts saved under the default name.
    pub checkpoint: Option<Vec<u8>>,
}

/// An attempt that could not be ended.
#[derive(Debug)]
pub struct Unfinished {
    /// The lease, where it is still to be used: the store failed and may do better later.
    pub lease: Option<Lease>,
    /// Why.
    pub error: Box<crate::Error>,
}

/// What stands before a worker that wants to end when nothing is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Pending jobs, claimable or behind something shut that opens by itself.
    pub pending: u64,
    /// Pending jobs in paused queues: they do not start by themselves.
    pub paused: u64,
    /// Jobs that run, under whichever worker.
    pub in_progress: u64,
    /// Jobs whose time lies ahead.
    pub scheduled: u64,
    /// When the next of those falls due.
    pub next_at: Option<Timestamp>,
    /// Blocked jobs: they wait for others or for a person.
    pub blocked: u64,
}

/// What a cancel did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It waited, and is cancelled now.
    Now,
    /// It runs, and was asked to stop.
    Asked,
    /// It had ended before.
    Ended(State),
}

/// How to run ended jobs again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requeue {
    /// Their ended dependants wait for them again, and run again too.
    pub with_dependants: bool,
    /// Not before this long from now.
    pub delay: Option<Duration>,
}

/// What a requeue did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requeued {
    /// Where the job stands now.
    pub state: State,
    /// Dependants that will run again as well.
    pub dependants: Vec<JobId>,
}

/// What to change about waiting jobs; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edit {
    /// The new name, or none.
    pub name: Option<Option<String>>,
    /// The new queue.
    pub queue: Option<String>,
    /// The new priority.
    pub priority: Option<i32>,
    /// The new start; `None` within means now.
    pub run_at: Option<Option<Timestamp>>,
    /// The new number of attempts that count.
    pub max_attempts: Option<NonZeroU32>,
    /// The new wait between attempts.
    pub backoff: Option<Backoff>,
    /// The jobs that have to end first, in place of those it had.
    pub after: Option<Vec<After>>,
    /// The limits it needs, in place of those it had.
    pub limits: Option<Vec<LimitUse>>,
    /// The new concurrency key, or none.
    pub concurrency_key: Option<Option<String>>,
    /// Labels to set.
    pub set_tags: BTreeMap<String, String>,
    /// Labels to take away.
    pub remove_tags: Vec<String>,
    /// The new command.
    pub command: Option<crate::job::Command>,
    /// The new directory.
    pub cwd: Option<crate::raw_text::RawText>,
    /// The new limits and ways of its attempts.
    pub options: Option<crate::job::RunOptions>,
}

/// Where to move a waiting job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before all of its priority.
    First,
    /// After all of its priority.
    Last,
    /// Right before this job.
    Before(JobId),
    /// Right after this job.
    After(JobId),
}

/// Which jobs to look at. Everything that is set has to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In one of these states; any, where empty.
    pub states: Vec<State>,
    /// In one of these queues; any, where empty.
    pub queues: Vec<String>,
    /// Of this name.
    pub name: Option<String>,
    /// With all of these labels; `None` for any value.
    pub tags: Vec<(String, Option<String>)>,
    /// That ended, or whose last attempt ended, for this reason.
    pub class: Option<Class>,
    /// Held by this worker.
    pub worker: Option<WorkerId>,
    /// Whose command or name contains this text.
    pub text: Option<String>,
    /// Handed in since.
    pub created_since: Option<Timestamp>,
    /// Ended since.
    pub finished_since: Option<Timestamp>,
    /// Only those before this id, to read on page by page.
    pub before: Option<JobId>,
    /// Oldest first.
    pub oldest_first: bool,
    /// At most this many.
    pub most: Option<usize>,
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The job.
    pub job: Job,
    /// The first thing that keeps it from running.
    pub cause: Option<Cause>,
    /// What it does, or why that cannot be read.
    pub command: Result<crate::job::Command, String>,
    /// Where it runs.
    pub cwd: crate::raw_text::RawText,
    /// Its labels.
    pub tags: BTreeMap<String, String>,
    /// Its last attempt.
    pub last: Option<Attempt>,
    /// When its first attempt since the last requeue was claimed.
    pub started_at: Option<Timestamp>,
}

/// All about one job.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    /// What a list shows.
    pub summary: Summary,
    /// What an attempt needs.
    pub body: JobBody,
    /// All attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// What was saved, by name.
    pub checkpoints: Vec<Checkpoint>,
    /// The jobs it comes after: which, how they have to end, where they stand, and whether that
    /// is met.
    pub after: Vec<(After, Option<State>, bool)>,
    /// The jobs that come after it, and the end they wait for.
    pub dependants: Vec<(JobId, ParentEnd, State)>,
    /// Everything that keeps it from running.
    pub causes: Vec<Cause>,
}

/// What ended in a span, and how long it took.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Jobs that ended, by state.
    pub ended: BTreeMap<State, u64>,
    /// Jobs that failed or were cancelled, by class.
    pub classes: BTreeMap<Class, u64>,
    /// Attempts that ended.
    pub attempts: u64,
    /// Attempts that failed and were followed by another one.
    pub retries: u64,
    /// How long jobs waited from the enqueue to their first claim.
    pub waited: Spread,
    /// How long the attempts ran that ended the jobs.
    pub ran: Spread,
}

/// How a set of durations is spread. All zero where it is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread {
    /// Half took at most this long.
    pub median: Duration,
    /// Nineteen of twenty took at most this long.
    pub p95: Duration,
    /// The longest.
    pub max: Duration,
}

/// Which ended jobs to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prune {
    /// Those that ended in one of these states.
    pub states: Vec<State>,
    /// Those that ended before this moment.
    pub ended_before: Timestamp,
    /// Only those of this queue.
    pub queue: Option<String>,
}

/// A job that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// Which.
    pub job: JobId,
    /// The logs of its attempts: files that the caller may now delete.
    pub logs: Vec<String>,
}

/// A job with its history, on its way from one store to another. Its JSON is the format of
/// `qcli export`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Archived {
    /// The version of this format.
    pub schema: u32,
    /// The job's rows, by table: each row an object of its columns.
    pub rows: BTreeMap<String, Vec<serde_json::Map<String, serde_json::Value>>>,
}

/// What became of an imported job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// It is here now, under this id.
    Added(JobId),
    /// It was here before, under this id.
    Existing(JobId),
}

/// One thing that an examination looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// What was found.
    pub detail: String,
    /// Whether all is well.
    pub ok: bool,
}
