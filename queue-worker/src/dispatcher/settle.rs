//! What the dispatcher does with a cycle that is back.
//!
//! Split from the event loop for its length alone; it changes the same slots. What always holds:
//! a fence that is lost stops its attempt and is never written under again.

use std::time::{Duration, Instant};

use queue_core::attempt::{Finished, Orphan, Started};
use queue_core::job::JobBody;
use queue_core::store::{Claimed, Cycle, Cycled};
use queue_core::{Error, Fence, StoreError, Timestamp};

use super::flight::{Landed, Ready};
use super::returned::Found;
use super::slots::{Adopted, Phase};
use super::{ADOPT, Dispatcher, Failing, PROMOTE, words};
use crate::agent::bill::Earlier;
use crate::agent::call::Call;
use crate::agent::last_words::LastWords;
use crate::agent::reading::Reading;
use crate::attempt::{Manner, Task};
use crate::cgroup::Hold;
use crate::outcome::report_unbuilt;
use crate::post::Post;
use crate::process::{SpawnClass, SpawnProblem};
use crate::recovery::{self, Recovered, Traces};
use crate::shim;
use crate::signals::StopLevel;
use crate::spec::NoSpec;
use crate::supervisor::{Control, StopCause};
use crate::worker::{Until, WorkerError};

/// How long a cycle may take before it is said that the store does not answer.
const SLOW: Duration = Duration::from_secs(5);

impl Dispatcher {
    /// Takes in what came of a cycle.
    pub(super) fn settle(&mut self, landed: Landed) -> Result<(), WorkerError> {
        self.pace.note(landed.took, Instant::now());
        let mut unread = landed.unread;
        let until = self.held_until(landed.began);
        match landed.result {
            Ok(cycled) => {
                self.end_if_over(landed.is_done);
                unread.retain(|claimed| !cycled.lost.contains(&claimed.lease.fence()));
                let bodies = landed.orphan_bodies;
                self.extend(&landed.cycle, &cycled, until);
                self.apply(
                    &landed.cycle,
                    &cycled,
                    landed.ready,
                    bodies,
                    &landed.taken_over,
                    until,
                );
            }
            Err(error) => {
                self.outbox.put_back(landed.cycle);
                self.fail(error)?;
            }
        }
        self.keep_unread(unread, until);
        match landed.body_error {
            Some(error) => self.fail(error),
            None => Ok(()),
        }
    }

    /// Until when nobody else takes over what a cycle that began then has given or extended. A
    /// quarter less than the lease: the store counts in whole milliseconds.
    fn held_until(&self, began: Instant) -> Instant {
        let most = self.options.lease_for / 4 * 3;
        // A lease too long for the clock counts as a day, which every heartbeat gives anew.
        began
            .checked_add(most)
            .unwrap_or(began + Duration::from_secs(86_400))
    }

    fn extend(&mut self, cycle: &Cycle, cycled: &Cycled, until: Instant) {
        for fence in cycle
            .leases
            .iter()
            .filter(|fence| !cycled.lost.contains(fence))
        {
            if let Some(slot) = self.slots.get_mut(*fence) {
                slot.control.hold_until(until);
            }
        }
    }

    fn apply(
        &mut self,
        cycle: &Cycle,
        cycled: &Cycled,
        ready: Vec<Ready>,
        mut bodies: Vec<(JobBody, Earlier)>,
        taken_over: &[Fence],
        until: Instant,
    ) {
        let now = Instant::now();
        self.recovered();
        for (fence, finished) in &cycled.finished {
            self.finish(*fence, *finished, cycle);
        }
        for (gate, closing) in &cycled.closed {
            let words = words::closed(gate, closing, self.clock.now().wall);
            tracing::warn!(gate = gate.as_str(), worker = %self.name, "{words}");
        }
        for fence in &cycled.lost {
            self.lose(*fence, taken_over.contains(fence));
        }
        for fence in &cycled.cancels {
            self.cancel(*fence);
        }
        for (fence, budget) in &cycled.over_budget {
            self.stop_for(*fence, budget);
        }
        let adopted = cycled.orphans.len();
        for orphan in &cycled.orphans {
            let found = bodies
                .iter()
                .position(|(body, _)| body.id == orphan.lease.job());
            let (body, earlier) = found.map(|at| bodies.swap_remove(at)).unzip();
            self.adopt(orphan, body, earlier.unwrap_or_default());
        }
        let claimed = ready.len();
        for ready in ready {
            // Claimed by an earlier cycle, it may have been lost before it could be read.
            if !cycled.lost.contains(&ready.claimed.lease.fence()) {
                self.launch(ready, until);
            }
        }
        self.agenda
            .cycle_ended(now, claimed + adopted + cycled.promoted > 0);
        self.plan_next_look(now, cycled.promoted, adopted, cycled.next_at);
    }

