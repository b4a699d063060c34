//! What the dispatcher does with what comes back from its threads.
//!
//! Split from the event loop for its length alone; it changes the same slots. What always holds:
//! whatever a thread came to, also a panic, ends in the outbox, unless the lease is lost.

use queue_core::Fence;
use queue_core::attempt::{Outcome, Report};
use tokio::task::{Id, JoinError};

use super::slots::{Adopted, Phase};
use super::{Dispatcher, Values};
use crate::agent::last_words::LastWords;
use crate::agent::reading::Seen;
use crate::attempt::Concluded;
use crate::checkpoint_file::CheckpointFile;
use crate::outcome::{self, report_broken};
use crate::post::Post;
use crate::proof::beginning;
use crate::recovery::Recovered;

/// What became of an adopted attempt.
pub(super) struct Found {
    pub(super) fence: Fence,
    pub(super) recovered: Recovered,
    /// What its agent said last, where nothing runs any more and nobody else reads it.
    pub(super) words: Option<LastWords>,
}

impl Dispatcher {
    /// Takes in all that ended, so that one cycle tells of it.
    pub(super) fn take_all_that_ended(&mut self) {
        while let Some(ended) = self.attempts.try_join_next_with_id() {
            self.take_attempt(ended);
        }
        while let Some(ended) = self.recoveries.try_join_next_with_id() {
            self.take_recovery(ended);
        }
    }

    pub(super) fn take_attempt(&mut self, ended: Result<(Id, Concluded), JoinError>) {
        let concluded = match ended {
            Ok((task, concluded)) => {
                self.tasks.remove(&task);
                concluded
            }
            Err(error) => match self.tasks.remove(&error.id()) {
                Some(fence) => self.broken(fence, &error),
                None => return,
            },
        };
        let fence = concluded.fence;
        if let Some(problem) = &concluded.shortage {
            self.note_shortage(problem);
        } else if concluded.started.is_some() {
            self.note_room();
        }
        let Some(slot) = self.slots.get_mut(fence) else {
            return;
        };
        let Some(mut report) = concluded.report.filter(|_| slot.phase != Phase::Lost) else {
            if slot.phase != Phase::Lost {
                self.summary.left += 1;
            }
            tracing::info!(job = fence.job.0, worker = %self.name, "job {} let go", slot.label);
            self.slots.remove(fence);
            return;
        };
        if let (Outcome::HandedBack, Some(budget)) = (&report.outcome, &slot.stopped_for) {
            report.message = Some(format!("stopped: budget {budget} is used up"));
        }
        let is_recorded = slot.phase == Phase::Running { is_recorded: true };
        slot.phase = Phase::Over;
        if let Some(started) = concluded.started.filter(|_| !is_recorded) {
            self.outbox.started.push((fence, started));
        }
        if let Some(value) = concluded.checkpoint {
            self.outbox.set_checkpoint(fence, value);
        }
        if let Some(facts) = concluded.facts {
            self.outbox.set_facts(fence, facts);
        }
        report.origin = concluded.origin;
        self.outbox.ended.push((fence, report));
    }

    /// A supervisor that panicked has killed its child on the way out.
    fn broken(&self, fence: Fence, error: &JoinError) -> Concluded {
        let message = format!("the supervisor of the attempt broke: {error}");
        tracing::error!(job = fence.job.0, %error, "the supervisor of job {} broke", fence.job);
        Concluded {
            fence,
            report: Some(report_broken(message, self.clock.now().wall)),
            started: None,
            checkpoint: None,
            facts: None,
            origin: self.origin_of(fence),
            shortage: None,
        }
    }

