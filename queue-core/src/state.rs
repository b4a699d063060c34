//! The states of a job, every legal move between them, and the classes of failure.
//!
//! This module is the single source of truth: the `check` lists of the schema, the JSON, the
//! documents and the state diagram are tested against [`State::ALL`], [`TRANSITIONS`] and
//! [`Class::ALL`]. Every engine asks it before it moves a job; nothing else decides.

use crate::{clock::Timestamp, words::spelled_enum};

spelled_enum! {
    /// Where a job stands. Stored, and spelled so everywhere.
    State, "state" {
        /// `run_at` lies ahead.
        Scheduled = "scheduled",
        /// Can be claimed now, unless its lane is shut (full key, empty bucket, paused queue).
        Pending = "pending",
        /// Waits for a dependency, or for a person who holds it or whom it asks something.
        Blocked = "blocked",
        /// One attempt holds the lease.
        InProgress = "in_progress",
        /// Ended well.
        Completed = "completed",
        /// Ended badly: out of attempts, or not retryable.
        Failed = "failed",
        /// Ended on request.
        Cancelled = "cancelled",
    }
}

impl State {
    /// The states in which a job has ended: `finished_at` is set, nothing happens by itself.
    pub const ENDED: &'static [State] = &[State::Completed, State::Failed, State::Cancelled];

    /// The states in which a job waits to be claimed.
    pub const WAITING: &'static [State] = &[State::Scheduled, State::Pending, State::Blocked];

    /// Whether the job has ended.
    pub const fn is_ended(self) -> bool {
        matches!(self, State::Completed | State::Failed | State::Cancelled)
    }

    /// Whether the job waits to be claimed.
    pub const fn is_waiting(self) -> bool {
        matches!(self, State::Scheduled | State::Pending | State::Blocked)
    }
}

spelled_enum! {
    /// What moves a job from one state to another. Each is one verb of the store.
    Verb, "verb" {
        /// A scheduled job falls due.
        Promote = "promote",
        /// The last unmet dependency is met.
        Unblock = "unblock",
        /// A job waited longer than its `--max-wait`.
        Expire = "expire",
        /// A worker takes the job: epoch and holder rise.
        Claim = "claim",
        /// The worker extends its lease.
        Heartbeat = "heartbeat",
        /// Another worker takes over a lease that ran out: holder rises, the epoch stays.
        Adopt = "adopt",
        /// The attempt ended well.
        Complete = "complete",
        /// The attempt failed and nothing more is tried.
        Fail = "fail",
        /// The attempt failed and another one is planned.
        Retry = "retry",
        /// The attempt asks to run later; it does not count.
        Snooze = "snooze",
        /// The attempt asks a person something.
        Ask = "ask",
        /// The attempt ended with a question; it does not count, and the job waits for the answer.
        Park = "park",
        /// The attempt met a limit of its provider; it does not count, and the gate closes.
        Limit = "limit",
        /// A stopping worker hands the lease back; the attempt does not count.
        HandBack = "hand_back",
        /// The attempt died with its worker, or its session was gone: tried again, stalls are counted apart.
        Rescue = "rescue",
        /// The process tree of a job whose cancel was asked for is gone.
        Abort = "abort",
        /// A person cancels the job; one that runs is only asked to stop.
        Cancel = "cancel",
        /// A person holds the job back.
        Hold = "hold",
        /// A person lets a held job go, or a scheduled one run now.
        Release = "release",
        /// A person answers what the job asks.
        Answer = "answer",
        /// A person changes a job that waits.
        Edit = "edit",
        /// A person moves a waiting job within its queue.
        Move = "move",
        /// A person runs an ended job again; its history stays.
        Requeue = "requeue",
    }
}

/// One row of the transition table: from this state, by this verb, to one of these states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// What happens.
    pub verb: Verb,
    /// The states after, of which the facts choose one. Equal to `[from]` where only data changes.
    pub to: &'static [State],
}

const fn row(from: State, verb: Verb, to: &'static [State]) -> Transition {
    Transition { from, verb, to }
}

