//! Adding jobs.
//!
//! Everything that can be refused is looked at before the first row is written, so that a job
//! that is refused leaves nothing behind and does not disturb its neighbours in a batch.

use super::{
    budgets, dependencies, directories,
    fault::{Done, Fault},
    lanes::{self, Conditions},
    limits, moves, people, questions, sql,
    tx::Tx,
};
use crate::{
    agent::AgentTask,
    clock::Timestamp,
    error::Error,
    failpoint,
    job::{After, Command, Enqueued, Job, JobId, NewJob, OnConflict, StartAt, Unique},
    raw_text::RawText,
    state::{State, WaitReason, resting_place},
};
use rusqlite::named_params;

/// Adds jobs one after the other; each answer is for the job in its place.
pub(super) fn enqueue_each(tx: &Tx<'_>, jobs: &[NewJob]) -> Done<Vec<Result<Enqueued, Error>>> {
    let mut answers: Vec<Result<Enqueued, Error>> = Vec::with_capacity(jobs.len());
    for job in jobs {
        let parents = parents_in_batch(job, &answers);
        answers.push(
            match parents
                .map_err(Fault::from)
                .and_then(|after| enqueue(tx, job, &after))
            {
                Ok(enqueued) => Ok(enqueued),
                Err(Fault::Answer(error)) => Err(error),
                Err(fault) => return Err(fault),
            },
        );
    }
    Ok(answers)
}

/// The parents of `job`, those of its own batch under the ids that these were just given.
fn parents_in_batch(
    job: &NewJob,
    answers: &[Result<Enqueued, Error>],
) -> Result<Vec<After>, Error> {
    let mut after = job.after.clone();
    for (place, end) in &job.after_in_batch {
        match answers.get(*place) {
            Some(Ok(parent)) => after.push(After {
                parent: parent.id(),
                end: *end,
            }),
            _ => return Err(Error::ParentNotInBatch(*place)),
        }
    }
    Ok(after)
}

/// Adds one job, or says why not.
fn enqueue(tx: &Tx<'_>, job: &NewJob, after: &[After]) -> Done<Enqueued> {
    let start = check(job, tx.now.wall)?;
    limits::check_fit(tx, &job.limits)?;
    let waiting_on = dependencies::check_new(tx, after)?;
    if let Some(unique) = &job.unique
        && let Some((holder, state)) = unique_holder(tx, &unique.key, JobId(0))?
    {
        return settle_conflict(tx, job, unique, holder, state);
    }
    let id = insert(tx, job, after, start, waiting_on)?;
    Ok(Enqueued::Added(id))
}

/// Refuses what no attempt could run, and gives the moment before which it must not start.
fn check(job: &NewJob, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    check_command(&job.command)?;
    check_texts(job)?;
    check_priority(job.priority)?;
    check_queue(&job.queue)?;
    match job.start {
        StartAt::Now => Ok(None),
        StartAt::At(at) if at < now => Err(Error::StartInPast { at, now }),
        StartAt::At(at) => Ok(Some(at)),
        StartAt::After(delay) => Ok(Some(now.saturating_add(delay))),
    }
}

pub(super) fn check_command(command: &Command) -> Result<(), Error> {
    let empty = match command {
        Command::Argv(words) => words.first().is_none_or(|word| word.as_bytes().is_empty()),
        Command::Shell(line) => line.trim().is_empty(),
        Command::Script(body) => body.trim().is_empty(),
        Command::Agent(task) => task.prompt.trim().is_empty() || task.agent.is_empty(),
        Command::Payload(_) => false,
    };
    if empty {
        return Err(Error::EmptyCommand);
    }
    let has_nul = match command {
        Command::Argv(words) => words.iter().any(contains_nul),
        Command::Shell(line) => line.contains('\0'),
        Command::Agent(task) => has_nul(task),
        Command::Script(_) | Command::Payload(_) => false,
    };
    if has_nul {
        Err(Error::NulByte("the command"))
    } else {
        Ok(())
    }
}

