//! The worker's handle on a running attempt: stop it, ask how it is.
//!
//! Cloned freely; the supervisor holds one clone. What always holds: a stop is heard at once, also
//! before the start; the first cause is the one that is recorded; questions are answered at any
//! time, while stopping too, because they read what the supervisor last wrote down.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::process::Wakeup;

/// Why an attempt is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// A person cancelled the job.
    Cancelled,
    /// Another worker holds the lease now.
    LeaseLost,
    /// The worker stops and hands the job back.
    Interrupted,
    /// It ran longer than allowed. Given by the supervisor itself.
    Timeout,
    /// It was silent for longer than allowed. Given by the supervisor itself.
    IdleTimeout,
    /// An agent said that it is done, and stayed.
    Finished,
    /// An agent took more turns than it may.
    MaxTurns,
    /// An agent cost more than its job may.
    Budget,
}

impl StopCause {
    const ALL: [Self; 8] = [
        Self::Cancelled,
        Self::LeaseLost,
        Self::Interrupted,
        Self::Timeout,
        Self::IdleTimeout,
        Self::Finished,
        Self::MaxTurns,
        Self::Budget,
    ];

    /// The letter that stands for it in a pipe.
    pub(crate) fn letter(self) -> u8 {
        match self {
            Self::Cancelled => b'c',
            Self::LeaseLost => b'l',
            Self::Interrupted => b'i',
            Self::Timeout => b't',
            Self::IdleTimeout => b's',
            Self::Finished => b'f',
            Self::MaxTurns => b'm',
            Self::Budget => b'b',
        }
    }

    /// The cause that a letter stands for.
    fn of(letter: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.letter() == letter)
    }
}

/// The letter that stands in a pipe for a sign of life. No cause has it, and a release that does
/// not know it passes over it.
pub(crate) const SIGN_OF_LIFE: u8 = b'a';

/// What the supervisor is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The process is about to start.
    #[default]
    Starting,
    /// The process runs.
    Running,
    /// The group was asked to stop and has its grace.
    Stopping,
    /// The group was sent SIGKILL.
    Killing,
    /// The group is gone; the rest of the output is read.
    Draining,
    /// All is over; the status is there.
    Done,
}

/// What can be known of an attempt from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// What the supervisor is doing.
    pub state: State,
    /// The process, once it started.
    pub pid: Option<u32>,
    /// When it last wrote something (at first: when it started).
    pub last_output: Option<Instant>,
    /// Bytes it has written so far.
    pub output_bytes: u64,
    /// How often it was asked to stop.
    pub stops: u32,
    /// The first cause of these.
    pub stop_cause: Option<StopCause>,
    /// Whether the worker leaves it to go on without it.
    pub is_let_go: bool,
    /// How often somebody said that its silence is no idleness.
    pub signs: u32,
    /// When that was said last.
    pub last_sign: Option<Instant>,
    /// Until when nobody else can have taken the attempt over; always, where none is set.
    pub held_until: Option<Instant>,
}

/// A handle on one attempt; see the module.
#[derive(Debug, Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    bell: Bell,
    snapshot: Mutex<Snapshot>,
}

/// By what the supervisor is called out of its wait.
#[derive(Debug)]
enum Bell {
    /// By another thread.
    Own(Wakeup),
    /// By letters that come through a pipe, from whichever process; each is a stop. Behind a letter
    /// stand the name of the attempt that is meant and the end of the line.
    Pipe { pipe: File, name: Vec<u8> },
}