    fn plan_next_look(
        &mut self,
        now: Instant,
        promoted: usize,
        adopted: usize,
        next_at: Option<Timestamp>,
    ) {
        if self.obeyed != StopLevel::Work {
            return;
        }
        if let Some(at) = self.claims_resume_at(now) {
            self.agenda.look_at(at);
        }
        if promoted >= PROMOTE || adopted >= ADOPT {
            self.agenda.look_now(now);
        } else if let Some(next_at) = next_at {
            // Timestamps are cut to a millisecond, so one more makes sure that it has come.
            let wait = next_at.since(self.clock.now().wall) + Duration::from_millis(1);
            self.agenda.look_after(now, wait);
        }
    }

    // ── Attempts ────────────────────────────────────────────────────────────────────────────

    fn finish(&mut self, fence: Fence, finished: Finished, cycle: &Cycle) {
        self.summary.count(finished);
        let now = self.clock.now().wall;
        let report = cycle.ended.iter().find(|(known, _)| *known == fence);
        let report = report.map(|(_, report)| report);
        if let Some(slot) = self.slots.remove(fence) {
            let words = words::ended(finished, report, slot.since.elapsed(), now);
            let attempt = slot.attempt;
            tracing::info!(job = fence.job.0, attempt, worker = %self.name, "job {} {words}", slot.label);
        } else if let Some(adopted) = self.orphans.remove(&fence) {
            let words = words::rescued(finished, adopted.class, now);
            tracing::warn!(job = fence.job.0, worker = %self.name, "job {} {words}", fence.job);
        }
    }

    fn lose(&mut self, fence: Fence, is_taken_over: bool) {
        self.outbox.forget(fence);
        self.orphans.remove(&fence);
        let Some(slot) = self.slots.get_mut(fence) else {
            return;
        };
        match slot.phase {
            Phase::Running { .. } => {
                slot.phase = Phase::Lost;
                // Who took it over goes on with it: to end it would end their work.
                let goes_on = is_taken_over && !slot.is_direct;
                if goes_on {
                    slot.control.let_go();
                } else {
                    slot.stop(StopCause::LeaseLost);
                }
                self.summary.lost += 1;
                tracing::warn!(
                    job = fence.job.0,
                    attempt = slot.attempt,
                    worker = %self.name,
                    "job {} {}: its lease is lost",
                    slot.label,
                    if goes_on { "goes on under another worker" } else { "is stopped here" }
                );
            }
            Phase::Unread | Phase::Over => {
                self.summary.lost += 1;
                tracing::warn!(
                    job = fence.job.0,
                    attempt = slot.attempt,
                    worker = %self.name,
                    "the outcome of job {} does not count: its lease is lost",
                    slot.label
                );
                self.slots.remove(fence);
            }
            Phase::Lost => {}
        }
    }

    fn cancel(&mut self, fence: Fence) {
        if let Some(adopted) = self.orphans.get_mut(&fence) {
            adopted.is_cancelled = true;
        }
        if let Some(slot) = self.slots.get_mut(fence) {
            if slot.control.snapshot().stops == 0 && slot.phase != Phase::Over {
                tracing::info!(
                    job = fence.job.0,
                    attempt = slot.attempt,
                    worker = %self.name,
                    "job {} is being cancelled",
                    slot.label
                );
            }
            slot.stop(StopCause::Cancelled);
        }
    }

