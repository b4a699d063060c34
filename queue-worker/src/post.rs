//! Where an attempt and its worker meet: a few files in the attempt's run directory.
//!
//! `lock` is held (flock(2)) by the shim until the attempt is over. It tells where the attempt and
//! its control groups are, and behind that carries the spec until the shim has read it, then the
//! name of the process; `control` is a pipe through which any worker stops it; `status` says how it
//! ended. What always holds: the lock is never free between the worker's decision to start and the
//! status, so a free lock without a status means that the attempt died; one that gets no shim is
//! held in the same way while it is started; `status` is renamed into place and so is whole. The
//! files of an attempt that is over may serve the next one (see `spares`).

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use queue_core::attempt::Started;
use queue_core::failpoint;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, mkfifoat};
use rustix::io::Errno;
use serde::de::DeserializeOwned;

use crate::cgroup::{Hold, Plan};
use crate::layout::Layout;
use crate::supervisor::{Control, SIGN_OF_LIFE, Spec, Status, StopCause};

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
        match mkfifoat(CWD, self.path("control"), Mode::RUSR | Mode::WUSR) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        failpoint::hit("host.control_made");
        let mut file = self.take_lock()?;
        failpoint::hit("host.lock_taken");
        let groups = spec.group.as_ref().map(Plan::directories);
        let head = self.head(&groups.unwrap_or_default());
        file.write_all(&[head, serde_json::to_vec(spec)?].concat())?;
        file.rewind()?;
        failpoint::hit("host.spec_written");
        Ok(file)
    }

    /// Notes the control groups of an attempt that gets no shim, before they are made.
    pub(crate) fn note_groups(&self, groups: &[PathBuf]) -> io::Result<()> {
        self.take_lock()?.write_all(&self.head(groups))
    }

    /// The control groups of the attempt, as they were noted.
    pub(crate) fn groups(&self) -> Hold {
        let text = self.read_lock().unwrap_or_default();
        let groups = Head::of(&text).0.map(|head| head.groups);
        Hold::at(groups.unwrap_or_default())
    }

    /// The lock, held and with nothing in it. Whoever stood still while it looked at the lock of an
    /// attempt that had these files before may hold it for long: then there is a new one.
    fn take_lock(&self) -> io::Result<File> {
        let lock = self.open_lock()?;
        if lock_soon(&lock).is_ok() {
            // One that stood still in our place may have left something there.
            lock.set_len(0)?;
            return Ok(lock);
        }
        fs::remove_file(self.path("lock"))?;
        let lock = self.open_lock()?;
        lock_soon(&lock)?;
        Ok(lock)
    }

    fn open_lock(&self) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(plainly())
            .open(self.path("lock"))
    }

    /// What the lock's file holds, if that is about this attempt: whoever stood still between opening
    /// and reading it may have that of another one, which has the files now.
    fn read_lock(&self) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        let mut file = look_into(&self.path("lock")).ok()?;
        file.read_to_end(&mut text).ok()?;
        let is_own = Head::of(&text)
            .0
            .is_none_or(|head| head.directory.file_name() == self.directory.file_name());
        is_own.then_some(text)
    }

    /// What the lock's file begins with.
    fn head(&self, groups: &[PathBuf]) -> Vec<u8> {
        let paths = [&self.directory].into_iter().chain(groups);
        let mut text = Vec::new();
        for path in paths {
            text.extend_from_slice(path.as_os_str().as_bytes());
            text.push(0);
        }
        text.push(0);
        text
    }

    /// Holds an attempt that gets no shim while its process is being started: until the file handed
    /// back is closed, whoever takes the attempt over does not take it for dead. The lock is on the
    /// directory itself, so it leaves nothing to remove.
    pub(crate) fn hold(&self) -> io::Result<File> {
        let directory = File::open(&self.directory)?;
        lock_soon(&directory)?;
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

    /// Holds the lock of an attempt that is over, if it has one.
    ///
    /// # Errors
    /// When it is not over, or somebody is just looking whether it is.
    pub(crate) fn seize(&self) -> io::Result<Option<File>> {
        // Held where it is just being started without a shim.
        let directory = File::open(&self.directory)?;
        flock(&directory, FlockOperation::NonBlockingLockExclusive)?;
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(plainly())
            .open(self.path("lock"));
        match opened {
            Err(error) if is_missing(&error) => Ok(None),
            opened => {
                let lock = opened?;
                flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
                Ok(Some(lock))
            }
        }
    }

    /// Makes the files of an attempt that is over ready for another one, which nobody else knows of
    /// yet. False where the job has left or changed anything beside them.
    pub(crate) fn renew(&self, lock: Option<&File>) -> io::Result<bool> {
        // But for the bit that a directory has from the one above it.
        if fs::symlink_metadata(&self.directory)?.mode() & 0o5777 != 0o700 {
            return Ok(false);
        }
        let mut has_status = false;
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let (name, found) = (entry.file_name(), entry.metadata()?);
            let kind = found.file_type();
            // Under a second name it would be somebody's file elsewhere.
            let is_plain = found.mode() & 0o7777 == 0o600 && found.nlink() == 1;
            let is_ours = match name.to_str() {
                Some("control") => kind.is_fifo(),
                Some("lock" | "status" | "status.tmp") => kind.is_file(),
                _ => false,
            };
            if !is_ours || !is_plain {
                return Ok(false);
            }
            has_status |= name == "status";
        }
        if has_status {
            fs::rename(self.path("status"), self.path("status.tmp"))?;
        }
        // It names the processes of the attempt that is over.
        lock.map_or(Ok(()), |lock| lock.set_len(0))?;
        Ok(true)
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
        let file = look_into(&self.path("lock"))?;
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
        // In one write, and with the name of the attempt: the pipe may serve another one by now.
        let message = [&[letter], self.name(), b"\n"].concat();
        pipe.and_then(|mut pipe| pipe.write_all(&message)).is_ok()
    }

    /// By what an attempt is told from others whose files these were before.
    fn name(&self) -> &[u8] {
        let name = self.directory.file_name();
        name.map(OsStr::as_bytes).unwrap_or_default()
    }

    /// The process, once it was started.
    pub(crate) fn started(&self) -> Option<Started> {
        let text = self.read_lock()?;
        // Before that it is the spec or nothing, neither of which is taken for a name.
        let (_, name) = Head::of(&text);
        serde_json::from_slice(name).ok()
    }

    /// How the attempt ended, once it did. After a power cut the status of an attempt that had these
    /// files before may be in its place again: that says nothing of this one.
    ///
    /// # Errors
    /// When it cannot be read at the moment.
    pub(crate) fn status(&self) -> io::Result<Option<Status>> {
        let found: Option<Status> = read(&self.path("status"))?;
        Ok(found.filter(|status| self.may_be_of(status)))
    }

    /// Whether the directory is not that of another attempt. That of a check never was one's.
    fn may_be_of(&self, status: &Status) -> bool {
        let name = self.directory.file_name().and_then(OsStr::to_str);
        let own = name.and_then(Layout::attempt_of);
        own.is_none_or(|(job, epoch)| (job.0, epoch.0) == (status.job, status.epoch))
    }

    // ── The shim's side ─────────────────────────────────────────────────────────────────────

    /// Takes the spec out of the lock's file: it holds the environment, which need not lie about.
    /// Tells where the files are as well.
    pub(crate) fn take_spec(mut lock: File) -> io::Result<(Self, Named, Spec)> {
        let mut text = Vec::new();
        lock.read_to_end(&mut text)?;
        let (head, spec) = Head::of(&text);
        let head = head.ok_or(io::ErrorKind::InvalidData)?;
        let spec = serde_json::from_slice(spec)?;
        lock.set_len(head.length)?;
        let named = Named {
            lock,
            at: head.length,
        };
        Ok((Self::at(&head.directory), named, spec))
    }

    /// The end of the pipe through which the attempt is stopped; it never comes to an end, and
    /// never blocks.
    pub(crate) fn listen(&self) -> io::Result<Control> {
        let pipe = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(non_blocking())
            .open(self.path("control"))?;
        Ok(Control::through(pipe, self.name()))
    }

    /// Puts the status in place, whole, and on the disk as well where nobody is there to take it:
    /// see [`Untaken`].
    pub(crate) fn write_status(&self, status: &Status, is_taken: bool) -> io::Result<Untaken> {
        let staged = self.path("status.tmp");
        let mut file = stage(&staged)?;
        let text = serde_json::to_vec(status)?;
        file.write_all(&text)?;
        file.set_len(u64::try_from(text.len()).expect("a length fits"))?;
        if !is_taken {
            file.sync_all()?;
        }
        failpoint::hit("shim.status_staged");
        let place = self.path("status");
        fs::rename(staged, &place)?;
        failpoint::hit("shim.status_written");
        Ok(Untaken { file, place })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// The file of a lock whose spec was taken.
#[derive(Debug)]
pub(crate) struct Named {
    lock: File,
    /// Where the name of the process goes.
    at: u64,
}

impl Named {
    /// Leaves the process's name in the lock's file: the file is there, and no other one has to be
    /// made. Part of a name is not taken for one.
    pub(crate) fn write_started(&self, started: &Started) -> io::Result<()> {
        let text = serde_json::to_vec(started)?;
        self.lock.write_all_at(&text, self.at)?;
        failpoint::hit("shim.started_written");
        Ok(())
    }
}

/// What a lock's file begins with: paths, each with a NUL behind it, and one more behind the last.
#[derive(Debug)]
struct Head {
    /// Where the files of the attempt are.
    directory: PathBuf,
    groups: Vec<PathBuf>,
    /// In bytes.
    length: u64,
}

impl Head {
    /// The head of a lock's file, if it has one, and what stands behind it.
    fn of(text: &[u8]) -> (Option<Self>, &[u8]) {
        let mut paths = Vec::new();
        let mut rest = text;
        while let Some(end) = rest.iter().position(|byte| *byte == 0) {
            let (path, behind) = (&rest[..end], &rest[end + 1..]);
            rest = behind;
            if !path.is_empty() {
                paths.push(PathBuf::from(OsStr::from_bytes(path)));
                continue;
            }
            let mut paths = paths.into_iter();
            let head = paths.next().map(|directory| Self {
                directory,
                groups: paths.collect(),
                length: u64::try_from(text.len() - rest.len()).expect("a length fits"),
            });
            return (head, rest);
        }
        (None, text)
    }
}

/// A status that is in place. Dropped, it is on the disk or not needed any more: its file is taken
/// away once the outcome is committed. A worker mostly does that within milliseconds, and a sync takes as
/// long; what it would save is the end of an attempt from a power cut in that time.
#[derive(Debug)]
pub(crate) struct Untaken {
    file: File,
    place: PathBuf,
}

impl Untaken {
    fn is_needed(&self) -> bool {
        let Ok(own) = rustix::fs::fstat(&self.file) else {
            return true;
        };
        match fs::symlink_metadata(&self.place) {
            Ok(found) => (found.dev(), found.ino()) == (own.st_dev, own.st_ino),
            Err(error) => !is_missing(&error),
        }
    }
}

impl Drop for Untaken {
    fn drop(&mut self) {
        if self.is_needed() {
            // It is in place; where the disk fails now, nothing was promised yet.
            let _ = self.file.sync_all();
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

/// The file that is to be renamed into place. One that is there from an attempt before keeps its place
/// on the disk, unless the job has made something else of it.
fn stage(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600).custom_flags(plainly());
    let is_plain = |found: Metadata| found.is_file() && found.nlink() == 1;
    if let Ok(file) = options.open(path)
        && file.metadata().is_ok_and(is_plain)
    {
        return Ok(file);
    }
    match fs::remove_file(path) {
        Err(error) if !is_missing(&error) => Err(error),
        _ => options.create_new(true).open(path),
    }
}

/// Opens what is looked at and not written.
fn look_into(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(plainly()).open(path)
}

fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match look_into(path) {
        // Nobody holds what is not there, or what a job has put in its place.
        Err(error) if is_missing(&error) => return Ok(false),
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            return Ok(false);
        }
        opened => opened?,
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}

/// Locks a file that nobody else has any business with but to look whether it is locked.
fn lock_soon(file: &File) -> io::Result<()> {
    const LOOKED_AT_FOR: Duration = Duration::from_millis(1);
    const TRIES: u32 = 100;
    for _ in 1..TRIES {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            // Whoever looks has it for that moment.
            Err(Errno::WOULDBLOCK) => thread::sleep(LOOKED_AT_FOR),
            answer => return Ok(answer?),
        }
    }
    Ok(flock(file, FlockOperation::NonBlockingLockExclusive)?)
}

fn non_blocking() -> i32 {
    flags(OFlags::NONBLOCK)
}

/// For a file that a job may have replaced: no link is followed, and no pipe is waited for.
fn plainly() -> i32 {
    flags(OFlags::NOFOLLOW | OFlags::NONBLOCK)
}

fn flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).expect("flags of open fit")
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
        let lock = post.prepare(&spec).unwrap();
        assert_eq!(post.started(), None, "the spec");
        let (_, lock, _) = Post::take_spec(lock).unwrap();
        assert_eq!(post.started(), None, "nothing");
        let started = Started {
            pid: 7,
            pid_started: Some(8),
            started_at: Timestamp::EPOCH,
            log: "log".to_owned(),
            unenforced: None,
        };
        lock.write_started(&started).unwrap();
        assert_eq!(post.started(), Some(started));
        lock.lock.set_len(lock.at + 20).unwrap();
        assert_eq!(post.started(), None, "a part");
    }

    fn store_in(directory: &Path) -> PathBuf {
        let db = directory.join("queue.db");
        fs::write(&db, "").unwrap();
        db
    }
}