/// Every legal move. A pair of state and verb that is not here is refused with
/// [`crate::Error::Refused`].
pub const TRANSITIONS: &[Transition] = {
    use State::{Blocked, Cancelled, Completed, Failed, InProgress, Pending, Scheduled};
    &[
        row(Scheduled, Verb::Promote, &[Pending]),
        row(Scheduled, Verb::Expire, &[Cancelled]),
        row(Scheduled, Verb::Cancel, &[Cancelled]),
        row(Scheduled, Verb::Hold, &[Blocked]),
        row(Scheduled, Verb::Release, &[Pending]),
        row(Scheduled, Verb::Edit, &[Scheduled, Pending, Blocked]),
        row(Scheduled, Verb::Move, &[Scheduled]),
        row(Pending, Verb::Claim, &[InProgress]),
        row(Pending, Verb::Expire, &[Cancelled]),
        row(Pending, Verb::Cancel, &[Cancelled]),
        row(Pending, Verb::Hold, &[Blocked]),
        row(Pending, Verb::Edit, &[Scheduled, Pending, Blocked]),
        row(Pending, Verb::Move, &[Pending]),
        row(Blocked, Verb::Unblock, &[Pending, Scheduled]),
        row(Blocked, Verb::Expire, &[Cancelled]),
        row(Blocked, Verb::Cancel, &[Cancelled]),
        row(Blocked, Verb::Hold, &[Blocked]),
        row(Blocked, Verb::Release, &[Pending, Scheduled, Blocked]),
        row(Blocked, Verb::Answer, &[Pending, Scheduled, Blocked]),
        row(Blocked, Verb::Edit, &[Scheduled, Pending, Blocked]),
        row(Blocked, Verb::Move, &[Blocked]),
        row(InProgress, Verb::Heartbeat, &[InProgress]),
        row(InProgress, Verb::Adopt, &[InProgress]),
        row(InProgress, Verb::Complete, &[Completed]),
        row(InProgress, Verb::Fail, &[Failed]),
        row(InProgress, Verb::Retry, &[Scheduled]),
        row(InProgress, Verb::Snooze, &[Scheduled]),
        row(InProgress, Verb::Ask, &[InProgress]),
        row(InProgress, Verb::Answer, &[InProgress]),
        row(InProgress, Verb::Park, &[Blocked, Pending]),
        row(InProgress, Verb::Limit, &[Pending]),
        row(InProgress, Verb::HandBack, &[Pending]),
        row(InProgress, Verb::Rescue, &[Pending, Failed]),
        row(InProgress, Verb::Abort, &[Cancelled]),
        row(InProgress, Verb::Cancel, &[InProgress]),
        row(Completed, Verb::Cancel, &[Completed]),
        row(Completed, Verb::Requeue, &[Pending, Scheduled, Blocked]),
        row(Failed, Verb::Cancel, &[Failed]),
        row(Failed, Verb::Requeue, &[Pending, Scheduled, Blocked]),
        row(Cancelled, Verb::Cancel, &[Cancelled]),
        row(Cancelled, Verb::Requeue, &[Pending, Scheduled, Blocked]),
    ]
};

/// The states that `verb` may lead to from `from`, or `None` where it is refused.
pub fn transition(from: State, verb: Verb) -> Option<&'static [State]> {
    TRANSITIONS
        .iter()
        .find(|row| row.from == from && row.verb == verb)
        .map(|row| row.to)
}

spelled_enum! {
    /// Why a scheduled or blocked job waits; stored beside the state.
    WaitReason, "wait reason" {
        /// It was enqueued with a delay or a time.
        Delay = "delay",
        /// An attempt failed; the next one follows after its backoff.
        Retry = "retry",
        /// The attempt asked to run later.
        Snooze = "snooze",
        /// A provider's limit has to lift first.
        Limit = "limit",
        /// Its time window is shut.
        Window = "window",
        /// A job it comes after has not ended as needed.
        Dependency = "dependency",
        /// A person holds it.
        Hold = "hold",
        /// It asked a person something.
        Answer = "answer",
    }
}

