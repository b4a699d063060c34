//! What the store has not been told yet.
//!
//! The dispatcher fills it, a cycle takes all of it, and a cycle that failed puts it back. What
//! always holds: nothing leaves it but by a cycle that went through.

use queue_core::Fence;
use queue_core::attempt::{AgentFacts, Report, Started};
use queue_core::checkpoint;
use queue_core::store::Cycle;

/// News for the store.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) started: Vec<(Fence, Started)>,
    checkpoints: Vec<(Fence, String, Vec<u8>)>,
    facts: Vec<(Fence, AgentFacts)>,
    pub(super) passed: Vec<Fence>,
    pub(super) ended: Vec<(Fence, Report)>,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.started.is_empty()
            && self.checkpoints.is_empty()
            && self.facts.is_empty()
            && self.passed.is_empty()
            && self.ended.is_empty()
    }

    /// How many outcomes wait.
    pub(super) fn outcomes(&self) -> usize {
        self.ended.len()
    }

    /// Notes a value; an older one that still waits is of no more use.
    pub(super) fn set_checkpoint(&mut self, fence: Fence, value: Vec<u8>) {
        self.checkpoints.retain(|(known, _, _)| *known != fence);
        let name = checkpoint::DEFAULT.to_owned();
        self.checkpoints.push((fence, name, value));
    }

    /// Notes what was read of an agent's output, in place of what was read before.
    pub(super) fn set_facts(&mut self, fence: Fence, facts: AgentFacts) {
        self.facts.retain(|(known, _)| *known != fence);
        self.facts.push((fence, facts));
    }

    /// Hands all of it to a cycle.
    pub(super) fn move_into(&mut self, cycle: &mut Cycle) {
        cycle.started = std::mem::take(&mut self.started);
        cycle.checkpoints = std::mem::take(&mut self.checkpoints);
        cycle.facts = std::mem::take(&mut self.facts);
        cycle.ended = std::mem::take(&mut self.ended);
        cycle.passed = std::mem::take(&mut self.passed);
        // The end says so itself.
        let has_ended = |fence: &Fence| cycle.ended.iter().any(|(ended, _)| ended == fence);
        cycle.passed.retain(|fence| !has_ended(fence));
    }

    /// Takes back what a cycle could not tell; what came since then is newer.
    pub(super) fn put_back(&mut self, cycle: Cycle) {
        let is_newer = |fence: &Fence, outbox: &Self| {
            outbox
                .checkpoints
                .iter()
                .any(|(known, _, _)| known == fence)
        };
        let mut checkpoints = cycle.checkpoints;
        checkpoints.retain(|(fence, _, _)| !is_newer(fence, self));
        self.checkpoints.splice(..0, checkpoints);
        let mut facts = cycle.facts;
        facts.retain(|(fence, _)| !self.facts.iter().any(|(known, _)| known == fence));
        self.facts.splice(..0, facts);
        self.passed.splice(..0, cycle.passed);
        self.started.splice(..0, cycle.started);
        self.ended.splice(..0, cycle.ended);
    }

    /// Forgets everything under a fence that holds no more.
    pub(super) fn forget(&mut self, fence: Fence) {
        self.started.retain(|(known, _)| *known != fence);
        self.checkpoints.retain(|(known, _, _)| *known != fence);
        self.facts.retain(|(known, _)| *known != fence);
        self.passed.retain(|known| *known != fence);
        self.ended.retain(|(known, _)| *known != fence);
    }
}

#[cfg(test)]
mod tests {
    use queue_core::attempt::Outcome;
    use queue_core::{Epoch, Holder, JobId, Timestamp, WorkerId};

    use super::*;

    fn fence(job: i64) -> Fence {
        Fence {
            job: JobId(job),
            epoch: Epoch(1),
            holder: Holder(1),
        }
    }

    #[test]
    fn nothing_is_lost_when_a_cycle_fails_and_newer_values_win() {
        // T06
        let mut outbox = Outbox::default();
        let report = |at| Report::new(Outcome::HandedBack, Timestamp::from_millis(at));
        outbox.ended.push((fence(1), report(1)));
        outbox.set_checkpoint(fence(1), b"old".to_vec());
        outbox.set_checkpoint(fence(2), b"kept".to_vec());
        let mut cycle = Cycle::of(WorkerId(1));
        outbox.move_into(&mut cycle);
        assert!(outbox.is_empty());

        outbox.set_checkpoint(fence(1), b"new".to_vec());
        outbox.ended.push((fence(3), report(2)));
        outbox.put_back(cycle);
        let jobs: Vec<_> = outbox.ended.iter().map(|(fence, _)| fence.job.0).collect();
        assert_eq!(jobs, [1, 3]);
        let values: Vec<_> = outbox
            .checkpoints
            .iter()
            .map(|(fence, _, value)| (fence.job.0, value.as_slice()))
            .collect();
        assert_eq!(values, [(2, &b"kept"[..]), (1, &b"new"[..])]);

        outbox.forget(fence(1));
        outbox.forget(fence(2));
        assert_eq!(outbox.outcomes(), 1);
    }
}
