//! The options that ask for a git worktree, and what they mean in the repository at hand.
//!
//! Owns [`WorktreeArgs`]. The base is settled when the job is handed in, so that what is committed later does not change
//! what the job starts from; whether the branch is free is looked at here and again when the tree is made.

use std::path::Path;

use queue_core::NewJob;
use queue_core::job::Worktree;
use queue_worker::worktree::{Repository, WorktreeError};

use crate::error::CliError;

/// The options of a job that runs in a worktree of its own.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct WorktreeArgs {
    /// Run it in a git worktree of its own, on a new branch; all its attempts share the tree
    ///
    /// Ignored files that `.worktreeinclude` names are copied into it. The tree is kept until `qcli accept`, `discard` or
    /// `prune`, which save what is not committed.
    #[arg(long, help_heading = "Worktree")]
    pub(crate) worktree: bool,

    /// Start from this branch or commit [default: what is checked out]
    #[arg(
        long,
        value_name = "REF",
        requires = "worktree",
        help_heading = "Worktree"
    )]
    pub(crate) base: Option<String>,

    /// The branch to make [default: `queue/ID`]
    #[arg(
        long,
        value_name = "NAME",
        requires = "worktree",
        help_heading = "Worktree"
    )]
    pub(crate) branch: Option<String>,

    /// Run this line in the new tree before the first attempt, such as `npm ci`
    #[arg(
        long,
        value_name = "LINE",
        requires = "worktree",
        help_heading = "Worktree"
    )]
    pub(crate) setup: Option<String>,

    /// Run this line in the tree before it is removed
    #[arg(
        long,
        value_name = "LINE",
        requires = "worktree",
        help_heading = "Worktree"
    )]
    pub(crate) teardown: Option<String>,
}

impl WorktreeArgs {
    /// What the job asks for, if it asks for a tree, in the repository that `cwd` lies in.
    ///
    /// # Errors
    /// When `cwd` is in no repository, or base or branch cannot be used (exit code 2, or 4 for a branch that is there).
    pub(crate) fn build(&self, cwd: &Path) -> Result<Option<Worktree>, CliError> {
        if !self.worktree {
            return Ok(None);
        }
        let repository = Repository::containing(cwd)?;
        let (base, onto) = self.base(&repository)?;
        if let Some(branch) = &self.branch {
            check_branch(&repository, branch)?;
        }
        Ok(Some(Worktree {
            base,
            onto,
            branch: self.branch.clone(),
            setup: self.setup.clone(),
            teardown: self.teardown.clone(),
        }))
    }

    /// The commit to start from, and the branch it is the tip of.
    fn base(&self, repository: &Repository) -> Result<(String, Option<String>), CliError> {
        let failed = |error| CliError::from(WorktreeError::Git(error));
        let named = self.base.as_deref();
        let commit = repository
            .commit(named.unwrap_or("HEAD"))
            .map_err(|_| no_base(repository, named))?;
        let onto = match named {
            None => repository.branch().map_err(failed)?,
            Some(name) => repository
                .has_branch(name)
                .map_err(failed)?
                .then(|| name.to_owned()),
        };
        Ok((commit, onto))
    }
}

fn no_base(repository: &Repository, named: Option<&str>) -> CliError {
    let checkout = repository.checkout.display();
    match named {
        Some(name) => CliError::usage(format!("`{name}` names no commit in {checkout}"))
            .hint("`git branch --all` shows the branches there are"),
        None => CliError::usage(format!(
            "{checkout} has no commit yet, and a worktree starts from one"
        ))
        .hint("make one with `git commit --allow-empty -m start`"),
    }
}

fn check_branch(repository: &Repository, branch: &str) -> Result<(), CliError> {
    let failed = |error| CliError::from(WorktreeError::Git(error));
    let args = ["check-ref-format", "--branch", branch];
    let is_name = repository.git().output(&args).map_err(failed)?;
    if !is_name.status.success() || branch.starts_with('@') {
        return Err(CliError::usage(format!(
            "git takes no branch named `{branch}`"
        )));
    }
    if repository.has_branch(branch).map_err(failed)? {
        return Err(WorktreeError::BranchExists(branch.to_owned()).into());
    }
    Ok(())
}

/// Warns of work that the job will not see: a worktree starts from a commit.
pub(crate) fn uncommitted(job: &NewJob) -> Option<String> {
    job.options.worktree.as_ref()?;
    let repository = Repository::containing(Path::new(job.cwd.as_os_str())).ok()?;
    repository.is_dirty().ok()?.then(|| {
        format!(
            "what is not committed in {} is not in the job's worktree",
            repository.checkout.display()
        )
    })
}
