//! Why a job does not run, as a sentence and the command that changes it.
//!
//! Owns the sentences of `qcli why` and of the page of a job. Core has the few words of a list ([`Cause::words`]); here
//! each cause says the whole: what, since when, and what to type; gates and parents do so in files of their own. The
//! commands can be pasted; a word in capitals is to be filled in.

mod gate;
mod json;
mod parent;

use queue_core::{Job, JobId, State, Timestamp, WaitReason, raw_text::RawText, why::Cause};

use super::{ended, worker};
use crate::output::time::Times;

pub use json::CauseJson;
pub use parent::is_for_ever;

/// A cause for people: what keeps the job, and what to type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// A sentence.
    pub sentence: String,
    /// Commands that change it, the usual one first.
    pub remedies: Vec<String>,
    /// Whether it goes away without anybody doing something.
    pub passes_by_itself: bool,
}

/// Explains a cause that keeps `job` from running.
#[must_use]
pub fn explain(cause: &Cause, job: &Job, times: Times) -> Explained {
    match cause {
        Cause::Held { since } => held(job, *since, times),
        Cause::Asks {
            question,
            choices,
            since,
        } => asks(job, question, choices, *since, times),
        Cause::After { parent, end, state } => parent::explain(job.id, *parent, *end, *state),
        Cause::Until { reason, at } => explain_time(job, *reason, *at, times),
        Cause::QueuePaused { queue, since } => paused(queue, *since, times),
        Cause::QueueFull {
            queue,
            running,
            concurrency,
        } => full_queue(queue, *running, *concurrency),
        Cause::KeyFull {
            key,
            running,
            places,
        } => full_key(key, running, *places),
        Cause::DirectoryTaken { directory, by } => taken(job, directory, *by),
        Cause::LimitEmpty { limit, until } => empty(limit, *until, times),
        Cause::GateClosed { gate, closing } => {
            gate::around(job, gate, gate::closed(gate, closing, times))
        }
        Cause::GateProbed {
            gate,
            closing,
            probe,
        } => gate::probed(gate, closing, *probe),
        Cause::GateStaggered { gate, until } => gate::staggered(gate, *until, times),
        Cause::BudgetUsedUp {
            budget,
            most,
            spent,
            until,
        } => used_up(budget, &most.words(spent), *until, times),
        Cause::NoWorker { queue } => stuck(
            format!("No worker is alive that serves queue `{queue}`."),
            [format!("qcli work --queues {}", word(queue))],
        ),
        Cause::WorkerShort {
            worker,
            shortage,
            since,
        } => passing(
            format!(
                "Worker {worker} does not start jobs since {}: {}.",
                times.moment_and_relative(*since),
                shortage.words()
            ),
            worker::remedies(shortage),
        ),
        Cause::InLine { ahead, workers } => passing(
            in_line(&job.queue, *ahead, *workers),
            no_remedy(job, *ahead),
        ),
        Cause::Stopping { since } => stopping(job, *since, times),
    }
}

fn held(job: &Job, since: Timestamp, times: Times) -> Explained {
    stuck(
        format!("It is held since {}.", times.moment_and_relative(since)),
        [format!("qcli release {}", job.id)],
    )
}

fn paused(queue: &str, since: Timestamp, times: Times) -> Explained {
    let since = times.moment_and_relative(since);
    stuck(
        format!("Queue `{queue}` is paused since {since}."),
        [format!("qcli queue resume {}", word(queue))],
    )
}

fn full_queue(queue: &str, running: u64, concurrency: u32) -> Explained {
    let more = concurrency.saturating_add(1);
    passing(
        format!("Queue `{queue}` is full: {running} of at most {concurrency} run."),
        [format!(
            "qcli queue set {} --concurrency {more}",
            word(queue)
        )],
    )
}

fn full_key(key: &str, running: &[JobId], places: u32) -> Explained {
    let more = places.saturating_add(1);
    passing(
        format!(
            "Key `{key}` is full: {} of {places} taken, by {}.",
            running.len(),
            jobs(running)
        ),
        [format!("qcli limit key {} --concurrency {more}", word(key))],
    )
}