/// Where a job that is not running belongs, from the facts about it.
///
/// A hold wins over a question, that over a dependency, a dependency over a time. `delayed` names
/// what set `run_at`.
pub fn resting_place(
    held: bool,
    asks: bool,
    unmet_dependencies: u32,
    run_at: Option<Timestamp>,
    delayed: WaitReason,
    now: Timestamp,
) -> (State, Option<WaitReason>) {
    if held {
        (State::Blocked, Some(WaitReason::Hold))
    } else if asks {
        (State::Blocked, Some(WaitReason::Answer))
    } else if unmet_dependencies > 0 {
        (State::Blocked, Some(WaitReason::Dependency))
    } else if run_at.is_some_and(|at| at > now) {
        (State::Scheduled, Some(delayed))
    } else {
        (State::Pending, None)
    }
}

spelled_enum! {
    /// Why an attempt ended, or why a job ended without one.
    Class, "failure class" {
        /// The program ended with a code other than 0.
        ExitCode = "exit_code",
        /// A signal ended the program.
        Signal = "signal",
        /// It ran longer than its `--timeout`.
        Timeout = "timeout",
        /// It wrote nothing for longer than its `--idle-timeout`.
        IdleTimeout = "idle_timeout",
        /// It used more memory than it may.
        Oom = "oom",
        /// The program could not be started: not found (127) or not executable (126).
        SpawnFailed = "spawn_failed",
        /// The directory it should run in is missing.
        BadCwd = "bad_cwd",
        /// What is stored for the job cannot be read.
        BadPayload = "bad_payload",
        /// The program refused its arguments: a flag it does not know.
        Usage = "usage",
        /// Another worker took the lease; this attempt writes nothing more.
        LeaseLost = "lease_lost",
        /// The lease ran out: the worker hung, or died unseen.
        LeaseExpired = "lease_expired",
        /// The worker died.
        WorkerDied = "worker_died",
        /// The machine was started anew.
        Rebooted = "rebooted",
        /// A person, or a rule that a person set, ended it.
        Cancelled = "cancelled",
        /// It waited longer than its `--max-wait`.
        Expired = "expired",
        /// The worker was asked to stop; the attempt does not count.
        Interrupted = "interrupted",
        /// The attempt asked to run later; it does not count.
        Snoozed = "snoozed",
        /// It said that it is done, and a check or an expectation of its said no.
        CheckFailed = "check_failed",
        /// A provider's rate or usage limit.
        Limit = "limit",
        /// The provider does not know the account.
        Auth = "auth",
        /// The provider wants to be paid.
        Billing = "billing",
        /// The provider was overloaded, or could not be reached.
        Unavailable = "unavailable",
        /// The model refused.
        Refusal = "refusal",
        /// The conversation no longer fits.
        ContextFull = "context_full",
        /// The session of an agent that was to be gone on with is not there.
        SessionMissing = "session_missing",
        /// Somebody else uses the session of an agent.
        SessionBusy = "session_busy",
        /// The agent used up its turns.
        MaxTurns = "max_turns",
        /// It cost more than its budget.
        OverBudget = "over_budget",
        /// It asked a person something, and its end left that open.
        NeedsInput = "needs_input",
        /// The program broke in a way of its own.
        Crash = "crash",
    }
}

/// What the default policy does with a failed attempt of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Try again while attempts are left.
    Retry,
    /// Fail at once: another attempt would end the same way.
    Fail,
    /// Try again; the attempt counts as a stall, not as an attempt.
    Stall,
}

impl Class {
    /// The default policy: what follows an attempt of this class that ended with `exit_code`.
    ///
    /// 126 and 127 are what a shell says of a program that it cannot start (POSIX.1-2024, XCU
    /// 2.8.2), 64 is `EX_USAGE` of sysexits(3): no further attempt would find anything else.
    pub fn disposition(self, exit_code: Option<i32>) -> Disposition {
        match self {
            Class::ExitCode if matches!(exit_code, Some(64 | 126 | 127)) => Disposition::Fail,
            Class::ExitCode
            | Class::Signal
            | Class::Timeout
            | Class::IdleTimeout
            | Class::Oom
            | Class::CheckFailed
            | Class::Limit
            | Class::Unavailable
            | Class::ContextFull
            | Class::Crash => Disposition::Retry,
            Class::LeaseLost
            | Class::LeaseExpired
            | Class::WorkerDied
            | Class::Rebooted
            | Class::Interrupted
            | Class::Snoozed
            | Class::SessionMissing
            | Class::SessionBusy => Disposition::Stall,
            Class::SpawnFailed
            | Class::BadCwd
            | Class::BadPayload
            | Class::Usage
            | Class::Cancelled
            | Class::Expired
            | Class::Auth
            | Class::Billing
            | Class::Refusal
            | Class::MaxTurns
            | Class::NeedsInput
            | Class::OverBudget => Disposition::Fail,
        }
    }
}

