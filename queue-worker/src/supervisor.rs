//! Supervises the process of one attempt from start to end.
//!
//! [`supervise`] is called on a thread of its own, by the worker or by a small process made for the
//! attempt. What always holds: it returns only when the process has ended and been reaped (or never
//! started), its group is swept, and all output that was in the pipes is in the log; it waits on the
//! process first and on the pipes only for a bounded time, so a stranger who keeps a pipe open
//! cannot hold it up.

mod attempt;
mod control;
mod spec;
mod status;
mod wire;

pub use control::{Control, Snapshot, State, StopCause};
pub use spec::{Spec, StopSignal};
pub use status::{Ended, Leftovers, Status};

use attempt::{Attempt, Phase};

/// Runs the attempt that `spec` describes and says how it ended.
///
/// Blocks for as long as the attempt takes; `control` stops it from any other thread. Deadlines run
/// on the monotonic clock, which a suspended machine does not advance.
#[must_use]
pub fn supervise(spec: &Spec, control: &Control) -> Status {
    control.enter(State::Starting);
    let mut attempt = match Attempt::start(spec, control) {
        Ok(attempt) => attempt,
        Err(status) => {
            control.enter(State::Done);
            return *status;
        }
    };
    let mut phase = Phase::Running;
    loop {
        control.enter(phase.state());
        phase = match phase {
            Phase::Running => attempt.run(),
            Phase::Stopping { kill_at } => attempt.stop(kill_at),
            Phase::Killing { give_up_at } => attempt.kill(give_up_at),
            Phase::Draining { until } => attempt.drain(until),
            Phase::Done => return attempt.finish(),
        };
    }
}
