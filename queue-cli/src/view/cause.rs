//! Why a job does not run, as a sentence and the command that changes it.
//!
//! Owns the sentences of `qcli why` and of the page of a job. Core has the few words of a list ([`Cause::words`]); here
//! each cause says the whole: what, since when, and what to type. The commands can be pasted; a word in capitals is to be filled in.

use queue_core::gate::{Closing, GateName};
use queue_core::{
    Job, JobId, State, Timestamp, WaitReason, job::ParentEnd, raw_text::RawText, why::Cause,
};
use serde::Serialize;

use super::{ended, worker};
use crate::output::time::Times;

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
        Cause::After { parent, end, state } => explain_parent(job.id, *parent, *end, *state),
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
        Cause::GateClosed { gate, closing } => around(job, gate, closed(gate, closing, times)),
        Cause::GateProbed {
            gate,
            closing,
            probe,
        } => probed(gate, closing, *probe),
        Cause::GateStaggered { gate, until } => staggered(gate, *until, times),
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

fn probed(gate: &GateName, closing: &Closing, probe: JobId) -> Explained {
    passing(
        format!(
            "Gate `{gate}` was closed ({}), and job {probe} tries now whether it lets it through.",
            met(closing)
        ),
        [format!("qcli gate open {}", word(gate.as_str()))],
    )
}

