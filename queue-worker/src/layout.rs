//! Where the files of attempts lie: beside the store, under its own name.
//!
//! Owns the names `queue.db-logs/JOB-EPOCH.log`, `queue.db-run/JOB-EPOCH/` and
//! `queue.db-worktrees/`; the dispatcher, the attempts and the recovery ask it. What always holds: directories have
//! mode 0700 and files 0600, and a run directory has the name of one epoch from before that begins until its
//! outcome is committed.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use queue_core::{Epoch, JobId, WorkerId};

use crate::post::Post;

/// The files beside one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    db: PathBuf,
    logs: PathBuf,
    runs: PathBuf,
}

impl Layout {
    /// The files beside the store at `db`, which must exist; makes the directories.
    ///
    /// # Errors
    /// When `db` is not there or a directory cannot be made; the error names the path.
    pub fn beside(db: &Path) -> io::Result<Self> {
        let layout = Self::of(&fs::canonicalize(db).map_err(|error| named(db, &error))?);
        for directory in [&layout.logs, &layout.runs] {
            make_directory(directory).map_err(|error| named(directory, &error))?;
        }
        Ok(layout)
    }

    /// The names beside the store at the absolute path `db`; touches nothing.
    #[must_use]
    pub fn of(db: &Path) -> Self {
        Self {
            db: db.to_owned(),
            logs: with_suffix(db, "-logs"),
            runs: with_suffix(db, "-run"),
        }
    }

    /// The store's absolute path, as jobs see it in `QUEUE_DB`.
    #[must_use]
    pub fn db(&self) -> &Path {
        &self.db
    }

    /// The directories for logs and for running jobs.
    #[must_use]
    pub fn directories(&self) -> [PathBuf; 2] {
        [self.logs.clone(), self.runs.clone()]
    }

    /// All that lies beside the store, and the store itself: whoever looks what a job has changed does
    /// not mean these.
    #[must_use]
    pub fn own_files(&self) -> Vec<PathBuf> {
        let suffixes = [
            "",
            "-wal",
            "-shm",
            "-journal",
            "-wake",
            "-logs",
            "-run",
            "-worktrees",
        ];
        suffixes.map(|suffix| with_suffix(&self.db, suffix)).into()
    }

    /// The log of one process tree.
    #[must_use]
    pub fn log(&self, job: JobId, epoch: Epoch) -> PathBuf {
        self.logs.join(format!("{job}-{epoch}.log"))
    }

    /// Where the worktrees of jobs lie; there once a job has had one.
    #[must_use]
    pub fn worktrees(&self) -> PathBuf {
        with_suffix(&self.db, "-worktrees")
    }

    /// The folder that all run directories are in.
    #[must_use]
    pub fn runs(&self) -> &Path {
        &self.runs
    }

    /// The directory that one process tree has for itself.
    #[must_use]
    pub fn run_directory(&self, job: JobId, epoch: Epoch) -> PathBuf {
        self.runs.join(format!("{job}-{epoch}"))
    }

    /// The file that `QUEUE_CHECKPOINT` names.
    #[must_use]
    pub fn checkpoint(&self, job: JobId, epoch: Epoch) -> PathBuf {
        self.run_directory(job, epoch).join("checkpoint")
    }

    /// The file that a worker holds a lock on for as long as it lives.
    #[must_use]
    pub fn worker_lock(&self, worker: WorkerId) -> PathBuf {
        self.runs.join(format!("worker-{worker}.lock"))
    }

