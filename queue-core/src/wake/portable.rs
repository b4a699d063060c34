//! Sleeping and waking where processes cannot wait on a shared word: the sleeper looks again every 20 ms.
//!
//! Called by `wake.rs` alone, with the same functions as `linux.rs`. Nothing needs to be sent to the sleepers, since
//! they look at the word themselves.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Wakes nobody: the sleepers look by themselves. Gives the number of those woken, none.
pub(super) fn wake_all(_word: &AtomicU32) -> usize {
    0
}

/// Sleeps for one pause, at most for `limit`; the caller looks at the word.
pub(super) fn wait_while(_word: &AtomicU32, _generation: u32, limit: Duration) {
    std::thread::sleep(limit.min(PAUSE));
}
