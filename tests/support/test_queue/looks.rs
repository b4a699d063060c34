//! Looking at jobs. Each look fails the test where there is no such job.

use super::TestQueue;
use queue_core::{
    Error, Job, JobId, State,
    attempt::Attempt,
    store::{Detail, Filter, Finding},
    why::Cause,
};
use std::fmt::Write as _;

impl TestQueue {
    /// A job's row.
    #[track_caller]
    pub fn job(&self, job: JobId) -> Job {
        found(job, self.store.job(job))
    }

    /// Where a job stands.
    #[track_caller]
    pub fn state(&self, job: JobId) -> State {
        self.job(job).state
    }

    /// All about a job.
    #[track_caller]
    pub fn detail(&self, job: JobId) -> Detail {
        found(job, self.store.detail(job, &self.now()))
    }

    /// A job's attempts, oldest first.
    #[track_caller]
    pub fn attempts(&self, job: JobId) -> Vec<Attempt> {
        self.detail(job).attempts
    }

    /// What keeps a job from running.
    #[track_caller]
    pub fn why(&self, job: JobId) -> Vec<Cause> {
        found(job, self.store.why(job, &self.now()))
    }

    /// The default checkpoint of a job.
    #[track_caller]
    pub fn saved(&self, job: JobId) -> Option<String> {
        let name = queue_core::checkpoint::DEFAULT;
        found(job, self.store.checkpoint_value(job, name))
            .map(|saved| String::from_utf8_lossy(&saved.value).into_owned())
    }

    /// The numbers of the jobs that a filter lets through.
    #[track_caller]
    pub fn ids(&self, filter: &Filter) -> Vec<JobId> {
        match self.store.ids(filter) {
            Ok(ids) => ids,
            Err(error) => panic!("could not list: {error}"),
        }
    }

    /// The numbers of the jobs in `state`, oldest first.
    #[track_caller]
    pub fn ids_in(&self, state: State) -> Vec<JobId> {
        self.ids(&Filter {
            states: vec![state],
            oldest_first: true,
            ..Filter::default()
        })
    }

    /// How many jobs are in `state`.
    #[track_caller]
    pub fn count(&self, state: State) -> usize {
        self.ids_in(state).len()
    }

    /// Expects the store to find nothing wrong with itself.
    ///
    /// # Panics
    /// Where it does, with what it found.
    #[track_caller]
    pub fn examine(&self) {
        match self.store.examine(&self.now()) {
            Ok(findings) => {
                let wrong: Vec<&Finding> = findings.iter().filter(|found| !found.ok).collect();
                assert!(!findings.is_empty(), "nothing was looked at");
                assert!(wrong.is_empty(), "{wrong:#?}");
            }
            Err(error) => panic!("could not examine the store: {error}"),
        }
    }

    /// Every job with its attempts, for the report of a failure.
    pub(super) fn history(&self) -> String {
        let filter = Filter {
            oldest_first: true,
            most: Some(50),
            ..Filter::default()
        };
        let jobs = match self.store.list(&filter, &self.now()) {
            Ok(jobs) => jobs,
            Err(error) => return format!("(cannot be listed: {error})"),
        };
        let mut text = String::new();
        for summary in jobs {
            let job = &summary.job;
            let _ = writeln!(
                text,
                "{} {} {:?} attempt {}/{} stalls {}/{} epoch {} holder {} cause {:?}",
                job.id,
                job.state,
                job.wait_reason,
                job.attempt,
                job.max_attempts,
                job.stalls,
                job.max_stalls,
                job.epoch,
                job.holder,
                summary.cause
            );
            for attempt in self
                .store
                .detail(job.id, &self.now())
                .iter()
                .flat_map(|detail| &detail.attempts)
            {
                let _ = writeln!(text, "    {attempt:?}");
            }
        }
        text
    }
}

#[track_caller]
fn found<T>(job: JobId, answer: Result<T, Error>) -> T {
    match answer {
        Ok(found) => found,
        Err(error) => panic!("could not look at job {job}: {error}"),
    }
}