    /// The workers that have such a file.
    #[must_use]
    pub fn worker_locks(&self) -> Vec<WorkerId> {
        let entries = fs::read_dir(&self.runs).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let name = entry.file_name();
                let number = name
                    .to_str()?
                    .strip_prefix("worker-")?
                    .strip_suffix(".lock")?;
                Some(WorkerId(number.parse().ok()?))
            })
            .collect()
    }

    /// Makes the run directory, empty.
    ///
    /// One that is there already belongs to a store that was put back from a backup: it is
    /// removed, so that nothing of another history is taken for a checkpoint.
    ///
    /// # Errors
    /// When it cannot be made, or a job of that other store still runs in it.
    pub fn make_run_directory(&self, job: JobId, epoch: Epoch) -> io::Result<PathBuf> {
        let directory = self.run_directory(job, epoch);
        match private_directory().create(&directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if Post::at(&directory).has_shim()? {
                    let text = "a job of the store that was here before still runs in it";
                    return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
                }
                self.throw_away(&directory)?;
                private_directory().create(&directory)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_directory(&self.runs)?;
                private_directory().create(&directory)?;
            }
            made => made?,
        }
        Ok(directory)
    }

    /// Removes the log of one process tree. One that is gone is as good.
    pub fn remove_log(&self, job: JobId, epoch: Epoch) {
        let log = self.log(job, epoch);
        if let Err(error) = fs::remove_file(&log)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(log = %log.display(), %error, "a log cannot be removed");
        }
    }

    /// Removes the run directory with whatever the job left in it. One that is gone is as good.
    pub fn remove_run_directory(&self, job: JobId, epoch: Epoch) {
        let directory = self.run_directory(job, epoch);
        // Most jobs leave nothing there, and then one call is enough.
        if fs::remove_dir(&directory).is_ok() {
            return;
        }
        // A job of the store that was here before may still run in it.
        if matches!(Post::at(&directory).has_shim(), Ok(true)) {
            return;
        }
        self.clear_away(&directory);
    }

    /// Removes a run directory, or a spare one, and says so where that fails. Returns whether it is gone.
    pub(crate) fn clear_away(&self, directory: &Path) -> bool {
        let thrown = self.throw_away(directory);
        if let Err(error) = &thrown {
            tracing::warn!(directory = %directory.display(), %error, "a run directory cannot be removed");
        }
        thrown.is_ok()
    }

    /// Removes a run directory, or a spare one, with all that is in it. First it loses its name: whoever
    /// has it may be about to use it again, and what is then in it is not to be touched. One that is
    /// gone is as good.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn throw_away(&self, directory: &Path) -> io::Result<()> {
        let mut name = OsString::from("gone-");
        name.push(directory.file_name().unwrap_or_default());
        let gone = self.runs.join(name);
        let renamed = fs::rename(directory, &gone).or_else(|error| match error.kind() {
            // Somebody died before it was removed.
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
                is_removed(&gone)?;
                fs::rename(directory, &gone)
            }
            _ => Err(error),
        });
        match renamed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => is_removed(&gone),
        }
    }

    /// A name for a run directory that no attempt has.
    pub(crate) fn spare(&self, worker: WorkerId, number: u64) -> PathBuf {
        self.runs.join(format!("spare-{worker}-{number}"))
    }

    /// The run directories that no attempt has, with the worker that keeps them; none where nobody does.
    pub(crate) fn spares(&self) -> Vec<(Option<WorkerId>, PathBuf)> {
        let entries = fs::read_dir(&self.runs).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let name = entry.file_name();
                let (kind, rest) = name.to_str()?.split_once('-')?;
                let keeper = match kind {
                    "gone" => None,
                    "spare" => Some(WorkerId(rest.split_once('-')?.0.parse().ok()?)),
                    _ => return None,
                };
                Some((keeper, entry.path()))
            })
            .collect()
    }

    /// The process trees that have a run directory.
    #[must_use]
    pub fn run_directories(&self) -> Vec<(JobId, Epoch)> {
        let entries = fs::read_dir(&self.runs).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| Self::attempt_of(entry.file_name().to_str()?))
            .collect()
    }

    /// The process tree whose run directory has this name; none for any other name.
    pub(crate) fn attempt_of(name: &str) -> Option<(JobId, Epoch)> {
        let (job, epoch) = name.split_once('-')?;
        Some((JobId(job.parse().ok()?), Epoch(epoch.parse().ok()?)))
    }
}

/// Removes a directory that nobody has any more; others may do so at the same time.
fn is_removed(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

fn private_directory() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

fn make_directory(directory: &Path) -> io::Result<()> {
    match private_directory().create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        made => made,
    }
}

fn with_suffix(db: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = db.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn layout() -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("queue.db");
        fs::write(&db, "").unwrap();
        let layout = Layout::beside(&db).unwrap();
        (dir, layout)
    }

    #[test]
    fn directories_are_private_and_lie_beside_the_store() {
        let (_dir, layout) = layout();
        let run = layout.make_run_directory(JobId(4), Epoch(2)).unwrap();
        assert!(run.ends_with("queue.db-run/4-2"), "{}", run.display());
        assert!(
            layout
                .log(JobId(4), Epoch(2))
                .ends_with("queue.db-logs/4-2.log")
        );
        for directory in [&run, &layout.logs, &layout.runs] {
            let mode = directory.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", directory.display());
        }
        assert_eq!(layout.run_directories(), [(JobId(4), Epoch(2))]);
    }

    #[test]
    fn a_run_directory_starts_empty_and_goes_with_all_that_is_in_it() {
        let (_dir, layout) = layout();
        let run = layout.make_run_directory(JobId(1), Epoch(1)).unwrap();
        fs::write(run.join("checkpoint"), "of another history").unwrap();
        layout.make_run_directory(JobId(1), Epoch(1)).unwrap();
        assert!(!run.join("checkpoint").exists());
        fs::create_dir_all(run.join("deep/er")).unwrap();
        layout.remove_run_directory(JobId(1), Epoch(1));
        layout.remove_run_directory(JobId(1), Epoch(1));
        assert!(!run.exists());
    }

    #[test]
    fn a_store_that_is_not_there_is_named() {
        let error = Layout::beside(Path::new("/nowhere/queue.db")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/queue.db"), "{error}");
    }
}
