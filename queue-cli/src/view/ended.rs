//! How a job ended, as an exit code and in words.
//!
//! Owns the translation of an ended job into what `wait` and `run` leave with; [`worst`] folds several into one. A job
//! that completed is 0, one that failed has its program's own code, as a shell would have seen it.

use queue_core::{Class, Job, State, attempt::Attempt};

use crate::exit_code::ExitCode;

/// The exit code that stands for an ended job whose last attempt was `last`.
///
/// The program's own code; 128 + N when signal N ended it; 1 where there is neither, as for a job that was cancelled
/// before it ran. One that does not count as done although its program left with 0 is 1 as well.
#[must_use]
pub fn exit_code(job: &Job, last: Option<&Attempt>) -> ExitCode {
    if job.state == State::Completed {
        return ExitCode::Ok;
    }
    let own =
        last.filter(|_| ran(job))
            .and_then(|attempt| match (attempt.exit_code, attempt.signal) {
                (Some(code), _) => u8::try_from(code).ok(),
                (None, Some(signal)) => u8::try_from(128 + signal).ok(),
                (None, None) => None,
            });
    match own {
        None | Some(0 | 1) => ExitCode::JobFailed,
        Some(code) => ExitCode::Job(code),
    }
}

/// Whether the last attempt belongs to the present run of the job, not to one before a requeue.
#[must_use]
pub fn ran(job: &Job) -> bool {
    job.attempt > 0 || job.stalls > 0
}

/// The worst of several: the one with the highest number, 0 where all is well.
#[must_use]
pub fn worst(codes: impl IntoIterator<Item = ExitCode>) -> ExitCode {
    codes
        .into_iter()
        .max_by_key(|code| code.number())
        .unwrap_or(ExitCode::Ok)
}

/// How it ended in a few words: `completed`, `failed: exit code 3`, `failed: timeout`, `cancelled`.
#[must_use]
pub fn words(job: &Job, last: Option<&Attempt>) -> String {
    match job.state {
        State::Failed => format!("failed: {}", reason(job.class, last.filter(|_| ran(job)))),
        State::Cancelled if job.class == Some(Class::Expired) => {
            "cancelled: waited too long".to_owned()
        }
        state => state.as_str().to_owned(),
    }
}

/// What was said of the end by the attempt that this run of the job ended with.
#[must_use]
pub fn message<'a>(job: &Job, last: Option<&'a Attempt>) -> Option<&'a str> {
    last.filter(|_| job.state.is_ended() && ran(job))?
        .message
        .as_deref()
}

/// Why an attempt or a job ended badly, in a few words: the class, with the number that belongs to it.
#[must_use]
pub fn reason(class: Option<Class>, attempt: Option<&Attempt>) -> String {
    let code = attempt.and_then(|attempt| attempt.exit_code);
    let signal = attempt.and_then(|attempt| attempt.signal);
    match (class, code, signal) {
        (Some(Class::ExitCode), Some(code), _) => format!("exit code {code}"),
        (Some(Class::Signal), _, Some(signal)) => signal_words(signal),
        (Some(Class::Oom), ..) => "out of memory".to_owned(),
        (Some(class), ..) => class.as_str().replace('_', " "),
        (None, Some(code), _) => format!("exit code {code}"),
        (None, None, Some(signal)) => signal_words(signal),
        (None, None, None) => "no reason was recorded".to_owned(),
    }
}

/// `signal 9 (KILL)`; the number alone where its name differs from system to system.
#[must_use]
pub fn signal_words(signal: i32) -> String {
    let name = match signal {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        6 => "ABRT",
        8 => "FPE",
        9 => "KILL",
        11 => "SEGV",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        _ => return format!("signal {signal}"),
    };
    format!("signal {signal} ({name})")
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn ended(
        state: State,
        class: Option<Class>,
        code: Option<i32>,
        signal: Option<i32>,
    ) -> (u8, String) {
        let mut job = samples::job(state);
        job.class = class;
        let mut last = samples::attempt(2, class, code);
        last.signal = signal;
        (
            exit_code(&job, Some(&last)).number(),
            words(&job, Some(&last)),
        )
    }

    #[test]
    fn a_failed_job_passes_on_what_a_shell_would_have_seen() {
        let failed = State::Failed;
        assert_eq!(
            ended(State::Completed, None, Some(0), None),
            (0, "completed".into())
        );
        assert_eq!(
            ended(failed, Some(Class::ExitCode), Some(42), None),
            (42, "failed: exit code 42".into())
        );
        assert_eq!(
            ended(failed, Some(Class::Signal), None, Some(9)),
            (137, "failed: signal 9 (KILL)".into())
        );
        assert_eq!(
            ended(failed, Some(Class::Oom), None, Some(9)),
            (137, "failed: out of memory".into())
        );
        assert_eq!(
            ended(failed, Some(Class::Timeout), None, Some(15)),
            (143, "failed: timeout".into())
        );
    }

    #[test]
    fn without_a_code_of_its_own_it_is_one() {
        assert_eq!(
            ended(State::Failed, Some(Class::CheckFailed), Some(0), None).0,
            1
        );
        assert_eq!(ended(State::Failed, Some(Class::BadCwd), None, None).0, 1);
        assert_eq!(
            ended(State::Cancelled, Some(Class::Cancelled), None, None),
            (1, "cancelled".into())
        );
    }

    #[test]
    fn an_attempt_from_before_a_requeue_says_nothing_about_this_end() {
        let mut job = samples::job(State::Cancelled);
        job.attempt = 0;
        let last = samples::attempt(3, Some(Class::ExitCode), Some(42));
        assert_eq!(exit_code(&job, Some(&last)), ExitCode::JobFailed);
    }

    #[test]
    fn of_several_the_highest_number_wins() {
        assert_eq!(
            worst([ExitCode::Ok, ExitCode::Job(3), ExitCode::JobFailed]),
            ExitCode::Job(3)
        );
        assert_eq!(worst([]), ExitCode::Ok);
    }
}