/// Whether any text of the task could not be an argument.
fn has_nul(task: &AgentTask) -> bool {
    let AgentTask {
        agent,
        prompt,
        model,
        profile,
        allowed_tools,
        max_turns: _,
        session,
        extra,
        fallbacks,
    } = task;
    let texts = [
        Some(agent),
        Some(prompt),
        model.as_ref(),
        profile.as_ref(),
        session.as_ref(),
    ];
    let of_others = fallbacks.iter().flat_map(|other| {
        let texts = [
            Some(&other.agent),
            other.profile.as_ref(),
            other.model.as_ref(),
        ];
        texts.into_iter().flatten()
    });
    let texts = texts.into_iter().flatten().chain(allowed_tools);
    let mut texts = texts.chain(of_others);
    texts.any(|text| text.contains('\0')) || extra.iter().any(contains_nul)
}

fn check_texts(job: &NewJob) -> Result<(), Error> {
    check_cwd(&job.cwd)?;
    let bad_name = |name: &String| name.is_empty() || name.contains(['=', '\0']);
    if let Some(name) = job.env.keys().find(|name| bad_name(name)) {
        return Err(Error::OutOfRange {
            field: "environment variable",
            value: name.clone(),
            allowed: "a name without `=`".to_owned(),
        });
    }
    if job.env.values().any(contains_nul) {
        return Err(Error::NulByte("the environment"));
    }
    Ok(())
}

pub(super) fn check_cwd(cwd: &RawText) -> Result<(), Error> {
    if contains_nul(cwd) {
        return Err(Error::NulByte("the directory"));
    }
    Ok(())
}

pub(super) fn check_queue(name: &str) -> Result<(), Error> {
    // Workers are told their queues as a list with commas.
    if name.is_empty() || name.contains([',', '\0']) {
        return Err(Error::OutOfRange {
            field: "queue",
            value: format!("`{name}`"),
            allowed: "a name without a comma".to_owned(),
        });
    }
    Ok(())
}

fn contains_nul(text: &RawText) -> bool {
    text.as_bytes().contains(&0)
}

pub(super) fn check_priority(priority: i32) -> Result<(), Error> {
    if NewJob::PRIORITIES.contains(&priority) {
        return Ok(());
    }
    let (least, most) = (NewJob::PRIORITIES.start(), NewJob::PRIORITIES.end());
    Err(Error::OutOfRange {
        field: "priority",
        value: priority.to_string(),
        allowed: format!("from {least} to {most}"),
    })
}

/// The job, other than `except`, that keeps others with this key out.
pub(super) fn unique_holder(tx: &Tx<'_>, key: &str, except: JobId) -> Done<Option<(JobId, State)>> {
    tx.one(
        sql::UNIQUE_HOLDER,
        named_params! {":key": key, ":except": except.0},
        |row| Ok((JobId(row.get("id")?), super::rows::word(row, "state")?)),
    )
}

fn settle_conflict(
    tx: &Tx<'_>,
    job: &NewJob,
    unique: &Unique,
    holder: JobId,
    state: State,
) -> Done<Enqueued> {
    match unique.on_conflict {
        OnConflict::Skip => Ok(Enqueued::Existing(holder)),
        OnConflict::Replace if state.is_waiting() => {
            replace(tx, job, holder)?;
            Ok(Enqueued::Replaced(holder))
        }
        OnConflict::Replace | OnConflict::Error => Err(Error::UniqueTaken {
            key: unique.key.clone(),
            job: holder,
            state,
        }
        .into()),
    }
}

/// Runs a statement that writes what an attempt needs.
fn write_body(tx: &Tx<'_>, statement: &str, job: &NewJob, id: JobId) -> Done<()> {
    tx.run(
        statement,
        named_params! {
            ":job": id.0,
            ":command": serde_json::to_string(&job.command)?,
            ":cwd": serde_json::to_string(&job.cwd)?,
            ":env": serde_json::to_string(&job.env)?,
            ":options": serde_json::to_string(&job.options)?,
        },
    )?;
    Ok(())
}

