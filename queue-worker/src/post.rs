//! Where an attempt and its worker meet: a few files in the attempt's run directory.
//!
//! `lock` is held (flock(2)) by the shim until the attempt is over, carries the spec until the shim
//! has read it, and then the name of the process; `control` is a pipe through which any worker
//! stops it, `group-0` and on link to its control groups; `status` says how it ended. What always
//! holds: the lock is never free between the worker's decision to start and the status, so a
//! free lock without a status means that the attempt died; one that gets no shim is held in the
//! same way while it is started; `status` is renamed into place and so is whole.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use queue_core::attempt::Started;
use queue_core::failpoint;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, mkfifoat};
use rustix::io::Errno;
use serde::de::DeserializeOwned;

use crate::cgroup::Hold;
use crate::supervisor::{SIGN_OF_LIFE, Spec, Status, StopCause};

/// The files of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Post {
    directory: PathBuf,
}

/// What is found of an attempt whose worker is gone.
#[derive(Debug)]
pub(crate) enum Found {
    /// Its shim lives.
    Alive,
    /// It ended, and this is how.
    Ended(Box<Status>),
    /// Neither: what is left of it has to be ended.
    Nothing,
}

impl Post {
    /// The files in a run directory.
    pub(crate) fn at(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The files of a check of the attempt, counted from 0: it is supervised as the attempt is.
    pub(crate) fn check(&self, number: usize) -> Self {
        Self::at(&self.path(&format!("check-{number}")))
    }

    // ── The worker's side ───────────────────────────────────────────────────────────────────

    /// Puts the spec there, under a lock that the file handed back holds until the last copy of
    /// it is closed.
    pub(crate) fn prepare(&self, spec: &Spec) -> io::Result<File> {
        mkfifoat(CWD, self.path("control"), Mode::RUSR | Mode::WUSR)?;
        failpoint::hit("host.control_made");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path("lock"))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        failpoint::hit("host.lock_taken");
        let directory = self.directory.as_os_str().as_encoded_bytes();
        let text = [directory, b"\0", &serde_json::to_vec(spec)?].concat();
        file.write_all(&text)?;
        file.rewind()?;
        failpoint::hit("host.spec_written");
        Ok(file)
    }

    /// Notes the control groups of the attempt, before they are made.
    pub(crate) fn note_groups(&self, groups: &[PathBuf]) -> io::Result<()> {
        // Links: whole at once, and one call each.
        for (number, group) in groups.iter().enumerate() {
            symlink(group, self.path(&format!("group-{number}")))?;
        }
        Ok(())
    }

    /// The control groups of the attempt, as they were noted.
    pub(crate) fn groups(&self) -> Hold {
        let links =
            (0..).map_while(|number| fs::read_link(self.path(&format!("group-{number}"))).ok());
        Hold::at(links.collect())
    }

    /// Holds an attempt that gets no shim while its process is being started: until the file handed
    /// back is closed, whoever takes the attempt over does not take it for dead. The lock is on the
    /// directory itself, so it leaves nothing to remove.
    pub(crate) fn hold(&self) -> io::Result<File> {
        let directory = File::open(&self.directory)?;
        flock(&directory, FlockOperation::NonBlockingLockExclusive)?;
        Ok(directory)
    }

    /// Looks whether the attempt lives, or how it ended.
    ///
    /// # Errors
    /// When the files are there and cannot be read at the moment: then nothing is known of the
    /// attempt, least of all that it is dead.
    pub(crate) fn look(&self) -> io::Result<Found> {
        // The status is read after the lock: it is in place before the lock is let go.
        let has_shim = self.has_shim();
        failpoint::hit("adopt.lock_probed");
        if has_shim? || self.is_checked()? {
            return Ok(Found::Alive);
        }
        let status = self.status();
        failpoint::hit("adopt.status_read");
        Ok(match status? {
            Some(status) => Found::Ended(Box::new(status)),
            None => Found::Nothing,
        })
    }

    /// Whether its shim lives.
    ///
    /// # Errors
    /// When that cannot be told at the moment.
    pub(crate) fn has_shim(&self) -> io::Result<bool> {
        is_locked(&self.path("lock"))
    }

    /// Removes the files of an attempt that is over. Whoever still looks for one must not take it for
    /// dead, so the lock goes first and the status last.
    pub(crate) fn remove_files(&self) {
        for name in ["lock", "control", "group-0", "status"] {
            // What is missing or cannot be removed is no concern of those after it.
            let _ = fs::remove_file(self.path(name));
        }
    }

    /// Whether a check of the attempt runs in a shim.
    fn is_checked(&self) -> io::Result<bool> {
        for number in 0.. {
            let check = self.check(number);
            if is_locked(&check.path("lock"))? {
                return Ok(true);
            }
            if !check.directory.exists() {
                break;
            }
        }
        Ok(false)
    }

    /// Whether somebody holds the attempt: its shim, or whoever is just starting its process. Where
    /// that cannot be told, somebody may.
    pub(crate) fn is_held(&self) -> bool {
        let may_be_locked = |path: &Path| is_locked(path).unwrap_or(true);
        may_be_locked(&self.path("lock")) || may_be_locked(&self.directory)
    }

    /// Blocks until nobody holds the lock.
    pub(crate) fn wait_until_free(&self) -> io::Result<()> {
        let file = File::open(self.path("lock"))?;
        loop {
            match flock(&file, FlockOperation::LockShared) {
                Err(Errno::INTR) => {}
                answer => return Ok(answer?),
            }
        }
    }

    /// Asks the shim to stop the attempt. False when it does not listen yet, or no more.
    pub(crate) fn stop(&self, cause: StopCause) -> bool {
        self.tell(cause.letter())
    }

