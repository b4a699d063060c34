//! Moving a job from one state to another.
//!
//! Every change of state goes through [`apply`]: it asks the transition table, writes the row,
//! touches the lane and tells the dependants when the job has ended.

use super::{dependencies, enqueue, fault::Done, rows, sql, tx::Tx};
use crate::{
    clock::Timestamp,
    error::Error,
    failpoint,
    job::{Job, JobId, UniqueWhile},
    state::{Class, State, Verb, WaitReason, resting_place, transition},
};
use rusqlite::named_params;

/// The job's row. `JobNotFound` where there is none.
pub(super) fn read(tx: &Tx<'_>, id: JobId) -> Done<Job> {
    let job = tx.one(sql::JOB_ROW, named_params! {":job": id.0}, rows::job)?;
    Ok(job.ok_or(Error::JobNotFound(id))?)
}

/// The job's row, if the table allows `verb` in its state.
pub(super) fn read_for(tx: &Tx<'_>, id: JobId, verb: Verb) -> Done<Job> {
    let job = read(tx, id)?;
    if transition(job.state, verb).is_none() {
        return Err(Error::Refused {
            job: id,
            state: job.state,
            verb,
        }
        .into());
    }
    Ok(job)
}

/// Writes `after` over `before`, which `verb` made of it.
pub(super) fn apply(tx: &Tx<'_>, verb: Verb, before: &Job, after: &Job) -> Done<()> {
    debug_assert_ne!(after.state, State::InProgress, "only a claim starts a job");
    if !transition(before.state, verb).is_some_and(|to| to.contains(&after.state)) {
        return Err(Error::Refused {
            job: before.id,
            state: before.state,
            verb,
        }
        .into());
    }
    let key = kept_key(tx, after)?;
    tx.run(
        sql::MOVE_JOB,
        named_params! {
            ":job": after.id.0,
            ":state": after.state.as_str(),
            ":wait_reason": after.wait_reason.map(WaitReason::as_str),
            ":class": after.class.map(Class::as_str),
            ":run_at": after.run_at.map(Timestamp::as_millis),
            ":attempt": after.attempt,
            ":stalls": after.stalls,
            ":held_at": after.held_at.map(Timestamp::as_millis),
            ":asked_at": after.asked_at.map(Timestamp::as_millis),
            ":cancel_requested_at": after.cancel_requested_at.map(Timestamp::as_millis),
            ":expires_at": after.expires_at.map(Timestamp::as_millis),
            ":finished_at": after.finished_at.map(Timestamp::as_millis),
            ":unique_key": key,
        },
    )?;
    failpoint::hit("move.written");
    if before.state == State::Pending || after.state == State::Pending {
        tx.touch_lane_of(after.id)?;
    }
    if after.state.is_ended() && !before.state.is_ended() {
        dependencies::parent_ended(tx, after.id, after.state)?;
    }
    Ok(())
}

/// The unique key that the job keeps. One that others may take while it runs is given up when
/// another job took it meanwhile: this job goes on, it must not end over a key.
fn kept_key(tx: &Tx<'_>, job: &Job) -> Done<Option<String>> {
    let Some((key, while_)) = &job.unique else {
        return Ok(None);
    };
    let taken = *while_ == UniqueWhile::Queued
        && job.state.is_waiting()
        && enqueue::unique_holder(tx, key, job.id)?.is_some();
    Ok((!taken).then(|| key.clone()))
}

/// Puts a waiting job where its hold, its dependencies and its time say.
pub(super) fn settle(job: &mut Job, delayed: WaitReason, now: Timestamp) {
    let (held, asks) = (job.held_at.is_some(), job.asked_at.is_some());
    (job.state, job.wait_reason) =
        resting_place(held, asks, job.waiting_on, job.run_at, delayed, now);
    if job.state == State::Pending {
        job.run_at = None;
    }
}

/// Puts a job at the end of the line that could not run before now because of its delay: that it
/// was asked for long ago is no waiting. Who waited for a retry or slept keeps its place, and so
/// does who was moved meanwhile.
pub(super) fn join_after_delay(tx: &Tx<'_>, before: &Job, after: &Job) -> Done<()> {
    if before.wait_reason != Some(WaitReason::Delay) || after.state != State::Pending {
        return Ok(());
    }
    let (position, queued_at) = tx.join_line()?;
    tx.run(
        sql::JOIN_AFTER_DELAY,
        named_params! {":job": after.id.0, ":position": position, ":queued_at": queued_at},
    )?;
    Ok(())
}

/// What set the time of a job that waits for it.
pub(super) fn delay_of(job: &Job) -> WaitReason {
    match job.wait_reason {
        Some(
            reason @ (WaitReason::Retry
            | WaitReason::Snooze
            | WaitReason::Limit
            | WaitReason::Window),
        ) => reason,
        _ if job.attempt > 0 => WaitReason::Retry,
        _ => WaitReason::Delay,
    }
}

/// Lets a blocked job go whose last dependency was met.
pub(super) fn unblock(tx: &Tx<'_>, id: JobId) -> Done<()> {
    let before = read(tx, id)?;
    if before.held_at.is_some() || before.asked_at.is_some() {
        return Ok(());
    }
    let mut after = before.clone();
    settle(&mut after, delay_of(&before), tx.now.wall);
    apply(tx, Verb::Unblock, &before, &after)
}

/// Ends a job without an attempt, or after its last one.
pub(super) fn end(job: &mut Job, state: State, class: Option<Class>, now: Timestamp) {
    job.state = state;
    job.class = class;
    job.wait_reason = None;
    job.run_at = None;
    job.held_at = None;
    job.asked_at = None;
    job.expires_at = None;
    job.finished_at = Some(now);
}
