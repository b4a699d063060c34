//! The shims of one worker: those that wait for their next attempt, and those that are ending.
//!
//! An attempt takes a shim, hands it the attempt's lock, and gives it back when it has said that
//! the attempt is over. What always holds: a shim that waits has nothing of any attempt, neither a
//! lock nor a process; it ends when its worker closes the line to it, so also when the worker dies.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use queue_core::failpoint;

use crate::handover::{self, Word};
use crate::shim;

/// How long a shim waits for another attempt before it is ended.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// Within which a worker has mostly committed how an attempt ended.
const SETTLED: Duration = Duration::from_millis(20);

/// One shim, and the line to it.
#[derive(Debug)]
pub(crate) struct Shim {
    process: Child,
    line: UnixStream,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Shims {
    /// The folder of the run directories, which names the store in the list of processes.
    runs: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Since when each waits, the one that came first in front.
    waiting: VecDeque<(Shim, Instant)>,
    /// No concern of ours any more, but to be reaped.
    ending: Vec<Child>,
}

impl Shims {
    pub(crate) fn new(runs: PathBuf) -> Self {
        Self {
            runs,
            known: Mutex::default(),
        }
    }

    /// A shim that waits, or else a new one.
    ///
    /// # Errors
    /// When none can be started.
    pub(crate) fn take(&self) -> io::Result<Shim> {
        let waiting = self.lock().next();
        match waiting {
            Some((shim, _)) => Ok(shim),
            None => self.start(),
        }
    }

    /// Keeps a shim whose attempt is over for the next one.
    pub(crate) fn give_back(&self, shim: Shim) {
        self.lock().waiting.push_back((shim, Instant::now()));
    }

    /// Leaves a shim alone: it ends after the attempt that it has.
    pub(crate) fn leave(&self, shim: Shim) {
        self.lock().ending.push(shim.process);
    }

    /// Ends those that wait for long, and reaps those that have ended.
    pub(crate) fn tidy(&self) {
        let mut known = self.lock();
        let now = Instant::now();
        let is_idle = |(_, since): &mut (Shim, Instant)| now.duration_since(*since) >= KEPT_FOR;
        let mut idle = Vec::new();
        while let Some(waiting) = known.waiting.pop_front_if(is_idle) {
            idle.push(waiting);
        }
        // Here the lines are closed.
        known
            .ending
            .extend(idle.into_iter().map(|(shim, _)| shim.process));
        known
            .ending
            .retain_mut(|process| matches!(process.try_wait(), Ok(None)));
    }

    fn start(&self) -> io::Result<Shim> {
        let (line, its_end) = UnixStream::pair()?;
        let process = Command::new(own_program())
            .arg(shim::ARGUMENT)
            .arg(&self.runs)
            .env_clear()
            .envs(failpoint::variables())
            .current_dir("/")
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(its_end)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Shim { process, line })
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Whoever panicked left whole lists behind.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The one that came last of those whose last attempt is surely committed, so that the status of
    /// that need not be synced and those that are too many end; otherwise the one that came first.
    fn next(&mut self) -> Option<(Shim, Instant)> {
        let is_settled = |(_, since): &(Shim, Instant)| since.elapsed() >= SETTLED;
        let last = self.waiting.iter().rposition(is_settled);
        self.waiting.remove(last.unwrap_or_default())
    }
}

impl Drop for Shims {
    fn drop(&mut self) {
        let known = std::mem::take(&mut *self.lock());
        for (shim, _) in known.waiting {
            shim.end();
        }
    }
}

impl Shim {
    /// Hands it an attempt. False when it has died, and nothing has begun.
    pub(crate) fn give(&self, lock: &File) -> bool {
        handover::give(&self.line, lock).is_ok()
    }

    /// What it says next; blocks until it says something or dies.
    pub(crate) fn hear(&self) -> Word {
        handover::hear(&self.line)
    }

    /// Waits for the end of one that has died, or has nothing to do.
    pub(crate) fn end(mut self) {
        drop(self.line);
        // Reaped, or it would stay a zombie for as long as the worker lives.
        let _ = self.process.wait();
    }
}

impl AsFd for Shim {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.line.as_fd()
    }
}

/// This program: on Linux the very file that runs, even if an upgrade has replaced it by now.
fn own_program() -> PathBuf {
    if cfg!(target_os = "linux") {
        return "/proc/self/exe".into();
    }
    std::env::current_exe().unwrap_or_else(|_| "queue-worker".into())
}
