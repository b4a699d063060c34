//! The job that another one comes after, as a sentence.
//!
//! Says what is waited for and how that job stands. One that ended otherwise, or is gone, keeps the other from running
//! for ever: then a person has to decide.

use queue_core::{JobId, State, job::ParentEnd, why::Cause};

use super::{Explained, passing, stuck};

/// Whether nothing that happens by itself ever meets this cause: a job it comes after ended otherwise, or is gone.
#[must_use]
pub fn is_for_ever(cause: &Cause) -> bool {
    matches!(cause, Cause::After { end, state, .. }
        if state.is_none_or(|state| state.is_ended() && !end.is_met_by(state)))
}

/// What has become of the job that it comes after.
pub(super) fn explain(id: JobId, parent: JobId, end: ParentEnd, state: Option<State>) -> Explained {
    let wanted = match end {
        ParentEnd::Success => "completes",
        ParentEnd::Failure => "fails",
        ParentEnd::Any => "ends",
    };
    match state {
        None => stuck(
            format!("It runs when job {parent} {wanted}, but that job is gone."),
            [format!("qcli cancel {id}")],
        ),
        Some(state) if state.is_ended() && !end.is_met_by(state) => stuck(
            format!(
                "It runs when job {parent} {wanted}, but that job {}.",
                ended_as(state)
            ),
            [
                format!("qcli requeue {parent}"),
                format!("qcli cancel {id}"),
            ],
        ),
        Some(State::InProgress) => passing(
            format!("It runs when job {parent} {wanted}; that job runs now."),
            [format!("qcli logs -f {parent}")],
        ),
        Some(state) => passing(
            format!("It runs when job {parent} {wanted}; that job is {state}."),
            [format!("qcli why {parent}")],
        ),
    }
}

fn ended_as(state: State) -> &'static str {
    match state {
        State::Completed => "completed",
        State::Cancelled => "was cancelled",
        _ => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{after, explained};
    use super::*;

    #[test]
    fn a_parent_that_ended_otherwise_blocks_for_ever_and_says_how_to_mend_it() {
        let cause = after(ParentEnd::Success, Some(State::Failed));
        assert!(is_for_ever(&cause));
        let explained = explained(&cause);
        assert_eq!(
            explained.sentence,
            "It runs when job 41 completes, but that job failed."
        );
        assert_eq!(explained.remedies, ["qcli requeue 41", "qcli cancel 4"]);
        assert!(!explained.passes_by_itself);
    }

    #[test]
    fn a_parent_that_still_goes_is_waited_for() {
        for (end, state) in [
            (ParentEnd::Success, State::InProgress),
            (ParentEnd::Failure, State::Blocked),
            (ParentEnd::Any, State::Pending),
        ] {
            assert!(!is_for_ever(&after(end, Some(state))), "{end} {state}");
        }
        assert!(is_for_ever(&after(ParentEnd::Any, None)), "gone");
    }
}