    pub(super) fn take_recovery(&mut self, ended: Result<(Id, Found), JoinError>) {
        let found = match ended {
            Ok((task, recovered)) => {
                self.tasks.remove(&task);
                recovered
            }
            Err(error) => {
                if let Some(fence) = self.tasks.remove(&error.id()) {
                    tracing::error!(job = fence.job.0, %error, "a recovery broke; it begins anew");
                    self.recover(fence);
                }
                return;
            }
        };
        let Found {
            fence,
            recovered,
            words,
        } = found;
        let Some(adopted) = self.orphans.get(&fence) else {
            return;
        };
        match recovered {
            // The thread that follows an agent reads its log to the end, and judges it by that; one
            // that follows a job with terms has it prove what it says.
            Recovered::Ended(_) if adopted.is_judged() => {
                if let Some(adopted) = self.orphans.remove(&fence) {
                    self.follow(fence, &adopted);
                }
            }
            Recovered::Alive => {
                if let Some(adopted) = self.orphans.remove(&fence) {
                    self.follow(fence, &adopted);
                }
            }
            Recovered::Ended(status) => {
                let log = self.layout.log(fence.job, fence.epoch);
                let options = adopted.body.as_ref().map(|body| body.options.clone());
                let report = outcome::report(&status, &options.unwrap_or_default(), &log);
                let report = report.unwrap_or_else(|| self.stalled(adopted));
                let post = Post::at(&self.layout.run_directory(fence.job, fence.epoch));
                if let Some(started) = post.started().filter(|_| !adopted.is_recorded) {
                    self.outbox.started.push((fence, started));
                }
                self.end_orphan(fence, report);
            }
            Recovered::Cleared(met) => {
                tracing::debug!(
                    job = fence.job.0,
                    processes = met,
                    "what was left of job {} is gone",
                    fence.job
                );
                let mut report = self.stalled(adopted);
                if let Some(words) = words {
                    self.outbox.set_facts(fence, words.facts);
                    let is_stall = matches!(report.outcome, Outcome::Stalled { .. });
                    report = words.report.filter(|_| is_stall).unwrap_or(report);
                }
                self.end_orphan(fence, report);
            }
            Recovered::BrokenOff => {
                // Because we stop: whoever adopts it next begins anew.
                self.orphans.remove(&fence);
            }
        }
    }

    /// The report of an attempt that died with its worker.
    fn stalled(&self, adopted: &Adopted) -> Report {
        let outcome = if adopted.is_cancelled {
            Outcome::Cancelled
        } else {
            Outcome::Stalled {
                class: adopted.class,
            }
        };
        Report::new(outcome, self.clock.now().wall)
    }

    /// What was there when a job first began, as it lies in the run directory of its attempt.
    fn origin_of(&self, fence: Fence) -> Option<serde_json::Value> {
        beginning::origin_in(&self.layout.run_directory(fence.job, fence.epoch))
    }

    fn end_orphan(&mut self, fence: Fence, mut report: Report) {
        report.origin = self.origin_of(fence);
        let path = self.layout.checkpoint(fence.job, fence.epoch);
        if let Some(value) = CheckpointFile::left_at(&path).last_look() {
            self.outbox.set_checkpoint(fence, value);
        }
        self.outbox.ended.push((fence, report));
    }

    /// Takes in what jobs left in their checkpoint files.
    pub(super) fn take_checkpoints(&mut self, values: Result<Values, JoinError>) {
        for (fence, value, seen) in values.unwrap_or_default() {
            // What ended meanwhile has told its last value itself.
            if !self.slots.is_running(fence) {
                continue;
            }
            if let Some(value) = value {
                self.outbox.set_checkpoint(fence, value);
            }
            if let Some(seen) = seen {
                self.take_seen(fence, seen);
            }
        }
    }

    /// Takes in what an agent wrote.
    fn take_seen(&mut self, fence: Fence, seen: Seen) {
        if let Some(facts) = seen.facts {
            self.outbox.set_facts(fence, facts);
        }
        if seen.has_passed {
            self.outbox.passed.push(fence);
        }
        let Some(slot) = self.slots.get_mut(fence) else {
            return;
        };
        if seen.is_waiting {
            slot.control.is_alive();
        }
        if let Some(cause) = seen.stop {
            slot.stop(cause);
        }
    }
}
