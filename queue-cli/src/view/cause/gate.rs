//! The gate that a job waits for, as a sentence.
//!
//! Says why it is closed, who met that, until when, and what opens it. Where a job has several ways, it says which of
//! them lead around the gate.

use queue_core::gate::{Closing, GateName};
use queue_core::{Job, JobId, Timestamp};

use super::{Explained, passing, stuck, word};
use crate::output::time::Times;

/// Says of a gate that only one of several ways leads through that another one is enough.
pub(super) fn around(job: &Job, gate: &GateName, explained: Explained) -> Explained {
    let ways = job.ways_around(gate);
    if ways.is_empty() {
        return explained;
    }
    Explained {
        sentence: format!(
            "{} It can go on by {} as well, once that is open.",
            explained.sentence,
            ways.join(" or ")
        ),
        ..explained
    }
}

/// A closed gate: until when, why, and who says so.
pub(super) fn closed(gate: &GateName, closing: &Closing, times: Times) -> Explained {
    let remedy = [format!("qcli gate open {}", word(gate.as_str()))];
    match closing.until {
        Some(until) => passing(
            format!(
                "It waits for gate `{gate}` until {} ({}).",
                times.moment_and_relative(until),
                met(closing)
            ),
            remedy,
        ),
        None => stuck(
            format!(
                "It waits for gate `{gate}` until a person opens it ({}).",
                met(closing)
            ),
            remedy,
        ),
    }
}

/// Why a gate is closed: the reason, who met it, and what shows it.
fn met(closing: &Closing) -> String {
    let Closing {
        reason,
        set_by,
        evidence,
        ..
    } = closing;
    match evidence {
        Some(evidence) => format!("{reason}, by {set_by}: {}", evidence.trim()),
        None => format!("{reason}, by {set_by}"),
    }
}

/// A gate that was closed and is tried by one job.
pub(super) fn probed(gate: &GateName, closing: &Closing, probe: JobId) -> Explained {
    passing(
        format!(
            "Gate `{gate}` was closed ({}), and job {probe} tries now whether it lets it through.",
            met(closing)
        ),
        [format!("qcli gate open {}", word(gate.as_str()))],
    )
}

/// A gate that lets jobs through one after the other.
pub(super) fn staggered(gate: &GateName, until: Timestamp, times: Times) -> Explained {
    let until = times.moment_and_relative(until);
    passing(
        format!("Gate `{gate}` lets jobs start one after the other; the next one may at {until}."),
        [format!(
            "qcli gate set {} --stagger 0s",
            word(gate.as_str())
        )],
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::{closing, explained, gate};
    use super::*;
    use crate::view::samples::noon_plus;
    use queue_core::why::Cause;

    #[test]
    fn a_closed_gate_says_until_when_why_and_how_to_open_it() {
        let gate = gate();
        let cause = Cause::GateClosed {
            gate,
            closing: closing(Some(noon_plus(90))),
        };
        let Explained {
            sentence,
            remedies,
            passes_by_itself,
        } = explained(&cause);
        assert!(passes_by_itself);
        assert_eq!(remedies, ["qcli gate open claude"]);
        assert!(
            sentence.ends_with("(limit, by job 4: session limit reached)."),
            "{sentence}"
        );
        assert!(
            sentence.starts_with("It waits for gate `claude` until 2"),
            "{sentence}"
        );
    }
}
