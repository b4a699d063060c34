//! A machine that has no room to start anything: no descriptors, no processes, no memory, no disk
//! for a log.
//!
//! That is not the fault of the jobs that meet it, so they are put off without costing an attempt;
//! the dispatcher asks here when to claim again. What always holds: a shortage is said once and its
//! end once, however many jobs meet it, and the waits in between grow.

use std::time::{Duration, Instant};

use queue_core::units::format_duration;

use super::Dispatcher;
use super::agenda::growing;

/// The bounds of the wait before anything is claimed again.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Nothing can be started at the moment.
#[derive(Debug)]
pub(super) struct Shortage {
    tries: u32,
    until: Instant,
}

impl Dispatcher {
    /// When something may be claimed again, where that is not now.
    pub(super) fn claims_resume_at(&self, now: Instant) -> Option<Instant> {
        let shortage = self.shortage.as_ref()?;
        (now < shortage.until).then_some(shortage.until)
    }

    /// An attempt could not be started for what the machine lacks.
    pub(super) fn note_shortage(&mut self, problem: &str) {
        let now = Instant::now();
        if self.claims_resume_at(now).is_some() {
            // It was claimed together with the one that was told of.
            return;
        }
        let tries = self.shortage.as_ref().map_or(1, |known| known.tries + 1);
        let wait = growing(SHORTEST_WAIT, LONGEST_WAIT, tries);
        if tries == 1 {
            tracing::error!(
                worker = %self.name,
                "this machine has no room to start jobs: {problem}; they are put off without costing an attempt, and tried again in {} or later",
                format_duration(wait)
            );
        }
        self.shortage = Some(Shortage {
            tries,
            until: now + wait,
        });
    }

    /// An attempt was started.
    pub(super) fn note_room(&mut self) {
        if self.shortage.take().is_some() {
            tracing::info!(worker = %self.name, "jobs can be started again");
        }
    }
}
