//! What people ask for, one job at a time.

use super::TestQueue;
use queue_core::{
    Error, JobId, State,
    store::{Answered, Cancelled, Edit, PerJob, Place, Prune, Pruned, Requeue, Requeued},
};

impl TestQueue {
    /// Cancels a job.
    pub fn cancel(&self, job: JobId) -> Result<Cancelled, Error> {
        only(self.store.cancel(&[job], &self.now())?)
    }

    /// Runs an ended job again.
    pub fn requeue(&self, job: JobId) -> Result<Requeued, Error> {
        self.requeue_with(job, &Requeue::default())
    }

    /// Runs an ended job again in a way of its own.
    pub fn requeue_with(&self, job: JobId, requeue: &Requeue) -> Result<Requeued, Error> {
        only(self.store.requeue(&[job], requeue, &self.now())?)
    }

    /// Holds a waiting job back.
    pub fn hold(&self, job: JobId) -> Result<State, Error> {
        only(self.store.hold(&[job], &self.now())?)
    }

    /// Lets a held job go, or a scheduled one run now.
    pub fn release(&self, job: JobId) -> Result<State, Error> {
        only(self.store.release(&[job], &self.now())?)
    }

    /// Changes a waiting job.
    pub fn edit(&self, job: JobId, edit: &Edit) -> Result<State, Error> {
        only(self.store.edit(&[job], edit, &self.now())?)
    }

    /// Answers what a job asks.
    pub fn answer(&self, job: JobId, text: &str) -> Result<Answered, Error> {
        self.store.answer(job, text, &self.now())
    }

    /// Moves a waiting job within its queue and priority.
    pub fn reposition(&self, job: JobId, place: Place) -> Result<(), Error> {
        self.store.reposition(job, place, &self.now())
    }

    /// Removes every job that has ended by now and that nobody waits for.
    #[track_caller]
    pub fn prune(&self) -> Vec<Pruned> {
        let prune = Prune {
            states: State::ENDED.to_vec(),
            ended_before: self.now().wall.saturating_add(super::SECOND),
            queue: None,
        };
        match self.store.prune(&prune, super::MANY, &self.now()) {
            Ok(pruned) => pruned,
            Err(error) => panic!("could not prune: {error}"),
        }
    }
}

/// The one answer to what was asked of one job.
fn only<T>(answers: PerJob<T>) -> Result<T, Error> {
    let [answer] = <[_; 1]>::try_from(answers)
        .map_err(|answers| answers.len())
        .expect("a store gives one answer per job");
    answer
}
