//! All files of a repository as one name: that of the git tree they would make.
//!
//! Called when a job first begins and when it says that it is done. What always holds: nothing is
//! written to the repository, neither its index nor its objects; two trees have the same name if
//! and only if all files that git does not ignore have the same paths, modes and contents.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::worktree::git::{Git, GitError};

/// The commit that is checked out; none on a branch without commits.
pub(super) fn head(git: &Git) -> Result<Option<String>, GitError> {
    // It fails outside of a repository, which the next call alone would take for no commit.
    git.text(&["rev-parse", "--git-dir"])?;
    let output = git.output(&["rev-parse", "--verify", "--quiet", "HEAD"])?;
    let text = String::from_utf8_lossy(&output.stdout);
    let text = text.trim();
    Ok((output.status.success() && !text.is_empty()).then(|| text.to_owned()))
}

/// The name of the tree of all files, committed or not, that git does not ignore, without those in
/// `spare`. What git needs for that goes into a folder in `scratch` and is removed.
pub(super) fn of_files(git: &Git, scratch: &Path, spare: &[PathBuf]) -> Result<String, GitError> {
    let place = scratch.join("scratch-objects");
    let name = name_of_files(git, &place, spare);
    // Left behind it goes with the directory it lies in.
    let _ = fs::remove_dir_all(&place);
    name
}

/// What limits git to all files of the repository without those in `spare`.
pub(super) fn without(git: &Git, spare: &[PathBuf]) -> Result<Vec<OsString>, GitError> {
    let top = PathBuf::from(git.text(&["rev-parse", "--show-toplevel"])?);
    let inside = spare.iter().filter_map(|path| path.strip_prefix(&top).ok());
    let excluded = inside.map(|path| {
        let mut word = OsString::from(":(top,exclude,literal)");
        word.push(path);
        word
    });
    let all = ["--", ":/"].map(OsString::from);
    Ok(all.into_iter().chain(excluded).collect())
}

fn name_of_files(git: &Git, place: &Path, spare: &[PathBuf]) -> Result<String, GitError> {
    let path_of = |what: &str| {
        let text = git.text(&["rev-parse", "--path-format=absolute", "--git-path", what])?;
        Ok::<_, GitError>(PathBuf::from(text))
    };
    let (index, objects) = (path_of("index")?, path_of("objects")?);
    // Where it cannot be made, git says so of the objects that it cannot write.
    let _ = fs::create_dir_all(place.join("objects"));
    let own_index = place.join("index");
    copy_with_time(&index, &own_index);
    let git = git
        .clone()
        .with("GIT_INDEX_FILE", own_index)
        .with("GIT_OBJECT_DIRECTORY", place.join("objects"))
        .with("GIT_ALTERNATE_OBJECT_DIRECTORIES", quoted(&objects));
    git.add_all(&without(&git, spare)?)?;
    git.text(&["write-tree", "--missing-ok"])
}

/// Copies the index, which tells git which files it need not read again. A file that changed in the
/// same instant as the index is told from one that did not by the time of the index, so the copy
/// has that too. Without a copy all files are read.
fn copy_with_time(index: &Path, copy: &Path) {
    let copied = fs::copy(index, copy).and_then(|_| {
        let time = fs::metadata(index)?.modified()?;
        fs::File::options()
            .write(true)
            .open(copy)?
            .set_modified(time)
    });
    if copied.is_err() {
        let _ = fs::remove_file(copy);
    }
}

/// A path as git wants it in a list that colons divide (git(1)).
fn quoted(path: &Path) -> OsString {
    let text = path.to_string_lossy();
    if text.contains([':', '"', '\\']) {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{escaped}\"").into()
    } else {
        path.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> (tempfile::TempDir, Git) {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("a:b");
        fs::create_dir(&tree).unwrap();
        let mut git = Git::at(&tree);
        for who in ["AUTHOR", "COMMITTER"] {
            git = git
                .with(&format!("GIT_{who}_NAME"), "a")
                .with(&format!("GIT_{who}_EMAIL"), "a@b");
        }
        git.bytes(&["init", "-q"]).unwrap();
        (dir, git)
    }

    #[test]
    fn the_name_is_that_of_the_files_whether_they_are_committed_or_not() {
        let (dir, git) = repository();
        let tree = dir.path().join("a:b");
        let name = || of_files(&git, dir.path(), &[]).unwrap();
        assert_eq!(head(&git).unwrap(), None);
        let empty = name();
        fs::write(tree.join("file"), "one").unwrap();
        fs::write(tree.join(".gitignore"), "*.log\n").unwrap();
        let untracked = name();
        assert_ne!(untracked, empty);
        git.bytes(&["add", "."]).unwrap();
        git.bytes(&["commit", "-q", "-m", "x"]).unwrap();
        assert_eq!(name(), untracked);
        fs::write(tree.join("a.log"), "ignored").unwrap();
        assert_eq!(name(), untracked);
        fs::write(tree.join("file"), "two").unwrap();
        assert_ne!(name(), untracked);
        fs::write(tree.join("file"), "one").unwrap();
        assert_eq!(name(), untracked, "changed back");
        fs::create_dir(tree.join("q.db-run")).unwrap();
        fs::write(tree.join("q.db-run/x"), "of the queue").unwrap();
        assert_ne!(name(), untracked);
        let spare = [tree.canonicalize().unwrap().join("q.db-run")];
        assert_eq!(of_files(&git, dir.path(), &spare).unwrap(), untracked);
        assert!(head(&git).unwrap().is_some());
    }

    #[test]
    fn nothing_is_written_to_the_repository() {
        let (dir, git) = repository();
        let tree = dir.path().join("a:b");
        fs::write(tree.join("file"), "one").unwrap();
        of_files(&git, dir.path(), &[]).unwrap();
        assert!(!tree.join(".git/index").exists());
        let counted = git.text(&["count-objects"]).unwrap();
        assert!(counted.starts_with("0 objects"), "{counted}");
        assert!(!dir.path().join("scratch-objects").exists());
    }
}
