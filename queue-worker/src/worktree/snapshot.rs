//! All of a tree's work as git objects, committed or not, without changing anything in the tree.
//!
//! A rescue keeps it under a ref, `qcli diff` compares it, an acceptance makes it the branch's last
//! commit. What always holds: every tracked and untracked file that git does not ignore is in it,
//! byte for byte; the tree's own index is left as it is.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::WorktreeError;
use super::git::{Git, GitError};

/// Work of a tree, in the repository's objects. Nothing refers to them yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The commit that is checked out; none on a branch without commits.
    pub head: Option<String>,
    /// What is staged, where that differs from `head` and can be written: not amid a merge with
    /// conflicts.
    pub staged: Option<String>,
    /// All files.
    pub files: String,
    /// Whether `files` differs from `head`.
    pub is_dirty: bool,
}

/// Which bytes are wanted of files that git converts on the way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bytes {
    /// As they lie on the disk: nothing is lost.
    Raw,
    /// As a commit would have them: nothing differs that did not change.
    Committed,
}

/// Takes a snapshot of `tree`.
///
/// # Errors
/// When git cannot read a file, or a repository of its own lies in the tree.
pub fn take(tree: &Path, bytes: Bytes) -> Result<Snapshot, WorktreeError> {
    let git = Git::at(tree);
    let head = optional(git.output(&["rev-parse", "--verify", "--quiet", "HEAD"])?);
    let index = ScratchIndex::copy_of(&git)?;
    let scratch = git.clone().with("GIT_INDEX_FILE", &index.path);
    let staged = optional(scratch.output(&["write-tree"])?);
    scratch.add_all(&["--", ":/"])?;
    refuse_nested(&scratch, tree)?;
    if bytes == Bytes::Raw {
        unconvert(&scratch, head.as_deref())?;
    }
    let files = scratch.text(&["write-tree"])?;
    let committed = match &head {
        Some(head) => Some(git.text(&["rev-parse", &format!("{head}^{{tree}}")])?),
        None => None,
    };
    Ok(Snapshot {
        is_dirty: committed.as_ref() != Some(&files),
        staged: staged.filter(|staged| committed.as_ref() != Some(staged)),
        head,
        files,
    })
}

fn optional(output: std::process::Output) -> Option<String> {
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}

/// Of a repository inside the tree, git keeps the number of a commit alone. Where that repository
/// is checked out, its objects may be nowhere else.
fn refuse_nested(git: &Git, tree: &Path) -> Result<(), WorktreeError> {
    const LINK: &[u8] = b"160000 ";
    let listed = git.bytes(&["ls-files", "-z", "--stage", "--full-name", ":/"])?;
    for entry in listed.split(|byte| *byte == 0) {
        if !entry.starts_with(LINK) {
            continue;
        }
        let name = entry.splitn(2, |byte| *byte == b'\t').nth(1);
        let path = tree.join(String::from_utf8_lossy(name.unwrap_or_default()).as_ref());
        if fs::symlink_metadata(path.join(".git")).is_ok() {
            return Err(WorktreeError::NestedRepository(path));
        }
    }
    Ok(())
}

/// Puts the files that differ from `head` into the index as they lie on the disk, whatever line
/// ends, filter or encoding their attributes ask for.
fn unconvert(git: &Git, head: Option<&str>) -> Result<(), WorktreeError> {
    let top = PathBuf::from(git.text(&["rev-parse", "--show-toplevel"])?);
    let git = git.clone().in_directory(&top);
    let against = match head {
        Some(head) => head.to_owned(),
        None => git.text(&["hash-object", "-t", "tree", "-w", "/dev/null"])?,
    };
    let listed = git.bytes(&[
        "diff-index",
        "--cached",
        "-z",
        "--no-renames",
        "--raw",
        &against,
    ])?;
    let mut fields = listed.split(|byte| *byte == 0);
    let mut changed: Vec<(&[u8], &[u8])> = Vec::new();
    while let (Some(about), Some(path)) = (fields.next(), fields.next()) {
        // `:OLDMODE NEWMODE OLDOBJECT NEWOBJECT STATUS`
        let mode = about.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        if mode.starts_with(b"100") {
            changed.push((mode, path));
        }
    }
    let objects = hash_raw(&git, changed.iter().map(|(_, path)| *path))?;
    let mut entries = Vec::new();
    for ((mode, path), object) in changed.iter().zip(objects) {
        entries.extend_from_slice(mode);
        entries.extend_from_slice(format!(" {object}\t").as_bytes());
        entries.extend_from_slice(path);
        entries.push(0);
    }
    git.fed(&["update-index", "-z", "--index-info"], &entries)?;
    Ok(())
}

/// Makes objects of files as they lie on the disk; their names, in the same order.
fn hash_raw<'a>(
    git: &Git,
    paths: impl Iterator<Item = &'a [u8]> + Clone,
) -> Result<Vec<String>, GitError> {
    let [verb, write, raw, end] = ["hash-object", "-w", "--no-filters", "--"].map(OsStr::new);
    let fits_a_line = |path: &&[u8]| !path.contains(&b'\n');
    let lines: Vec<&[u8]> = paths.clone().filter(fits_a_line).collect();
    let mut input = lines.join(&b'\n');
    if !lines.is_empty() {
        input.push(b'\n');
    }
    let listed = git.fed(&[verb, write, raw, OsStr::new("--stdin-paths")], &input)?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let mut of_lines = listed.lines().map(str::to_owned);
    paths
        .map(|path| match fits_a_line(&path) {
            true => Ok(of_lines.next().unwrap_or_default()),
            false => git.text(&[verb, write, raw, end, OsStr::from_bytes(path)]),
        })
        .collect()
}

/// A copy of the tree's index, gone with this value.
struct ScratchIndex {
    path: PathBuf,
}

impl ScratchIndex {
    fn copy_of(git: &Git) -> Result<Self, WorktreeError> {
        let own = git.text(&["rev-parse", "--path-format=absolute", "--git-path", "index"])?;
        let own = PathBuf::from(own);
        let name = format!(
            "queue-index-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        );
        let path = own.with_file_name(name);
        match fs::copy(&own, &path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(WorktreeError::io("cannot copy", &own)(error));
            }
            _ => {}
        }
        Ok(Self { path })
    }
}

impl Drop for ScratchIndex {
    fn drop(&mut self) {
        // It lies in git's own directory of the tree, which goes with it.
        let _ = fs::remove_file(&self.path);
    }
}

/// Commits `files` on top of `parents` for a queue; refers to it by nothing.
///
/// # Errors
/// When git fails.
pub fn commit(git: &Git, files: &str, parents: &[&str], message: &str) -> Result<String, GitError> {
    let mut args = vec!["commit-tree", "--no-gpg-sign", files, "-m", message];
    for parent in parents {
        args.extend(["-p", parent]);
    }
    let mut git = git.clone();
    for who in ["AUTHOR", "COMMITTER"] {
        git = git
            .with(&format!("GIT_{who}_NAME"), "qcli")
            .with(&format!("GIT_{who}_EMAIL"), "qcli@localhost");
    }
    git.text(&args)
}
