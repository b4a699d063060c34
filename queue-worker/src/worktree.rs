//! Worktrees of a git repository, one for each job that asks for one.
//!
//! The attempt's thread has [`make()`] prepare the tree before the process starts; the command line
//! looks at it ([`snapshot`]), takes its work over ([`accept()`]) or takes it away ([`remove()`]).
//! What always holds: only trees that carry our marker are ever removed, and nothing is removed
//! before all that is not on a branch is saved under `refs/queue/rescue/JOB/…`.
//!
//! A job's place is a directory of its own beside the store:
//!
//! ```text
//! queue.db-worktrees/
//!   41/
//!     marker.json    whose it is, of which repository, how far its making came
//!     set-up         there when the set-up command has succeeded
//!     shop-41/       the tree, on branch queue/41
//!   ports/
//!     20010          this block of ports belongs to the job named in it
//! ```

pub mod accept;
pub mod git;
mod include;
pub mod make;
pub mod marker;
mod ports;
pub mod remove;
pub mod repository;
pub mod rescue;
pub mod snapshot;
pub(crate) mod start;
mod users;

pub use accept::{AcceptError, Accepted, Conflicts, Manner, Offer, accept};
pub use make::{Made, Wish, make};
pub use marker::{Marker, Place};
pub use remove::{Removed, Way, remove};
pub use repository::Repository;

use std::io;
use std::path::{Path, PathBuf};

/// Why a worktree could not be made, looked at or removed. Nothing was lost by it.
#[derive(Debug, thiserror::Error)]
pub enum WorktreeError {
    /// The directory is in no git repository.
    #[error(
        "`{}` is in no git repository: a worktree needs one; run `git init` there, or leave out \
         --worktree", .0.display()
    )]
    NoRepository(PathBuf),
    /// A branch of that name is there, and was not made for the job.
    #[error("the branch `{0}` is there already; choose another with --branch")]
    BranchExists(String),
    /// What should be a job's place carries no marker of ours, or another job's.
    #[error("`{}` was not made by this queue for job {job}: it is left alone; move it away", .path.display())]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// The job.
        job: i64,
    },
    /// The job has no worktree.
    #[error("job {0} has no worktree; `qcli rescue list` shows what was saved of earlier ones")]
    None(i64),
    /// Processes still work in the tree.
    #[error("processes still work in `{}`: {}; end them first", .path.display(), list(.pids))]
    InUse {
        /// The tree.
        path: PathBuf,
        /// The processes.
        pids: Vec<u32>,
    },
    /// A repository of its own lies in the tree, and its work cannot be saved in ours.
    #[error(
        "`{}` is a git repository of its own: what is in it cannot be saved here, so the tree is \
         kept; move it away or delete it first", .0.display()
    )]
    NestedRepository(PathBuf),
    /// The tear-down command failed.
    #[error("the tear-down command of `{}` failed: {how}; the tree is kept; leave it out with --no-teardown", .path.display())]
    Teardown {
        /// The tree.
        path: PathBuf,
        /// How it ended.
        how: String,
    },
    /// All ports that are kept for worktrees are taken.
    #[error("no block of ports is free from {} to {}: remove worktrees that are done with, as in `qcli discard JOB`", .0.start(), .0.end())]
    NoPorts(std::ops::RangeInclusive<u16>),
    /// Git said no.
    #[error(transparent)]
    Git(#[from] git::GitError),
    /// A file or directory of ours failed.
    #[error("{doing} `{}`: {error}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What came of it.
        error: io::Error,
    },
}

impl WorktreeError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { doing, path, error }
    }
}

fn list(pids: &[u32]) -> String {
    let shown: Vec<String> = pids.iter().take(5).map(u32::to_string).collect();
    match pids.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
