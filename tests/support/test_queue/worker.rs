//! The verbs of a worker, each by the worker's name.

use super::{LEASE, MANY, TestQueue};
use queue_core::{
    Class, Error, JobId, Lease,
    attempt::{Finished, Orphan, Outcome, Progress, Report, Started},
    checkpoint,
    question::{Asked, NewQuestion},
    store::{Claim, Claimed, Cycle, Cycled},
};
use std::time::Duration;

impl TestQueue {
    /// Claims the next job, as a worker's cycle does: dead attempts are rescued first, and what
    /// is due is promoted.
    ///
    /// # Panics
    /// Where there is none.
    #[track_caller]
    pub fn claim(&self, worker: &str) -> Lease {
        match self.try_claim(worker) {
            Some(lease) => lease,
            None => panic!("there is nothing to claim"),
        }
    }

    /// Claims the next job and leaves it running under a lease that nobody has any more: what a
    /// worker that dies or hangs leaves behind. Gives the job's number.
    ///
    /// # Panics
    /// Where there is none.
    #[track_caller]
    pub fn start(&self, worker: &str) -> JobId {
        self.claim(worker).job()
    }

    /// Claims the next job as [`TestQueue::claim`] does, if there is one.
    #[track_caller]
    pub fn try_claim(&self, worker: &str) -> Option<Lease> {
        self.claim_many(worker, 1).pop()
    }

    /// Claims up to `most` jobs as [`TestQueue::claim`] does.
    #[track_caller]
    pub fn claim_many(&self, worker: &str, most: usize) -> Vec<Lease> {
        let claimed = self.claim_with(worker, most);
        claimed.into_iter().map(|claimed| claimed.lease).collect()
    }

    /// Claims up to `most` jobs as [`TestQueue::claim`] does, with all that is said of them.
    #[track_caller]
    pub fn claim_with(&self, worker: &str, most: usize) -> Vec<Claimed> {
        self.rescue(worker);
        let claim = Claim {
            most,
            ..Claim::default()
        };
        let cycle = Cycle {
            promote: MANY,
            claim: Some(claim),
            ..self.cycle_of(worker)
        };
        self.cycle(&cycle).claimed
    }

    /// The numbers of the next `most` jobs, in the order in which they are claimed.
    #[track_caller]
    pub fn claim_order(&self, worker: &str, most: usize) -> Vec<JobId> {
        let leases = self.claim_many(worker, most);
        leases.iter().map(Lease::job).collect()
    }

    /// Claims one job from these queues alone, if there is one.
    #[track_caller]
    pub fn claim_from(&self, worker: &str, queues: &[&str]) -> Option<Lease> {
        let claim = Claim {
            queues: queues.iter().map(|queue| (*queue).to_owned()).collect(),
            ..Claim::default()
        };
        let cycle = Cycle {
            promote: MANY,
            claim: Some(claim),
            ..self.cycle_of(worker)
        };
        let mut claimed = self.cycle(&cycle).claimed;
        claimed.pop().map(|claimed| claimed.lease)
    }

    /// A cycle in which this worker has nothing to say yet.
    pub fn cycle_of(&self, worker: &str) -> Cycle {
        Cycle {
            lease_for: LEASE,
            ..Cycle::of(self.worker(worker))
        }
    }

    /// Runs one cycle.
    ///
    /// # Panics
    /// Where the store fails.
    #[track_caller]
    pub fn cycle(&self, cycle: &Cycle) -> Cycled {
        match self.store.cycle(cycle, &self.now()) {
            Ok(cycled) => cycled,
            Err(error) => panic!("the cycle failed: {error}"),
        }
    }

    /// Takes over the leases that ran out.
    #[track_caller]
    pub fn adopt(&self, worker: &str) -> Vec<Orphan> {
        let worker = self.worker(worker);
        match self.store.adopt(worker, MANY, LEASE, &self.now()) {
            Ok(orphans) => orphans,
            Err(error) => panic!("could not adopt: {error}"),
        }
    }