fn taken(job: &Job, directory: &RawText, by: JobId) -> Explained {
    passing(
        format!(
            "Job {by} works in {}, and agents take turns in one directory.",
            directory.to_lossy()
        ),
        [
            format!("qcli show {by}"),
            format!("qcli edit {} --share-dir", job.id),
        ],
    )
}

fn empty(limit: &str, until: Timestamp, times: Times) -> Explained {
    let until = times.moment_and_relative(until);
    passing(
        format!("Limit `{limit}` has no token left for it before {until}."),
        [format!("qcli limit set {} --rate RATE", word(limit))],
    )
}

fn used_up(budget: &str, what: &str, until: Option<Timestamp>, times: Times) -> Explained {
    let sentence = format!("Budget `{budget}` is used up: {what}");
    let more = [format!("qcli budget set {} --max-cost USD", word(budget))];
    match until {
        Some(until) => {
            let until = times.moment_and_relative(until);
            passing(format!("{sentence}; it begins anew at {until}."), more)
        }
        None => stuck(format!("{sentence}; it has no end."), more),
    }
}

fn stopping(job: &Job, since: Timestamp, times: Times) -> Explained {
    let since = times.moment_and_relative(since);
    passing(
        format!(
            "It runs, and was asked to stop at {since}; its processes have their grace time to end."
        ),
        [format!("qcli logs -f {}", job.id)],
    )
}

/// The question, whole: it is what the person has to read.
fn asks(
    job: &Job,
    question: &str,
    choices: &[String],
    since: Timestamp,
    times: Times,
) -> Explained {
    let keeps = match job.state {
        State::InProgress => "It runs and waits with its slot",
        _ => "It waits",
    };
    let offered = match choices {
        [] => String::new(),
        choices => format!(" ({})", choices.join(" | ")),
    };
    let since = times.moment_and_relative(since);
    let remedies = match choices {
        [] => vec![format!("qcli answer {} TEXT", job.id)],
        choices => {
            let of_choice = |choice: &String| format!("qcli answer {} {}", job.id, word(choice));
            choices.iter().map(of_choice).collect()
        }
    };
    stuck(
        format!("{keeps} since {since} for the answer to `{question}`{offered}."),
        remedies,
    )
}

fn explain_time(job: &Job, reason: WaitReason, at: Timestamp, times: Times) -> Explained {
    let at = times.moment_and_relative(at);
    let sentence = match reason {
        WaitReason::Retry => format!(
            "Attempt {} of {} failed ({}); the next one starts at {at}.",
            job.attempt,
            job.max_attempts,
            ended::reason(job.class, None),
        ),
        WaitReason::Snooze => format!("It was put off and starts at {at}."),
        WaitReason::Limit => format!("A provider's limit has to lift first; it starts at {at}."),
        WaitReason::Window => format!("Its time window opens at {at}."),
        WaitReason::Delay | WaitReason::Dependency | WaitReason::Hold | WaitReason::Answer => {
            format!("Its time has not come: it starts at {at}.")
        }
    };
    passing(sentence, [format!("qcli release {}", job.id)])
}

fn in_line(queue: &str, ahead: u64, workers: u32) -> String {
    let workers = match workers {
        1 => "1 worker is".to_owned(),
        count => format!("{count} workers are"),
    };
    match ahead {
        0 => format!("It is next in line; {workers} alive."),
        1 => format!("In queue `{queue}` 1 job goes first; {workers} alive."),
        count => format!("In queue `{queue}` {count} jobs go first; {workers} alive."),
    }
}

/// A job that is next needs nothing; one further behind can be moved to the front.
fn no_remedy(job: &Job, ahead: u64) -> Option<String> {
    (ahead > 0).then(|| format!("qcli move {} --first", job.id))
}

fn jobs(ids: &[JobId]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    match ids.as_slice() {
        [] => "nobody".to_owned(),
        [one] => format!("job {one}"),
        [first @ .., last] => format!("jobs {} and {last}", first.join(", ")),
    }
}

