//! A plain model of the queue: what the documents say, in as few words as possible.
//!
//! It shares no code with the engine and none of its decisions; [`crate::sequences`] drives both
//! and compares. All its jobs wait in one line; times are milliseconds.

use queue_core::{State, Verb};

/// The wait between two attempts of every job of the model.
pub(crate) const BACKOFF: i64 = 20_000;
/// How long its leases run.
pub(crate) const LEASE: i64 = 30_000;

/// Which end of its parent a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Success,
    Failure,
    Any,
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    /// In a way that is tried again.
    Crashed,
    /// In a way that is not.
    Refused,
    /// For so many milliseconds.
    Snoozed(i64),
    HandedBack,
    Stalled,
    Aborted,
    /// With a question.
    Asks,
}

/// What an attempt asked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    Open,
    /// And it does not know.
    Answered,
}

/// A job.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) state: State,
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    pub(crate) stalls: u32,
    pub(crate) max_stalls: u32,
    pub(crate) epoch: i64,
    pub(crate) holder: i64,
    pub(crate) is_held: bool,
    /// What its last attempt asked.
    question: Option<Question>,
    /// It waits for the answer.
    pub(crate) is_parked: bool,
    pub(crate) is_cancel_asked: bool,
    pub(crate) attempts_ended: usize,
    /// The job it comes after, and whether that has ended as needed.
    pub(crate) parent: Option<(usize, Needs, bool)>,
    run_at: Option<i64>,
    /// It is scheduled because of a delay.
    is_delayed: bool,
    /// It is scheduled because it waits for a retry or sleeps.
    is_to_retry: bool,
    give_up_at: Option<i64>,
    lease_until: i64,
}

/// What a lease names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fence {
    pub(crate) job: usize,
    pub(crate) epoch: i64,
    pub(crate) holder: i64,
}

/// A new job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct New {
    pub(crate) delay: Option<i64>,
    pub(crate) is_held: bool,
    pub(crate) parent: Option<(usize, Needs)>,
    pub(crate) max_attempts: u32,
    pub(crate) max_stalls: u32,
    pub(crate) max_wait: Option<i64>,
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) now: i64,
    pub(crate) jobs: Vec<Job>,
    /// All jobs, the one to run first in front.
    line: Vec<usize>,
}

impl Model {
    pub(crate) fn enqueue(&mut self, new: New) -> usize {
        let id = self.jobs.len();
        let parent = new
            .parent
            .map(|(parent, needs)| (parent, needs, is_met(needs, self.jobs[parent].state)));
        self.jobs.push(Job {
            state: State::Pending,
            attempt: 0,
            max_attempts: new.max_attempts,
            stalls: 0,
            max_stalls: new.max_stalls,
            epoch: 0,
            holder: 0,
            is_held: new.is_held,
            question: None,
            is_parked: false,
            is_cancel_asked: false,
            attempts_ended: 0,
            parent,
            is_delayed: false,
            is_to_retry: false,
            run_at: new.delay.map(|delay| self.now + delay),
            give_up_at: new.max_wait.map(|wait| self.now + wait),
            lease_until: 0,
        });
        self.line.push(id);
        self.rest(id);
        id
    }

    /// Promotes what is due and gives up what waited too long.
    pub(crate) fn promote(&mut self) {
        let waits = |job: &Job| !is_ended(job.state) && job.state != State::InProgress;
        for id in 0..self.jobs.len() {
            let job = &self.jobs[id];
            if waits(job) && job.give_up_at.is_some_and(|at| at <= self.now) {
                self.end(id, State::Cancelled);
            }
        }
        let is_due = |job: &Job| {
            job.state == State::Scheduled && job.run_at.is_some_and(|at| at <= self.now)
        };
        let mut due: Vec<usize> = (0..self.jobs.len())
            .filter(|id| is_due(&self.jobs[*id]))
            .collect();
        due.sort_by_key(|id| (self.jobs[*id].run_at, *id));
        for id in due {
            self.rest(id);
        }
    }

