//! What the worker says of jobs, in words for people.
//!
//! Used for the messages of events; their fields carry the same for programs. What always holds:
//! one line per change of state, in the present tense or the past, never both.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use queue_core::attempt::{Finished, Outcome, Report};
use queue_core::gate::{Closing, GateName};
use queue_core::question::first_line;
use queue_core::units::format_duration;
use queue_core::{Class, Fence, JobId, Timestamp};

use super::slots::Slot;

/// The job as people know it: `4`, or `4 (build)`.
pub(super) fn label(job: JobId, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{job} ({name})"),
        None => job.to_string(),
    }
}

pub(super) fn jobs(count: usize) -> String {
    counted(count, "job")
}

pub(super) fn outcomes(count: usize) -> String {
    counted(count, "outcome")
}

/// What becomes of the running jobs of a worker that ends.
pub(super) fn leaving(lasting: usize, returned: usize) -> String {
    match (lasting, returned) {
        (0, 0) => "nothing runs".to_owned(),
        (lasting, 0) => format!("{} left running for the next worker", jobs(lasting)),
        (0, returned) => format!("{} handed back", jobs(returned)),
        (lasting, returned) => format!(
            "{} left running for the next worker, {} handed back",
            jobs(lasting),
            jobs(returned)
        ),
    }
}

fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

pub(super) fn say_started(fence: Fence, slot: &Slot, worker: &str) {
    let Slot { label, attempt, .. } = slot;
    let job = fence.job.0;
    match attempt {
        1 => tracing::info!(job, attempt, worker, "job {label} started"),
        _ => tracing::info!(
            job,
            attempt,
            worker,
            "job {label} started, attempt {attempt}"
        ),
    }
}

/// What became of a job: `completed in 2.1s`, `failed after 40s: exit code 1`.
pub(super) fn ended(
    finished: Finished,
    report: Option<&Report>,
    ran_for: Duration,
    now: Timestamp,
) -> String {
    let span = span(ran_for);
    let why = report.map(why).unwrap_or_default();
    let is_put_off = report.is_some_and(|it| matches!(it.outcome, Outcome::Snoozed { .. }));
    match finished {
        Finished::Retry(at) if is_put_off => format!("is put off for {}: {why}", wait(at, now)),
        Finished::Completed => format!("completed in {span}"),
        Finished::Failed => format!("failed after {span}: {why}"),
        Finished::Cancelled => format!("cancelled after {span}"),
        Finished::Retry(at) => {
            format!(
                "failed after {span}: {why}; tried again in {}",
                wait(at, now)
            )
        }
        Finished::Limited => format!("met a limit after {span} and waits: {why}"),
        Finished::Asks => format!("asks something after {span} and waits for the answer"),
        Finished::Answered => format!("asked something after {span} and goes on with the answer"),
        Finished::Pending => format!("handed back after {span}"),
    }
}

/// What became of a job whose worker died.
pub(super) fn rescued(finished: Finished, class: Class, now: Timestamp) -> String {
    match finished {
        Finished::Retry(at) => {
            format!("is rescued ({class}); tried again in {}", wait(at, now))
        }
        Finished::Pending | Finished::Limited | Finished::Answered => {
            format!("is rescued ({class}); it can be claimed again")
        }
        Finished::Asks => format!("is rescued ({class}); it waits for the answer to its question"),
        Finished::Failed => format!("failed: its worker died too often ({class})"),
        Finished::Cancelled => "cancelled: what was left of it is gone".to_owned(),
        Finished::Completed => "completed".to_owned(),
    }
}

/// That a gate was closed: `gate claude is closed for 3h: limit (session limit reached)`.
pub(super) fn closed(gate: &GateName, closing: &Closing, now: Timestamp) -> String {
    let mut words = match closing.until {
        Some(until) => format!("gate {gate} is closed for {}", wait(until, now)),
        None => format!("gate {gate} is closed until `qcli gate open {gate}`"),
    };
    write!(words, ": {}", closing.reason).expect("a string takes whatever is written to it");
    if let Some(evidence) = &closing.evidence {
        write!(words, " ({evidence})").expect("a string takes whatever is written to it");
    }
    words
}

