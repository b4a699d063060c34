//! Waiting for a fact, generously: the only way in which a test lets real time pass.
//!
//! Tests of real processes call it where a fact comes about by itself. It looks often, so a fast
//! machine does not wait, and gives up late, so a slow one does not fail.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long a fact may take to come about before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often to look.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until `is_so`, for at most [`PATIENCE`].
///
/// # Panics
/// Where it does not come about, with `what` in the text.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    wait_for(what, || is_so().then_some(()));
}

/// Waits until `look` finds something, for at most [`PATIENCE`], and gives what it found.
///
/// # Panics
/// Where it finds nothing, with `what` in the text.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "waited {} s in vain: {what}",
            PATIENCE.as_secs()
        );
        thread::sleep(LOOK_EVERY);
    }
}