fn staggered(gate: &GateName, until: Timestamp, times: Times) -> Explained {
    let until = times.moment_and_relative(until);
    passing(
        format!("Gate `{gate}` lets jobs start one after the other; the next one may at {until}."),
        [format!(
            "qcli gate set {} --stagger 0s",
            word(gate.as_str())
        )],
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

/// A closed gate: until when, why, and who says so.
/// Says of a gate that only one of several ways leads through that another one is enough.
fn around(job: &Job, gate: &GateName, explained: Explained) -> Explained {
    let ways = job.ways_around(gate);
    if ways.is_empty() {
        return explained;
    }
    Explained {
        sentence: format!(
            "{} It can go on by {} as well, once that is open.",
            explained.sentence,
            ways.join(" or ")
        ),
        ..explained
    }
}

fn closed(gate: &GateName, closing: &Closing, times: Times) -> Explained {
    let remedy = [format!("qcli gate open {}", word(gate.as_str()))];
    match closing.until {
        Some(until) => passing(
            format!(
                "It waits for gate `{gate}` until {} ({}).",
                times.moment_and_relative(until),
                met(closing)
            ),
            remedy,
        ),
        None => stuck(
            format!(
                "It waits for gate `{gate}` until a person opens it ({}).",
                met(closing)
            ),
            remedy,
        ),
    }
}

/// Why a gate is closed: the reason, who met it, and what shows it.
fn met(closing: &Closing) -> String {
    let Closing {
        reason,
        set_by,
        evidence,
        ..
    } = closing;
    match evidence {
        Some(evidence) => format!("{reason}, by {set_by}: {}", evidence.trim()),
        None => format!("{reason}, by {set_by}"),
    }
}

/// Whether nothing that happens by itself ever meets this cause: a job it comes after ended otherwise, or is gone.
#[must_use]
pub fn is_for_ever(cause: &Cause) -> bool {
    matches!(cause, Cause::After { end, state, .. }
        if state.is_none_or(|state| state.is_ended() && !end.is_met_by(state)))
}

fn explain_parent(id: JobId, parent: JobId, end: ParentEnd, state: Option<State>) -> Explained {
    let wanted = match end {
        ParentEnd::Success => "completes",
        ParentEnd::Failure => "fails",
        ParentEnd::Any => "ends",
    };
    match state {
        None => stuck(
            format!("It runs when job {parent} {wanted}, but that job is gone."),
            [format!("qcli cancel {id}")],
        ),
        Some(state) if state.is_ended() && !end.is_met_by(state) => stuck(
            format!(
                "It runs when job {parent} {wanted}, but that job {}.",
                ended_as(state)
            ),
            [
                format!("qcli requeue {parent}"),
                format!("qcli cancel {id}"),
            ],
        ),
        Some(State::InProgress) => passing(
            format!("It runs when job {parent} {wanted}; that job runs now."),
            [format!("qcli logs -f {parent}")],
        ),
        Some(state) => passing(
            format!("It runs when job {parent} {wanted}; that job is {state}."),
            [format!("qcli why {parent}")],
        ),
    }
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

fn ended_as(state: State) -> &'static str {
    match state {
        State::Completed => "completed",
        State::Cancelled => "was cancelled",
        _ => "failed",
    }
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

/// A cause as JSON.
#[derive(Debug, Serialize)]
pub struct CauseJson {
    cause: &'static str,
    /// A sentence for people.
    text: String,
    /// Commands that change it.
    remedies: Vec<String>,
    /// Whether it goes away without anybody doing something.
    passes_by_itself: bool,
}

impl CauseJson {
    /// Shows a cause that keeps `job` from running.
    #[must_use]
    pub fn new(cause: &Cause, job: &Job, now: Timestamp) -> Self {
        let explained = explain(cause, job, Times::new(now, false));
        Self {
            cause: kind(cause),
            text: explained.sentence,
            remedies: explained.remedies,
            passes_by_itself: explained.passes_by_itself,
        }
    }
}

/// The cause in one word, for programs.
fn kind(cause: &Cause) -> &'static str {
    match cause {
        Cause::Held { .. } => "held",
        Cause::Asks { .. } => "asks",
        Cause::After { .. } => "after",
        Cause::Until { .. } => "until",
        Cause::QueuePaused { .. } => "queue_paused",
        Cause::QueueFull { .. } => "queue_full",
        Cause::KeyFull { .. } => "key_full",
        Cause::DirectoryTaken { .. } => "directory_taken",
        Cause::LimitEmpty { .. } => "limit_empty",
        Cause::GateClosed { .. } => "gate_closed",
        Cause::GateProbed { .. } => "gate_probed",
        Cause::GateStaggered { .. } => "gate_staggered",
        Cause::BudgetUsedUp { .. } => "budget_used_up",
        Cause::NoWorker { .. } => "no_worker",
        Cause::WorkerShort { .. } => "worker_short",
        Cause::InLine { .. } => "in_line",
        Cause::Stopping { .. } => "stopping",
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, NOON, noon_plus};
    use super::*;
    use queue_core::gate::GateReason;

    fn explained(cause: &Cause) -> Explained {
        explain(
            cause,
            &samples::job(State::Pending),
            Times::new(noon_plus(60), false),
        )
    }

    fn gate() -> GateName {
        "claude".parse().unwrap()
    }

    fn closing(until: Option<Timestamp>) -> Closing {
        Closing {
            reason: GateReason::Limit,
            until,
            since: NOON,
            evidence: Some("session limit reached".into()),
            set_by: "job 4".into(),
            tries: 0,
        }
    }

    #[test]
    fn a_closed_gate_says_until_when_why_and_how_to_open_it() {
        let gate = gate();
        let cause = Cause::GateClosed {
            gate,
            closing: closing(Some(noon_plus(90))),
        };
        let Explained {
            sentence,
            remedies,
            passes_by_itself,
        } = explained(&cause);
        assert!(passes_by_itself);
        assert_eq!(remedies, ["qcli gate open claude"]);
        assert!(
            sentence.ends_with("(limit, by job 4: session limit reached)."),
            "{sentence}"
        );
        assert!(
            sentence.starts_with("It waits for gate `claude` until 2"),
            "{sentence}"
        );
    }

    fn after(end: ParentEnd, state: Option<State>) -> Cause {
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
    fn a_parent_that_ended_otherwise_blocks_for_ever_and_says_how_to_mend_it() {
        let cause = after(ParentEnd::Success, Some(State::Failed));
        assert!(is_for_ever(&cause));
        let explained = explained(&cause);
        assert_eq!(
            explained.sentence,
            "It runs when job 41 completes, but that job failed."
        );
        assert_eq!(explained.remedies, ["qcli requeue 41", "qcli cancel 4"]);
        assert!(!explained.passes_by_itself);
    }

    #[test]
    fn a_parent_that_still_goes_is_waited_for() {
        for (end, state) in [
            (ParentEnd::Success, State::InProgress),
            (ParentEnd::Failure, State::Blocked),
            (ParentEnd::Any, State::Pending),
        ] {
            assert!(!is_for_ever(&after(end, Some(state))), "{end} {state}");
        }
        assert!(is_for_ever(&after(ParentEnd::Any, None)), "gone");
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
