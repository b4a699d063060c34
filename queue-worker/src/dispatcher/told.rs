//! A cycle that the store has answered, and what it needs before it is back.
//!
//! Made by [`Flight`], on whichever thread that is. What always holds: what was claimed and cannot be
//! prepared now is given back unread, and what can be done without waiting is known before it is begun.

use std::time::Instant;

use queue_core::job::{Command, JobBody, PROCESS};
use queue_core::proof::{Proof, unproven};
use queue_core::store::{Claimed, Cycled};
use queue_core::{Error, Fence, JobId, State, failpoint};

use super::calling::{self, Called};
use super::flight::{Flight, Landed, Question, Ready};
use crate::agent::bill::Earlier;
use crate::agent::call::Call;
use crate::agent::ways;

/// See the module.
pub(super) struct Told {
    flight: Flight,
    began: Instant,
    result: Result<Cycled, Error>,
    /// After the transaction.
    generation: u32,
    /// Claimed now or earlier, and not started yet.
    claimed: Vec<Claimed>,
    /// What those need to run.
    bodies: Result<Vec<JobBody>, Error>,
}

impl Told {
    /// Takes the store's answer and reads what was claimed.
    pub(super) fn of(
        mut flight: Flight,
        began: Instant,
        mut result: Result<Cycled, Error>,
    ) -> Self {
        let generation = flight.store.generation();
        let mut claimed = std::mem::take(&mut flight.unread);
        let mut bodies = Ok(Vec::new());
        if let Ok(cycled) = &mut result {
            claimed.append(&mut cycled.claimed);
            let jobs: Vec<JobId> = claimed.iter().map(|one| one.lease.job()).collect();
            if !jobs.is_empty() {
                bodies = flight.store.bodies(&jobs);
            }
        }
        Self {
            flight,
            began,
            result,
            generation,
            claimed,
            bodies,
        }
    }

    /// Whether what is left may write to the store once more, looks at many jobs or at a long
    /// history, or removes what may be large.
    pub(super) fn may_take_long(&self) -> bool {
        let Ok(cycled) = &self.result else {
            return false;
        };
        let asks_agents = |body: &JobBody| calls_agent(body) || !body.options.proof.is_empty();
        !cycled.orphans.is_empty()
            || !cycled.lost.is_empty()
            || !cycled.forgotten.is_empty()
            || self.is_to_count()
            || self
                .bodies
                .as_ref()
                .is_ok_and(|all| all.iter().any(asks_agents))
    }

    /// Does what is left.
    pub(super) fn land(mut self) -> Landed {
        let mut is_done = false;
        let mut orphan_bodies = Vec::new();
        let mut taken_over = Vec::new();
        if let Ok(cycled) = &self.result {
            self.clear(cycled);
            is_done = self.ask();
            orphan_bodies = self.orphan_bodies(cycled);
            taken_over.extend(cycled.lost.iter().filter(|fence| self.is_taken_over(fence)));
        }
        let (ready, unread, body_error) = self.prepare();
        Landed {
            began: self.began,
            took: self.began.elapsed(),
            cycle: self.flight.cycle,
            result: self.result,
            ready,
            unread,
            body_error,
            orphan_bodies,
            taken_over,
            is_done,
        }
    }

    /// Takes back what attempts had for themselves that are over for good.
    fn clear(&self, cycled: &Cycled) {
        for (fence, _) in &cycled.finished {
            failpoint::hit("settle.committed");
            self.flight.spares.take_back(fence.job, fence.epoch);
            failpoint::hit("settle.cleared");
        }
        for (job, epoch) in &cycled.forgotten {
            self.flight.layout.remove_log(*job, *epoch);
        }
    }

    fn orphan_bodies(&self, cycled: &Cycled) -> Vec<(JobBody, Earlier)> {
        let orphans: Vec<JobId> = cycled.orphans.iter().map(|one| one.lease.job()).collect();
        if orphans.is_empty() {
            return Vec::new();
        }
        failpoint::hit("adopt.claimed");
        // What cannot be read now is adopted anew once its lease has run out.
        let bodies = self.flight.store.bodies(&orphans).unwrap_or_default();
        bodies
            .into_iter()
            .map(|body| self.as_it_runs(body))
            .collect()
    }

    /// What was claimed with what it needs to run; and what is to be tried again, with the reason.
    fn prepare(&mut self) -> (Vec<Ready>, Vec<Claimed>, Option<Error>) {
        let claimed = std::mem::take(&mut self.claimed);
        if self.result.is_err() {
            return (Vec::new(), claimed, None);
        }
        let mut bodies = match std::mem::replace(&mut self.bodies, Ok(Vec::new())) {
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
        if self.flight.store.generation() != self.generation {
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
        let config = self.flight.config.as_deref();
        calling::call(
            &*self.flight.store,
            &*self.flight.clock,
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
        let detail = self
            .flight
            .store
            .detail(body.id, &self.flight.clock.now())?;
        Ok(unproven(&detail.attempts).and_then(Proof::complaint))
    }

    /// What an adopted job runs now, and what its attempt goes on from, where it calls an agent.
    fn as_it_runs(&self, mut body: JobBody) -> (JobBody, Earlier) {
        let detail =
            calls_agent(&body).then(|| self.flight.store.detail(body.id, &self.flight.clock.now()));
        let Some(Ok(detail)) = detail else {
            return (body, Earlier::default());
        };
        let job = &detail.summary.job;
        ways::choose(&mut body, job.way.as_deref());
        let earlier = match Call::of(&body, self.flight.config.as_deref()) {
            Ok(Some(call)) => {
                let (attempts, epoch) = (&detail.attempts, job.epoch);
                calling::earlier(&*self.flight.store, &call, attempts, body.id, epoch)
                    .unwrap_or_default()
            }
            _ => Earlier::default(),
        };
        (body, earlier)
    }

    /// Whether the process tree of a lost fence still is the one that runs the job.
    fn is_taken_over(&self, fence: &Fence) -> bool {
        let found = self.flight.store.job(fence.job);
        found.is_ok_and(|job| job.state == State::InProgress && job.epoch == fence.epoch)
    }

    fn is_cancelled(&self, job: JobId) -> bool {
        let found = self.flight.store.job(job);
        found.is_ok_and(|job| job.cancel_requested_at.is_some())
    }

    /// Whether it is to be asked what all queues hold. Who has just claimed something need not ask
    /// whether there is anything to do.
    fn is_to_count(&self) -> bool {
        let asks = matches!(self.flight.question, Some(Question::IsDrained { .. }));
        asks && self.claimed.is_empty()
    }

    /// The answer to the question; a store that fails to give it has not said yes.
    fn ask(&self) -> bool {
        let (store, clock) = (&self.flight.store, &self.flight.clock);
        match &self.flight.question {
            None => false,
            Some(Question::HasEnded(job)) => match store.job(*job) {
                Ok(job) => job.state.is_ended(),
                Err(error) => matches!(error, Error::JobNotFound(_)),
            },
            Some(Question::IsDrained {
                queues,
                scheduled_too,
            }) if self.is_to_count() => {
                store
                    .outlook(queues, PROCESS, &clock.now())
                    .is_ok_and(|outlook| {
                        outlook.pending == 0
                            && outlook.in_progress == 0
                            && !(*scheduled_too && outlook.scheduled > 0)
                    })
            }
            Some(Question::IsDrained { .. }) => false,
        }
    }
}

/// Whether a job calls an agent, as its task or for the facts of its output.
fn calls_agent(body: &JobBody) -> bool {
    matches!(body.command, Ok(Command::Agent(_))) || body.options.agent.is_some()
}
