//! What follows an attempt: the next one, a wait, or nothing unless somebody asks for it.
//!
//! Owns the sentences at the end of `qcli explain`. What keeps a waiting job is said in the words of [`cause`]; here
//! stands what came after an attempt, and why a job that failed is not tried again. Every command can be pasted.

use queue_core::{
    Class, Job, State,
    attempt::{Attempt, MAX_REBOOTS},
    state::Disposition,
    store::{Detail, Summary},
};
use serde::Serialize;

use super::{cause, ended};
use crate::output::time::Times;

/// One thing that follows, and what to type about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Next {
    /// A sentence.
    pub text: String,
    /// Commands that change it, the usual one first.
    pub remedies: Vec<String>,
}

impl Next {
    pub(crate) fn new(text: impl Into<String>, remedies: impl IntoIterator<Item = String>) -> Self {
        Self {
            text: text.into(),
            remedies: remedies.into_iter().collect(),
        }
    }
}

/// What followed `attempt`, or follows it; `is_suspect` where it counts as done and something speaks against it.
#[must_use]
pub fn after(detail: &Detail, attempt: &Attempt, is_suspect: bool, times: Times) -> Vec<Next> {
    let summary = &detail.summary;
    let id = summary.job.id;
    if attempt.ended_at.is_none() {
        return vec![Next::new(
            "It runs now, and is judged when it ends.",
            [format!("qcli logs -f {id}")],
        )];
    }
    let mut later = detail.attempts.iter();
    if let Some(later) = later.find(|later| later.epoch > attempt.epoch) {
        return vec![came_after(attempt, later, summary)];
    }
    match summary.job.state {
        State::Completed if is_suspect => vec![Next::new(
            "The job counts as done, but look at its work before you rely on it.",
            [format!("qcli logs {id}"), format!("qcli requeue {id}")],
        )],
        State::Completed => vec![Next::new("The job is done.", [])],
        State::Failed => vec![Next::new(
            format!(
                "The job failed: {}.",
                why_it_is_final(&summary.job, attempt)
            ),
            [again(&summary.job), format!("qcli logs {id}")],
        )],
        State::Cancelled => vec![Next::new(
            "The job was cancelled, and nothing follows.",
            [format!("qcli requeue {id}")],
        )],
        State::InProgress => vec![Next::new(
            "The next attempt begins now.",
            [format!("qcli logs -f {id}")],
        )],
        State::Scheduled | State::Pending | State::Blocked => detail
            .causes
            .iter()
            .map(|cause| cause::explain(cause, &summary.job, times))
            .map(|explained| Next::new(explained.sentence, explained.remedies))
            .collect(),
    }
}

/// How to run a job again that has failed: one that used up its budget needs more.
#[must_use]
pub fn again(job: &Job) -> String {
    match job.class {
        Some(Class::OverBudget) => format!("qcli requeue {} --max-cost USD", job.id),
        _ => format!("qcli requeue {}", job.id),
    }
}

fn came_after(attempt: &Attempt, later: &Attempt, summary: &Summary) -> Next {
    let id = summary.job.id;
    let number = later.number;
    let uncounted = match number == attempt.number {
        true => "It did not count. ",
        false => "",
    };
    match later.ended_at {
        None => Next::new(
            format!("{uncounted}Attempt {number} runs now."),
            [format!("qcli logs -f {id}")],
        ),
        Some(_) => Next::new(
            format!(
                "{uncounted}Attempt {number} followed: {}.",
                how_it_ended(later)
            ),
            [format!("qcli explain {id} --attempt {number}")],
        ),
    }
}

/// `completed`, or why it did not.
#[must_use]
pub fn how_it_ended(attempt: &Attempt) -> String {
    match (attempt.ended_at, attempt.class) {
        (None, _) => "running".to_owned(),
        (Some(_), None) => "completed".to_owned(),
        (Some(_), class) => ended::reason(class, Some(attempt)),
    }
}

