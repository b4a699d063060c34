//! The end of an attempt, and what becomes of its job.

use super::{
    fault::Done,
    gates,
    lanes::{self, Conditions},
    moves,
    questions::{self, LeftOpen},
    sql,
    tx::Tx,
};
use crate::{
    attempt::{Finished, KEPT_UNCOUNTED, MAX_REBOOTS, Outcome, Report},
    clock::Timestamp,
    failpoint,
    gate::{Closing, GateName, GateReason},
    job::Job,
    lease::{Epoch, Fence},
    retry,
    state::{Class, Disposition, State, Verb, WaitReason},
    way,
};
use rusqlite::named_params;
use std::time::Duration;

/// What came of an outcome.
pub(super) struct Told {
    pub(super) finished: Finished,
    /// The gates that closed over it.
    pub(super) closed: Vec<(GateName, Closing)>,
    /// The attempts that the job's history no longer holds.
    pub(super) forgotten: Vec<Epoch>,
}

/// Ends the attempt that holds the lease of `fence`. `None` when that lease is lost.
pub(super) fn finish(tx: &Tx<'_>, fence: Fence, report: &Report) -> Done<Option<Told>> {
    let Some(before) = super::lease::held(tx, fence)? else {
        return Ok(None);
    };
    let own = gates::reported_itself(tx, fence, report)?;
    let told = own.is_some();
    let report = own.as_ref().unwrap_or(report);
    let gates = gates::attempt_ended(tx, &before, fence.epoch, report, told)?;
    let facts = Facts {
        reboots: reboots(tx, &before, report)?,
        asked_for_all: gates.asked_for_all,
        left_open: questions::left_open(tx, &before, fence, report)?,
    };
    let (verb, after) = decide(&before, report, &facts, tx.now.wall);
    if (&after.gates, &after.ways) != (&before.gates, &before.ways) {
        let lane = lanes::lane_for(tx, &Conditions::of(&after))?;
        tx.run(
            sql::SET_LANE,
            named_params! {":job": after.id.0, ":lane": lane},
        )?;
    }
    // What does not count takes back what the claim counted.
    let is_counted = after.attempt == before.attempt;
    let forgotten = write_attempt(tx, fence, report, &after, is_counted, &facts.left_open)?;
    failpoint::hit("outcome.attempt_ended");
    moves::apply(tx, verb, &before, &after)?;
    failpoint::hit("outcome.job_moved");
    let finished = match after.state {
        State::Completed => Finished::Completed,
        State::Failed => Finished::Failed,
        State::Cancelled => Finished::Cancelled,
        State::Scheduled => Finished::Retry(after.run_at.unwrap_or(tx.now.wall)),
        State::Pending if verb == Verb::Limit => Finished::Limited,
        State::Blocked => Finished::Asks,
        State::Pending if verb == Verb::Park => Finished::Answered,
        State::Pending | State::InProgress => Finished::Pending,
    };
    Ok(Some(Told {
        finished,
        closed: gates.closed,
        forgotten,
    }))
}

/// How many reboots in a row have ended the job, the one that `report` tells of included.
fn reboots(tx: &Tx<'_>, job: &Job, report: &Report) -> Done<u32> {
    let class = Class::Rebooted;
    if report.outcome != (Outcome::Stalled { class }) {
        return Ok(0);
    }
    let of_job = named_params! {":job": job.id.0};
    let before = tx.one(sql::REBOOTS_IN_A_ROW, of_job, |row| row.get::<_, u32>(0))?;
    Ok(before.unwrap_or(0) + 1)
}

/// What the store knows beside the job and the report.
struct Facts {
    /// How many reboots in a row have ended the job, this one included.
    reboots: u32,
    /// Set where the attempt asked on behalf of all whether its provider is available, which it is
    /// not: when to try this job again.
    asked_for_all: Option<Timestamp>,
    /// What the attempt asked and does not know the answer to.
    left_open: LeftOpen,
}

