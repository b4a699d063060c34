//! Whether the store is quick enough for the event loop to make a cycle itself.
//!
//! What always holds: the loop waits for a slow disk once at the most, and then lets others wait for
//! it until it has proven to be quick again. Nobody can tell beforehand how long a disk will take, so
//! it goes by the last cycle, on whichever thread that was, and only by one of a moment ago.

use std::time::{Duration, Instant};

/// The longest that the loop may be kept from its other work, by a disk that is as quick as it was.
/// Beside a slower cycle, such as one that waits for a disk to sync, a thread costs next to nothing.
const QUICK: Duration = Duration::from_millis(2);

/// For how long a disk that was quick is believed to be so. Who has not written for longer has time
/// for a thread, and what was not used for a while is what hangs: a sleeping disk, a network.
const FRESH: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the last cycle came back, if it was a quick one.
    quick_at: Option<Instant>,
}

impl Pace {
    /// A cycle is back that took this long, from its transaction on.
    pub(super) fn note(&mut self, took: Duration, now: Instant) {
        self.quick_at = (took <= QUICK).then_some(now);
    }

    /// Whether the loop may make the next cycle itself.
    pub(super) fn is_quick(&self, now: Instant) -> bool {
        self.quick_at
            .is_some_and(|at| now.duration_since(at) < FRESH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_slow_cycle_others_wait_until_one_was_quick() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert!(!pace.is_quick(now), "nothing is known of the disk");
        pace.note(QUICK, now);
        assert!(pace.is_quick(now));
        pace.note(QUICK * 2, now);
        assert!(!pace.is_quick(now));
        pace.note(QUICK / 2, now);
        assert!(pace.is_quick(now + FRESH / 2));
    }

    #[test]
    fn a_disk_that_was_quick_long_ago_may_hang_by_now() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.note(QUICK / 10, now);
        assert!(!pace.is_quick(now + FRESH));
    }
}
