//! The event loop of a worker: owns the slots, and is the only part that talks to the store.
//!
//! Attempts and recoveries run on threads of the pool and come back as messages; what they bring
//! is gathered and told in one cycle, and the same cycle claims for the slots that became free.
//! The loop never waits for a lock: a cycle that has to flies on a thread of the pool.
//! What always holds: at most one cycle is under way; an outcome is kept until the store has taken
//! it; whatever runs is in a slot; with nothing to do the loop sleeps until it is woken.

mod agenda;
mod calling;
mod flight;
mod outbox;
mod pace;
mod reserve;
mod returned;
mod settle;
mod shortage;
mod slots;
mod told;
mod words;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use queue_core::attempt::{Outcome, Report, Started};
use queue_core::store::{Claim, Cycle};
use queue_core::{Clock, Fence, Store, WorkerId, worker};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinHandle, JoinSet};

use self::agenda::Agenda;
use self::flight::{Flight, Landed, Question, Stage};
use self::outbox::Outbox;
use self::pace::Pace;
use self::returned::Found;
pub(crate) use self::settle::is_final;
use self::shortage::Shortage;
use self::slots::{Adopted, Phase, Slots};
use crate::agent::reading::{self, Reading, Seen, SharedReading};
use crate::attempt::{Concluded, SharedCheckpoint, lock};
use crate::cgroup::Groups;
use crate::checkpoint_file::CheckpointFile;
use crate::layout::Layout;
use crate::life;
use crate::post::Post;
use crate::recovery;
use crate::shims::Shims;
use crate::signals::{Stop, StopLevel};
use crate::spares::Spares;
use crate::supervisor::StopCause;
use crate::waker::Waker;
use crate::worker::{Summary, Until, WorkerError, WorkerOptions};

/// How many due jobs one cycle promotes, and how many dead attempts it takes over.
const PROMOTE: usize = 100;
const ADOPT: usize = 16;

/// New values that jobs left in their checkpoint files, and what their agents wrote.
type Values = Vec<(Fence, Option<Vec<u8>>, Option<Seen>)>;

/// The truth about slots and leases.
pub(crate) struct Dispatcher {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    layout: Arc<Layout>,
    groups: Arc<Groups>,
    /// The directory of the user's `agents.toml`.
    config: Option<Arc<Path>>,
    shims: Arc<Shims>,
    spares: Arc<Spares>,
    worker: WorkerId,
    options: WorkerOptions,
    name: Arc<str>,
    stop: Stop,
    obeyed: StopLevel,
    slots: Slots,
    orphans: HashMap<Fence, Adopted>,
    outbox: Outbox,
    agenda: Agenda,
    pace: Pace,
    /// Read before the last look at the store.
    generation: u32,
    attempts: JoinSet<Concluded>,
    recoveries: JoinSet<Found>,
    /// Which fence a task of the two sets is about, should it panic.
    tasks: HashMap<Id, Fence>,
    flight: Option<JoinHandle<Landed>>,
    flown_off_at: Instant,
    watching: Option<JoinHandle<Values>>,
    probing: Option<JoinHandle<Vec<WorkerId>>>,
    measuring: Option<JoinHandle<Option<worker::Shortage>>>,
    /// What there is less of than is kept free; unknown before the first look.
    below_reserve: Option<Option<worker::Shortage>>,
    /// Workers that are proven to be dead and may hold leases.
    dead: Vec<WorkerId>,
    failing: Option<Failing>,
    /// What this machine lacks at the moment to start anything.
    shortage: Option<Shortage>,
    summary: Summary,
    is_over: bool,
}

/// A store that fails us at the moment.
#[derive(Default)]
struct Failing {
    tries: u32,
    /// The failure that was told of, so that it is not told again; none while the store does not
    /// answer at all.
    said: Option<String>,
}

