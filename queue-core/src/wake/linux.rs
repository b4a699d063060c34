//! Sleeping and waking by futex on the shared word (Linux).
//!
//! Called by `wake.rs` alone, with the same functions as `portable.rs`. The futex is shared, not private, since its
//! waiters are in other processes.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::futex::{self, Flags, Timespec};

/// One sleep takes at most this long; the caller goes on after it.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);
/// A pause between two looks where the kernel refuses a futex.
const PAUSE: Duration = Duration::from_millis(20);

/// Wakes everybody who sleeps on the word; gives their number.
pub(super) fn wake_all(word: &AtomicU32) -> usize {
    // The kernel takes the number as an int. A refusal (seccomp) leaves the waiters to their own looks.
    futex::wake(word, Flags::empty(), i32::MAX.cast_unsigned()).unwrap_or(0)
}

/// Sleeps while the word is `generation`, at most for `limit`; may return early.
pub(super) fn wait_while(word: &AtomicU32, generation: u32, limit: Duration) {
    let limit = limit.min(LONGEST_SLEEP);
    let timeout = Timespec::try_from(limit).expect("an hour fits a timespec");
    match futex::wait(word, Flags::empty(), generation, Some(&timeout)) {
        Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => {}
        Err(_) => std::thread::sleep(limit.min(PAUSE)),
    }
}
