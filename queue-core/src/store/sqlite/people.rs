//! What people ask for: cancel, hold, release, requeue, edit, move.
//!
//! Each verb works on one job; the store runs it for every job that was named, in one
//! transaction, and a job that is refused does not keep out the others.

use super::{
    bounds, budgets, dependencies, directories, enqueue,
    fault::Done,
    lanes::{self, Conditions},
    limits, moves, sql,
    tx::{SPACING, Tx},
};
use crate::{
    error::Error,
    job::{Job, JobId},
    state::{Class, State, Verb, WaitReason},
    store::{Cancelled, Edit, Place, Requeue, Requeued},
};
use rusqlite::named_params;
use std::collections::{BTreeSet, VecDeque};

/// Cancels a job: one that waits at once, one that runs by asking its worker.
pub(super) fn cancel(tx: &Tx<'_>, id: JobId) -> Done<Cancelled> {
    let before = moves::read_for(tx, id, Verb::Cancel)?;
    if before.state.is_ended() {
        return Ok(Cancelled::Ended(before.state));
    }
    if before.state == State::InProgress {
        tx.run(
            sql::REQUEST_CANCEL,
            named_params! {":job": id.0, ":now": tx.wall()},
        )?;
        return Ok(Cancelled::Asked);
    }
    let mut after = before.clone();
    moves::end(
        &mut after,
        State::Cancelled,
        Some(Class::Cancelled),
        tx.now.wall,
    );
    moves::apply(tx, Verb::Cancel, &before, &after)?;
    Ok(Cancelled::Now)
}

/// Holds a waiting job back.
pub(super) fn hold(tx: &Tx<'_>, id: JobId) -> Done<State> {
    let before = moves::read_for(tx, id, Verb::Hold)?;
    let mut after = before.clone();
    after.held_at.get_or_insert(tx.now.wall);
    moves::settle(&mut after, moves::delay_of(&before), tx.now.wall);
    moves::apply(tx, Verb::Hold, &before, &after)?;
    Ok(after.state)
}

/// Lets a held job go, and lets a scheduled one run now.
pub(super) fn release(tx: &Tx<'_>, id: JobId) -> Done<State> {
    let before = moves::read_for(tx, id, Verb::Release)?;
    let mut after = before.clone();
    after.held_at = None;
    if before.state == State::Scheduled {
        after.run_at = None;
    }
    moves::settle(&mut after, moves::delay_of(&before), tx.now.wall);
    moves::join_after_delay(tx, &before, &after)?;
    moves::apply(tx, Verb::Release, &before, &after)?;
    Ok(after.state)
}

/// Runs an ended job again, at the end of its line.
pub(super) fn requeue(tx: &Tx<'_>, id: JobId, how: &Requeue) -> Done<Requeued> {
    let state = requeue_one(tx, id, how)?;
    let dependants = if how.with_dependants {
        requeue_dependants(tx, id)?
    } else {
        Vec::new()
    };
    Ok(Requeued { state, dependants })
}

fn requeue_one(tx: &Tx<'_>, id: JobId, how: &Requeue) -> Done<State> {
    let before = moves::read_for(tx, id, Verb::Requeue)?;
    if let Some((key, while_)) = &before.unique
        && while_.holds_in(State::Pending)
        && let Some((job, state)) = enqueue::unique_holder(tx, key, id)?
    {
        return Err(Error::UniqueTaken {
            key: key.clone(),
            job,
            state,
        }
        .into());
    }
    let mut after = before.clone();
    after.attempt = 0;
    after.stalls = 0;
    after.class = None;
    after.finished_at = None;
    after.cancel_requested_at = None;
    after.run_at = how.delay.map(|delay| tx.now.wall.saturating_add(delay));
    moves::settle(&mut after, WaitReason::Delay, tx.now.wall);
    tx.run(sql::CLOSE_QUESTIONS, named_params! {":job": id.0})?;
    let (position, queued_at) = tx.join_line()?;
    tx.run(
        sql::SET_PLACE,
        named_params! {
            ":job": id.0, ":position": position, ":queued_at": queued_at, ":keeps_place": false,
        },
    )?;
    moves::apply(tx, Verb::Requeue, &before, &after)?;
    // Budgets may have been set while it was at rest.
    budgets::place(tx, id)?;
    bounds::raise(tx, id, &how.most)?;
    Ok(after.state)
}

/// Makes everything that comes after `first` wait again; what had ended runs again too. Step by
/// step, not by recursion: a chain of dependants may be longer than a stack is deep.
fn requeue_dependants(tx: &Tx<'_>, first: JobId) -> Done<Vec<JobId>> {
    let mut requeued = Vec::new();
    let mut met = BTreeSet::from([first]);
    let mut parents = VecDeque::from([first]);
    while let Some(parent) = parents.pop_front() {
        for dependant in dependencies::dependants(tx, parent)? {
            if dependant.state == State::InProgress {
                continue;
            }
            // Each way that leads to a dependant counts, whether or not it was reached before.
            dependencies::set_met(tx, dependant.job, parent, false)?;
            dependencies::recount(tx, dependant.job)?;
            if dependant.state.is_ended() {
                requeue_one(tx, dependant.job, &Requeue::default())?;
            } else {
                wait_again(tx, dependant.job)?;
            }
            if met.insert(dependant.job) {
                requeued.push(dependant.job);
                parents.push_back(dependant.job);
            }
        }
    }
    Ok(requeued)
}

