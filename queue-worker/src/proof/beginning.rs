//! What is noted before the process of an attempt starts.
//!
//! Written into the run directory by whoever starts an attempt that has something to prove, read by
//! whoever looks at the proof, which may be another worker. What always holds: it is whole or not
//! there; the origin in it is that of the job's first attempt, whichever attempt this is.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use queue_core::proof::{Expectation, Terms};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tree;
use crate::private_file;
use crate::worktree::git::Git;

/// The file in the run directory.
const FILE: &str = "beginning";

/// What was there when a job first began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// The change time (stat(2)) that a file got that was made then, in nanoseconds since 1970. The
    /// kernel stamps files by a clock that stands behind that of the system by up to a tick, so
    /// times of files are compared with that of a file.
    pub(crate) since_ns: i64,
    /// The commit that was checked out; none where there was none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) head: Option<String>,
    /// All files that git does not ignore, as a tree, where that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tree: Option<String>,
    /// Why git could not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<String>,
}

/// What is noted before a process starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Beginning {
    /// The job's queue, as the job and its checks see it.
    pub(crate) queue: String,
    /// The worker that started it, likewise.
    pub(crate) worker: String,
    /// What was there when the job first began, where its terms ask.
    pub(crate) origin: Option<Origin>,
}

/// Notes the beginning of an attempt in its run directory, in front of what lies in `cwd` without
/// the files in `spare`. `known` is what the store knows of the job's origin; where it knows nothing,
/// this is it.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn note(
    directory: &Path,
    (cwd, spare): (&Path, &[PathBuf]),
    terms: &Terms,
    known: Option<&Value>,
    (queue, worker): (&str, &str),
) -> io::Result<()> {
    let staged = directory.join(format!("{FILE}.tmp"));
    let mut file = private_file::create(&staged)?;
    let beginning = Beginning {
        queue: queue.to_owned(),
        worker: worker.to_owned(),
        origin: match known.and_then(read_origin) {
            Some(origin) => Some(origin),
            None if terms.need_origin() => Some(look(&file, directory, (cwd, spare), terms)?),
            None => None,
        },
    };
    file.write_all(&serde_json::to_vec(&beginning)?)?;
    fs::rename(staged, directory.join(FILE))
}

/// What was noted, if it can be read.
pub(crate) fn noted(directory: &Path) -> Option<Beginning> {
    let text = fs::read(directory.join(FILE)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// What was noted of the job's origin, as the store keeps it.
pub(crate) fn origin_in(directory: &Path) -> Option<Value> {
    let origin = noted(directory)?.origin?;
    serde_json::to_value(origin).ok()
}

fn read_origin(known: &Value) -> Option<Origin> {
    serde_json::from_value(known.clone()).ok()
}

fn look(
    fresh: &File,
    scratch: &Path,
    (cwd, spare): (&Path, &[PathBuf]),
    terms: &Terms,
) -> io::Result<Origin> {
    let stamp = fresh.metadata()?;
    let mut origin = Origin {
        since_ns: changed_ns(&stamp),
        head: None,
        tree: None,
        trouble: None,
    };
    if !terms.expect.iter().any(Expectation::needs_repository) {
        return Ok(origin);
    }
    let git = Git::at(cwd);
    let found = tree::head(&git).and_then(|head| {
        origin.head = head;
        if terms.expect.contains(&Expectation::Diff) {
            origin.tree = Some(tree::of_files(&git, scratch, spare)?);
        }
        Ok(())
    });
    origin.trouble = found.err().map(|error| error.to_string());
    Ok(origin)
}

/// When a file was made or changed last, in nanoseconds since 1970: nothing that a program says of
/// its times moves this one.
pub(super) fn changed_ns(file: &fs::Metadata) -> i64 {
    let seconds = file.ctime().saturating_mul(1_000_000_000);
    seconds.saturating_add(file.ctime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_origin_stays_that_of_the_job() {
        let dir = tempfile::tempdir().unwrap();
        let terms = Terms {
            expect: vec!["file:a".parse().unwrap()],
            ..Terms::default()
        };
        let names = ("default", "here-1");
        note(dir.path(), (dir.path(), &[]), &terms, None, names).unwrap();
        let first = origin_in(dir.path()).unwrap();
        note(dir.path(), (dir.path(), &[]), &terms, Some(&first), names).unwrap();
        assert_eq!(origin_in(dir.path()), Some(first));
        assert_eq!(noted(dir.path()).unwrap().worker, "here-1");
        let unasked = Terms::default();
        note(dir.path(), (dir.path(), &[]), &unasked, None, names).unwrap();
        assert_eq!(origin_in(dir.path()), None);
    }

    #[test]
    fn outside_of_a_repository_the_trouble_is_noted() {
        let dir = tempfile::tempdir().unwrap();
        let terms = Terms {
            expect: vec![Expectation::Diff],
            ..Terms::default()
        };
        note(dir.path(), (dir.path(), &[]), &terms, None, ("q", "w")).unwrap();
        let origin = noted(dir.path()).unwrap().origin.unwrap();
        assert!(origin.trouble.unwrap().contains("not a git repository"));
    }
}
