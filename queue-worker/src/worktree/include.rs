//! Files that git ignores and a fresh tree needs all the same, such as `.env`.
//!
//! The repository names them in `.worktreeinclude`, in the syntax of `.gitignore`; a file is
//! copied when it matches there and git ignores it. What always holds: only regular files and
//! links below the checkout are copied, a link as a link, and nothing in the tree is overwritten.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::WorktreeError;
use super::git::GitError;
use super::repository::Repository;

/// The file of patterns, at the top of the checkout.
const PATTERNS: &str = ".worktreeinclude";

/// Copies what the repository wants to have in each tree; returns how many files that were.
pub(super) fn copy(repository: &Repository, tree: &Path) -> Result<usize, WorktreeError> {
    if !repository.checkout.join(PATTERNS).is_file() {
        return Ok(0);
    }
    let wanted = listed(repository, &format!("--exclude-from={PATTERNS}"))?;
    let ignored = listed(repository, "--exclude-standard")?;
    let mut copied = 0;
    for path in wanted.intersection(&ignored) {
        let from = repository.checkout.join(path);
        copied += usize::from(
            copy_one(&from, &tree.join(path)).map_err(WorktreeError::io("cannot copy", &from))?,
        );
    }
    Ok(copied)
}

/// The untracked files that the given patterns match.
fn listed(repository: &Repository, patterns: &str) -> Result<BTreeSet<PathBuf>, GitError> {
    let names = repository
        .git()
        .bytes(&["ls-files", "-z", "--others", "--ignored", patterns])?;
    let names = names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    Ok(names
        .map(|name| PathBuf::from(OsString::from_vec(name.to_vec())))
        .collect())
}

fn copy_one(from: &Path, to: &Path) -> io::Result<bool> {
    let about = fs::symlink_metadata(from)?;
    if fs::symlink_metadata(to).is_ok() || !(about.is_file() || about.is_symlink()) {
        return Ok(false);
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    if about.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
    } else {
        fs::copy(from, to)?;
    }
    Ok(true)
}
