//! Why a job does not run: the causes, and the sentence a person reads on top of the state.
//!
//! Engines gather the facts as [`Cause`]s; the sentences are made here, so that every door says
//! the same words. Nothing of this is stored.

use crate::{
    budget::Most,
    clock::Timestamp,
    gate::{Closing, GateName},
    job::{Job, JobId, ParentEnd},
    ledger::Spent,
    question::first_line,
    raw_text::RawText,
    state::{State, WaitReason},
    units::format_duration,
    worker::Shortage,
};
use std::time::Duration;

/// The most of a question that stands in a list, in characters.
const LONGEST_QUESTION: usize = 48;

/// One thing that keeps a job from running. They are listed with the one to mend first in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A person holds it.
    Held {
        /// Since when.
        since: Timestamp,
    },
    /// It asked a person something. One that runs waits for the answer with its slot.
    Asks {
        /// The question.
        question: String,
        /// What can be chosen from; any answer will do where there is nothing.
        choices: Vec<String>,
        /// When it asked.
        since: Timestamp,
    },
    /// A job it comes after has not ended as needed.
    After {
        /// That job.
        parent: JobId,
        /// The end that is waited for.
        end: ParentEnd,
        /// Where that job stands; `None` where it is gone.
        state: Option<State>,
    },
    /// Its time has not come.
    Until {
        /// What set the time.
        reason: WaitReason,
        /// When it comes.
        at: Timestamp,
    },
    /// Its queue is paused.
    QueuePaused {
        /// The queue.
        queue: String,
        /// Since when.
        since: Timestamp,
    },
    /// Its queue runs as many jobs as it may.
    QueueFull {
        /// The queue.
        queue: String,
        /// How many run.
        running: u64,
        /// How many may.
        concurrency: u32,
    },
    /// The places of its concurrency key are taken.
    KeyFull {
        /// The key.
        key: String,
        /// Who takes them.
        running: Vec<JobId>,
        /// How many places there are.
        places: u32,
    },
    /// Another job has the directory that it is to have to itself.
    DirectoryTaken {
        /// The directory.
        directory: RawText,
        /// The job that has it.
        by: JobId,
    },
    /// A token bucket is empty.
    LimitEmpty {
        /// The limit.
        limit: String,
        /// When there is enough for it, if nobody comes first.
        until: Timestamp,
    },
    /// A gate that it passes is closed.
    GateClosed {
        /// The gate.
        gate: GateName,
        /// Why, and until when.
        closing: Closing,
    },
    /// A gate that it passes is half open: another job tries first.
    GateProbed {
        /// The gate.
        gate: GateName,
        /// Why the gate was closed.
        closing: Closing,
        /// The job that tries.
        probe: JobId,
    },
    /// A gate that it passes lets jobs start one after the other.
    GateStaggered {
        /// The gate.
        gate: GateName,
        /// When it lets the next one start.
        until: Timestamp,
    },
    /// Nothing is left of a budget that its agent would spend from.
    BudgetUsedUp {
        /// The budget.
        budget: String,
        /// How much it is.
        most: Most,
        /// What was spent.
        spent: Spent,
        /// When it begins anew; none where a person has to give more.
        until: Option<Timestamp>,
    },
    /// No worker that serves its queue has been seen lately.
    NoWorker {
        /// The queue.
        queue: String,
    },
    /// The workers that serve its queue start nothing, because they have too little of something.
    WorkerShort {
        /// The one that has waited the longest, by name.
        worker: String,
        /// Of what.
        shortage: Shortage,
        /// Since when.
        since: Timestamp,
    },
    /// Workers are busy with others, or will take it at their next look.
    InLine {
        /// How many pending jobs of its queue go first.
        ahead: u64,
        /// Workers alive that serve its queue.
        workers: u32,
    },
    /// It runs, and was asked to stop.
    Stopping {
        /// When that was asked.
        since: Timestamp,
    },
}

