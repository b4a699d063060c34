//! What an attempt came to, from the facts the supervisor recorded.
//!
//! Asked once per attempt, on its thread. What always holds: it decides by the facts alone and
//! leaves retry or failure to the store; an attempt whose lease is lost has no outcome.

use std::path::Path;
use std::time::Duration;

use queue_core::attempt::{Outcome, Report, ResourceUsage};
use queue_core::job::RunOptions;
use queue_core::units::about_bytes;
use queue_core::{Class, Timestamp};

use crate::cgroup::Readings;
use crate::process::{SpawnClass, SpawnProblem};
use crate::spec::NoSpec;
use crate::supervisor::{Ended, Status, StopCause};
use crate::usage_error;

/// How long a job is put off that could not be started for what the machine lacks: others, and
/// other workers, go first meanwhile.
const SHORTAGE_TAKES: Duration = Duration::from_secs(2);

/// What to tell the store of an attempt that ended; `None` where nothing may be written.
#[must_use]
pub fn report(status: &Status, options: &RunOptions, log: &Path) -> Option<Report> {
    let (outcome, mut message) = match status.stopped_by {
        Some(StopCause::LeaseLost) => return None,
        Some(StopCause::Cancelled) => (Outcome::Cancelled, None),
        Some(StopCause::Interrupted) => (Outcome::HandedBack, None),
        Some(StopCause::Timeout) => (failed(Class::Timeout), None),
        Some(StopCause::IdleTimeout) => (failed(Class::IdleTimeout), None),
        Some(StopCause::Finished) => (Outcome::Completed { result: None }, None),
        Some(StopCause::MaxTurns) => (failed(Class::MaxTurns), None),
        Some(StopCause::Budget) => (failed(Class::OverBudget), None),
        None => of_its_own(status, options, log),
    };
    if message.is_none() {
        message = remark(status);
    }
    Some(Report {
        exit_code: status.exit_code(),
        signal: signal(status),
        message,
        usage: usage(status),
        ..Report::new(outcome, Timestamp::from_millis(status.ended_at))
    })
}

/// What the processes of an attempt used.
pub(crate) fn usage(status: &Status) -> Option<ResourceUsage> {
    let usage = status.usage?;
    Some(ResourceUsage {
        user_ms: usage.user_ms,
        system_ms: usage.system_ms,
        max_rss_kib: usage.max_rss_kb,
        read_bytes: usage.read_bytes,
        written_bytes: usage.written_bytes,
        memory_peak_bytes: status.memory.and_then(|memory| memory.peak),
    })
}

/// What to tell the store of an attempt that nothing could be started for.
#[must_use]
pub fn report_unbuilt(problem: &NoSpec, at: Timestamp) -> Report {
    let (outcome, exit_code) = match problem {
        // What cannot be read now may be read by a newer release.
        NoSpec::Payload(_) => (retried(Class::BadPayload), None),
        NoSpec::Task(_) => (failed(Class::Usage), None),
        NoSpec::Spawn(problem) => (not_started(problem, at), problem.class.shell_code()),
    };
    Report {
        exit_code,
        message: Some(problem.to_string()),
        ..Report::new(outcome, at)
    }
}

/// What the machine lacked, where that is why nothing could be started.
#[must_use]
pub fn shortage(problem: &SpawnProblem) -> Option<String> {
    problem.class.is_shortage().then(|| problem.text.clone())
}

/// What to tell the store when our own part failed: the attempt is tried again.
#[must_use]
pub fn report_broken(message: String, at: Timestamp) -> Report {
    Report {
        message: Some(message),
        ..Report::new(retried(Class::Crash), at)
    }
}

fn of_its_own(status: &Status, options: &RunOptions, log: &Path) -> (Outcome, Option<String>) {
    if let Some(memory) = status.memory.filter(|_| !status.is_success())
        && memory.oom_kills > 0
    {
        return (failed(Class::Oom), Some(out_of_memory(memory)));
    }
    match &status.ended {
        Ended::Exited { code: 0 } => (Outcome::Completed { result: None }, None),
        Ended::Exited { code } => exited(*code, status, options, log),
        Ended::Signalled { .. } => (failed(Class::Signal), None),
        Ended::SpawnFailed { problem } => {
            let at = Timestamp::from_millis(status.ended_at);
            (not_started(problem, at), Some(problem.to_string()))
        }
        Ended::NeverStarted => (Outcome::HandedBack, None),
        Ended::Lost { text } => (
            failed(Class::Crash),
            Some(format!(
                "its exit status was taken by somebody else: {text}"
            )),
        ),
    }
}

