//! The slots of a worker: every lease it holds by a claim, and how far that attempt is.
//!
//! Owned by the dispatcher. What always holds: a lease is in here from the claim until the store
//! has taken its outcome or said that it is lost.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use queue_core::job::{Command, JobBody};
use queue_core::store::Claimed;
use queue_core::{Class, Fence};

use super::words;
use crate::agent::bill::Earlier;
use crate::agent::reading::SharedReading;
use crate::attempt::SharedCheckpoint;
use crate::supervisor::{Control, StopCause};

/// A process that runs for this long is recorded before it ends.
const RECORD_AFTER: Duration = Duration::from_millis(25);

/// How far an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Claimed; what it needs to run is not read yet.
    Unread,
    /// On its thread.
    Running {
        /// Whether the store knows of the process.
        is_recorded: bool,
    },
    /// It ended; the store has to be told.
    Over,
    /// The lease is lost; its processes are being ended and nothing is told.
    Lost,
}

/// One lease and the attempt under it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) attempt: u32,
    /// The job as people know it: `4 (build)`.
    pub(super) label: String,
    pub(super) since: Instant,
    pub(super) phase: Phase,
    pub(super) control: Control,
    pub(super) checkpoint: SharedCheckpoint,
    pub(super) reading: SharedReading,
    /// Whether the attempt ends with this worker.
    pub(super) is_direct: bool,
    /// The shared budget that it was stopped for.
    pub(super) stopped_for: Option<String>,
}

/// A lease that was taken over, until it is known whether its attempt lives.
#[derive(Debug)]
pub(super) struct Adopted {
    pub(super) attempt: u32,
    pub(super) class: Class,
    pub(super) is_cancelled: bool,
    pub(super) traces: crate::recovery::Traces,
    /// What the attempt needs; none where the job is gone.
    pub(super) body: Option<JobBody>,
    /// What it goes on from, where it is an agent's.
    pub(super) earlier: Earlier,
    /// Whether the worker that had it told the store of its process.
    pub(super) is_recorded: bool,
}

/// All slots that are in use.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: HashMap<Fence, Slot>,
    unread: Vec<Claimed>,
}

impl Slots {
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many take up room: an attempt that is over does not.
    pub(super) fn running(&self) -> usize {
        let takes_room = |slot: &&Slot| slot.phase != Phase::Over;
        self.slots.values().filter(takes_room).count()
    }