/// A name as a shell needs it.
fn word(name: &str) -> std::borrow::Cow<'_, str> {
    shell_words::quote(name)
}

fn stuck(sentence: String, remedies: impl IntoIterator<Item = String>) -> Explained {
    Explained {
        sentence,
        remedies: remedies.into_iter().collect(),
        passes_by_itself: false,
    }
}

fn passing(sentence: String, remedies: impl IntoIterator<Item = String>) -> Explained {
    Explained {
        sentence,
        remedies: remedies.into_iter().collect(),
        passes_by_itself: true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, NOON, noon_plus};
    use super::*;
    use queue_core::gate::{Closing, GateName, GateReason};
    use queue_core::job::ParentEnd;

    pub(super) fn explained(cause: &Cause) -> Explained {
        explain(
            cause,
            &samples::job(State::Pending),
            Times::new(noon_plus(60), false),
        )
    }

    pub(super) fn gate() -> GateName {
        "claude".parse().unwrap()
    }

    pub(super) fn closing(until: Option<Timestamp>) -> Closing {
        Closing {
            reason: GateReason::Limit,
            until,
            since: NOON,
            evidence: Some("session limit reached".into()),
            set_by: "job 4".into(),
            tries: 0,
        }
    }

    pub(super) fn after(end: ParentEnd, state: Option<State>) -> Cause {
        Cause::After {
            parent: JobId(41),
            end,
            state,
        }
    }

    #[test]
    fn every_cause_is_a_sentence_and_what_waits_for_a_person_names_a_command() {
        let queue = || "build".to_owned();
        let causes = [
            Cause::Held { since: NOON },
            Cause::Asks {
                question: "Which?".into(),
                choices: Vec::new(),
                since: NOON,
            },
            Cause::Asks {
                question: "Which?".into(),
                choices: vec!["a".into(), "b c".into()],
                since: NOON,
            },
            after(ParentEnd::Success, Some(State::Failed)),
            after(ParentEnd::Any, Some(State::Pending)),
            after(ParentEnd::Failure, None),
            Cause::Until {
                reason: WaitReason::Retry,
                at: noon_plus(100),
            },
            Cause::QueuePaused {
                queue: queue(),
                since: NOON,
            },
            Cause::QueueFull {
                queue: queue(),
                running: 2,
                concurrency: 2,
            },
            Cause::KeyFull {
                key: "repo".into(),
                running: vec![JobId(1), JobId(2)],
                places: 2,
            },
            Cause::DirectoryTaken {
                directory: "/src/site".into(),
                by: JobId(3),
            },
            Cause::LimitEmpty {
                limit: "api".into(),
                until: noon_plus(90),
            },
            Cause::GateClosed {
                gate: gate(),
                closing: closing(Some(noon_plus(90))),
            },
            Cause::GateClosed {
                gate: gate(),
                closing: closing(None),
            },
            Cause::GateProbed {
                gate: gate(),
                closing: closing(Some(NOON)),
                probe: JobId(3),
            },
            Cause::GateStaggered {
                gate: gate(),
                until: noon_plus(90),
            },
            Cause::NoWorker { queue: queue() },
            Cause::WorkerShort {
                worker: "desk-1".into(),
                shortage: samples::shortage(),
                since: NOON,
            },
            Cause::InLine {
                ahead: 3,
                workers: 1,
            },
            Cause::Stopping { since: NOON },
        ];
        for cause in &causes {
            let Explained {
                sentence, remedies, ..
            } = explained(cause);
            assert!(
                sentence.ends_with('.') && sentence.starts_with(char::is_uppercase),
                "{sentence}"
            );
            assert!(!remedies.is_empty(), "{cause:?}");
            assert!(
                remedies.iter().all(|remedy| remedy.starts_with("qcli ")),
                "{remedies:?}"
            );
        }
    }

    #[test]
    fn a_name_in_a_command_is_quoted_as_a_shell_needs_it() {
        let cause = Cause::QueuePaused {
            queue: "my queue".into(),
            since: NOON,
        };
        assert_eq!(explained(&cause).remedies, ["qcli queue resume 'my queue'"]);
    }
}