/// `out of memory: peak 2.0 GiB of 2.0 GiB allowed`.
fn out_of_memory(memory: Readings) -> String {
    let mut words = "out of memory".to_owned();
    if let Some(peak) = memory.peak {
        words += &format!(": peak {}", about_bytes(peak));
        if let Some(allowed) = memory.allowed {
            words += &format!(" of {} allowed", about_bytes(allowed));
        }
    }
    words
}

fn exited(
    code: i32,
    status: &Status,
    options: &RunOptions,
    log: &Path,
) -> (Outcome, Option<String>) {
    if let Some(line) = usage_error::refusal(code, Duration::from_millis(status.ran_for_ms), log) {
        return (failed(Class::Usage), Some(line));
    }
    let outcome = Outcome::Failed {
        class: Class::ExitCode,
        retryable: options.no_retry.contains(&code).then_some(false),
        retry_after: None,
    };
    (outcome, None)
}

fn not_started(problem: &SpawnProblem, at: Timestamp) -> Outcome {
    if problem.class.is_shortage() {
        let until = at.saturating_add(SHORTAGE_TAKES);
        return Outcome::Snoozed { until };
    }
    let class = match problem.class {
        SpawnClass::BadCwd => Class::BadCwd,
        SpawnClass::NotFound
        | SpawnClass::NotExecutable
        | SpawnClass::BadStdin
        | SpawnClass::BadLog
        | SpawnClass::BadArgument
        | SpawnClass::Resources
        | SpawnClass::Other => Class::SpawnFailed,
    };
    if problem.class.is_passing() {
        retried(class)
    } else {
        failed(class)
    }
}

fn failed(class: Class) -> Outcome {
    Outcome::Failed {
        class,
        retryable: None,
        retry_after: None,
    }
}

fn retried(class: Class) -> Outcome {
    Outcome::Failed {
        class,
        retryable: Some(true),
        retry_after: None,
    }
}

fn signal(status: &Status) -> Option<i32> {
    match status.ended {
        Ended::Signalled { signal } => Some(signal),
        Ended::Exited { .. }
        | Ended::SpawnFailed { .. }
        | Ended::NeverStarted
        | Ended::Lost { .. } => None,
    }
}

