//! What a claimed job needs of its agent before it is started, and an adopted one to be read on.
//!
//! Asked on the cycle's thread, after the claim is committed. What always holds: a session is in
//! the store before anything is started with it, and one that another attempt uses is waited for.

use std::path::Path;
use std::time::Duration;

use queue_core::attempt::{Attempt, Outcome, Report};
use queue_core::budget::Most;
use queue_core::job::JobBody;
use queue_core::ledger::Spent;
use queue_core::store::{Claimed, SessionHold};
use queue_core::{Class, Clock, Epoch, Error, JobId, Store};
use uuid::Uuid;

use crate::agent::bill::Earlier;
use crate::agent::call::{Call, task_of};
use crate::agent::session::{self, Before};
use crate::agent::ways;

/// How long a job waits before it asks again for a session that another one uses.
const ASK_AGAIN: Duration = Duration::from_secs(15);

/// What came of the question which agent a job calls.
pub(super) enum Called {
    /// The job can be started, and calls this agent, if any.
    Ready(Option<Box<Call>>),
    /// It cannot be started, and this is to be told.
    Ended(Box<Report>),
    /// The lease is lost by now.
    Lost,
}

/// Finds the agent of a claimed job, decides how the attempt begins, and notes its session. The
/// body is that of the agent whose turn it is; another one may have been meant to do it.
pub(super) fn call(
    store: &dyn Store,
    clock: &dyn Clock,
    directory: Option<&Path>,
    claimed: &Claimed,
    body: &JobBody,
    instead_of: Option<&str>,
) -> Result<Called, Error> {
    let mut call = match Call::of(body, directory) {
        Ok(Some(call)) => call,
        Ok(None) => return Ok(Called::Ready(None)),
        Err(error) => {
            // A file that is mended, or a newer release, may know it.
            let outcome = failed(Class::BadPayload, Some(true));
            return Ok(ended(clock, outcome, error.to_string()));
        }
    };
    let fence = claimed.lease.fence();
    let detail = store.detail(fence.job, &clock.now())?;
    call.earlier = earlier(store, &call, &detail.attempts, fence.job, fence.epoch)?;
    if let Some((outcome, words)) = used_up(&body.options.most(), &call.earlier.spent) {
        return Ok(ended(clock, outcome, words));
    }
    let Some(task) = task_of(body) else {
        return Ok(Called::Ready(Some(Box::new(call))));
    };
    if let Some(first) = instead_of {
        let (ways, gates) = (&detail.summary.job.ways, store.gates()?);
        call.remark = Some(ways::remark(&task.way(), first, ways, &gates));
    }
    let before = Before {
        attempts: &detail.attempts,
        saved: claimed.checkpoint.as_deref(),
        answers: &body.answers,
    };
    let mint = || Uuid::new_v4().to_string();
    let begin = session::begin(&call.adapter, task, &before, mint);
    let hold = store.begin_session(fence, begin.rung, begin.session.as_deref(), &clock.now())?;
    Ok(match hold {
        SessionHold::Held => {
            call.begin = Some(begin);
            Called::Ready(Some(Box::new(call)))
        }
        SessionHold::LeaseLost => Called::Lost,
        SessionHold::InUse(holder) => {
            let until = clock.now().wall.saturating_add(ASK_AGAIN);
            let session = begin.session.unwrap_or_default();
            let message = format!(
                "it waits for session {session}, which job {holder} uses: `qcli show {holder}`"
            );
            ended(clock, Outcome::Snoozed { until }, message)
        }
    })
}

/// What an attempt goes on from, by the attempts of its job and the ledger.
pub(super) fn earlier(
    store: &dyn Store,
    call: &Call,
    attempts: &[Attempt],
    job: JobId,
    epoch: Epoch,
) -> Result<Earlier, Error> {
    let spent = store.spent(job, Some(epoch))?;
    Ok(Earlier::of(attempts, epoch, spent, call.adapter.totals))
}

/// What becomes of a job that has nothing left to spend, and the words for it.
fn used_up(most: &Most, spent: &Spent) -> Option<(Outcome, String)> {
    let words = || {
        format!(
            "nothing is left of the budget of the job, so the attempt was not started: {}",
            most.words(spent)
        )
    };
    let outcome = failed(Class::OverBudget, Some(false));
    most.is_used_up(spent).then(|| (outcome, words()))
}

fn failed(class: Class, retryable: Option<bool>) -> Outcome {
    Outcome::Failed {
        class,
        retryable,
        retry_after: None,
    }
}

fn ended(clock: &dyn Clock, outcome: Outcome, message: String) -> Called {
    Called::Ended(Box::new(Report {
        message: Some(message),
        ..Report::new(outcome, clock.now().wall)
    }))
}
