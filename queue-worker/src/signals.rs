//! How a worker is asked to stop, step by step.
//!
//! Signals and embedding programs raise the [`StopLevel`]; the dispatcher obeys it. What always
//! holds: the level only rises, so nobody calls back what another asked for.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How far a worker is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum StopLevel {
    /// It works.
    #[default]
    Work,
    /// It claims nothing more and ends when what runs has ended.
    Drain,
    /// It ends. Attempts in a shim go on for the next worker; direct ones are stopped and their
    /// leases handed back, and those attempts do not count.
    HandBack,
    /// It kills those direct attempts that do not stop.
    Kill,
}

impl StopLevel {
    fn next(self) -> Self {
        match self {
            Self::Work => Self::Drain,
            Self::Drain => Self::HandBack,
            Self::HandBack | Self::Kill => Self::Kill,
        }
    }
}

/// A handle to stop a worker with. Clones stop the same one.
#[derive(Clone)]
pub struct Stop {
    level: Arc<watch::Sender<StopLevel>>,
}

impl Stop {
    /// A handle at [`StopLevel::Work`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            level: Arc::new(watch::Sender::default()),
        }
    }

    /// Raises the level to at least `level`.
    pub fn raise(&self, level: StopLevel) {
        self.level.send_if_modified(|current| {
            let rises = level > *current;
            *current = level.max(*current);
            rises
        });
    }

    /// Raises the level by one, as one more signal does.
    pub fn press(&self) {
        self.level.send_modify(|level| *level = level.next());
    }

    /// The level asked for.
    #[must_use]
    pub fn level(&self) -> StopLevel {
        *self.level.borrow()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<StopLevel> {
        self.level.subscribe()
    }
}

/// Listens to the signals that stop a worker.
pub(crate) struct Listener {
    interrupt: Signal,
    terminate: Signal,
    /// None where the process was started with it ignored, by nohup: to listen would undo that.
    hangup: Option<Signal>,
}

impl Listener {
    /// Takes the signals over: from now on they do not end the process. To be called within a
    /// runtime.
    ///
    /// # Errors
    /// When the system does not let us listen.
    pub(crate) fn register() -> io::Result<Self> {
        let hangup = (!is_hangup_ignored()).then(|| signal(SignalKind::hangup()));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: hangup.transpose()?,
        })
    }

    /// Raises the level by one at each INT or TERM, and drains when the terminal hangs up.
    pub(crate) async fn listen(mut self, stop: Stop) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => stop.press(),
                _ = self.terminate.recv() => stop.press(),
                () = received(&mut self.hangup) => stop.raise(StopLevel::Drain),
            }
        }
    }
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stop").field(&self.level()).finish()
    }
}

/// Whether this process was started with SIGHUP ignored. Where the system does not say, it was not.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_signals(&status).is_some_and(|mask| mask & 1 != 0)
}

/// The mask `SigIgn` of `/proc/PID/status`: bit 0 is signal 1.
fn ignored_signals(status: &str) -> Option<u64> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_press_raises_the_level_and_nothing_lowers_it() {
        let stop = Stop::new();
        let seen: Vec<_> = (0..4)
            .map(|_| {
                stop.clone().press();
                stop.level()
            })
            .collect();
        use StopLevel::{Drain, HandBack, Kill};
        assert_eq!(seen, [Drain, HandBack, Kill, Kill]);
        stop.raise(Drain);
        assert_eq!(stop.level(), Kill);
    }

    #[test]
    fn an_ignored_hangup_is_read_from_the_mask() {
        assert_eq!(
            ignored_signals("Name:\tx\nSigIgn:\t0000000000001001\n"),
            Some(0x1001)
        );
        assert_eq!(ignored_signals("Name:\tx\n"), None);
    }
}
