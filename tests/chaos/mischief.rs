//! The deeds: what people do to a queue, and what happens to a machine.
//!
//! The run asks for one after the other. What always holds: which deed, and to whom, the dice
//! decide; what they find to act upon depends on the machine, so a seed repeats the intentions and
//! not each race.

use crate::dice::Dice;
use crate::jobs;
use crate::processes::{self, Found, Role};
use crate::world::World;
use queue_core::store::Requeue;
use queue_core::{JobId, State, Store};
use rustix::process::{Pid, Signal};
use std::time::Duration;

/// No more jobs than this wait at a time.
const BACKLOG: usize = 25;

type Deed = fn(&mut World);

/// Kills by weight, and everything else that is done, before the temper of a run changes it.
const KILLS: &[(u64, Deed)] = &[
    (5, kill_worker),
    (5, kill_shim),
    (4, kill_process_of_a_job),
    (2, kill_everything),
    (1, kill_worker_with_its_shims),
];
const DEEDS: &[(u64, Deed)] = &[
    (2, ask_worker_to_stop),
    (4, freeze_worker),
    (2, freeze_shim),
    (4, cancel),
    (3, hold),
    (3, release),
    (3, requeue),
];

/// What a run is inclined to. Each run leaves some deeds out and loves others: what many deeds
/// together hide, a few of them repeated may show (swarm testing: Groce et al., ISSTA 2012).
pub(crate) struct Temper {
    deeds: Vec<(u64, Deed)>,
    longest_rest_ms: u64,
}

impl Temper {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let mut inclined = |deeds: &[(u64, Deed)]| {
            let mut deeds = deeds.to_vec();
            for (weight, _) in &mut deeds {
                *weight *= dice.weighed(&[(3, 0), (4, 1), (2, 4)]);
            }
            deeds
        };
        let (mut kills, others) = (inclined(KILLS), inclined(DEEDS));
        // Whatever it is inclined to, workers die; and as often as anything else is done, somebody.
        kills.push((1, kill_worker));
        while sum(&kills) < sum(&others) {
            kills.iter_mut().for_each(|(weight, _)| *weight *= 2);
        }
        let mut deeds = [kills, others].concat();
        // Enough to do, however wild it is.
        deeds.push((sum(&deeds).max(6), enqueue));
        Self {
            deeds,
            longest_rest_ms: 60 + dice.below(140),
        }
    }

    /// How long to rest between two deeds.
    pub(crate) fn rest(&self, dice: &mut Dice) -> Duration {
        dice.millis(10, self.longest_rest_ms)
    }
}

fn sum(deeds: &[(u64, Deed)]) -> u64 {
    deeds.iter().map(|(weight, _)| weight).sum()
}

/// Does one deed.
pub(crate) fn one_deed(world: &mut World) {
    let deed = world.dice.weighed(&world.temper.deeds);
    deed(world);
}

// ── People ──────────────────────────────────────────────────────────────────────────────────

fn enqueue(world: &mut World) {
    if world.unfinished().len() + world.commands.len() >= BACKLOG {
        return;
    }
    let script = world.env.work().join("job.sh");
    let words = jobs::random(&mut world.dice, &script.to_string_lossy());
    let is_killed = world.dice.percent(15);
    let kill_after = is_killed.then(|| world.dice.millis(0, 120));
    world.command(&words, kill_after);
}

fn cancel(world: &mut World) {
    if let Some(job) = one_job(world, |state| !state.is_ended()) {
        let answer = world.store.cancel(&[job], &world.now());
        world.note("cancel", format!("job {job}: {answer:?}"));
    }
}

fn hold(world: &mut World) {
    if let Some(job) = one_job(world, |state| !state.is_ended()) {
        let answer = world.store.hold(&[job], &world.now());
        world.note("hold", format!("job {job}: {answer:?}"));
    }
}

fn release(world: &mut World) {
    if let Some(job) = one_job(world, |state| state == State::Blocked) {
        let answer = world.store.release(&[job], &world.now());
        world.note("release", format!("job {job}: {answer:?}"));
    }
}