/// Why an attempt failed, as short as it can be said.
fn why(report: &Report) -> String {
    let class = match &report.outcome {
        Outcome::Failed { class, .. } | Outcome::Stalled { class } => *class,
        Outcome::Completed { .. } => return "completed".to_owned(),
        Outcome::NeedsInput { question } => {
            return format!("needs input ({})", first_line(question.text()));
        }
        Outcome::Limited { gate, evidence, .. } => return format!("gate {gate} ({evidence})"),
        Outcome::Snoozed { .. } => {
            return report
                .message
                .clone()
                .unwrap_or_else(|| "it asked to run later".to_owned());
        }
        Outcome::HandedBack => return "handed back".to_owned(),
        Outcome::Cancelled => return "cancelled".to_owned(),
    };
    let mut words = match (class, report.exit_code, report.signal) {
        (Class::ExitCode, Some(code), _) => format!("exit code {code}"),
        (Class::Signal, _, Some(signal)) => format!("signal {signal}"),
        (class, _, _) => class.as_str().replace('_', " "),
    };
    if let Some(message) = &report.message {
        write!(words, " ({message})").expect("a string takes whatever is written to it");
    }
    words
}

/// How long until then, to the second beyond the first few.
fn wait(at: Timestamp, now: Timestamp) -> String {
    // The store decided a moment ago: 9.998 s were meant as 10.
    let millis = u64::try_from(at.since(now).as_millis()).unwrap_or(u64::MAX);
    let step = if millis < 950 { 10 } else { 1_000 };
    let rounded = millis.saturating_add(step / 2) / step * step;
    format_duration(Duration::from_millis(rounded))
}

/// A span as precise as a person wants it: `12ms`, `2.1s`, `3m40s`.
fn span(span: Duration) -> String {
    if span < Duration::from_secs(1) {
        format_duration(span)
    } else if span < Duration::from_secs(60) {
        format!("{:.1}s", span.as_secs_f64())
    } else {
        format_duration(Duration::from_secs(span.as_secs()))
    }
}

/// An error with its causes on one line.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(words, ": {error}").expect("a string takes whatever is written to it");
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(class: Class) -> Report {
        let outcome = Outcome::Failed {
            class,
            retryable: None,
            retry_after: None,
        };
        Report::new(outcome, Timestamp::EPOCH)
    }

    #[test]
    fn an_end_reads_as_a_sentence() {
        let now = Timestamp::from_millis(1_000);
        let report = Report {
            exit_code: Some(3),
            ..failed(Class::ExitCode)
        };
        let say = |finished, report| ended(finished, report, Duration::from_millis(2_130), now);
        assert_eq!(say(Finished::Completed, None), "completed in 2.1s");
        assert_eq!(
            say(Finished::Failed, Some(&report)),
            "failed after 2.1s: exit code 3"
        );
        let at = Timestamp::from_millis(41_000);
        assert_eq!(
            say(Finished::Retry(at), Some(&report)),
            "failed after 2.1s: exit code 3; tried again in 40s"
        );
        let report = Report {
            message: Some("`foo` does not exist".into()),
            ..failed(Class::SpawnFailed)
        };
        assert_eq!(
            say(Finished::Failed, Some(&report)),
            "failed after 2.1s: spawn failed (`foo` does not exist)"
        );
    }

    #[test]
    fn spans_are_as_precise_as_people_want_them() {
        for (millis, words) in [
            (12, "12ms"),
            (999, "999ms"),
            (59_960, "60.0s"),
            (220_400, "3m40s"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), words);
        }
        for (millis, words) in [(0, "0s"), (998, "1s"), (9_998, "10s"), (296, "300ms")] {
            assert_eq!(
                wait(Timestamp::from_millis(millis), Timestamp::EPOCH),
                words
            );
        }
        assert_eq!((jobs(1), jobs(0)), ("1 job".into(), "0 jobs".into()));
        assert_eq!(leaving(1, 0), "1 job left running for the next worker");
        assert_eq!(leaving(0, 2), "2 jobs handed back");
    }
}