    /// The job that is claimed next.
    pub(crate) fn next(&self) -> Option<usize> {
        let is_pending = |id: &&usize| self.jobs[**id].state == State::Pending;
        self.line.iter().find(is_pending).copied()
    }

    pub(crate) fn claim(&mut self, id: usize) -> Fence {
        let until = self.now + LEASE;
        let job = &mut self.jobs[id];
        job.state = State::InProgress;
        job.attempt += 1;
        job.epoch += 1;
        job.holder += 1;
        job.give_up_at = None;
        job.run_at = None;
        job.question = None;
        job.lease_until = until;
        self.fence(id)
    }

    /// The jobs whose lease ran out.
    pub(crate) fn expired(&self) -> Vec<usize> {
        (0..self.jobs.len())
            .filter(|id| {
                let job = &self.jobs[*id];
                job.state == State::InProgress && job.lease_until <= self.now
            })
            .collect()
    }

    pub(crate) fn adopt(&mut self, id: usize) -> Fence {
        self.jobs[id].holder += 1;
        self.jobs[id].lease_until = self.now + LEASE;
        self.fence(id)
    }

    pub(crate) fn fence(&self, id: usize) -> Fence {
        Fence {
            job: id,
            epoch: self.jobs[id].epoch,
            holder: self.jobs[id].holder,
        }
    }

    /// Whether a worker may write under this fence.
    pub(crate) fn holds(&self, fence: Fence) -> bool {
        self.jobs[fence.job].state == State::InProgress && self.fence(fence.job) == fence
    }

    /// Whether the job itself may write under this epoch.
    pub(crate) fn runs_under(&self, fence: Fence) -> bool {
        let job = &self.jobs[fence.job];
        job.state == State::InProgress && job.epoch == fence.epoch
    }

    pub(crate) fn heartbeat(&mut self, fence: Fence) {
        self.jobs[fence.job].lease_until = self.now + LEASE;
    }

    /// Ends the attempt of a fence that holds.
    pub(crate) fn finish(&mut self, id: usize, end: End) {
        let now = self.now;
        let job = &mut self.jobs[id];
        job.attempts_ended += 1;
        if end == End::Asks && job.question != Some(Question::Open) {
            job.question = Some(Question::Open);
        }
        let ends_well = end == End::Completed && job.question.is_none();
        if end == End::Aborted || (job.is_cancel_asked && !ends_well) {
            return self.end(id, State::Cancelled);
        }
        if let Some(question) = job.question {
            job.attempt -= 1;
            job.is_parked = question == Question::Open;
            return self.rest(id);
        }
        let later = match end {
            End::Completed => return self.end(id, State::Completed),
            End::Refused | End::Aborted | End::Asks => return self.end(id, State::Failed),
            End::Crashed if job.attempt == job.max_attempts => {
                return self.end(id, State::Failed);
            }
            End::Crashed => Some(now + BACKOFF),
            End::Snoozed(span) => {
                job.attempt -= 1;
                Some(now + span)
            }
            End::HandedBack => {
                job.attempt -= 1;
                None
            }
            End::Stalled => {
                job.attempt -= 1;
                job.stalls += 1;
                if job.stalls > job.max_stalls {
                    return self.end(id, State::Failed);
                }
                None
            }
        };
        job.run_at = later;
        job.is_to_retry = later.is_some();
        job.state = if later.is_some() {
            State::Scheduled
        } else {
            State::Pending
        };
    }

    /// Whether a person's verb is allowed.
    pub(crate) fn allows(&self, id: usize, verb: Verb) -> bool {
        let state = self.jobs[id].state;
        match verb {
            Verb::Cancel => true,
            Verb::Requeue => is_ended(state),
            Verb::Release => matches!(state, State::Scheduled | State::Blocked),
            Verb::Hold | Verb::Edit | Verb::Move => !is_ended(state) && state != State::InProgress,
            other => panic!("{other} is nobody's wish"),
        }
    }