/// What `report` makes of `job`: a plain decision.
fn decide(job: &Job, report: &Report, facts: &Facts, now: Timestamp) -> (Verb, Job) {
    let mut after = job.clone();
    after.run_at = None;
    after.wait_reason = None;
    let ends_well =
        matches!(report.outcome, Outcome::Completed { .. }) && facts.left_open == LeftOpen::Nothing;
    let cancelled = matches!(report.outcome, Outcome::Cancelled);
    if cancelled || (job.cancel_requested_at.is_some() && !ends_well) {
        moves::end(&mut after, State::Cancelled, Some(Class::Cancelled), now);
        return (Verb::Abort, after);
    }
    if let Outcome::Limited { gate, .. } = &report.outcome {
        pass_from_now_on(&mut after, gate);
    }
    if let Some(left) = questions::leave(&after, &facts.left_open, now) {
        return left;
    }
    match &report.outcome {
        Outcome::Completed { .. } => {
            moves::end(&mut after, State::Completed, None, now);
            (Verb::Complete, after)
        }
        Outcome::Failed {
            class,
            retryable,
            retry_after,
        } => {
            let class = *class;
            after.class = Some(class);
            let goes_elsewhere = is_better_elsewhere(class) && leave_way(&mut after);
            let is_missing = goes_elsewhere && class == Class::SpawnFailed;
            let again = is_missing
                || retryable
                    .unwrap_or_else(|| class.disposition(report.exit_code) != Disposition::Fail);
            if let Some(at) = facts.asked_for_all.filter(|_| again) {
                after.attempt = job.attempt.saturating_sub(1);
                schedule(&mut after, at, WaitReason::Limit);
                return (Verb::Retry, after);
            }
            if !again || job.attempts_left() == 0 {
                moves::end(&mut after, State::Failed, Some(class), now);
                return (Verb::Fail, after);
            }
            let by_policy = || retry::delay(&job.backoff, job.id.0, job.attempt);
            let wait = match is_missing {
                true => Duration::ZERO,
                false => retry_after.unwrap_or_else(by_policy),
            };
            schedule(&mut after, now.saturating_add(wait), WaitReason::Retry);
            (Verb::Retry, after)
        }
        Outcome::Snoozed { until } => {
            after.attempt = job.attempt.saturating_sub(1);
            schedule(&mut after, *until, WaitReason::Snooze);
            (Verb::Snooze, after)
        }
        Outcome::Limited { class, .. } => {
            after.attempt = job.attempt.saturating_sub(1);
            after.class = Some(GateReason::of(*class).class());
            after.state = State::Pending;
            (Verb::Limit, after)
        }
        Outcome::HandedBack => {
            after.attempt = job.attempt.saturating_sub(1);
            after.state = State::Pending;
            (Verb::HandBack, after)
        }
        Outcome::Stalled { class } => stalled(after, *class, facts.reboots, now),
        Outcome::Cancelled | Outcome::NeedsInput { .. } => unreachable!("handled above"),
    }
}

/// Lets a job pass the gate of a limit that it met; one that went one of several ways, on that way.
fn pass_from_now_on(job: &mut Job, gate: &GateName) {
    if job.passed().any(|passed| passed == gate) {
        return;
    }
    let way = job
        .ways
        .iter_mut()
        .find(|way| job.way.as_ref() == Some(&way.name));
    match way {
        Some(way) => way.gates.push(gate.clone()),
        None => job.gates.push(gate.clone()),
    }
}

/// Whether an attempt that failed so says that its job had better go another way: the program is
/// not there, or its provider is not.
fn is_better_elsewhere(class: Class) -> bool {
    matches!(class, Class::SpawnFailed | Class::Unavailable)
}

/// Puts the way that a job went behind its others. False where it has no others.
fn leave_way(job: &mut Job) -> bool {
    let Some(way) = job.way.clone().filter(|_| job.ways.len() > 1) else {
        return false;
    };
    way::put_last(&mut job.ways, &way);
    true
}

