//! The place of a job's worktree and the marker in it that says whose it is.
//!
//! Written before git is asked for anything, so that whatever a crash leaves behind is known to be
//! ours, and how far its making came. What always holds: a place without a readable marker that
//! names its job is not touched.

use std::fs::{self, DirBuilder};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use queue_core::JobId;
use serde::{Deserialize, Serialize};

use super::WorktreeError;
use crate::private_file;

/// The directory of one job's worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The job.
    pub job: JobId,
    /// Where the worktrees of all jobs lie.
    pub root: PathBuf,
}

/// How far a worktree is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Git was asked for it; no job has run there.
    Adding,
    /// The tree is whole.
    Made,
}

/// What is known of a job's worktree. Its JSON is `marker.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The version of this format: 1.
    pub schema: u32,
    /// The job.
    pub job: i64,
    /// The checkout that it was made from.
    pub checkout: PathBuf,
    /// The directory that the worktrees of the repository share.
    pub common: PathBuf,
    /// The name of the tree's directory in the place.
    pub tree: String,
    /// The branch that was made for it.
    pub branch: String,
    /// The commit that the branch started from.
    pub base: String,
    /// The branch that `base` was the tip of, if it was one: where the work is meant to go.
    pub onto: Option<String>,
    /// The first of its ports.
    pub port_base: u16,
    /// A command to run in the tree before it is removed.
    pub teardown: Option<String>,
    /// How far it came.
    pub stage: Stage,
}

impl Place {
    /// The place of `job` among the worktrees at `root`.
    #[must_use]
    pub fn of(root: &Path, job: JobId) -> Self {
        Self {
            job,
            root: root.to_owned(),
        }
    }

    /// The place itself.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.root.join(self.job.to_string())
    }

    /// The tree that `marker` speaks of.
    #[must_use]
    pub fn tree(&self, marker: &Marker) -> PathBuf {
        self.directory().join(&marker.tree)
    }

    /// The file that is there once the set-up command has succeeded.
    #[must_use]
    pub fn set_up(&self) -> PathBuf {
        self.directory().join("set-up")
    }

    fn marker(&self) -> PathBuf {
        self.directory().join("marker.json")
    }

    /// Reads the marker; none where there is no place.
    ///
    /// # Errors
    /// [`WorktreeError::NotOurs`] where the place carries none that can be read and names the job.
    pub fn read(&self) -> Result<Option<Marker>, WorktreeError> {
        let not_ours = || WorktreeError::NotOurs {
            path: self.directory(),
            job: self.job.0,
        };
        // A link in its place would lead out of our root.
        match fs::symlink_metadata(self.directory()) {
            Ok(about) if about.is_dir() => {}
            Ok(_) => return Err(not_ours()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(WorktreeError::io("cannot look at", &self.directory())(
                    error,
                ));
            }
        }
        let Ok(text) = fs::read_to_string(self.marker()) else {
            // An empty directory is what a crash between its making and its marker leaves.
            return match fs::read_dir(self.directory()).map(|mut entries| entries.next()) {
                Ok(None) => Ok(None),
                _ => Err(not_ours()),
            };
        };
        let marker: Marker = serde_json::from_str(&text).map_err(|_| not_ours())?;
        let plain_name = Path::new(&marker.tree).file_name() == Some(marker.tree.as_ref());
        if marker.job != self.job.0 || !plain_name {
            return Err(not_ours());
        }
        Ok(Some(marker))
    }

    /// Reads the marker of a tree that has to be there.
    ///
    /// # Errors
    /// [`WorktreeError::None`], or as [`Place::read`].
    pub fn expect(&self) -> Result<Marker, WorktreeError> {
        self.read()?.ok_or(WorktreeError::None(self.job.0))
    }

    /// Writes the marker, whole or not at all; makes the place.
    ///
    /// # Errors
    /// When a directory or file cannot be made.
    pub fn write(&self, marker: &Marker) -> Result<(), WorktreeError> {
        let directory = self.directory();
        private_directory(&directory).map_err(WorktreeError::io("cannot make", &directory))?;
        let path = self.marker();
        let draft = path.with_extension("new");
        let text = serde_json::to_string_pretty(marker).expect("a marker is plain data");
        let written = private_file::create(&draft)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&draft, &path));
        written.map_err(WorktreeError::io("cannot write", &path))
    }

    /// Removes what is left of the place once its tree is gone.
    ///
    /// # Errors
    /// When something is there that is not ours, or cannot be removed.
    pub fn clear(&self) -> Result<(), WorktreeError> {
        for ours in [
            self.set_up(),
            self.marker().with_extension("new"),
            self.marker(),
        ] {
            match fs::remove_file(&ours) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(WorktreeError::io("cannot remove", &ours)(error));
                }
                _ => {}
            }
        }
        let directory = self.directory();
        fs::remove_dir(&directory).map_err(WorktreeError::io("cannot remove", &directory))
    }
}

/// Makes a directory that only its owner may look into, and those above it.
pub(super) fn private_directory(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
