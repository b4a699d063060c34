//! Why a job does not run: the facts, the first thing to mend in front.

use super::{budgets, directories, fault::Done, gates, limits, questions, rows, sql, tx};
use crate::{
    clock::Timestamp,
    job::{Job, JobId},
    state::{State, WaitReason},
    why::Cause,
    worker::SILENT_AFTER,
};
use rusqlite::{Connection, named_params};

/// Everything that keeps `job` from running.
pub(super) fn of(c: &Connection, job: &Job, now: Timestamp) -> Done<Vec<Cause>> {
    match job.state {
        State::Completed | State::Failed | State::Cancelled => Ok(Vec::new()),
        State::InProgress => stopping(c, job, now),
        State::Scheduled | State::Pending | State::Blocked => waiting(c, job, now),
    }
}

/// A stop is passed on by a worker: without one the job just goes on.
fn stopping(c: &Connection, job: &Job, now: Timestamp) -> Done<Vec<Cause>> {
    let Some(since) = job.cancel_requested_at else {
        return Ok(asks(c, job)?.into_iter().collect());
    };
    let nobody = (workers(c, job, now)?.alive == 0).then(|| Cause::NoWorker {
        queue: job.queue.clone(),
    });
    Ok(nobody
        .into_iter()
        .chain([Cause::Stopping { since }])
        .collect())
}

fn waiting(c: &Connection, job: &Job, now: Timestamp) -> Done<Vec<Cause>> {
    let mut causes = Vec::new();
    causes.extend(job.held_at.map(|since| Cause::Held { since }));
    causes.extend(asks(c, job)?);
    if job.waiting_on > 0 {
        causes.extend(parents(c, job)?);
    }
    if let Some(at) = job.run_at.filter(|at| *at > now) {
        let reason = match job.wait_reason {
            Some(WaitReason::Dependency | WaitReason::Hold | WaitReason::Answer) | None => {
                WaitReason::Delay
            }
            Some(reason) => reason,
        };
        causes.push(Cause::Until { reason, at });
    }
    causes.extend(shut(c, job, now)?);
    if causes.is_empty() {
        causes.push(in_line(c, job, now)?);
    }
    Ok(causes)
}

/// What the job asks and nobody has answered yet.
fn asks(c: &Connection, job: &Job) -> Done<Option<Cause>> {
    let open = questions::open(c, job)?;
    Ok(open.map(|question| Cause::Asks {
        question: question.text,
        choices: question.choices,
        since: question.asked_at,
    }))
}

fn parents(c: &Connection, job: &Job) -> Done<Vec<Cause>> {
    let mut parents = tx::all(c, sql::PARENTS, named_params! {":job": job.id.0}, |row| {
        let met: bool = row.get("met")?;
        let cause = Cause::After {
            parent: JobId(row.get("parent")?),
            end: rows::word(row, "needs")?,
            state: rows::optional_word(row, "state")?,
        };
        Ok((met, cause))
    })?;
    parents.retain(|(met, _)| !met);
    let mut causes: Vec<_> = parents.into_iter().map(|(_, cause)| cause).collect();
    // What no waiting will mend comes first.
    causes.sort_by_key(|cause| match cause {
        Cause::After {
            end,
            state: Some(state),
            ..
        } => !state.is_ended() || end.is_met_by(*state),
        _ => false,
    });
    Ok(causes)
}