    /// A shared budget is used up that does not let attempts go on: the job is handed back, and
    /// waits for it.
    fn stop_for(&mut self, fence: Fence, budget: &str) {
        if let Some(slot) = self.slots.get_mut(fence)
            && matches!(slot.phase, Phase::Running { .. })
            && slot.stopped_for.is_none()
        {
            tracing::warn!(
                job = fence.job.0,
                attempt = slot.attempt,
                worker = %self.name,
                "job {} is stopped and waits: budget {budget} is used up",
                slot.label
            );
            slot.stopped_for = Some(budget.to_owned());
            slot.stop(StopCause::Interrupted);
        }
    }

    /// Starts what was claimed; while stopping it is handed back instead.
    fn launch(&mut self, ready: Ready, until: Instant) {
        let Ready {
            claimed,
            body,
            call,
            refused,
            complaint,
            is_cancelled,
        } = ready;
        let fence = claimed.lease.fence();
        if !self.hold(&claimed, until) {
            return;
        }
        let Some(body) = body else {
            // The job is gone, and its lease with it.
            self.slots.remove(fence);
            return;
        };
        let Some(slot) = self.slots.get_mut(fence) else {
            return;
        };
        if let Some(report) = refused {
            slot.phase = Phase::Over;
            self.outbox.ended.push((fence, *report));
            return;
        }
        if is_cancelled {
            slot.stop(StopCause::Cancelled);
        } else if self.obeyed != StopLevel::Work {
            slot.stop(StopCause::Interrupted);
        } else {
            words::say_started(fence, slot, &self.name);
        }
        slot.since = Instant::now();
        slot.phase = Phase::Running { is_recorded: false };
        slot.is_direct = self.options.is_direct || body.options.direct || !shim::is_available();
        let manner = if slot.is_direct {
            Manner::Direct
        } else {
            Manner::Shim
        };
        let task = Task {
            fence,
            attempt: slot.attempt,
            queue: claimed.queue,
            worker: self.name.clone(),
            body,
            call,
            reading: slot.reading.clone(),
            config: self.config.clone(),
            complaint,
            saved: claimed.checkpoint,
            layout: self.layout.clone(),
            groups: self.groups.clone(),
            clock: self.clock.clone(),
            control: slot.control.clone(),
            checkpoint: slot.checkpoint.clone(),
            stop: self.stop.clone(),
            manner,
            shims: self.shims.clone(),
            spares: self.spares.clone(),
        };
        self.begin(task);
    }

    fn begin(&mut self, task: Task) {
        let fence = task.fence;
        let handle = self.attempts.spawn_blocking(|| task.run());
        self.tasks.insert(handle.id(), fence);
        self.agenda
            .attempt_began(Instant::now(), self.slots.next_record_at());
    }

    /// Goes on with an attempt that another worker started.
    pub(super) fn follow(&mut self, fence: Fence, adopted: &Adopted) {
        let Some(body) = adopted.body.clone() else {
            // The job is gone, and its lease with it.
            return;
        };
        let control = match Control::new() {
            Ok(control) => control,
            Err(error) => {
                tracing::warn!(job = fence.job.0, %error, "job {} waits for another worker", fence.job);
                return;
            }
        };
        tracing::info!(
            job = fence.job.0,
            attempt = adopted.attempt,
            worker = %self.name,
            "job {} goes on: adopted ({})",
            fence.job,
            adopted.class
        );
        let call = self.called(&body, &adopted.earlier);
        let slot = self.slots.insert_adopted(fence, adopted, control);
        let task = Task {
            fence,
            attempt: adopted.attempt,
            queue: String::new(),
            worker: self.name.clone(),
            call,
            body,
            reading: slot.reading.clone(),
            config: self.config.clone(),
            complaint: None,
            saved: None,
            layout: self.layout.clone(),
            groups: self.groups.clone(),
            clock: self.clock.clone(),
            control: slot.control.clone(),
            checkpoint: slot.checkpoint.clone(),
            stop: self.stop.clone(),
            manner: Manner::Adopted,
            shims: self.shims.clone(),
            spares: self.spares.clone(),
        };
        self.begin(task);
    }

    /// The agent that an adopted attempt calls, if it calls one.
    fn called(&self, body: &JobBody, earlier: &Earlier) -> Option<Box<Call>> {
        let call = Call::of(body, self.config.as_deref()).ok().flatten()?;
        Some(Box::new(Call {
            earlier: earlier.clone(),
            ..call
        }))
    }