/// What a person should know beside the class: the first of what went wrong around the process.
fn remark(status: &Status) -> Option<String> {
    if status.leftovers.survived > 0 {
        let count = status.leftovers.survived;
        return Some(format!("{count} of its processes could not be killed"));
    }
    if let Some(memory) = status.memory.filter(|memory| memory.oom_kills > 0) {
        let ended = match memory.oom_kills {
            1 => "1 of its processes was killed".to_owned(),
            many => format!("{many} of its processes were killed"),
        };
        return Some(format!("{ended}, {}", out_of_memory(memory)));
    }
    if status.leftovers.found > 0 {
        let ended = match status.leftovers.found {
            1 => "1 process that it left behind was ended".to_owned(),
            many => format!("{many} processes that it left behind were ended"),
        };
        return Some(ended + "; `--on-leftover keep` leaves them running");
    }
    if let Some(trouble) = &status.log.trouble {
        return Some(trouble.clone());
    }
    status.drain_cut.then(|| {
        "a process outside its group held its output open; what that wrote later is not in the log"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::LogSummary;
    use crate::supervisor::Leftovers;

    fn status(ended: Ended, stopped_by: Option<StopCause>) -> Status {
        Status {
            job: 1,
            epoch: 1,
            attempt: 1,
            pid: Some(77),
            started_at: 1_000,
            ended_at: 3_000,
            ran_for_ms: 2_000,
            ended,
            stopped_by,
            was_killed: false,
            usage: None,
            memory: None,
            unenforced: None,
            log: LogSummary::default(),
            drain_cut: false,
            leftovers: Leftovers::default(),
        }
    }

    fn outcome(ended: Ended, stopped_by: Option<StopCause>) -> Option<Outcome> {
        let options = RunOptions {
            no_retry: vec![9],
            ..RunOptions::default()
        };
        report(&status(ended, stopped_by), &options, Path::new("/nowhere")).map(|made| made.outcome)
    }

    #[test]
    fn why_it_was_stopped_counts_more_than_how_it_ended() {
        let zero = || Ended::Exited { code: 0 };
        assert_eq!(outcome(zero(), Some(StopCause::LeaseLost)), None);
        for (cause, expected) in [
            (StopCause::Cancelled, Outcome::Cancelled),
            (StopCause::Interrupted, Outcome::HandedBack),
            (StopCause::Timeout, failed(Class::Timeout)),
            (StopCause::IdleTimeout, failed(Class::IdleTimeout)),
        ] {
            assert_eq!(outcome(zero(), Some(cause)), Some(expected));
        }
        assert_eq!(
            outcome(zero(), None),
            Some(Outcome::Completed { result: None })
        );
    }

    #[test]
    fn what_ran_out_of_memory_says_so_however_it_ended_unless_it_went_well() {
        let end = |ended| {
            let mut facts = status(ended, None);
            facts.memory = Some(Readings {
                peak: Some(2 << 30),
                allowed: Some(2 << 30),
                oom_kills: 1,
            });
            report(&facts, &RunOptions::default(), Path::new("/nowhere")).unwrap()
        };
        for ended in [Ended::Exited { code: 137 }, Ended::Signalled { signal: 9 }] {
            let made = end(ended);
            assert_eq!(made.outcome, failed(Class::Oom));
            let words = "out of memory: peak 2.0 GiB of 2.0 GiB allowed";
            assert_eq!(made.message.as_deref(), Some(words));
        }
        let made = end(Ended::Exited { code: 0 });
        assert_eq!(made.outcome, Outcome::Completed { result: None });
        assert!(
            made.message
                .unwrap()
                .starts_with("1 of its processes was killed, out of memory")
        );
    }

    #[test]
    fn codes_the_job_names_are_final() {
        let code = |code| outcome(Ended::Exited { code }, None);
        assert_eq!(code(1), Some(failed(Class::ExitCode)));
        assert!(matches!(
            code(9),
            Some(Outcome::Failed {
                retryable: Some(false),
                ..
            })
        ));
    }

    #[test]
    fn a_start_that_may_succeed_later_is_tried_again() {
        let start = |class| {
            let problem = SpawnProblem::new(class, "words");
            outcome(Ended::SpawnFailed { problem }, None)
        };
        assert_eq!(
            start(SpawnClass::NotFound),
            Some(failed(Class::SpawnFailed))
        );
        assert_eq!(start(SpawnClass::BadCwd), Some(failed(Class::BadCwd)));
        assert_eq!(start(SpawnClass::Other), Some(retried(Class::SpawnFailed)));
    }

    #[test]
    fn what_the_machine_lacks_costs_the_job_no_attempt() {
        for class in [SpawnClass::Resources, SpawnClass::BadLog] {
            let problem = SpawnProblem::new(class, "words");
            assert_eq!(shortage(&problem).as_deref(), Some("words"));
            let made = outcome(Ended::SpawnFailed { problem }, None);
            // Its status says that it ended after 3 s.
            let until = Timestamp::from_millis(3_000).saturating_add(SHORTAGE_TAKES);
            assert_eq!(made, Some(Outcome::Snoozed { until }));
        }
        let problem = SpawnProblem::new(SpawnClass::NotFound, "words");
        assert_eq!(shortage(&problem), None);
    }

    #[test]
    fn a_report_has_the_code_the_signal_and_what_else_went_wrong() {
        let mut facts = status(Ended::Signalled { signal: 9 }, None);
        facts.leftovers.survived = 2;
        let made = report(&facts, &RunOptions::default(), Path::new("/nowhere")).unwrap();
        assert_eq!((made.exit_code, made.signal), (None, Some(9)));
        assert_eq!(made.ended_at, Timestamp::from_millis(3_000));
        assert!(made.message.unwrap().starts_with("2 of its processes"));
    }
}
