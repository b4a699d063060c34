//! Takes a worktree away, once all its work is saved.
//!
//! Called by `qcli discard`, `accept` and `prune`, never by a worker. What always holds: no file
//! goes before its contents are under a rescue ref or on a branch; a tree that is in use, is not
//! ours or cannot be saved stays as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use queue_core::failpoint;

use super::git::Git;
use super::marker::{Marker, Place};
use super::repository::Repository;
use super::{WorktreeError, ports, rescue, users};

/// What became of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Where it was.
    pub tree: PathBuf,
    /// Its branch, where that was deleted with it.
    pub branch: Option<String>,
    /// The refs that keep its work, where it had any that no branch keeps.
    pub rescued: Vec<String>,
}

/// How to remove a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The last attempt of the job: it names the rescue.
    pub attempt: u32,
    /// Run its tear-down command first, if it has one.
    pub teardown: bool,
}

/// Saves the work of the tree at `place` and removes it with its branch.
///
/// # Errors
/// [`WorktreeError`], and the tree is whole; what was rescued until then stays rescued.
pub fn remove(place: &Place, way: Way) -> Result<Removed, WorktreeError> {
    let marker = place.expect()?;
    let tree = place.tree(&marker);
    let repository = Repository::containing(&marker.common.join(".."))
        .or_else(|_| Repository::containing(&marker.checkout))?;
    let mut rescued = Vec::new();
    if is_whole(&tree, &marker) {
        if let (true, Some(line)) = (way.teardown, &marker.teardown) {
            tear_down(&tree, line, &marker)?;
        }
        refuse_users(&tree)?;
        rescued = rescue::save(&tree, &marker, way.attempt)?;
    } else if holds_files(&tree) {
        // Without git's part of it nothing can be saved, so nothing is removed.
        return Err(WorktreeError::NotOurs {
            path: tree,
            job: marker.job,
        });
    }
    let _lock = repository.lock()?;
    // Whoever came in while we saved would lose what he wrote since.
    refuse_users(&tree)?;
    let branch = take_away(&repository, &marker, &tree)?;
    ports::release(&place.root, marker.port_base);
    place.clear()?;
    Ok(Removed {
        tree,
        branch,
        rescued,
    })
}

/// Whether the tree is a worktree of the repository that the marker names.
fn is_whole(tree: &Path, marker: &Marker) -> bool {
    let is_directory = fs::symlink_metadata(tree).is_ok_and(|about| about.is_dir());
    is_directory
        && Git::at(tree)
            .text(&[
                "rev-parse",
                "--path-format=absolute",
                "--git-common-dir",
                "--show-toplevel",
            ])
            .is_ok_and(|answer| {
                let mut lines = answer.lines().map(Path::new);
                let same = |one: Option<&Path>, other: &Path| {
                    one.and_then(|one| one.canonicalize().ok()) == other.canonicalize().ok()
                };
                same(lines.next(), &marker.common) && same(lines.next(), tree)
            })
}

fn holds_files(tree: &Path) -> bool {
    fs::read_dir(tree).is_ok_and(|mut entries| entries.next().is_some())
}

fn refuse_users(tree: &Path) -> Result<(), WorktreeError> {
    match users::of(tree) {
        pids if pids.is_empty() => Ok(()),
        pids => Err(WorktreeError::InUse {
            path: tree.to_owned(),
            pids,
        }),
    }
}

fn tear_down(tree: &Path, line: &str, marker: &Marker) -> Result<(), WorktreeError> {
    let failed = |how: String| WorktreeError::Teardown {
        path: tree.to_owned(),
        how,
    };
    let ended = std::process::Command::new("/bin/sh")
        .args(["-c", line])
        .current_dir(tree)
        .env("QUEUE_JOB_ID", marker.job.to_string())
        .env("QUEUE_WORKTREE", tree)
        .env("QUEUE_REPOSITORY", &marker.checkout)
        .env("QUEUE_PORT_BASE", marker.port_base.to_string())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let last = said.lines().last().unwrap_or_default();
    Err(failed(format!("{}: {last}", ended.status)))
}

/// Removes tree and branch: all that they hold is saved. Returns the branch that is gone.
fn take_away(
    repository: &Repository,
    marker: &Marker,
    tree: &Path,
) -> Result<Option<String>, WorktreeError> {
    let git = repository.git();
    if fs::symlink_metadata(tree).is_ok() {
        let words = ["worktree", "remove", "--force", "--force"].map(AsRef::as_ref);
        let args: Vec<_> = words.into_iter().chain([tree.as_os_str()]).collect();
        git.bytes(&args)?;
    }
    git.bytes(&["worktree", "prune"])?;
    failpoint::hit("remove.tree_gone");
    // A branch that somebody checked out elsewhere meanwhile is his.
    let gone = repository.has_branch(&marker.branch)?
        && git
            .output(&["branch", "-D", "--", &marker.branch])?
            .status
            .success();
    failpoint::hit("remove.branch_gone");
    Ok(gone.then(|| marker.branch.clone()))
}