/// The state diagram of the table, as Mermaid text; `docs/concepts.md` carries it.
pub fn diagram() -> String {
    let mut lines = vec!["stateDiagram-v2".to_owned()];
    lines.extend(
        [State::Pending, State::Scheduled, State::Blocked]
            .iter()
            .map(|first| format!("    [*] --> {first}: enqueue")),
    );
    for from in State::ALL {
        for to in State::ALL.iter().filter(|to| *to != from) {
            let verbs: Vec<_> = TRANSITIONS
                .iter()
                .filter(|row| row.from == *from && row.to.contains(to))
                .map(|row| row.verb.as_str())
                .collect();
            if !verbs.is_empty() {
                lines.push(format!("    {from} --> {to}: {}", verbs.join(", ")));
            }
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_as_its_case() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
        for class in Class::ALL {
            assert_eq!(class.as_str().parse(), Ok(*class));
        }
        assert_eq!(
            Class::Interrupted.meaning(),
            "The worker was asked to stop; the attempt does not count."
        );
        let error = "done".parse::<State>().unwrap_err();
        assert!(error.to_string().contains("completed"), "{error}");
    }

    #[test]
    fn a_pair_of_state_and_verb_stands_in_the_table_once() {
        for (index, row) in TRANSITIONS.iter().enumerate() {
            let again = TRANSITIONS[index + 1..]
                .iter()
                .any(|other| other.from == row.from && other.verb == row.verb);
            assert!(!again, "{} by {} stands twice", row.from, row.verb);
        }
    }

    #[test]
    fn every_waiting_state_is_left_by_something_and_no_ended_one_by_itself() {
        for from in State::ALL {
            let leaves = TRANSITIONS
                .iter()
                .any(|row| row.from == *from && row.to.iter().any(|to| to != from));
            assert!(leaves, "{from} is a trap");
        }
        for row in TRANSITIONS.iter().filter(|row| row.from.is_ended()) {
            assert!(matches!(row.verb, Verb::Cancel | Verb::Requeue));
        }
    }

    #[test]
    fn a_hold_wins_over_a_question_that_over_a_dependency_and_this_over_a_time() {
        let now = Timestamp::from_millis(1_000);
        let later = Some(Timestamp::from_millis(2_000));
        let rest = |held, unmet, at| resting_place(held, false, unmet, at, WaitReason::Retry, now);
        assert_eq!(
            rest(true, 1, later),
            (State::Blocked, Some(WaitReason::Hold))
        );
        let asks = |held| resting_place(held, true, 1, later, WaitReason::Retry, now);
        assert_eq!(asks(true).1, Some(WaitReason::Hold));
        assert_eq!(asks(false), (State::Blocked, Some(WaitReason::Answer)));
        assert_eq!(
            rest(false, 1, later),
            (State::Blocked, Some(WaitReason::Dependency))
        );
        assert_eq!(
            rest(false, 0, later),
            (State::Scheduled, Some(WaitReason::Retry))
        );
        assert_eq!(rest(false, 0, Some(now)), (State::Pending, None));
        assert_eq!(rest(false, 0, None), (State::Pending, None));
    }

    #[test]
    fn what_no_second_try_can_mend_is_not_tried_again() {
        // T25
        assert_eq!(Class::ExitCode.disposition(Some(1)), Disposition::Retry);
        assert_eq!(Class::ExitCode.disposition(Some(127)), Disposition::Fail);
        assert_eq!(Class::ExitCode.disposition(Some(126)), Disposition::Fail);
        assert_eq!(Class::BadCwd.disposition(None), Disposition::Fail);
        assert_eq!(Class::Usage.disposition(Some(2)), Disposition::Fail);
        assert_eq!(Class::WorkerDied.disposition(None), Disposition::Stall);
    }
}
