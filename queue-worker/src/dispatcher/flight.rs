//! One cycle on a thread of the pool: the transaction, then the bodies of what it claimed.
//!
//! The dispatcher sends it off with all that is to be said and gets everything back. What always
//! holds: whatever could not be told or read comes back whole, to be tried again.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use queue_core::attempt::Report;
use queue_core::job::{Command, JobBody, PROCESS};
use queue_core::proof::{Proof, unproven};
use queue_core::store::{Claimed, Cycle, Cycled};
use queue_core::{Clock, Error, Fence, JobId, State, Store, failpoint};

use super::calling::{self, Called};
use crate::agent::bill::Earlier;
use crate::agent::call::Call;
use crate::agent::ways;
use crate::layout::Layout;
use crate::spares::Spares;

/// What to ask the store beside the cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether these queues hold nothing that starts by itself.
    IsDrained {
        queues: Vec<String>,
        scheduled_too: bool,
    },
    /// Whether this job has ended, or is gone.
    HasEnded(JobId),
}

/// A cycle on its way.
pub(super) struct Flight {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) layout: Arc<Layout>,
    pub(super) spares: Arc<Spares>,
    /// The directory of the user's `agents.toml`.
    pub(super) config: Option<Arc<Path>>,
    pub(super) cycle: Cycle,
    /// Claimed earlier, and not read yet.
    pub(super) unread: Vec<Claimed>,
    pub(super) question: Option<Question>,
}

/// A cycle that is back.
pub(super) struct Landed {
    /// Before the transaction: leases that it gave or extended run from no earlier moment.
    pub(super) began: Instant,
    pub(super) cycle: Cycle,
    pub(super) result: Result<Cycled, Error>,
    /// Ready to run.
    pub(super) ready: Vec<Ready>,
    /// Claimed, and not read because of this error.
    pub(super) unread: Vec<Claimed>,
    pub(super) body_error: Option<Error>,
    /// What the adopted attempts need, and what those of agents go on from.
    pub(super) orphan_bodies: Vec<(JobBody, Earlier)>,
    /// Lost fences whose process tree another worker has taken over as it is.
    pub(super) taken_over: Vec<Fence>,
    /// The answer to the question is yes.
    pub(super) is_done: bool,
}

/// A claimed job with what it needs to run; without it, where the job is gone by now.
pub(super) struct Ready {
    pub(super) claimed: Claimed,
    pub(super) body: Option<JobBody>,
    /// The agent it calls, if it calls one.
    pub(super) call: Option<Box<Call>>,
    /// Why it is not started after all.
    pub(super) refused: Option<Box<Report>>,
    /// What said no to the attempt before, with what it printed.
    pub(super) complaint: Option<String>,
    /// Its cancel was asked for between the claim and now.
    pub(super) is_cancelled: bool,
}

impl Ready {
    fn new(
        claimed: Claimed,
        body: Option<JobBody>,
        call: Option<Box<Call>>,
        refused: Option<Box<Report>>,
    ) -> Self {
        Self {
            claimed,
            body,
            call,
            refused,
            complaint: None,
            is_cancelled: false,
        }
    }
}