fn wait_again(tx: &Tx<'_>, id: JobId) -> Done<()> {
    let before = moves::read(tx, id)?;
    let mut after = before.clone();
    moves::settle(&mut after, moves::delay_of(&before), tx.now.wall);
    moves::apply(tx, Verb::Edit, &before, &after)
}

/// Changes a waiting job.
pub(super) fn edit(tx: &Tx<'_>, id: JobId, edit: &Edit) -> Done<State> {
    let before = moves::read_for(tx, id, Verb::Edit)?;
    let mut after = before.clone();
    change_fields(tx, &mut after, edit)?;
    write_fields(tx, &before, &after)?;
    write_body(tx, id, edit)?;
    write_tags(tx, id, edit)?;
    if let Some(parents) = &edit.after {
        after.waiting_on = dependencies::replace(tx, id, parents)?;
    }
    let delayed = if edit.run_at.is_some() {
        WaitReason::Delay
    } else {
        moves::delay_of(&before)
    };
    if let Some(Some(_)) = edit.run_at {
        tx.run(sql::FORGET_PLACE, named_params! {":job": id.0})?;
    }
    moves::settle(&mut after, delayed, tx.now.wall);
    moves::join_after_delay(tx, &before, &after)?;
    moves::apply(tx, Verb::Edit, &before, &after)?;
    budgets::place(tx, id)?;
    Ok(after.state)
}

fn change_fields(tx: &Tx<'_>, job: &mut Job, edit: &Edit) -> Done<()> {
    if let Some(priority) = edit.priority {
        enqueue::check_priority(priority)?;
        job.priority = priority;
    }
    if let Some(limits) = &edit.limits {
        limits::check_fit(tx, limits)?;
        job.limits.clone_from(limits);
    }
    if let Some(gates) = &edit.gates {
        job.gates.clone_from(gates);
    }
    if let Some(ways) = &edit.ways {
        job.ways.clone_from(ways);
    }
    if let Some(Some(at)) = edit.run_at
        && at < tx.now.wall
    {
        return Err(Error::StartInPast {
            at,
            now: tx.now.wall,
        }
        .into());
    }
    if let Some(name) = &edit.name {
        job.name.clone_from(name);
    }
    if let Some(queue) = &edit.queue {
        enqueue::check_queue(queue)?;
        job.queue.clone_from(queue);
    }
    if let Some(run_at) = edit.run_at {
        job.run_at = run_at;
    }
    if let Some(most) = edit.max_attempts {
        job.max_attempts = most.get();
    }
    if let Some(backoff) = &edit.backoff {
        job.backoff = *backoff;
    }
    if let Some(key) = &edit.concurrency_key {
        job.concurrency_key.clone_from(key);
    }
    if let Some(directory) = &edit.directory {
        job.directory.clone_from(directory);
    }
    Ok(())
}

pub(super) fn write_fields(tx: &Tx<'_>, before: &Job, job: &Job) -> Done<()> {
    tx.run(
        sql::ENSURE_QUEUE,
        named_params! {":name": job.queue, ":now": tx.wall()},
    )?;
    let key = job.concurrency_key.as_deref().unwrap_or("");
    let lane = lanes::lane_for(tx, &Conditions::of(job))?;
    if before.state == State::Pending {
        tx.touch_lane_of(job.id)?;
    }
    tx.run(
        sql::EDIT_JOB,
        named_params! {
            ":job": job.id.0,
            ":name": job.name,
            ":queue": job.queue,
            ":priority": job.priority,
            ":lane": lane,
            ":max_attempts": job.max_attempts,
            ":backoff": job.backoff.to_string(),
            ":concurrency_key": key,
            ":directory": directories::stored(job.directory.as_ref())?,
        },
    )?;
    Ok(())
}

fn write_body(tx: &Tx<'_>, id: JobId, edit: &Edit) -> Done<()> {
    if let Some(command) = &edit.command {
        enqueue::check_command(command)?;
        tx.run(
            sql::EDIT_COMMAND,
            named_params! {":job": id.0, ":command": serde_json::to_string(command)?},
        )?;
    }
    if let Some(cwd) = &edit.cwd {
        enqueue::check_cwd(cwd)?;
        tx.run(
            sql::EDIT_CWD,
            named_params! {":job": id.0, ":cwd": serde_json::to_string(cwd)?},
        )?;
    }
    if let Some(options) = &edit.options {
        bounds::replace_options(tx, id, options)?;
    }
    Ok(())
}