impl Control {
    /// Makes a handle for one call of [`supervise`](super::supervise).
    ///
    /// # Errors
    /// When the process is out of file descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self::with(Bell::Own(Wakeup::new()?)))
    }

    /// Makes a handle for an attempt that is stopped by letters to this name through this pipe,
    /// which must not block.
    pub(crate) fn through(pipe: File, name: &[u8]) -> Self {
        let name = name.to_owned();
        Self::with(Bell::Pipe { pipe, name })
    }

    fn with(bell: Bell) -> Self {
        let shared = Shared {
            bell,
            snapshot: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Asks the attempt to stop: signal, grace, SIGKILL. A second call ends the grace at once.
    pub fn stop(&self, cause: StopCause) {
        self.note_stop(cause);
        self.ring();
    }

    /// Says that the attempt is at work although it writes nothing: its idle time begins anew.
    pub fn is_alive(&self) {
        self.note_sign();
        self.ring();
    }

    fn note_sign(&self) {
        let mut snapshot = self.lock();
        snapshot.signs = snapshot.signs.wrapping_add(1);
        snapshot.last_sign = Some(Instant::now());
    }

    fn note_stop(&self, cause: StopCause) {
        let mut snapshot = self.lock();
        snapshot.stops = snapshot.stops.saturating_add(1);
        snapshot.stop_cause.get_or_insert(cause);
    }

    fn ring(&self) {
        match &self.shared.bell {
            Bell::Own(wakeup) => wakeup.ring(),
            // Its supervisor is the only thread there is.
            Bell::Pipe { .. } => {}
        }
    }

    /// Forgets that an agent was asked to end after it had said that it is done: what is run next
    /// was not asked. Any other stop stays.
    pub(crate) fn forget_finish(&self) {
        let mut snapshot = self.lock();
        if snapshot.stop_cause == Some(StopCause::Finished) {
            snapshot.stop_cause = None;
            snapshot.stops = 0;
        }
    }

    /// Leaves the attempt to go on without this worker, if it is one that can.
    pub fn let_go(&self) {
        self.lock().is_let_go = true;
        self.ring();
    }

    /// Notes that the lease is held at least until then. An earlier instant changes nothing.
    pub(crate) fn hold_until(&self, instant: Instant) {
        let mut snapshot = self.lock();
        snapshot.held_until = snapshot.held_until.max(Some(instant));
    }

    /// Whether somebody else may have taken the attempt over by now.
    pub(crate) fn is_late(&self) -> bool {
        self.lock()
            .held_until
            .is_some_and(|until| Instant::now() >= until)
    }

    /// Says how the attempt is at the moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        *self.lock()
    }

    pub(super) fn enter(&self, state: State) {
        self.lock().state = state;
    }

    pub(super) fn note_start(&self, pid: u32, at: Instant) {
        let mut snapshot = self.lock();
        snapshot.pid = Some(pid);
        snapshot.last_output = Some(at);
    }

    pub(super) fn note_output(&self, output_bytes: u64, at: Instant) {
        let mut snapshot = self.lock();
        snapshot.output_bytes = output_bytes;
        snapshot.last_output = Some(at);
    }

    pub(crate) fn wake_fd(&self) -> BorrowedFd<'_> {
        match &self.shared.bell {
            Bell::Own(wakeup) => wakeup.as_fd(),
            Bell::Pipe { pipe, .. } => pipe.as_fd(),
        }
    }

    /// Takes in what came through the bell, and makes it quiet again.
    pub(crate) fn hush(&self) {
        match &self.shared.bell {
            Bell::Own(wakeup) => wakeup.hush(),
            Bell::Pipe { pipe, name } => {
                let mut text = Vec::new();
                // Until there is no more, which counts as an error; each line was written at once.
                let _ = (&mut &*pipe).read_to_end(&mut text);
                for line in text.split(|byte| *byte == b'\n') {
                    match line.split_first() {
                        Some((letter, meant)) if meant == name => self.obey(*letter),
                        _ => {}
                    }
                }
            }
        }
    }

    /// Does what a letter asks for; one of a later release is passed over.
    fn obey(&self, letter: u8) {
        match StopCause::of(letter) {
            Some(cause) => self.note_stop(cause),
            None if letter == SIGN_OF_LIFE => self.note_sign(),
            None => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        // The snapshot is plain data: whoever panicked left it whole.
        self.shared
            .snapshot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