impl Flight {
    pub(super) fn fly(mut self) -> Landed {
        let began = Instant::now();
        let mut result = self.store.cycle(&self.cycle, &self.clock.now());
        let generation = self.store.generation();
        let mut claimed = std::mem::take(&mut self.unread);
        let mut is_done = false;
        let mut orphan_bodies = Vec::new();
        let mut taken_over = Vec::new();
        if let Ok(cycled) = &mut result {
            claimed.append(&mut cycled.claimed);
            for (fence, _) in &cycled.finished {
                failpoint::hit("settle.committed");
                self.spares.take_back(fence.job, fence.epoch);
                failpoint::hit("settle.cleared");
            }
            for (job, epoch) in &cycled.forgotten {
                self.layout.remove_log(*job, *epoch);
            }
            is_done = self.ask(claimed.is_empty());
            let orphans: Vec<JobId> = cycled.orphans.iter().map(|one| one.lease.job()).collect();
            if !orphans.is_empty() {
                failpoint::hit("adopt.claimed");
                // What cannot be read now is adopted anew once its lease has run out.
                let bodies = self.store.bodies(&orphans).unwrap_or_default();
                orphan_bodies = (bodies.into_iter())
                    .map(|body| self.as_it_runs(body))
                    .collect();
            }
            taken_over.extend(cycled.lost.iter().filter(|fence| self.is_taken_over(fence)));
        }
        let (ready, unread, body_error) = if result.is_ok() {
            self.read(claimed, generation)
        } else {
            (Vec::new(), claimed, None)
        };
        Landed {
            began,
            cycle: self.cycle,
            result,
            ready,
            unread,
            body_error,
            orphan_bodies,
            taken_over,
            is_done,
        }
    }

    fn read(
        &self,
        claimed: Vec<Claimed>,
        generation: u32,
    ) -> (Vec<Ready>, Vec<Claimed>, Option<Error>) {
        if claimed.is_empty() {
            return (Vec::new(), claimed, None);
        }
        let jobs: Vec<JobId> = claimed.iter().map(|one| one.lease.job()).collect();
        let mut bodies = match self.store.bodies(&jobs) {
            Ok(bodies) => bodies,
            Err(error) => return (Vec::new(), claimed, Some(error)),
        };
        let (mut ready, mut unread, mut failure) = (Vec::new(), Vec::new(), None);
        for claimed in claimed {
            let job = claimed.lease.job();
            let found = bodies.iter().position(|body| body.id == job);
            let mut body = found.map(|at| bodies.swap_remove(at));
            let instead_of = body
                .as_mut()
                .and_then(|body| ways::choose(body, claimed.way.as_deref()));
            let called = self.call(&claimed, body.as_ref(), instead_of.as_deref());
            match called.and_then(|called| Ok((called, self.complaint(body.as_ref())?))) {
                Ok((Called::Ready(call), complaint)) => ready.push(Ready {
                    complaint,
                    ..Ready::new(claimed, body, call, None)
                }),
                Ok((Called::Ended(report), _)) => {
                    ready.push(Ready::new(claimed, body, None, Some(report)));
                }
                Ok((Called::Lost, _)) => {}
                Err(error) => {
                    failure = Some(error);
                    unread.push(claimed);
                }
            }
        }
        // Somebody wrote since our transaction: it may have been a cancel. Our own notes count too.
        if self.store.generation() != generation {
            for ready in &mut ready {
                ready.is_cancelled = self.is_cancelled(ready.claimed.lease.job());
            }
        }
        (ready, unread, failure)
    }

    fn call(
        &self,
        claimed: &Claimed,
        body: Option<&JobBody>,
        instead_of: Option<&str>,
    ) -> Result<Called, Error> {
        let Some(body) = body else {
            return Ok(Called::Ready(None));
        };
        let config = self.config.as_deref();
        calling::call(
            &*self.store,
            &*self.clock,
            config,
            claimed,
            body,
            instead_of,
        )
    }

    /// What said no to the last attempt of a job that had something to prove.
    fn complaint(&self, body: Option<&JobBody>) -> Result<Option<String>, Error> {
        let Some(body) = body.filter(|body| !body.options.proof.is_empty()) else {
            return Ok(None);
        };
        let detail = self.store.detail(body.id, &self.clock.now())?;
        Ok(unproven(&detail.attempts).and_then(Proof::complaint))
    }

    /// What an adopted job runs now, and what its attempt goes on from, where it calls an agent.
    fn as_it_runs(&self, mut body: JobBody) -> (JobBody, Earlier) {
        let calls = matches!(body.command, Ok(Command::Agent(_))) || body.options.agent.is_some();
        let detail = calls.then(|| self.store.detail(body.id, &self.clock.now()));
        let Some(Ok(detail)) = detail else {
            return (body, Earlier::default());
        };
        let job = &detail.summary.job;
        ways::choose(&mut body, job.way.as_deref());
        let earlier = match Call::of(&body, self.config.as_deref()) {
            Ok(Some(call)) => {
                let (attempts, epoch) = (&detail.attempts, job.epoch);
                calling::earlier(&*self.store, &call, attempts, body.id, epoch).unwrap_or_default()
            }
            _ => Earlier::default(),
        };
        (body, earlier)
    }

