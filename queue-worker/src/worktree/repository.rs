//! The repository that a job's directory lies in.
//!
//! Found when a job is enqueued, when its tree is made, and when that is taken over or removed.
//! What always holds: whatever changes its list of worktrees happens under [`Repository::lock`],
//! which all queues of the machine share; git itself fails when two do it at once.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::WorktreeError;
use super::git::{Git, GitError};

/// A git repository, as seen from one of its checkouts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The top directory of the checkout.
    pub checkout: PathBuf,
    /// The directory that all its worktrees share: `.git` of the main one.
    pub common: PathBuf,
    /// The way from the checkout's top to the directory that was asked about; empty for the top.
    pub inside: PathBuf,
}

impl Repository {
    /// The repository that `directory` lies in.
    ///
    /// # Errors
    /// [`WorktreeError::NoRepository`] where it lies in none, or in a bare one.
    pub fn containing(directory: &Path) -> Result<Self, WorktreeError> {
        let git = Git::at(directory);
        let asked = git.output(&[
            "rev-parse",
            "--path-format=absolute",
            "--show-toplevel",
            "--git-common-dir",
            "--show-prefix",
        ])?;
        let none = || WorktreeError::NoRepository(directory.to_owned());
        if !asked.status.success() {
            return Err(none());
        }
        let text = String::from_utf8(asked.stdout).map_err(|_| none())?;
        let mut lines = text.lines();
        let mut next = || lines.next().map(PathBuf::from);
        Ok(Self {
            checkout: next().ok_or_else(none)?,
            common: next().ok_or_else(none)?,
            inside: next().unwrap_or_default(),
        })
    }

    /// Git in the checkout.
    #[must_use]
    pub fn git(&self) -> Git {
        Git::at(&self.checkout)
    }

    /// The directory's name, by which people know the repository.
    #[must_use]
    pub fn name(&self) -> &str {
        let name = self.checkout.file_name().and_then(|name| name.to_str());
        name.unwrap_or("repository")
    }

    /// The commit that `revision` names.
    ///
    /// # Errors
    /// When it names none.
    pub fn commit(&self, revision: &str) -> Result<String, GitError> {
        let object = format!("{revision}^{{commit}}");
        self.git().text(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &object,
        ])
    }

    /// The branch that is checked out; none where it is detached.
    ///
    /// # Errors
    /// When git fails.
    pub fn branch(&self) -> Result<Option<String>, GitError> {
        let output = self
            .git()
            .output(&["symbolic-ref", "--quiet", "--short", "HEAD"])?;
        let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok((output.status.success() && !name.is_empty()).then_some(name))
    }

    /// Whether there is a branch of this name.
    ///
    /// # Errors
    /// When git fails.
    pub fn has_branch(&self, name: &str) -> Result<bool, GitError> {
        let full = format!("refs/heads/{name}");
        self.git().says(&["show-ref", "--verify", "--quiet", &full])
    }

    /// Whether something in the checkout is not committed.
    ///
    /// # Errors
    /// When git fails.
    pub fn is_dirty(&self) -> Result<bool, GitError> {
        let listed = self
            .git()
            .bytes(&["status", "--porcelain", "--untracked-files=normal"])?;
        Ok(!listed.is_empty())
    }

    /// Whether `commit` is part of the history of `of`.
    ///
    /// # Errors
    /// When git fails.
    pub fn is_ancestor(&self, commit: &str, of: &str) -> Result<bool, GitError> {
        self.git()
            .says(&["merge-base", "--is-ancestor", commit, of])
    }

    /// Waits until nobody else changes the list of worktrees; the lock ends with the file.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock(&self) -> Result<File, WorktreeError> {
        let path = self.common.join("queue-worktrees.lock");
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(WorktreeError::io("cannot make", &path))?;
        flock(&file, FlockOperation::LockExclusive)
            .map_err(|error| WorktreeError::io("cannot lock", &path)(error.into()))?;
        Ok(file)
    }
}
