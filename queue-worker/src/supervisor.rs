//! Supervises the process of one attempt from start to end.
//!
//! [`supervise`] is called on a thread of its own, by the worker or by a small process made for the
//! attempt. What always holds: it returns only when the process has ended and been reaped (or never
//! started), its group is swept, and all output that was in the pipes is in the log; it waits on the
//! process first and on the pipes only for a bounded time, so a stranger who keeps a pipe open
//! cannot hold it up.

mod attempt;
mod birth;
mod control;
mod spec;
mod status;
mod wire;

pub(crate) use control::SIGN_OF_LIFE;
pub use control::{Control, Snapshot, State, StopCause};
pub use spec::{Spec, StopSignal};
pub use status::{Ended, Leftovers, Status};

use attempt::{Attempt, Phase, Reach};

/// Runs the attempt that `spec` describes and says how it ended.
///
/// Blocks for as long as the attempt takes; `control` stops it from any other thread. Deadlines run
/// on the monotonic clock, which a suspended machine does not advance.
#[must_use]
pub fn supervise(spec: &Spec, control: &Control) -> Status {
    supervise_group(spec, control, || {})
}

/// The same, and `note_start` is called once the process runs; where it cannot be started, it is dropped.
#[must_use]
pub(crate) fn supervise_group(spec: &Spec, control: &Control, note_start: impl FnOnce()) -> Status {
    oversee(spec, control, Reach::Group, |_, _| note_start())
}

/// The same in a process that was made for this attempt alone and adopts orphans: everything below
/// it belongs to the attempt, and is ended with it. `note_start` is told the process once it runs, and
/// which bounds it runs without.
#[must_use]
pub(crate) fn supervise_tree(
    spec: &Spec,
    control: &Control,
    note_start: impl FnOnce(u32, Option<&str>),
) -> Status {
    oversee(spec, control, Reach::Tree, note_start)
}

fn oversee(
    spec: &Spec,
    control: &Control,
    reach: Reach,
    note_start: impl FnOnce(u32, Option<&str>),
) -> Status {
    control.enter(State::Starting);
    let status = match Attempt::start(spec, control, reach) {
        Ok(attempt) => {
            note_start(attempt.leader(), attempt.unenforced());
            see_through(attempt, control)
        }
        Err(status) => *status,
    };
    control.enter(State::Done);
    status
}

/// Goes from state to state until the attempt is over.
fn see_through(mut attempt: Attempt<'_>, control: &Control) -> Status {
    let mut phase = Phase::Running;
    loop {
        control.enter(phase.state());
        phase = match phase {
            Phase::Running => attempt.run(),
            Phase::Settling { until } => attempt.settle(until),
            Phase::Interrupting { press_at } => attempt.interrupt(press_at),
            Phase::Stopping { kill_at } => attempt.stop(kill_at),
            Phase::Killing { give_up_at } => attempt.kill(give_up_at),
            Phase::Draining { until } => attempt.drain(until),
            Phase::Done => return attempt.finish(),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Runs a line of shell as on a system without pidfd.
    fn run_without_pidfd(line: &str, change: impl FnOnce(&mut Spec)) -> Status {
        let dir = tempfile::tempdir().unwrap();
        let mut spec = Spec::new(1, 1, 1, "/bin/sh", dir.path(), dir.path().join("log"));
        spec.args = vec!["-c".into(), line.into()];
        spec.env = vec![("PATH".into(), "/usr/bin:/bin".into())];
        change(&mut spec);
        let control = Control::new().unwrap();
        let mut attempt = Attempt::start(&spec, &control, Reach::Group).unwrap();
        attempt.forget_pidfd();
        see_through(attempt, &control)
    }

    #[test]
    fn without_pidfd_the_end_is_seen_and_the_group_swept_all_the_same() {
        let status = run_without_pidfd("sleep 0.1; exit 7", |_| {});
        assert_eq!(status.ended, Ended::Exited { code: 7 });

        let status = run_without_pidfd("sleep 3600 & exit 0", |_| {});
        assert_eq!(
            status.leftovers,
            Leftovers {
                found: 1,
                survived: 0
            }
        );

        let line = "trap '' TERM; while :; do sleep 0.05; done";
        let status = run_without_pidfd(line, |spec| {
            spec.timeout = Some(Duration::from_millis(300));
            spec.grace = Duration::from_millis(100);
        });
        assert_eq!(status.ended, Ended::Signalled { signal: 9 });
        assert_eq!(status.stopped_by, Some(StopCause::Timeout));
    }
}