    /// Makes the slot of a claimed job, unless it has one. Says whether it has one now.
    fn hold(&mut self, claimed: &Claimed, until: Instant) -> bool {
        let fence = claimed.lease.fence();
        if self.slots.contains(fence) {
            return true;
        }
        match Control::new() {
            Ok(control) => {
                control.hold_until(until);
                self.slots.insert(claimed, control);
                true
            }
            Err(error) => {
                let problem = SpawnProblem::from_io(
                    SpawnClass::Resources,
                    "the worker has no room for the attempt; raise `ulimit -n` or lower its concurrency",
                    &error,
                );
                self.note_shortage(&problem.text);
                let report = report_unbuilt(&NoSpec::Spawn(problem), self.clock.now().wall);
                self.outbox.ended.push((fence, report));
                false
            }
        }
    }

    /// Keeps what was claimed and could not be read, for the next cycle.
    fn keep_unread(&mut self, unread: Vec<Claimed>, until: Instant) {
        let mut kept = Vec::new();
        for claimed in unread {
            if self.hold(&claimed, until) {
                kept.push(claimed);
            }
        }
        self.slots.set_unread(kept);
        if self.obeyed >= StopLevel::Drain {
            self.hand_back_unread();
        }
    }

    // ── Adoption ────────────────────────────────────────────────────────────────────────────

    fn adopt(&mut self, orphan: &Orphan, body: Option<JobBody>, earlier: Earlier) {
        let fence = orphan.lease.fence();
        tracing::warn!(
            job = fence.job.0,
            attempt = orphan.lease.attempt(),
            worker = %self.name,
            "job {} lost its worker ({})",
            fence.job,
            orphan.class
        );
        let adopted = Adopted {
            attempt: orphan.lease.attempt(),
            class: orphan.class,
            is_cancelled: false,
            traces: self.traces(orphan),
            body,
            earlier,
            is_recorded: orphan.process.is_some(),
        };
        self.orphans.insert(fence, adopted);
        self.recover(fence);
    }

    /// By what the processes of a dead attempt are known. A number of another boot means nothing.
    fn traces(&self, orphan: &Orphan) -> Traces {
        let here = self.clock.now().boot;
        let is_this_boot = here.is_some() && here == orphan.boot;
        let first = |process: &Started| Some((process.pid, process.pid_started?));
        Traces {
            job: orphan.was.job,
            epoch: orphan.was.epoch,
            db: self.layout.db().to_owned(),
            first: orphan
                .process
                .as_ref()
                .filter(|_| is_this_boot)
                .and_then(first),
            is_this_boot,
            // As they are noted in its run directory.
            groups: Hold::default(),
        }
    }

    /// Looks on a thread of the pool whether an adopted attempt lives, and ends what is left of it
    /// where it does not.
    pub(super) fn recover(&mut self, fence: Fence) {
        let Some(adopted) = self.orphans.get(&fence) else {
            return;
        };
        let (traces, stop) = (adopted.traces.clone(), self.stop.clone());
        let post = Post::at(&self.layout.run_directory(fence.job, fence.epoch));
        let (reading, clock) = (self.rest_to_read(fence, adopted), self.clock.clone());
        let terms = (adopted.body.as_ref()).map(|body| body.options.proof.clone());
        let handle = self.recoveries.spawn_blocking(move || {
            let recovered = recovery::recover(&post, &traces, || stop.level());
            // What nobody follows is read to its end here: what it used counts all the same.
            let reading = reading.filter(|_| matches!(recovered, Recovered::Cleared(_)));
            let terms = terms.unwrap_or_default();
            let words = reading.map(|mut rest| LastWords::of(&mut rest, &terms, clock.now().wall));
            Found {
                fence,
                recovered,
                words,
            }
        });
        self.tasks.insert(handle.id(), fence);
    }

    /// The output of an adopted attempt from where the worker before stopped to read it, where it
    /// is an agent's.
    fn rest_to_read(&self, fence: Fence, adopted: &Adopted) -> Option<Reading> {
        let body = adopted.body.as_ref()?;
        let call = self.called(body, &adopted.earlier)?;
        let log = self.layout.log(fence.job, fence.epoch);
        Some(Reading::begin(&call, body, &log, self.config.as_deref()))
    }

    // ── The store in trouble ────────────────────────────────────────────────────────────────

