//! The machine's clocks with a wall clock that a test sets, while time itself goes on.
//!
//! [`SetClock`] is what workers inside a test go by: leases and waits pass as they do, and what is shown on the wall is
//! said by the test. A stopped clock, for the verbs of a store alone, is [`crate::TestQueue`]'s.

use queue_core::{Clock, Now, SystemClock, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The machine's clocks, the one on the wall set off by some milliseconds.
#[derive(Debug)]
pub struct SetClock {
    machine: SystemClock,
    off_by: AtomicI64,
}

impl SetClock {
    /// One that shows what the machine does.
    #[must_use]
    pub fn right() -> Arc<Self> {
        Arc::new(Self {
            machine: SystemClock::new(),
            off_by: AtomicI64::new(0),
        })
    }

    /// Sets the wall clock on by so many milliseconds, or back by them where they are negative.
    pub fn step(&self, millis: i64) {
        self.off_by.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets the wall clock to this moment; it goes on from there.
    pub fn show(&self, moment: Timestamp) {
        let off_by = moment.as_millis() - self.machine.now().wall.as_millis();
        self.off_by.store(off_by, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Now {
        let now = self.machine.now();
        let wall = now.wall.as_millis() + self.off_by.load(Ordering::SeqCst);
        Now {
            wall: Timestamp::from_millis(wall),
            ..now
        }
    }
}