    /// Tells the shim that the attempt is at work although it writes nothing. False as above.
    pub(crate) fn is_alive(&self) -> bool {
        self.tell(SIGN_OF_LIFE)
    }

    fn tell(&self, letter: u8) -> bool {
        let pipe = OpenOptions::new()
            .write(true)
            .custom_flags(non_blocking())
            .open(self.path("control"));
        pipe.and_then(|mut pipe| pipe.write_all(&[letter])).is_ok()
    }

    /// The process, once it was started.
    pub(crate) fn started(&self) -> Option<Started> {
        // Before that it is the spec or nothing, neither of which is taken for a name.
        read(&self.path("lock")).ok().flatten()
    }

    /// How the attempt ended, once it did.
    ///
    /// # Errors
    /// When it cannot be read at the moment.
    pub(crate) fn status(&self) -> io::Result<Option<Status>> {
        read(&self.path("status"))
    }

    // ── The shim's side ─────────────────────────────────────────────────────────────────────

    /// Takes the spec, and where the files are, out of the lock's file: it holds the environment,
    /// which need not lie about.
    pub(crate) fn take_spec(lock: &mut File) -> io::Result<(Self, Spec)> {
        let mut text = Vec::new();
        lock.read_to_end(&mut text)?;
        // A path has no NUL.
        let end = text.iter().position(|byte| *byte == 0);
        let end = end.ok_or(io::ErrorKind::InvalidData)?;
        let post = Self::at(Path::new(OsStr::from_bytes(&text[..end])));
        let spec = serde_json::from_slice(&text[end + 1..])?;
        lock.set_len(0)?;
        Ok((post, spec))
    }

    /// The end of the pipe through which the attempt is stopped; it never comes to an end, and
    /// never blocks.
    pub(crate) fn listen(&self) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(non_blocking())
            .open(self.path("control"))
    }

    /// Leaves the process's name in the lock's file, from which the spec was taken: the file is
    /// there, and no other one has to be made. Part of a name is not taken for one.
    pub(crate) fn write_started(lock: &File, started: &Started) -> io::Result<()> {
        lock.write_all_at(&serde_json::to_vec(started)?, 0)?;
        failpoint::hit("shim.started_written");
        Ok(())
    }

    /// Puts the status in place, whole, and on the disk as well where nobody is there to take it:
    /// see [`Untaken`].
    pub(crate) fn write_status(&self, status: &Status, is_taken: bool) -> io::Result<Untaken> {
        let staged = self.path("status.tmp");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&staged)?;
        file.write_all(&serde_json::to_vec(status)?)?;
        if !is_taken {
            file.sync_all()?;
        }
        failpoint::hit("shim.status_staged");
        fs::rename(staged, self.path("status"))?;
        failpoint::hit("shim.status_written");
        Ok(Untaken(file))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// A status that is in place. Dropped, it is on the disk or not needed any more: its file is removed
/// once the outcome is committed. A worker mostly does that within milliseconds, and a sync takes as
/// long; what it would save is the end of an attempt from a power cut in that time.
#[derive(Debug)]
pub(crate) struct Untaken(File);

impl Untaken {
    fn is_needed(&self) -> bool {
        rustix::fs::fstat(&self.0).map_or(true, |file| file.st_nlink > 0)
    }
}

impl Drop for Untaken {
    fn drop(&mut self) {
        if self.is_needed() {
            // It is in place; where the disk fails now, nothing was promised yet.
            let _ = self.0.sync_all();
        }
    }
}

/// What a file holds; none where there is no such file, or one that another release wrote.
fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if is_missing(&error) => return Ok(false),
        opened => opened?,
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}

fn non_blocking() -> i32 {
    i32::try_from(OFlags::NONBLOCK.bits()).expect("flags of open fit")
}

#[cfg(test)]
mod tests {
    use queue_core::{Epoch, JobId, Timestamp};

    use super::*;
    use crate::layout::Layout;

    #[test]
    fn a_status_is_needed_until_its_outcome_is_committed() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::beside(&store_in(dir.path())).unwrap();
        let run = layout.make_run_directory(JobId(1), Epoch(1)).unwrap();
        let spec = Spec::new(1, 1, 1, "/bin/true", dir.path(), dir.path().join("log"));
        let status = Status::unsupervised(&spec, &io::ErrorKind::OutOfMemory.into());
        let untaken = Post::at(&run).write_status(&status, true).unwrap();
        assert!(untaken.is_needed());
        layout.remove_run_directory(JobId(1), Epoch(1));
        assert!(!untaken.is_needed());
    }

    #[test]
    fn a_lock_names_the_process_once_the_spec_is_taken_and_the_name_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let post = Post::at(dir.path());
        let spec = Spec::new(1, 1, 1, "/bin/true", dir.path(), dir.path().join("log"));
        let mut lock = post.prepare(&spec).unwrap();
        assert_eq!(post.started(), None, "the spec");
        Post::take_spec(&mut lock).unwrap();
        assert_eq!(post.started(), None, "nothing");
        let started = Started {
            pid: 7,
            pid_started: Some(8),
            started_at: Timestamp::EPOCH,
            log: "log".to_owned(),
            unenforced: None,
        };
        Post::write_started(&lock, &started).unwrap();
        assert_eq!(post.started(), Some(started));
        lock.set_len(20).unwrap();
        assert_eq!(post.started(), None, "a part");
    }

    fn store_in(directory: &Path) -> PathBuf {
        let db = directory.join("queue.db");
        fs::write(&db, "").unwrap();
        db
    }
}
