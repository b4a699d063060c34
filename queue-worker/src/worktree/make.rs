//! Makes the tree of a job, or finds the one that an earlier attempt had.
//!
//! Called on the attempt's thread before its process starts. What always holds: it can be broken
//! off and begun again at any point, with the same tree on the same branch at the same path; a
//! tree in which a job has run is never made anew.

use std::fs;
use std::path::{Path, PathBuf};

use queue_core::job::Worktree;
use queue_core::{JobId, failpoint};

use super::git::Git;
use super::marker::{Marker, Place, Stage};
use super::repository::Repository;
use super::{WorktreeError, include, ports};

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// Where the worktrees of the store lie.
    pub root: &'a Path,
    /// For which job.
    pub job: JobId,
    /// The directory that the job was enqueued for: somewhere in the repository.
    pub cwd: &'a Path,
    /// What was asked for.
    pub options: &'a Worktree,
}

/// A tree that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its top directory.
    pub tree: PathBuf,
    /// The directory in it that answers to the one the job was enqueued for.
    pub cwd: PathBuf,
    /// What is known of it.
    pub marker: Marker,
    /// The file that says that the set-up command succeeded.
    pub set_up: PathBuf,
}

/// Makes the tree that is wished for, or finds it.
///
/// # Errors
/// Where there is no repository, where the branch or the place is somebody else's, or where git
/// or the disk fails. A tree that is half made is finished by the next call.
pub fn make(wish: Wish<'_>) -> Result<Made, WorktreeError> {
    let repository = Repository::containing(wish.cwd)?;
    let place = Place::of(wish.root, wish.job);
    let _lock = repository.lock()?;
    let marker = match place.read()? {
        Some(marker) => marker,
        None => begin(wish, &repository, &place)?,
    };
    let tree = place.tree(&marker);
    if marker.stage == Stage::Adding || !tree.is_dir() {
        add(&repository, &marker, &tree)?;
        failpoint::hit("tree.added");
        include::copy(&repository, &tree)?;
        place.write(&Marker {
            stage: Stage::Made,
            ..marker.clone()
        })?;
        failpoint::hit("tree.made");
    }
    Ok(Made {
        cwd: tree.join(&repository.inside),
        tree,
        marker,
        set_up: place.set_up(),
    })
}

/// Decides on names and ports, and writes them down before anything is made by them.
fn begin(wish: Wish<'_>, repository: &Repository, place: &Place) -> Result<Marker, WorktreeError> {
    let marker = Marker {
        schema: 1,
        job: wish.job.0,
        checkout: repository.checkout.clone(),
        common: repository.common.clone(),
        tree: format!("{}-{}", repository.name(), wish.job),
        branch: branch(wish, repository)?,
        base: wish.options.base.clone(),
        onto: wish.options.onto.clone(),
        port_base: ports::lease(wish.root, wish.job)?,
        teardown: wish.options.teardown.clone(),
        stage: Stage::Adding,
    };
    place.write(&marker)?;
    failpoint::hit("tree.marked");
    Ok(marker)
}

/// The branch that was asked for, which must be new; or one of ours that nobody has. Numbers
/// begin anew with each store, so that of an earlier store's job may be there still.
fn branch(wish: Wish<'_>, repository: &Repository) -> Result<String, WorktreeError> {
    if let Some(asked) = &wish.options.branch {
        return match repository.has_branch(asked)? {
            true => Err(WorktreeError::BranchExists(asked.clone())),
            false => Ok(asked.clone()),
        };
    }
    let plain = format!("queue/{}", wish.job);
    let mut name = plain.clone();
    for number in 2.. {
        if !repository.has_branch(&name)? {
            break;
        }
        name = format!("{plain}-{number}");
    }
    Ok(name)
}

/// Has git make the tree. What a broken-off try left is taken away first: no job has run in it.
fn add(repository: &Repository, marker: &Marker, tree: &Path) -> Result<(), WorktreeError> {
    let git = repository.git();
    if fs::symlink_metadata(tree).is_ok() {
        fs::remove_dir_all(tree).map_err(WorktreeError::io("cannot remove", tree))?;
    }
    git.bytes(&["worktree", "prune"])?;
    let path = tree.as_os_str();
    let branch = marker.branch.as_ref();
    if repository.has_branch(&marker.branch)? {
        git.bytes(&[
            "worktree".as_ref(),
            "add".as_ref(),
            "--quiet".as_ref(),
            path,
            branch,
        ])?;
    } else {
        let base = marker.base.as_ref();
        let words = ["worktree", "add", "--quiet", "--no-track", "-b"].map(AsRef::as_ref);
        let args: Vec<_> = words.into_iter().chain([branch, path, base]).collect();
        git.bytes(&args)?;
    }
    // Git says so of the tree it made; anything else would be a surprise to find out later.
    Git::at(tree).bytes(&["rev-parse", "--verify", "--quiet", "HEAD"])?;
    Ok(())
}