    /// Takes over the leases that ran out and ends their attempts, of which nothing is left
    /// running; gives what became of the jobs.
    #[track_caller]
    pub fn rescue(&self, worker: &str) -> Vec<(JobId, Finished)> {
        let end = |orphan: Orphan| {
            let (job, class) = (orphan.lease.job(), orphan.class);
            match self.finish(orphan.lease, Outcome::Stalled { class }) {
                Ok(finished) => (job, finished),
                Err(error) => panic!("could not rescue job {job}: {error}"),
            }
        };
        self.adopt(worker).into_iter().map(end).collect()
    }

    /// Promotes everything that is due, and gives up what waited too long; gives how many.
    #[track_caller]
    pub fn promote(&self) -> usize {
        let worker = self.worker("promoter");
        match self.store.promote(worker, MANY, &self.now()) {
            Ok(promoted) => promoted,
            Err(error) => panic!("could not promote: {error}"),
        }
    }

    /// Extends a lease; the answer is whether the job's cancel was asked for.
    pub fn heartbeat(&self, lease: &Lease) -> Result<bool, Error> {
        self.store.heartbeat(lease, LEASE, &self.now())
    }

    /// Records a process for the attempt.
    pub fn started(&self, lease: &Lease) -> Result<(), Error> {
        self.store.started(lease, &self.process(), &self.now())
    }

    /// A process that was started just now.
    pub fn process(&self) -> Started {
        Started {
            pid: 4_711,
            pid_started: Some(1),
            started_at: self.now().wall,
            log: "attempt.log".to_owned(),
            unenforced: None,
        }
    }

    /// Saves the default checkpoint.
    pub fn checkpoint(&self, lease: &Lease, value: &str) -> Result<(), Error> {
        let fence = lease.fence();
        let name = checkpoint::DEFAULT;
        self.store
            .checkpoint(fence.job, fence.epoch, name, value.as_bytes(), &self.now())
    }

    /// Notes how far the attempt is.
    pub fn progress(&self, lease: &Lease, done: u64) -> Result<(), Error> {
        let fence = lease.fence();
        let progress = Progress {
            done,
            total: Some(100),
            text: None,
        };
        self.store
            .progress(fence.job, fence.epoch, &progress, &self.now())
    }

    /// The attempt asks a person something.
    pub fn ask(&self, lease: &Lease, text: &str) -> Result<Asked, Error> {
        let asked = NewQuestion::new(text, Vec::new())?;
        let fence = lease.fence();
        self.store.ask(fence.job, fence.epoch, &asked, &self.now())
    }

    /// Ends an attempt in whichever way.
    pub fn finish(&self, lease: Lease, outcome: Outcome) -> Result<Finished, Error> {
        self.report(lease, Report::new(outcome, self.now().wall))
    }

    /// Ends an attempt with all that can be said of it.
    pub fn report(&self, lease: Lease, report: Report) -> Result<Finished, Error> {
        self.store
            .finish(lease, report, &self.now())
            .map_err(|unfinished| *unfinished.error)
    }

    /// Ends an attempt well.
    pub fn complete(&self, lease: Lease) -> Result<Finished, Error> {
        self.finish(lease, Outcome::Completed { result: None })
    }

    /// Ends an attempt badly; the class decides what follows.
    pub fn fail(&self, lease: Lease, class: Class) -> Result<Finished, Error> {
        self.finish(lease, failed(class))
    }

    /// Ends an attempt with this exit code.
    pub fn exit(&self, lease: Lease, code: i32) -> Result<Finished, Error> {
        let report = Report {
            exit_code: Some(code),
            ..Report::new(failed(Class::ExitCode), self.now().wall)
        };
        self.report(lease, report)
    }

    /// The attempt asks to run later.
    pub fn snooze(&self, lease: Lease, span: Duration) -> Result<Finished, Error> {
        let until = self.now().wall.saturating_add(span);
        self.finish(lease, Outcome::Snoozed { until })
    }

    /// A stopping worker hands the lease back.
    pub fn hand_back(&self, lease: Lease) -> Result<Finished, Error> {
        self.finish(lease, Outcome::HandedBack)
    }

    /// The attempt's processes are gone because the job was cancelled.
    pub fn abort(&self, lease: Lease) -> Result<Finished, Error> {
        self.finish(lease, Outcome::Cancelled)
    }
}

/// An attempt that failed in a way that leaves the decision to the policy.
pub fn failed(class: Class) -> Outcome {
    Outcome::Failed {
        class,
        retryable: None,
        retry_after: None,
    }
}