fn requeue(world: &mut World) {
    if let Some(job) = one_job(world, State::is_ended) {
        let answer = world
            .store
            .requeue(&[job], &Requeue::default(), &world.now());
        world.note("requeue", format!("job {job}: {answer:?}"));
    }
}

fn one_job(world: &mut World, is_wanted: fn(State) -> bool) -> Option<JobId> {
    let jobs = world.jobs(is_wanted);
    world.dice.one_of(&jobs).copied()
}

// ── Workers ─────────────────────────────────────────────────────────────────────────────────

/// A seat with a worker in it that runs.
fn one_seat(world: &mut World) -> Option<usize> {
    let taken: Vec<usize> = (0..world.seats.len())
        .filter(|at| {
            let worker = world.seats[*at].worker.as_mut();
            worker.is_some_and(|worker| worker.try_wait().is_none())
        })
        .collect();
    world.dice.one_of(&taken).copied()
}

fn signal_worker(world: &mut World, at: usize, kind: &'static str, signal: Signal) {
    if let Some(worker) = &world.seats[at].worker {
        worker.signal(signal);
        let words = format!("{} pid {}", world.seats[at].name, worker.pid());
        world.note(kind, words);
    }
}

fn kill_worker(world: &mut World) {
    if let Some(at) = one_seat(world) {
        signal_worker(world, at, "kill-worker", Signal::KILL);
    }
}

/// Once, and it drains; twice, and it leaves its jobs to the next.
fn ask_worker_to_stop(world: &mut World) {
    if let Some(at) = one_seat(world) {
        world.seats[at].is_asked_to_stop = true;
        signal_worker(world, at, "stop-worker", Signal::TERM);
    }
}

fn freeze_worker(world: &mut World) {
    let Some(at) = one_seat(world) else { return };
    let span = world.dice.millis(300, 4_000);
    if let Some(pid) = world.seats[at].worker.as_ref().map(support::Running::pid) {
        let name = world.seats[at].name.clone();
        i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .inspect(|pid| processes::freeze(*pid, span));
        world.note("freeze-worker", format!("{name} for {span:?}"));
    }
}

// ── Shims and jobs ──────────────────────────────────────────────────────────────────────────

fn one_process(world: &mut World, is_wanted: fn(&Role) -> bool) -> Option<Found> {
    let mut found = world.processes();
    found.retain(|process| is_wanted(&process.role));
    world.dice.one_of(&found).cloned()
}

fn kill(world: &mut World, process: &Found, kind: &'static str) {
    let root = world.env.root().to_owned();
    if let Role::Shim(_) = &process.role {
        world.shims_killed.extend(process.hold_still(&root));
    }
    if process.signal(&root, Signal::KILL) {
        let words = format!("{:?} pid {}", process.role, process.pid.as_raw_nonzero());
        world.note(kind, words);
    }
}

fn kill_shim(world: &mut World) {
    if let Some(shim) = one_process(world, |role| matches!(role, Role::Shim(_))) {
        kill(world, &shim, "kill-shim");
    }
}

fn freeze_shim(world: &mut World) {
    if let Some(shim) = one_process(world, |role| matches!(role, Role::Shim(_))) {
        let span = world.dice.millis(300, 3_000);
        processes::freeze(shim.pid, span);
        world.note("freeze-shim", format!("{:?} for {span:?}", shim.role));
    }
}

fn kill_process_of_a_job(world: &mut World) {
    if let Some(process) = one_process(world, |role| matches!(role, Role::Job(_))) {
        kill(world, &process, "kill-process");
    }
}

fn kill_everything(world: &mut World) {
    for process in world.processes() {
        if process.role != Role::Product {
            kill(world, &process, "kill-everything");
        }
    }
    for at in 0..world.seats.len() {
        let worker = world.seats[at].worker.as_mut();
        if worker.is_some_and(|worker| worker.try_wait().is_none()) {
            signal_worker(world, at, "kill-everything", Signal::KILL);
        }
    }
    world.kill_commands("kill-everything", |_| true);
}

/// All shims, to be exact: which one is whose cannot be told from outside.
fn kill_worker_with_its_shims(world: &mut World) {
    kill_worker(world);
    for process in world.processes() {
        if matches!(process.role, Role::Shim(_)) {
            kill(world, &process, "kill-shims");
        }
    }
}