impl Cause {
    /// The cause in a few words, as they stand in a list.
    pub fn words(&self, job: &Job, now: Timestamp) -> String {
        match self {
            Cause::Held { .. } => "held".to_owned(),
            Cause::Asks { question, .. } => format!("asks: {}", short(first_line(question))),
            Cause::After { parent, end, state } => after(*parent, *end, *state),
            Cause::Until {
                reason: WaitReason::Retry,
                at,
            } => format!(
                "retry {}/{} {}",
                job.attempt + 1,
                job.max_attempts,
                within(*at, now)
            ),
            Cause::Until {
                reason: WaitReason::Snooze,
                at,
            } => {
                format!("snoozed, runs {}", within(*at, now))
            }
            Cause::Until {
                reason: WaitReason::Limit,
                at,
            } => {
                format!("waiting for a limit to lift, {}", within(*at, now))
            }
            Cause::Until { at, .. } => format!("starts {}", within(*at, now)),
            Cause::QueuePaused { queue, .. } => format!("queue {queue} is paused"),
            Cause::QueueFull {
                queue,
                running,
                concurrency,
            } => {
                format!("queue {queue} is full ({running}/{concurrency})")
            }
            Cause::KeyFull {
                key,
                running,
                places,
            } => {
                format!("key {key} is full ({}/{places})", running.len())
            }
            Cause::DirectoryTaken { by, .. } => format!("job {by} has its directory"),
            Cause::LimitEmpty { limit, until } => {
                format!("waiting for limit {limit}, {}", within(*until, now))
            }
            Cause::GateClosed { gate, closing } => match closing.until {
                Some(until) => format!(
                    "waiting for gate {}, {}",
                    or_another(job, gate),
                    within(until, now)
                ),
                None => format!("gate {gate} is closed: {}", closing.reason),
            },
            Cause::GateProbed { gate, probe, .. } => format!(
                "waiting for gate {}, which job {probe} tries",
                or_another(job, gate)
            ),
            Cause::GateStaggered { gate, until } => {
                format!(
                    "waiting for its turn at gate {gate}, {}",
                    within(*until, now)
                )
            }
            Cause::BudgetUsedUp { budget, until, .. } => match until {
                Some(until) => format!("budget {budget} is used up, {}", within(*until, now)),
                None => format!("budget {budget} is used up"),
            },
            Cause::NoWorker { .. } => "no worker alive".to_owned(),
            Cause::WorkerShort { shortage, .. } => format!("too little {}", shortage.resource),
            Cause::InLine { ahead: 0, .. } => "next in line".to_owned(),
            Cause::InLine { ahead, .. } => format!("{ahead} ahead"),
            Cause::Stopping { .. } => "stopping".to_owned(),
        }
    }
}

/// The sentence a person reads on top of the state: what `cause` says, or how the job stands.
pub fn condition(job: &Job, cause: Option<&Cause>, now: Timestamp) -> String {
    if let Some(cause) = cause {
        return cause.words(job, now);
    }
    match job.state {
        State::InProgress if job.max_attempts > 1 && job.attempt > 1 => {
            format!("running, attempt {}/{}", job.attempt, job.max_attempts)
        }
        State::InProgress => "running".to_owned(),
        State::Failed => match job.class {
            Some(class) => format!("failed: {class}"),
            None => "failed".to_owned(),
        },
        State::Cancelled => match job.class {
            Some(crate::state::Class::Expired) => "cancelled: waited too long".to_owned(),
            _ => "cancelled".to_owned(),
        },
        State::Completed | State::Pending | State::Scheduled | State::Blocked => {
            job.state.as_str().to_owned()
        }
    }
}

/// A gate, and the ways that lead around it: `claude or codex`.
fn or_another(job: &Job, gate: &GateName) -> String {
    let mut names = job.ways_around(gate);
    names.insert(0, gate.as_str());
    names.join(" or ")
}

fn after(parent: JobId, end: ParentEnd, state: Option<State>) -> String {
    match (state, end) {
        (None, _) => format!("after {parent}, which is gone"),
        (Some(state), _) if state.is_ended() && !end.is_met_by(state) => {
            format!("after {parent}, which {}", ended(state))
        }
        (_, ParentEnd::Success) => format!("after {parent}"),
        (_, end) => format!("after {parent}:{end}"),
    }
}

fn ended(state: State) -> &'static str {
    match state {
        State::Completed => "completed",
        State::Cancelled => "was cancelled",
        _ => "failed",
    }
}

/// The begin of a question, as long as a list has room for.
fn short(question: &str) -> String {
    match question.char_indices().nth(LONGEST_QUESTION) {
        None => question.to_owned(),
        Some((end, _)) => format!("{} …", question[..end].trim_end()),
    }
}

/// "in 40s", or "now" once the moment has come. Rounded up to a second: nobody waits for less.
fn within(at: Timestamp, now: Timestamp) -> String {
    let ahead = at.since(now);
    if ahead.is_zero() {
        return "now".to_owned();
    }
    let seconds = ahead.as_millis().div_ceil(1_000);
    format!(
        "in {}",
        format_duration(Duration::from_secs(
            u64::try_from(seconds).unwrap_or(u64::MAX)
        ))
    )
}