/// A job whose attempt died with its worker, or found the session of its agent gone. That is not the
/// job's fault, unless it keeps happening: the bounds end one that takes its worker, or the machine,
/// along each time.
fn stalled(mut job: Job, class: Class, reboots: u32, now: Timestamp) -> (Verb, Job) {
    job.class = Some(class);
    job.attempt = job.attempt.saturating_sub(1);
    if class != Class::Rebooted {
        job.stalls += 1;
    }
    if job.stalls > job.max_stalls || reboots > MAX_REBOOTS {
        moves::end(&mut job, State::Failed, Some(class), now);
    } else {
        job.state = State::Pending;
    }
    (Verb::Rescue, job)
}

fn schedule(job: &mut Job, at: Timestamp, reason: WaitReason) {
    job.state = State::Scheduled;
    job.run_at = Some(at);
    job.wait_reason = Some(reason);
}

/// Writes the end of an attempt, and returns the attempts that are dropped for it.
fn write_attempt(
    tx: &Tx<'_>,
    fence: Fence,
    report: &Report,
    after: &Job,
    is_counted: bool,
    left_open: &LeftOpen,
) -> Done<Vec<Epoch>> {
    let class = match &report.outcome {
        Outcome::Completed { .. } | Outcome::Failed { .. } if *left_open != LeftOpen::Nothing => {
            Some(Class::NeedsInput)
        }
        Outcome::NeedsInput { .. } => Some(Class::NeedsInput),
        Outcome::Completed { .. } => None,
        Outcome::Failed { class, .. } | Outcome::Stalled { class } => Some(*class),
        Outcome::Limited { class, .. } => Some(GateReason::of(*class).class()),
        Outcome::Snoozed { .. } => Some(Class::Snoozed),
        Outcome::HandedBack => Some(Class::Interrupted),
        Outcome::Cancelled => Some(Class::Cancelled),
    };
    tx.run(
        sql::END_ATTEMPT,
        named_params! {
            ":job": fence.job.0,
            ":epoch": fence.epoch.0,
            ":ended_at": report.ended_at.as_millis(),
            ":class": class.map(Class::as_str),
            ":counted": is_counted,
            ":exit_code": report.exit_code,
            ":signal": report.signal,
            ":message": match class {
                Some(Class::NeedsInput) => left_open.message(),
                _ => message(report).map(str::to_owned),
            },
            ":rule": report.rule,
            ":evidence": report.evidence,
            ":proof": report.proof.as_ref().map(serde_json::to_string).transpose()?,
            ":user_ms": report.usage.map(|usage| whole(usage.user_ms)),
            ":system_ms": report.usage.map(|usage| whole(usage.system_ms)),
            ":max_rss_kib": report.usage.map(|usage| whole(usage.max_rss_kib)),
            ":read_bytes": report.usage.map(|usage| whole(usage.read_bytes)),
            ":written_bytes": report.usage.map(|usage| whole(usage.written_bytes)),
            ":memory_peak_bytes": report.usage.and_then(|usage| usage.memory_peak_bytes.map(whole)),
        },
    )?;
    if let Outcome::Completed {
        result: Some(result),
    } = &report.outcome
        && after.state == State::Completed
    {
        tx.run(
            sql::SET_RESULT,
            named_params! {":job": after.id.0, ":result": serde_json::to_string(result)?},
        )?;
    }
    if let Some(origin) = &report.origin {
        tx.run(
            sql::SET_ORIGIN,
            named_params! {":job": after.id.0, ":origin": serde_json::to_string(origin)?},
        )?;
    }
    if is_counted {
        return Ok(Vec::new());
    }
    tx.all(
        sql::FORGET_UNCOUNTED,
        named_params! {":job": fence.job.0, ":kept": KEPT_UNCOUNTED},
        |row| row.get(0).map(Epoch),
    )
}

/// What a person is told of an attempt; of one that met a limit, what shows that.
fn message(report: &Report) -> Option<&str> {
    match (&report.message, &report.outcome) {
        (Some(message), _) => Some(message),
        (None, Outcome::Limited { evidence, .. }) => Some(evidence),
        (None, _) => None,
    }
}

/// The nearest number that a column holds: one attempt's absurd measurement must not keep the
/// outcomes of all others out.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