    /// The leases that are still ours, as far as we know.
    pub(super) fn fences(&self) -> impl Iterator<Item = Fence> + '_ {
        let held = |(fence, slot): (&Fence, &Slot)| (slot.phase != Phase::Lost).then_some(*fence);
        self.slots.iter().filter_map(held)
    }

    pub(super) fn insert(&mut self, claimed: &Claimed, control: Control) {
        let fence = claimed.lease.fence();
        let slot = Slot {
            attempt: claimed.lease.attempt(),
            label: words::label(fence.job, claimed.name.as_deref()),
            since: Instant::now(),
            phase: Phase::Unread,
            control,
            checkpoint: SharedCheckpoint::default(),
            reading: SharedReading::default(),
            is_direct: true,
            stopped_for: None,
        };
        self.slots.insert(fence, slot);
    }

    /// Makes a slot for an attempt that another worker started, and that goes on.
    pub(super) fn insert_adopted(
        &mut self,
        fence: Fence,
        adopted: &Adopted,
        control: Control,
    ) -> &Slot {
        let is_recorded = adopted.is_recorded;
        self.slots.entry(fence).or_insert(Slot {
            attempt: adopted.attempt,
            label: fence.job.to_string(),
            since: Instant::now(),
            phase: Phase::Running { is_recorded },
            control,
            checkpoint: SharedCheckpoint::default(),
            reading: SharedReading::default(),
            is_direct: false,
            stopped_for: None,
        })
    }

    pub(super) fn contains(&self, fence: Fence) -> bool {
        self.slots.contains_key(&fence)
    }

    pub(super) fn get_mut(&mut self, fence: Fence) -> Option<&mut Slot> {
        self.slots.get_mut(&fence)
    }

    pub(super) fn remove(&mut self, fence: Fence) -> Option<Slot> {
        self.slots.remove(&fence)
    }

    pub(super) fn is_running(&self, fence: Fence) -> bool {
        let slot = self.slots.get(&fence);
        slot.is_some_and(|slot| matches!(slot.phase, Phase::Running { .. }))
    }

    /// Claimed jobs whose bodies could not be read yet.
    pub(super) fn take_unread(&mut self) -> Vec<Claimed> {
        std::mem::take(&mut self.unread)
    }

    pub(super) fn set_unread(&mut self, unread: Vec<Claimed>) {
        self.unread = unread;
    }

    /// The attempts that run for long enough to be recorded, and are not.
    pub(super) fn unrecorded(&mut self, now: Instant) -> impl Iterator<Item = (Fence, &mut Slot)> {
        self.slots
            .iter_mut()
            .filter(move |(_, slot)| is_unrecorded(slot) && now >= slot.since + RECORD_AFTER)
            .map(|(fence, slot)| (*fence, slot))
    }

    /// When the next attempt has run for long enough to be recorded. One that still has no process
    /// by then is looked at again.
    pub(super) fn next_record_at(&self) -> Option<Instant> {
        let unrecorded = self.slots.values().filter(|slot| is_unrecorded(slot));
        let first = unrecorded.map(|slot| slot.since + RECORD_AFTER).min()?;
        let now = Instant::now();
        Some(if first <= now {
            now + RECORD_AFTER
        } else {
            first
        })
    }

    pub(super) fn watched(&self) -> Vec<(Fence, SharedCheckpoint, SharedReading)> {
        self.slots
            .iter()
            .filter(|(_, slot)| matches!(slot.phase, Phase::Running { .. }))
            .map(|(fence, slot)| (*fence, slot.checkpoint.clone(), slot.reading.clone()))
            .collect()
    }

    /// Leaves those attempts alone that go on by themselves, and asks the others to stop.
    pub(super) fn leave_all(&self) {
        for slot in self.slots.values() {
            if slot.is_direct {
                slot.stop(StopCause::Interrupted);
            } else {
                slot.control.let_go();
            }
        }
    }

    /// Those that go on by themselves when this worker ends.
    pub(super) fn lasting(&self) -> impl Iterator<Item = (Fence, &Slot)> {
        let slots = self.slots.iter().map(|(fence, slot)| (*fence, slot));
        slots.filter(|(_, slot)| !slot.is_direct && slot.phase != Phase::Over)
    }

    /// Asks all attempts to stop that were not asked yet.
    pub(super) fn stop_all(&self, cause: StopCause) {
        for slot in self.slots.values() {
            slot.stop(cause);
        }
    }

    /// Ends the grace of all.
    pub(super) fn press_all(&self, cause: StopCause) {
        for slot in self.slots.values() {
            slot.control.stop(cause);
        }
    }
}

impl Adopted {
    /// Whether its status does not say all of how it ended: what an agent wrote does, and what the
    /// job has to prove.
    pub(super) fn is_judged(&self) -> bool {
        self.body.as_ref().is_some_and(|body| {
            body.options.agent.is_some()
                || matches!(body.command, Ok(Command::Agent(_)))
                || !body.options.proof.is_empty()
        })
    }
}

impl Slot {
    /// Asks the attempt to stop, once: a second time would end its grace.
    pub(super) fn stop(&self, cause: StopCause) {
        if self.control.snapshot().stops == 0 {
            self.control.stop(cause);
        }
    }
}

fn is_unrecorded(slot: &Slot) -> bool {
    slot.phase == Phase::Running { is_recorded: false }
}
