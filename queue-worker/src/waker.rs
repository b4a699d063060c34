//! Brings wakes of the store to the event loop.
//!
//! One thread sleeps in [`Store::wait_for_change`] while the dispatcher has nothing to do. What
//! always holds: the dispatcher reads the generation before it looks and arms the waker with it
//! after, so nothing written in between is missed; a busy dispatcher does not arm, and costs nothing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use queue_core::Store;
use tokio::sync::Notify;

/// How long the thread sleeps before it looks whether it is still wanted.
const TURN: Duration = Duration::from_millis(250);

/// The thread that waits for the store.
pub(crate) struct Waker {
    arm: mpsc::Sender<u32>,
    woken: Arc<Notify>,
    is_armed: bool,
    is_over: Arc<AtomicBool>,
}

impl Waker {
    /// Starts the thread, which ends soon after the waker is dropped.
    pub(crate) fn start(store: Arc<dyn Store>) -> io::Result<Self> {
        let (arm, generations) = mpsc::channel();
        let woken = Arc::new(Notify::new());
        let is_over = Arc::new(AtomicBool::new(false));
        let (waker_woken, waker_is_over) = (Arc::clone(&woken), Arc::clone(&is_over));
        thread::Builder::new()
            .name("waker".to_owned())
            .spawn(move || {
                for generation in generations {
                    while !store.wait_for_change(generation, TURN) {
                        if waker_is_over.load(Ordering::Relaxed) {
                            return;
                        }
                    }
                    waker_woken.notify_one();
                }
            })?;
        Ok(Self {
            arm,
            woken,
            is_armed: false,
            is_over,
        })
    }

    /// Sees to it that [`Waker::woken`] returns when the store is no longer at `generation`.
    ///
    /// One that is armed already stays at the older generation, which ends no later.
    pub(crate) fn arm(&mut self, generation: u32) {
        if !self.is_armed {
            // The thread only ends with us.
            self.is_armed = self.arm.send(generation).is_ok();
        }
    }

    /// Waits for the wake that was armed. Not polled to its end, it loses nothing.
    pub(crate) async fn woken(&mut self) {
        self.woken.notified().await;
        self.is_armed = false;
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