fn write_tags(tx: &Tx<'_>, id: JobId, edit: &Edit) -> Done<()> {
    for (key, value) in &edit.set_tags {
        tx.run(
            sql::INSERT_TAG,
            named_params! {":job": id.0, ":key": key, ":value": value},
        )?;
    }
    for key in &edit.remove_tags {
        tx.run(sql::REMOVE_TAG, named_params! {":job": id.0, ":key": key})?;
    }
    Ok(())
}

/// Moves a waiting job within its queue and priority; beside a job of another priority it takes
/// that priority on.
pub(super) fn reposition(tx: &Tx<'_>, id: JobId, place: Place) -> Done<()> {
    let mut job = moves::read_for(tx, id, Verb::Move)?;
    if let Place::Before(other) | Place::After(other) = place {
        let beside = neighbour(tx, &job, other)?;
        if beside.priority != job.priority {
            let taken_on = Edit {
                priority: Some(beside.priority),
                ..Edit::default()
            };
            edit(tx, id, &taken_on)?;
            job.priority = beside.priority;
        }
    }
    let (position, queued_at) = match place {
        Place::First => front(tx, &job)?,
        Place::Last => tx.join_line()?,
        Place::Before(other) => between(tx, &job, other, Side::Before)?,
        Place::After(other) => between(tx, &job, other, Side::After)?,
    };
    // Whoever moves a job that still waits for its time means the place it has from then on.
    let keeps_place = job.run_at.is_some();
    tx.run(
        sql::SET_PLACE,
        named_params! {
            ":job": id.0, ":position": position, ":queued_at": queued_at, ":keeps_place": keeps_place,
        },
    )?;
    if job.state == State::Pending {
        tx.touch_lane_of(id)?;
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Before,
    After,
}

fn neighbour(tx: &Tx<'_>, job: &Job, other: JobId) -> Done<Job> {
    let beside = moves::read(tx, other)?;
    let wrong = |why| Error::NoSuchPlace {
        job: job.id,
        other,
        why,
    };
    if other == job.id {
        return Err(wrong("it is the same job").into());
    }
    if !beside.state.is_waiting() {
        return Err(wrong("that one does not wait").into());
    }
    if beside.queue != job.queue {
        return Err(wrong("that one stands in another queue").into());
    }
    Ok(beside)
}

/// The place before all others of the job's line.
fn front(tx: &Tx<'_>, job: &Job) -> Done<(i64, i64)> {
    let first = tx.one(
        sql::FRONT_OF_LINE,
        named_params! {":queue": job.queue, ":priority": job.priority, ":except": job.id.0},
        |row| Ok((row.get::<_, i64>(0)? - SPACING, row.get(1)?)),
    )?;
    first.map_or_else(|| own_place(tx, job.id), Ok)
}

/// A place right beside `other`, between it and its next neighbour on that side.
fn between(tx: &Tx<'_>, job: &Job, other: JobId, side: Side) -> Done<(i64, i64)> {
    let (position, queued_at) = own_place(tx, other)?;
    let statement = if side == Side::Before {
        sql::NEIGHBOUR_BEFORE
    } else {
        sql::NEIGHBOUR_AFTER
    };
    let beyond = tx.one(
        statement,
        named_params! {
            ":queue": job.queue, ":priority": job.priority,
            ":except": job.id.0, ":position": position, ":other": other.0,
        },
        |row| Ok((row.get(0)?, JobId(row.get(1)?))),
    )?;
    let (beyond, behind) = match (beyond, side) {
        (Some((beyond, _)), Side::Before) => (beyond, other),
        (Some((beyond, neighbour)), Side::After) => (beyond, neighbour),
        (None, Side::Before) => return Ok((position - SPACING, queued_at)),
        // The end of the line has to move along, or the next new job would go in front.
        (None, Side::After) => return tx.join_line(),
    };
    let middle = position + (beyond - position) / 2;
    if middle != position && middle != beyond {
        return Ok((middle, queued_at));
    }
    let from = position.max(beyond);
    make_room(tx, job, from, behind)?;
    Ok((from + SPACING / 2, queued_at))
}

/// Moves `from`, which stands at `position`, and everybody behind it further back, and the end of
/// the line with them.
fn make_room(tx: &Tx<'_>, job: &Job, position: i64, from: JobId) -> Done<()> {
    tx.run(
        sql::SPREAD_LINE,
        named_params! {
            ":queue": job.queue, ":priority": job.priority,
            ":position": position, ":other": from.0, ":by": SPACING,
        },
    )?;
    tx.join_line()?;
    let of_queue = named_params! {":queue": job.queue};
    for lane in tx.all(sql::LANES_OF_QUEUE, of_queue, |row| row.get(0))? {
        tx.touch(lane);
    }
    Ok(())
}

fn own_place(tx: &Tx<'_>, job: JobId) -> Done<(i64, i64)> {
    let place = tx.one(sql::PLACE_OF, named_params! {":job": job.0}, |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(place.ok_or(Error::JobNotFound(job))?)
}
