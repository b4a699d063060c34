//! The end of workers that run on threads of a test.
//!
//! A scope waits for its threads, so a test that fails under a worker would wait for that worker for ever; [`StopAtEnd`]
//! is held by the test's own thread and ends it whichever way the test goes.

use queue_worker::{Stop, StopLevel};

/// Ends the workers that listen to it, also when the test fails.
#[derive(Debug)]
pub struct StopAtEnd(pub Stop);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        self.0.raise(StopLevel::Kill);
    }
}