/// Gives a waiting job new contents. Its place in the line stays, and so do its conditions but
/// those that come with what it runs and where.
fn replace(tx: &Tx<'_>, job: &NewJob, id: JobId) -> Done<()> {
    write_body(tx, sql::REPLACE_BODY, job, id)?;
    let before = moves::read(tx, id)?;
    let after = Job {
        gates: job.gates.clone(),
        ways: job.ways.clone(),
        directory: job.directory.clone(),
        ..before.clone()
    };
    people::write_fields(tx, &before, &after)?;
    if after.state == State::Pending {
        tx.touch_lane_of(id)?;
    }
    tx.run(sql::REMOVE_TAGS, named_params! {":job": id.0})?;
    insert_tags(tx, job, id)?;
    // What the old contents asked is no matter of the new ones.
    questions::withdraw(tx, id)?;
    budgets::place(tx, id)
}

fn insert(
    tx: &Tx<'_>,
    job: &NewJob,
    after: &[After],
    start: Option<Timestamp>,
    waiting_on: u32,
) -> Done<JobId> {
    let now = tx.now.wall;
    tx.run(
        sql::ENSURE_QUEUE,
        named_params! {":name": job.queue, ":now": tx.wall()},
    )?;
    let key = job.concurrency_key.as_deref().unwrap_or("");
    let conditions = Conditions {
        queue: &job.queue,
        kind: &job.kind,
        limits: &job.limits,
        gates: &job.gates,
        ways: &job.ways,
        key,
        directory: job.directory.as_ref(),
        budgets: &[],
        priority: job.priority,
    };
    let lane = lanes::lane_for(tx, &conditions)?;
    let (state, wait_reason) =
        resting_place(job.hold, false, waiting_on, start, WaitReason::Delay, now);
    let (position, queued_at) = tx.join_line()?;
    tx.run(
        sql::INSERT_JOB,
        named_params! {
            ":uid": new_uid(now),
            ":queue": job.queue,
            ":kind": job.kind,
            ":name": job.name,
            ":state": state.as_str(),
            ":wait_reason": wait_reason.map(WaitReason::as_str),
            ":priority": job.priority,
            ":position": position,
            ":queued_at": queued_at,
            ":lane": lane,
            ":run_at": start.map(Timestamp::as_millis),
            ":max_attempts": job.max_attempts.get(),
            ":max_stalls": job.max_stalls,
            ":backoff": job.backoff.to_string(),
            ":unique_key": job.unique.as_ref().map(|unique| &unique.key),
            ":unique_while": job.unique.as_ref().map(|unique| unique.while_.as_str()),
            ":concurrency_key": key,
            ":directory": directories::stored(job.directory.as_ref())?,
            ":waiting_on": waiting_on,
            ":held_at": job.hold.then(|| now.as_millis()),
            ":expires_at": job.max_wait.map(|wait| now.saturating_add(wait).as_millis()),
            ":created_at": now.as_millis(),
        },
    )?;
    let id = JobId(tx.connection().last_insert_rowid());
    failpoint::hit("enqueue.job_written");
    write_body(tx, sql::INSERT_BODY, job, id)?;
    failpoint::hit("enqueue.body_written");
    insert_tags(tx, job, id)?;
    failpoint::hit("enqueue.tags_written");
    for parent in after {
        dependencies::insert(tx, id, *parent)?;
    }
    failpoint::hit("enqueue.dependencies_written");
    if state == State::Pending {
        tx.touch(lane);
    }
    budgets::place_new(tx, id)?;
    Ok(id)
}

/// A UUID, version 7: time of the enqueue in front, so that they sort by it (RFC 9562, 5.7).
fn new_uid(now: Timestamp) -> String {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    let nanos = u32::try_from(millis % 1_000).expect("less than a thousand") * 1_000_000;
    uuid::Uuid::new_v7(uuid::Timestamp::from_unix(
        uuid::NoContext,
        millis / 1_000,
        nanos,
    ))
    .to_string()
}

fn insert_tags(tx: &Tx<'_>, job: &NewJob, id: JobId) -> Done<()> {
    for (key, value) in &job.tags {
        tx.run(
            sql::INSERT_TAG,
            named_params! {":job": id.0, ":key": key, ":value": value},
        )?;
    }
    Ok(())
}