    /// When a cycle that is under way has taken so long that it is to be said; none once it was.
    pub(super) fn slow_at(&self) -> Option<Instant> {
        let is_unsaid = self.flight.is_some() && self.failing.is_none();
        is_unsaid.then(|| self.flown_off_at + SLOW)
    }

    /// Others hold the write lock, or the disk does not answer. The cycle goes on waiting.
    pub(super) fn say_that_it_waits(&mut self) {
        let waiting = words::outcomes(self.outbox.outcomes());
        tracing::error!(
            worker = %self.name,
            "the store does not answer: another program may hold its lock (`fuser -v {}`); {waiting} kept, nothing new is started until it does",
            self.layout.db().display()
        );
        self.failing = Some(Failing {
            tries: 0,
            said: None,
        });
    }

    /// Keeps everything and tries again, unless no later try can go better.
    fn fail(&mut self, error: Error) -> Result<(), WorkerError> {
        if is_final(&error) {
            self.say_what_goes_on(&error);
            return Err(WorkerError::Store(error));
        }
        let words = words::with_causes(&error);
        let is_busy = error.is_transient();
        // That others hold the lock was said while it was waited for.
        let was_said = self
            .failing
            .as_ref()
            .is_some_and(|failing| match &failing.said {
                Some(said) => *said == words,
                None => is_busy,
            });
        let failing = self.failing.get_or_insert_with(Failing::default);
        failing.tries = failing.tries.saturating_add(1);
        failing.said = Some(words.clone());
        if !was_said {
            let waiting = words::outcomes(self.outbox.outcomes());
            tracing::error!(
                worker = %self.name,
                "the store cannot be used: {words}; {waiting} kept, nothing new is started until it can"
            );
        }
        let tries = failing.tries;
        self.agenda.cycle_failed(Instant::now(), tries);
        Ok(())
    }

    /// Names what no worker will ever follow: the store that is there now, if there is one, knows
    /// nothing of these jobs.
    fn say_what_goes_on(&self, error: &Error) {
        if !matches!(error, Error::Store(StoreError::Replaced { .. })) {
            return;
        }
        for (fence, slot) in self.slots.lasting() {
            let status = self
                .layout
                .run_directory(fence.job, fence.epoch)
                .join("status");
            tracing::error!(
                job = fence.job.0,
                worker = %self.name,
                "job {} goes on without a worker: how it ends will be in `{}`, what it writes is in `{}`",
                slot.label,
                status.display(),
                self.layout.log(fence.job, fence.epoch).display()
            );
        }
    }

    fn recovered(&mut self) {
        if let Some(failing) = self.failing.take() {
            let tries = failing.tries;
            tracing::info!(worker = %self.name, tries, "the store can be used again");
            self.agenda.look_now(Instant::now());
        }
    }

    // ── The end ─────────────────────────────────────────────────────────────────────────────

    /// What was waited for has come: a worker for one job then claims nothing more, and hands
    /// back what it claimed in the same cycle.
    fn end_if_over(&mut self, is_done: bool) {
        self.is_over |= is_done;
        if self.is_over && matches!(self.options.until, Until::Ended(_)) {
            self.obeyed = self.obeyed.max(StopLevel::Drain);
        }
    }
}

/// Whether no later try in this process can go better.
pub(crate) fn is_final(error: &Error) -> bool {
    match error {
        Error::Store(store) => match store {
            StoreError::Stopped { .. }
            | StoreError::Replaced { .. }
            | StoreError::Corrupt { .. }
            | StoreError::NotADatabase(_)
            | StoreError::Foreign(_)
            | StoreError::Newer { .. }
            | StoreError::ForeignMigration { .. }
            | StoreError::OldEngine { .. }
            | StoreError::Setting { .. }
            | StoreError::IsDirectory(_) => true,
            StoreError::ReadOnly(_)
            | StoreError::PermissionDenied(_)
            | StoreError::CannotOpen { .. }
            | StoreError::DiskFull(_)
            | StoreError::Busy { .. }
            | StoreError::TooSlow { .. }
            | StoreError::Io { .. }
            | StoreError::Engine { .. } => false,
        },
        // A cycle that is refused as such would be refused for ever.
        _ => true,
    }
}