/// What shuts the job's queue, key, directory or lane.
fn shut(c: &Connection, job: &Job, now: Timestamp) -> Done<Vec<Cause>> {
    let mut causes = Vec::new();
    let facts = tx::one(
        c,
        sql::QUEUE_FACTS,
        named_params! {":job": job.id.0},
        |row| {
            let paused_at = rows::optional_at(row, "paused_at")?;
            let room: (Option<u32>, u64) = (row.get("concurrency")?, row.get("running")?);
            let shut_by: Option<String> = row.get("shut_by")?;
            let lane = shut_by.zip(rows::optional_at(row, "shut_until")?);
            Ok((paused_at, room, lane))
        },
    )?;
    let Some((paused_at, (concurrency, running), lane)) = facts else {
        return Ok(causes);
    };
    if let Some(since) = paused_at {
        causes.push(Cause::QueuePaused {
            queue: job.queue.clone(),
            since,
        });
    }
    causes.extend(gates::causes(c, job, now)?);
    causes.extend(budgets::causes(c, job, now)?);
    // From the bucket itself: a lane is shut only once a claim has looked at it. A lane that is
    // shut although there are tokens stands behind one that waits for more of them.
    let reserved = lane.filter(|(_, until)| *until > now);
    if let Some((limit, until)) = limits::empty(c, &job.limits, now)?.or(reserved) {
        causes.push(Cause::LimitEmpty { limit, until });
    }
    if let Some(key) = &job.concurrency_key {
        causes.extend(full_key(c, key)?);
    }
    if let Some(directory) = &job.directory
        && let Some(holder) = directories::holder(c, directory)?
    {
        causes.push(Cause::DirectoryTaken {
            directory: directory.clone(),
            by: holder,
        });
    }
    if let Some(concurrency) = concurrency.filter(|most| running >= u64::from(*most)) {
        causes.push(Cause::QueueFull {
            queue: job.queue.clone(),
            running,
            concurrency,
        });
    }
    Ok(causes)
}

fn full_key(c: &Connection, key: &str) -> Done<Option<Cause>> {
    let mut places = 1;
    let running = tx::all(c, sql::KEY_HOLDERS, named_params! {":key": key}, |row| {
        places = row.get("places")?;
        Ok(JobId(row.get("id")?))
    })?;
    let taken = u32::try_from(running.len()).unwrap_or(u32::MAX);
    Ok((taken >= places).then(|| Cause::KeyFull {
        key: key.to_owned(),
        running,
        places,
    }))
}

fn in_line(c: &Connection, job: &Job, now: Timestamp) -> Done<Cause> {
    let Workers { alive, starting } = workers(c, job, now)?;
    if starting == 0 {
        let short = if alive > 0 { short(c, job, now)? } else { None };
        return Ok(short.unwrap_or_else(|| Cause::NoWorker {
            queue: job.queue.clone(),
        }));
    }
    let values = named_params! {
        ":queue": job.queue, ":priority": job.priority, ":position": job.position,
    };
    let ahead = tx::one(c, sql::JOBS_AHEAD, values, |row| row.get(0))?.unwrap_or(0);
    Ok(Cause::InLine {
        ahead,
        workers: starting,
    })
}

/// Why the workers that are alive start nothing: the one that has waited the longest.
fn short(c: &Connection, job: &Job, now: Timestamp) -> Done<Option<Cause>> {
    let since = now.saturating_sub(SILENT_AFTER).as_millis();
    let values = named_params! {":queue": job.queue, ":since": since};
    let found = tx::one(c, sql::SHORT_WORKERS, values, |row| {
        Ok((row.get("name")?, rows::shortage(row)?))
    })?;
    Ok(found.and_then(|(worker, shortage)| {
        let (shortage, since) = shortage?;
        Some(Cause::WorkerShort {
            worker,
            shortage,
            since,
        })
    }))
}

/// Workers that were heard of lately and serve the job's queue.
#[derive(Default)]
struct Workers {
    alive: u32,
    /// Of these, the ones that have enough of everything to start jobs.
    starting: u32,
}

fn workers(c: &Connection, job: &Job, now: Timestamp) -> Done<Workers> {
    let since = now.saturating_sub(SILENT_AFTER).as_millis();
    let values = named_params! {":queue": job.queue, ":since": since};
    let counted = tx::one(c, sql::SERVING_WORKERS, values, |row| {
        Ok(Workers {
            alive: row.get("alive")?,
            starting: row.get("starting")?,
        })
    })?;
    Ok(counted.unwrap_or_default())
}