/// Why no attempt follows the one with which the job failed.
fn why_it_is_final(job: &Job, attempt: &Attempt) -> String {
    let disposition = attempt
        .class
        .map(|class| class.disposition(attempt.exit_code));
    match disposition {
        Some(Disposition::Stall) if attempt.class == Some(Class::Rebooted) => {
            format!("reboots ended more than {MAX_REBOOTS} attempts in a row")
        }
        Some(Disposition::Stall) => format!(
            "it stalled {} times, and {} are let pass",
            job.stalls, job.max_stalls
        ),
        Some(Disposition::Fail) => "another attempt would end the same way".to_owned(),
        _ if job.attempts_left() == 0 => {
            format!(
                "{} of {} attempts are used up",
                job.attempt, job.max_attempts
            )
        }
        _ => "after such an end it is not to be tried again".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, NOON, noon_plus};
    use super::*;
    use queue_core::{Epoch, WaitReason, why::Cause};

    fn follows(detail: &Detail, index: usize) -> Next {
        let attempt = &detail.attempts[index];
        let mut next = after(detail, attempt, false, Times::new(NOON, false));
        assert_eq!(next.len(), 1, "{next:?}");
        next.remove(0)
    }

    #[test]
    fn a_failed_job_says_why_nothing_follows() {
        let mut detail = samples::failed();
        assert_eq!(
            follows(&detail, 1).text,
            "The job failed: after such an end it is not to be tried again."
        );
        detail.summary.job.attempt = 3;
        assert_eq!(
            follows(&detail, 1).text,
            "The job failed: 3 of 3 attempts are used up."
        );
        detail.attempts[1].class = Some(Class::SessionMissing);
        detail.summary.job.stalls = 4;
        assert_eq!(
            follows(&detail, 1).text,
            "The job failed: it stalled 4 times, and 3 are let pass."
        );
        detail.attempts[1].class = Some(Class::Rebooted);
        assert_eq!(
            follows(&detail, 1).text,
            "The job failed: reboots ended more than 10 attempts in a row."
        );
        detail.attempts[1].class = Some(Class::Refusal);
        let next = follows(&detail, 1);
        assert_eq!(
            next.text,
            "The job failed: another attempt would end the same way."
        );
        assert_eq!(next.remedies, ["qcli requeue 4", "qcli logs 4"]);
    }

    #[test]
    fn an_earlier_attempt_names_the_one_after_it_and_whether_it_counted() {
        let mut detail = samples::failed();
        let next = follows(&detail, 0);
        assert_eq!(next.text, "Attempt 2 followed: exit code 3.");
        assert_eq!(next.remedies, ["qcli explain 4 --attempt 2"]);
        detail.attempts[1].number = 1;
        detail.attempts[1].epoch = Epoch(9);
        detail.attempts[1].ended_at = None;
        let next = follows(&detail, 0);
        assert_eq!(next.text, "It did not count. Attempt 1 runs now.");
    }

    #[test]
    fn a_job_that_waits_says_until_when_and_what_to_type() {
        let mut detail = samples::failed();
        detail.summary.job.state = State::Scheduled;
        detail.causes = vec![Cause::Until {
            reason: WaitReason::Retry,
            at: noon_plus(400),
        }];
        let next = follows(&detail, 1);
        assert!(next.text.contains("the next one starts at"), "{next:?}");
        assert_eq!(next.remedies, ["qcli release 4"]);
    }

    #[test]
    fn work_that_is_suspect_is_to_be_looked_at() {
        let mut detail = samples::failed();
        detail.summary.job.state = State::Completed;
        assert_eq!(follows(&detail, 1).text, "The job is done.");
        let next = after(&detail, &detail.attempts[1], true, Times::new(NOON, false));
        assert!(next[0].text.contains("look at its work"), "{next:?}");
        assert_eq!(next[0].remedies, ["qcli logs 4", "qcli requeue 4"]);
    }
}
