//! The options that say what has to hold before an attempt that ended well counts as a success.
//!
//! Owns [`ProofArgs`], which `enqueue`, `run` and the lines of `--from-file` share. What can be known while somebody looks
//! on is refused here: an expectation about git outside of a repository, a policy without anything to go by.

use std::path::Path;
use std::time::Duration;

use queue_core::Command;
use queue_core::NewJob;
use queue_core::job::RunOptions;
use queue_core::proof::{Expectation, OnSuspect, Terms};
use queue_worker::worktree::Repository;

use super::{millis, parse};
use crate::error::CliError;

/// What has to hold, as it is said.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ProofArgs {
    /// Run this line with `sh -c` once the job has ended well; it is done only if that exits with 0; may be repeated
    ///
    /// Checks run one after the other in the job's directory and environment, up to the first that says no. Then the
    /// attempt has failed with class `check_failed`, and the next one is told what the check printed: an agent in its
    /// prompt, any other job by the file that $QUEUE_CHECK_OUTPUT names.
    #[arg(long, value_name = "LINE", value_parser = parse::check, help_heading = "Proof")]
    pub(crate) check: Vec<String>,

    /// Stop a check that takes longer than this [default: --timeout is for the job and its checks together]
    #[arg(long, value_name = "DURATION", value_parser = parse::span, help_heading = "Proof")]
    pub(crate) check_timeout: Option<Duration>,

    /// It is done only if this is so: `commit`, `diff`, `clean`, `file:GLOB` or `json:PATH`; may be repeated
    ///
    /// A new commit; files that differ from those when the job first began, committed or not; nothing left uncommitted; a
    /// file made or changed since; a file that holds JSON. Looked at before the checks.
    #[arg(long, value_name = "WHAT", help_heading = "Proof")]
    pub(crate) expect: Vec<Expectation>,

    /// An agent's success that looks hollow is to `complete` the job, to `check` it, or to `fail` [default: check, where there is something to check]
    #[arg(long, value_name = "POLICY", help_heading = "Proof")]
    pub(crate) on_suspect: Option<OnSuspect>,
}

impl ProofArgs {
    /// The terms of a job.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            checks: self.check.clone(),
            check_timeout_ms: self.check_timeout.map(millis),
            expect: self.expect.clone(),
            on_suspect: self.on_suspect,
        }
    }

    /// Whether anything is said.
    pub(crate) fn is_given(&self) -> bool {
        !self.terms().is_unsaid()
    }

    /// Lays what is said here over the terms of a job: checks and expectations take the place of all that it had.
    pub(crate) fn over(&self, terms: Terms) -> Terms {
        let said = self.terms();
        let list = |said: Vec<_>, had: Vec<_>| if said.is_empty() { had } else { said };
        Terms {
            checks: list(said.checks, terms.checks),
            check_timeout_ms: said.check_timeout_ms.or(terms.check_timeout_ms),
            expect: match said.expect.is_empty() {
                true => terms.expect,
                false => said.expect,
            },
            on_suspect: said.on_suspect.or(terms.on_suspect),
        }
    }
}

/// Refuses terms that could never be met, or say nothing.
///
/// # Errors
/// When an expectation is about git and the job's directory lies in no repository, or a policy has nothing to go by (exit
/// code 2).
pub(crate) fn check(job: &NewJob) -> Result<(), CliError> {
    let is_agent = matches!(job.command, Command::Agent(_)) || job.options.agent.is_some();
    check_terms(&job.options, is_agent, Path::new(job.cwd.as_os_str()))
}

/// The same for the options of a job that is there.
pub(crate) fn check_terms(
    options: &RunOptions,
    is_agent: bool,
    cwd: &Path,
) -> Result<(), CliError> {
    let terms = &options.proof;
    if terms.on_suspect.is_some() && !is_agent {
        return Err(
            CliError::usage("--on-suspect says nothing without an agent").hint(
                "of a plain command the exit code is known, and --check and --expect look further",
            ),
        );
    }
    if terms.on_suspect == Some(OnSuspect::Check) && terms.is_empty() {
        return Err(
            CliError::usage("--on-suspect check has nothing to check by")
                .hint("add `--check 'cargo test'` or `--expect diff`"),
        );
    }
    if terms.check_timeout_ms.is_some() && terms.checks.is_empty() {
        return Err(CliError::usage(
            "--check-timeout says nothing without --check",
        ));
    }
    if let Some(of_git) = terms.expect.iter().find(|it| it.needs_repository()) {
        Repository::containing(cwd).map_err(|error| {
            CliError::usage(format!("--expect {of_git} needs a git repository: {error}"))
                .hint("without one there is `--expect file:GLOB`")
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue_core::agent::AgentTask;

    fn refusal(job: &NewJob) -> String {
        check(job).unwrap_err().message().to_owned()
    }

    #[test]
    fn terms_that_say_nothing_or_cannot_be_met_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut job = NewJob::argv(["true"]);
        job.cwd = dir.path().to_path_buf().into_os_string().into();
        job.options.proof.expect = vec![Expectation::Diff];
        assert!(refusal(&job).contains("--expect diff needs a git repository"));
        job.options.proof.expect = vec![Expectation::File("*.md".into())];
        assert!(check(&job).is_ok());
        job.options.proof.on_suspect = Some(OnSuspect::Fail);
        assert!(refusal(&job).contains("without an agent"));
        job.command = Command::Agent(AgentTask::new("claude", "x"));
        assert!(check(&job).is_ok());
        job.options.proof.expect.clear();
        job.options.proof.on_suspect = Some(OnSuspect::Check);
        assert!(refusal(&job).contains("nothing to check by"));
    }

    #[test]
    fn what_is_said_takes_the_place_of_what_was_there() {
        let had = Terms {
            checks: vec!["a".into(), "b".into()],
            expect: vec![Expectation::Clean],
            ..Terms::default()
        };
        let args = ProofArgs {
            check: vec!["c".into()],
            ..ProofArgs::default()
        };
        let terms = args.over(had);
        assert_eq!(terms.checks, ["c"]);
        assert_eq!(terms.expect, [Expectation::Clean]);
    }
}