    /// Whether the process tree of a lost fence still is the one that runs the job.
    fn is_taken_over(&self, fence: &Fence) -> bool {
        let found = self.store.job(fence.job);
        found.is_ok_and(|job| job.state == State::InProgress && job.epoch == fence.epoch)
    }

    fn is_cancelled(&self, job: JobId) -> bool {
        let found = self.store.job(job);
        found.is_ok_and(|job| job.cancel_requested_at.is_some())
    }

    /// The answer; a store that fails to give it has not said yes. Who has just claimed something
    /// need not ask whether there is anything to do.
    fn ask(&self, is_idle: bool) -> bool {
        match &self.question {
            None => false,
            Some(Question::IsDrained { .. }) if !is_idle => false,
            Some(Question::HasEnded(job)) => match self.store.job(*job) {
                Ok(job) => job.state.is_ended(),
                Err(error) => matches!(error, Error::JobNotFound(_)),
            },
            Some(Question::IsDrained {
                queues,
                scheduled_too,
            }) => self
                .store
                .outlook(queues, PROCESS, &self.clock.now())
                .is_ok_and(|outlook| {
                    outlook.pending == 0
                        && outlook.in_progress == 0
                        && !(*scheduled_too && outlook.scheduled > 0)
                }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue_core::attempt::{KEPT_UNCOUNTED, Outcome};
    use queue_core::store::Claim;
    use queue_core::store::sqlite::{OpenOptions, SqliteStore};
    use queue_core::worker::NewWorker;
    use queue_core::{NewJob, StoppedClock};
    use std::fs;

    #[test]
    fn the_logs_of_tries_that_are_forgotten_go_with_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queue.db");
        let store = Arc::new(SqliteStore::open(&path, &OpenOptions::default()).unwrap());
        let layout = Arc::new(Layout::beside(&path).unwrap());
        let clock = Arc::new(StoppedClock::new());
        let about = NewWorker {
            name: "w".to_owned(),
            host: "here".to_owned(),
            pid: 1,
            concurrency: 1,
            queues: Vec::new(),
            version: "0".to_owned(),
        };
        let worker = store.register_worker(&about, &clock.now()).unwrap();
        let spares = Arc::new(Spares::of(&layout, worker));
        let job = store
            .enqueue(NewJob::argv(["x"]), &clock.now())
            .unwrap()
            .id();
        let mut ended = Vec::new();
        let tries = u64::from(KEPT_UNCOUNTED) + 10;
        for _ in 0..tries {
            let flight = Flight {
                store: store.clone(),
                clock: clock.clone(),
                layout: Arc::clone(&layout),
                spares: Arc::clone(&spares),
                config: None,
                cycle: Cycle {
                    ended: std::mem::take(&mut ended),
                    claim: Some(Claim::default()),
                    ..Cycle::of(worker)
                },
                unread: Vec::new(),
                question: None,
            };
            let fence = flight.fly().ready.pop().unwrap().claimed.lease.fence();
            fs::write(layout.log(job, fence.epoch), "x").unwrap();
            ended.push((fence, Report::new(Outcome::HandedBack, clock.now().wall)));
        }
        let kept = store.detail(job, &clock.now()).unwrap().attempts;
        let any = layout.log(job, kept[0].epoch);
        assert_eq!(
            fs::read_dir(any.parent().unwrap()).unwrap().count(),
            kept.len()
        );
        assert!(kept.iter().all(|one| layout.log(job, one.epoch).exists()));
        assert!((kept.len() as u64) < tries, "some are forgotten");
    }
}