impl Dispatcher {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        layout: Arc<Layout>,
        groups: Arc<Groups>,
        worker: WorkerId,
        options: WorkerOptions,
        stop: Stop,
    ) -> Self {
        Self {
            generation: store.generation(),
            agenda: Agenda::new(options.lease_for),
            name: options.name.as_str().into(),
            config: options.config.as_deref().map(Arc::from),
            store,
            clock,
            shims: Arc::new(Shims::new(layout.runs().to_owned())),
            spares: Arc::new(Spares::of(&layout, worker)),
            layout,
            groups,
            worker,
            options,
            stop,
            obeyed: StopLevel::Work,
            slots: Slots::default(),
            orphans: HashMap::new(),
            outbox: Outbox::default(),
            pace: Pace::default(),
            attempts: JoinSet::new(),
            recoveries: JoinSet::new(),
            tasks: HashMap::new(),
            flight: None,
            flown_off_at: Instant::now(),
            watching: None,
            probing: None,
            measuring: None,
            below_reserve: None,
            dead: Vec::new(),
            failing: None,
            shortage: None,
            summary: Summary::default(),
            is_over: false,
        }
    }

    /// Works until it is told to stop or, where so asked, nothing is left.
    ///
    /// # Errors
    /// When the store takes no more writes; then nothing of ours runs any more.
    pub(crate) async fn run(mut self) -> Result<Summary, WorkerError> {
        let mut waker = Waker::start(Arc::clone(&self.store)).map_err(WorkerError::Thread)?;
        let mut level = self.stop.watch();
        loop {
            match self.turn(&mut waker, &mut level).await {
                Ok(true) => {}
                Ok(false) => return Ok(self.summary),
                Err(error) => {
                    self.end_all_attempts().await;
                    return Err(error);
                }
            }
        }
    }

    /// One turn: do what is due, then wait for the next thing to happen. Says whether to go on.
    async fn turn(
        &mut self,
        waker: &mut Waker,
        level: &mut watch::Receiver<StopLevel>,
    ) -> Result<bool, WorkerError> {
        let now = Instant::now();
        if self.agenda.notice_freeze(now) {
            tracing::warn!(worker = %self.name, "this worker stood still; it looks after its own leases first");
        }
        self.obey(*level.borrow_and_update());
        self.take_all_that_ended();
        let has_landed = self.do_what_is_due(now)?;
        if self.is_finished()? {
            return Ok(false);
        }
        if !has_landed && self.flight.is_none() && self.may_be_woken(now) {
            waker.arm(self.generation);
        }
        let next_at = self.agenda.next_at(self.flight.is_some());
        let next_at = self.slow_at().map_or(next_at, |at| next_at.min(at)).into();
        tokio::select! {
            Some(ended) = self.attempts.join_next_with_id() => self.take_attempt(ended),
            Some(ended) = self.recoveries.join_next_with_id() => self.take_recovery(ended),
            landed = finished(&mut self.flight) => {
                self.settle(landed.map_err(|error| WorkerError::Broken(error.to_string()))?)?;
            }
            values = finished(&mut self.watching) => self.take_checkpoints(values),
            dead = finished(&mut self.probing) => self.take_dead(dead),
            found = finished(&mut self.measuring) => self.take_measure(found),
            () = waker.woken() => self.agenda.look_soon(Instant::now()),
            // The sender lives as long as `self.stop`.
            _ = level.changed() => {}
            () = tokio::time::sleep_until(next_at) => {}
            // A cycle was made here: there may be more to do, and what is ready beside it has its turn.
            () = std::future::ready(()), if has_landed => {}
        }
        Ok(true)
    }

    /// Whether all is done: nothing runs, nothing is to be told, and no more is wanted.
    fn is_finished(&self) -> Result<bool, WorkerError> {
        let is_idle = self.slots.is_empty() && self.outbox.is_empty() && self.flight.is_none();
        match self.obeyed {
            StopLevel::Work => Ok(self.is_over && is_idle && self.orphans.is_empty()),
            StopLevel::Drain => Ok(is_idle && self.orphans.is_empty()),
            StopLevel::HandBack => Ok(is_idle),
            StopLevel::Kill => {
                let is_stuck = self.slots.running() == 0 && self.flight.is_none();
                match &self.failing {
                    Some(failing) if is_stuck && !self.outbox.is_empty() => {
                        Err(WorkerError::Untold {
                            outcomes: self.outbox.outcomes(),
                            problem: failing
                                .said
                                .clone()
                                .unwrap_or_else(|| "the store does not answer".to_owned()),
                        })
                    }
                    _ => Ok(is_idle),
                }
            }
        }
    }

    /// A full worker does not look at every wake, but often enough for a cancel to act at once.
    fn may_be_woken(&mut self, now: Instant) -> bool {
        let has_room = self.obeyed == StopLevel::Work && self.free(now) > 0;
        self.failing.is_none() && (has_room || self.agenda.is_rested(now))
    }

    /// How many jobs may be claimed.
    fn free(&self, now: Instant) -> usize {
        if !self.has_reserve() || self.claims_resume_at(now).is_some() {
            return 0;
        }
        let most = self.options.concurrency.get();
        most.saturating_sub(self.slots.running())
    }

    // ── What is due ─────────────────────────────────────────────────────────────────────────

    /// Says whether a cycle came back meanwhile.
    fn do_what_is_due(&mut self, now: Instant) -> Result<bool, WorkerError> {
        if self.agenda.is_record_due(now) {
            self.record_starts(now);
        }
        if self.agenda.is_watch_due(now) && self.watching.is_none() {
            self.watch_checkpoints();
        }
        if self.agenda.is_probe_due(now) {
            self.agenda.probe_again(now);
            self.shims.tidy();
            if self.probing.is_none() && self.failing.is_none() {
                self.probe_others();
            }
            self.measure();
        }
        if self.slow_at().is_some_and(|at| now >= at) {
            self.say_that_it_waits();
        }
        let has_news = !self.outbox.is_empty();
        let is_cycle_due = self.flight.is_none() && self.agenda.is_cycle_due(now, has_news);
        let has_landed = is_cycle_due && self.begin_cycle(now)?;
        let is_idle = self.slots.is_empty() && self.flight.is_none();
        if self.agenda.is_tidy_due(now, is_idle) {
            self.tidy();
        }
        Ok(has_landed)
    }

    /// Notes the processes that run for long enough to be worth a write of their own; shorter ones
    /// are told together with their end.
    fn record_starts(&mut self, now: Instant) {
        let wall = self.clock.now().wall;
        let mut has_started = false;
        for (fence, slot) in self.slots.unrecorded(now) {
            let started = if slot.is_direct {
                let log = self.layout.log(fence.job, fence.epoch);
                slot.control.snapshot().pid.map(|pid| Started {
                    pid,
                    pid_started: recovery::start_of_child(pid),
                    started_at: wall.saturating_sub(now.duration_since(slot.since)),
                    log: log.display().to_string(),
                    unenforced: None,
                })
            } else {
                Post::at(&self.layout.run_directory(fence.job, fence.epoch)).started()
            };
            if let Some(started) = started {
                slot.phase = Phase::Running { is_recorded: true };
                self.outbox.started.push((fence, started));
                has_started = true;
            }
        }
        if has_started {
            self.note_room();
        }
        self.agenda.record_at(self.slots.next_record_at());
    }

    /// Looks at the checkpoint files on a thread of the pool: a file system may be slow.
    fn watch_checkpoints(&mut self) {
        let watched = self.slots.watched();
        self.agenda.watch_again(!watched.is_empty());
        if watched.is_empty() {
            return;
        }
        self.watching = Some(tokio::task::spawn_blocking(move || {
            let look = |(fence, file, reading): &(Fence, SharedCheckpoint, SharedReading)| {
                let value = lock(file).as_mut().and_then(CheckpointFile::look);
                let seen = reading::lock(reading).as_mut().map(Reading::look);
                (*fence, value, seen)
            };
            watched.iter().map(look).collect()
        }));
    }

    /// Looks whether other workers that hold leases are alive, and clears up on that thread.
    fn probe_others(&mut self) {
        let (store, layout, own) = (self.store.clone(), self.layout.clone(), self.worker);
        let spares = Arc::clone(&self.spares);
        self.probing = Some(tokio::task::spawn_blocking(move || {
            spares.tidy();
            let workers = store.workers().unwrap_or_default().into_iter();
            workers
                .filter(|worker| worker.in_progress > 0 && worker.id != own)
                .map(|worker| worker.id)
                .filter(|worker| life::is_over(&layout, *worker))
                .collect()
        }));
    }

    fn take_dead(&mut self, dead: Result<Vec<WorkerId>, JoinError>) {
        self.dead = dead.unwrap_or_default();
        if !self.dead.is_empty() {
            self.agenda.look_now(Instant::now());
        }
    }

    fn tidy(&mut self) {
        let store = Arc::clone(&self.store);
        drop(tokio::task::spawn_blocking(move || {
            if let Err(error) = store.tidy() {
                tracing::debug!(%error, "the store could not be tidied");
            }
        }));
    }

    /// Begins a cycle, here as far as nothing has to be waited for. Says whether it is back already.
    fn begin_cycle(&mut self, now: Instant) -> Result<bool, WorkerError> {
        let flight = self.next_flight(now);
        let stage = if self.failing.is_none() && self.pace.is_quick(now) {
            // As a panic on a thread of the pool: what runs is ended before the worker is.
            catch_unwind(AssertUnwindSafe(|| flight.at_once()))
                .map_err(|_| WorkerError::Broken("a cycle panicked".to_owned()))?
        } else {
            Stage::Untold(flight)
        };
        if let Stage::Landed(landed) = stage {
            return self.settle(landed).map(|()| true);
        }
        self.flight = Some(tokio::task::spawn_blocking(|| stage.land()));
        Ok(false)
    }

    /// The next cycle: all news, the heartbeat if it is due, and a claim for the free slots.
    fn next_flight(&mut self, now: Instant) -> Flight {
        let is_working = self.obeyed == StopLevel::Work && self.failing.is_none();
        let mut cycle = Cycle {
            lease_for: self.options.lease_for,
            ..Cycle::of(self.worker)
        };
        self.outbox.move_into(&mut cycle);
        if self.agenda.is_heartbeat_due(now) {
            cycle.leases = self.held_beside(&cycle);
            self.agenda.heartbeat_began(now);
        }
        if is_working {
            cycle.promote = PROMOTE;
            if self.agenda.may_adopt(now) {
                cycle.adopt = ADOPT.saturating_sub(self.orphans.len());
                cycle.dead = std::mem::take(&mut self.dead);
            }
            cycle.claim = self.claim(&cycle, now);
        }
        self.agenda.cycle_began(now);
        self.flown_off_at = now;
        self.generation = self.store.generation();
        Flight {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            layout: Arc::clone(&self.layout),
            spares: Arc::clone(&self.spares),
            config: self.config.clone(),
            unread: self.slots.take_unread(),
            question: is_working.then(|| self.question()).flatten(),
            cycle,
        }
    }

    /// What to claim. While the end of the one job that counts is told, nothing: it may be all.
    fn claim(&self, cycle: &Cycle, now: Instant) -> Option<Claim> {
        let most = self.free(now);
        let tells_the_end = match self.options.until {
            Until::Ended(job) => cycle.ended.iter().any(|(fence, _)| fence.job == job),
            Until::Stopped | Until::Drained { .. } => false,
        };
        (most > 0 && !self.is_over && !tells_the_end).then(|| Claim {
            most,
            queues: self.options.queues.clone(),
            ..Claim::default()
        })
    }

    /// The leases that this cycle does not end.
    fn held_beside(&self, cycle: &Cycle) -> Vec<Fence> {
        let ended: Vec<Fence> = cycle.ended.iter().map(|(fence, _)| *fence).collect();
        let held = self.slots.fences().chain(self.orphans.keys().copied());
        held.filter(|fence| !ended.contains(fence)).collect()
    }

    /// What to ask the store beside the cycle, to know when to end.
    fn question(&self) -> Option<Question> {
        match self.options.until {
            Until::Stopped => None,
            Until::Ended(job) => Some(Question::HasEnded(job)),
            Until::Drained { scheduled_too } => {
                let is_idle = self.slots.running() == 0 && self.orphans.is_empty();
                is_idle.then(|| Question::IsDrained {
                    queues: self.options.queues.clone(),
                    scheduled_too,
                })
            }
        }
    }

    // ── Stopping ────────────────────────────────────────────────────────────────────────────

    /// Does what a new level asks for.
    fn obey(&mut self, level: StopLevel) {
        if level <= self.obeyed {
            return;
        }
        let before = std::mem::replace(&mut self.obeyed, level);
        // Signals that came close together are seen as one level: none of the steps is left out.
        if before < StopLevel::HandBack && level >= StopLevel::HandBack {
            self.leave_now();
        }
        match level {
            StopLevel::Work | StopLevel::HandBack => {}
            StopLevel::Drain => {
                let running = words::jobs(self.slots.running());
                tracing::info!(worker = %self.name, "stopping: {running} left to end; a second signal ends the worker now");
            }
            StopLevel::Kill => {
                self.slots.stop_all(StopCause::Interrupted);
                self.slots.press_all(StopCause::Interrupted);
            }
        }
    }

    /// Ends our part in what runs: attempts in a shim go on, the others are stopped.
    fn leave_now(&mut self) {
        let lasting = self.slots.lasting().count();
        let returned = self.slots.running().saturating_sub(lasting);
        let what = words::leaving(lasting, returned);
        tracing::info!(worker = %self.name, "stopping now: {what}");
        self.slots.leave_all();
        self.hand_back_unread();
    }

    /// Gives back what was claimed and has not begun.
    fn hand_back_unread(&mut self) {
        let at = self.clock.now().wall;
        for claimed in self.slots.take_unread() {
            let fence = claimed.lease.fence();
            if let Some(slot) = self.slots.get_mut(fence) {
                slot.phase = Phase::Over;
                self.outbox
                    .ended
                    .push((fence, Report::new(Outcome::HandedBack, at)));
            }
        }
    }

    /// The store is lost to us: ends what would end with us, because nobody would ever hear of it,
    /// and leaves what goes on by itself to the next worker.
    async fn end_all_attempts(&mut self) {
        self.slots.leave_all();
        let mut level = self.stop.watch();
        while !self.attempts.is_empty() {
            tokio::select! {
                _ = self.attempts.join_next() => {}
                _ = level.changed() => self.slots.press_all(StopCause::Interrupted),
            }
        }
        self.stop.raise(StopLevel::HandBack);
    }
}

/// The result of a task, once it is there; never, where there is no task.
async fn finished<T>(task: &mut Option<JoinHandle<T>>) -> Result<T, JoinError> {
    match task {
        Some(handle) => {
            let result = handle.await;
            *task = None;
            result
        }
        None => std::future::pending().await,
    }
}

/// The longest between two heartbeats, however long the leases: they are looks at the store, too.
const LONGEST_BEAT: Duration = Duration::from_secs(10);

/// The span between two heartbeats: two may fail before a lease runs out.
fn heartbeat_every(lease_for: Duration) -> Duration {
    (lease_for / 3).min(LONGEST_BEAT)
}
