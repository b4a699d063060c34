//! The exit codes of `qcli`: the one documented list.
//!
//! Owns the numbers, their names and their meaning; errors ([`crate::error`]) and the end of `main` use it, and the
//! reference page is rendered from it. A number never changes its meaning; only `run` and `wait` leave with a number of
//! somebody else, the job's own exit code.

use std::fmt::Write as _;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitCode {
    /// The command did what was asked (0).
    Ok,
    /// The job failed and has no exit code of its own to pass on, or several jobs ended and one failed (1).
    JobFailed,
    /// The command line or a file it names cannot be understood; nothing was changed (2).
    Usage,
    /// No job, queue, worker or limit of that name or number exists (3).
    NotFound,
    /// The job is in a state that does not allow this; nothing was changed (4).
    Conflict,
    /// The store cannot be opened, read or written, or the answer cannot be written (5).
    Store,
    /// The job still runs or waits for a limit; try again later (75).
    StillGoing,
    /// The time given with `--timeout` is over (124).
    TimedOut,
    /// Ended by Ctrl-C or a signal (130).
    Interrupted,
    /// The job's own exit code, passed on by `run` and `wait`.
    Job(u8),
}

impl ExitCode {
    /// Every code with a meaning of its own, in the order of the reference page.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::JobFailed,
        Self::Usage,
        Self::NotFound,
        Self::Conflict,
        Self::Store,
        Self::StillGoing,
        Self::TimedOut,
        Self::Interrupted,
    ];

    /// Gives the number the process exits with.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::JobFailed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::Store => 5,
            Self::StillGoing => 75,
            Self::TimedOut => 124,
            Self::Interrupted => 130,
            Self::Job(code) => code,
        }
    }

    /// Gives the name used in documents and in the JSON of errors, in snake_case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::JobFailed => "job_failed",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Store => "store",
            Self::StillGoing => "still_going",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
            Self::Job(_) => "job",
        }
    }

    /// Gives the meaning in one sentence, for the reference page.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => {
                "The command did what was asked. A reader that closes the pipe early is a normal end too."
            }
            Self::JobFailed => {
                "The job failed. `run` and `wait` pass the job's own exit code on where it has one."
            }
            Self::Usage => {
                "The command line, a setting or a file it names cannot be understood. Nothing was changed."
            }
            Self::NotFound => "No job, queue, worker or limit of that name or number exists.",
            Self::Conflict => {
                "The job is in a state that does not allow this, or the name or key is taken. Nothing was changed."
            }
            Self::Store => {
                "The store cannot be opened, read or written, or the answer cannot be written."
            }
            Self::StillGoing => "The job still runs or waits for a limit. Try again later.",
            Self::TimedOut => "The time given with `--timeout` is over. The job goes on.",
            Self::Interrupted => "Ended by Ctrl-C or a signal.",
            Self::Job(_) => "The job's own exit code.",
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

/// Renders the table of `docs/reference/exit-codes.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from("| code | name | meaning |\n|---:|---|---|\n");
    for code in ExitCode::ALL {
        writeln!(
            page,
            "| {} | {} | {} |",
            code.number(),
            code.name(),
            code.meaning()
        )
        .expect("writing to a String cannot fail");
    }
    page.push_str("| other | job | The job's own exit code, passed on by `run` and `wait`; 128 + N when signal N ended it. |\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn numbers_are_those_of_the_design_and_differ() {
        let numbers = ExitCode::ALL.map(ExitCode::number);
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 75, 124, 130]);
        let names: HashSet<_> = ExitCode::ALL.map(ExitCode::name).into_iter().collect();
        assert_eq!(names.len(), ExitCode::ALL.len());
    }

    #[test]
    fn reference_has_one_row_for_every_code() {
        let page = reference();
        for code in ExitCode::ALL {
            let row = format!("| {} | {} |", code.number(), code.name());
            assert_eq!(page.matches(&row).count(), 1, "{row} in\n{page}");
        }
    }

    #[test]
    fn the_jobs_own_code_is_passed_on() {
        assert_eq!(ExitCode::Job(42).number(), 42);
    }
}