    /// The attempt asks, always the same.
    pub(crate) fn ask(&mut self, id: usize) {
        self.jobs[id].question = Some(Question::Open);
    }

    /// Whether there is something to answer.
    pub(crate) fn asks(&self, id: usize) -> bool {
        let job = &self.jobs[id];
        let is_open = job.question == Some(Question::Open);
        job.is_parked || (job.state == State::InProgress && is_open)
    }

    pub(crate) fn answer(&mut self, id: usize) {
        let job = &mut self.jobs[id];
        job.question = Some(Question::Answered);
        if std::mem::take(&mut job.is_parked) {
            self.rest(id);
        }
    }

    pub(crate) fn cancel(&mut self, id: usize) {
        match self.jobs[id].state {
            State::InProgress => self.jobs[id].is_cancel_asked = true,
            state if is_ended(state) => {}
            _ => self.end(id, State::Cancelled),
        }
    }

    pub(crate) fn hold(&mut self, id: usize) {
        self.jobs[id].is_held = true;
        self.rest(id);
    }

    pub(crate) fn release(&mut self, id: usize) {
        if self.jobs[id].state == State::Scheduled {
            self.jobs[id].run_at = None;
        }
        self.jobs[id].is_held = false;
        self.rest(id);
    }

    /// Whatever is changed, the job is put where it belongs now: one whose time came meanwhile
    /// is pending.
    pub(crate) fn edit(&mut self, id: usize) {
        self.rest(id);
    }

    pub(crate) fn requeue(&mut self, id: usize, delay: Option<i64>) {
        let job = &mut self.jobs[id];
        job.attempt = 0;
        job.stalls = 0;
        job.is_cancel_asked = false;
        job.run_at = delay.map(|delay| self.now + delay);
        self.join(id);
        self.rest(id);
    }

    /// Sends a job to the end of the line.
    fn join(&mut self, id: usize) {
        self.line.retain(|other| *other != id);
        self.line.push(id);
    }

    fn end(&mut self, id: usize, state: State) {
        let job = &mut self.jobs[id];
        job.state = state;
        job.is_held = false;
        job.is_parked = false;
        job.is_delayed = false;
        job.is_to_retry = false;
        job.run_at = None;
        job.give_up_at = None;
        for child in 0..self.jobs.len() {
            let is_waiting = self.jobs[child].state == State::Blocked;
            let Some((parent, needs, met)) = &mut self.jobs[child].parent else {
                continue;
            };
            if *parent == id && !*met && is_met(*needs, state) {
                *met = true;
                if is_waiting {
                    self.rest(child);
                }
            }
        }
    }

    /// Puts a job that does not run where its hold, its parent and its time say. One whose delay
    /// is over joins the line.
    fn rest(&mut self, id: usize) {
        let now = self.now;
        let job = &mut self.jobs[id];
        let was_delayed = job.is_delayed;
        let is_to_retry = job.is_to_retry || job.attempt > 0;
        (job.is_delayed, job.is_to_retry) = (false, false);
        let waits_for_parent = job.parent.is_some_and(|(_, _, met)| !met);
        if job.is_held || job.is_parked || waits_for_parent {
            job.state = State::Blocked;
        } else if job.run_at.is_some_and(|at| at > now) {
            job.state = State::Scheduled;
            (job.is_delayed, job.is_to_retry) = (!is_to_retry, is_to_retry);
        } else {
            job.state = State::Pending;
            job.run_at = None;
            if was_delayed {
                self.join(id);
            }
        }
    }
}

fn is_ended(state: State) -> bool {
    [State::Completed, State::Failed, State::Cancelled].contains(&state)
}

fn is_met(needs: Needs, state: State) -> bool {
    match needs {
        Needs::Success => state == State::Completed,
        Needs::Failure => state == State::Failed || state == State::Cancelled,
        Needs::Any => is_ended(state),
    }
}
