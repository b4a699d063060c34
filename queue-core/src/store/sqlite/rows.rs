//! From rows to nouns.
//!
//! A word that no enum knows can only be there because somebody edited the file by hand past the
//! `check` lists; it is reported as a failure to read that column, never guessed at.

use crate::{
    attempt::{Attempt, ResourceUsage, Started},
    clock::{BootId, Timestamp},
    job::{Job, JobBody, JobId},
    lease::{Epoch, Holder},
    worker::{Shortage, WorkerId},
};
use rusqlite::{Row, types::Type};
use std::{error::Error, str::FromStr};

/// A word of one of our enums.
pub(super) fn word<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    let index = row.as_ref().column_index(column)?;
    parse(index, &row.get::<_, String>(index)?)
}

/// A word of one of our enums, where there is one.
pub(super) fn optional_word<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    let index = row.as_ref().column_index(column)?;
    row.get::<_, Option<String>>(index)?
        .map(|text| parse(index, &text))
        .transpose()
}

fn parse<T>(index: usize, text: &str) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    text.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error))
    })
}

/// JSON in a column that only this engine writes.
pub(super) fn json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: &str,
) -> rusqlite::Result<T> {
    let index = row.as_ref().column_index(column)?;
    serde_json::from_str(&row.get::<_, String>(index)?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error))
    })
}

/// A moment.
pub(super) fn at(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

/// A moment, where there is one.
pub(super) fn optional_at(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row
        .get::<_, Option<i64>>(column)?
        .map(Timestamp::from_millis))
}

/// The narrow row of a job, with the limits, gates, ways and budgets of its lane.
pub(super) fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let unique_key: Option<String> = row.get("unique_key")?;
    let unique = match unique_key {
        Some(key) => Some((key, word(row, "unique_while")?)),
        None => None,
    };
    Ok(Job {
        id: JobId(row.get("id")?),
        uid: row.get("uid")?,
        queue: row.get("queue")?,
        kind: row.get("kind")?,
        name: row.get("name")?,
        state: word(row, "state")?,
        wait_reason: optional_word(row, "wait_reason")?,
        class: optional_word(row, "class")?,
        priority: row.get("priority")?,
        position: row.get("position")?,
        run_at: optional_at(row, "run_at")?,
        attempt: row.get("attempt")?,
        max_attempts: row.get("max_attempts")?,
        stalls: row.get("stalls")?,
        max_stalls: row.get("max_stalls")?,
        backoff: word(row, "backoff")?,
        epoch: Epoch(row.get("epoch")?),
        holder: Holder(row.get("holder")?),
        worker: row.get::<_, Option<i64>>("worker")?.map(WorkerId),
        lease_expires_at: optional_at(row, "lease_expires_at")?,
        unique,
        concurrency_key: Some(row.get::<_, String>("concurrency_key")?)
            .filter(|key| !key.is_empty()),
        directory: match row.get_ref("directory")?.as_str()? {
            "" => None,
            _ => Some(json(row, "directory")?),
        },
        limits: json(row, "limits")?,
        gates: json(row, "gates")?,
        ways: json(row, "ways")?,
        way: row.get("way")?,
        budgets: json(row, "budgets")?,
        waiting_on: row.get("waiting_on")?,
        held_at: optional_at(row, "held_at")?,
        asked_at: optional_at(row, "asked_at")?,
        cancel_requested_at: optional_at(row, "cancel_requested_at")?,
        expires_at: optional_at(row, "expires_at")?,
        created_at: at(row, "created_at")?,
        finished_at: optional_at(row, "finished_at")?,
    })
}

/// What an attempt needs. A body that cannot be read is handed on as such: the job must fail, not
/// the worker.
pub(super) fn body(row: &Row<'_>) -> rusqlite::Result<JobBody> {
    let mut complaint = None;
    let command = serde_json::from_str(&row.get::<_, String>("command")?)
        .map_err(|error| format!("its stored command cannot be read: {error}"));
    let cwd = lenient(row, "cwd", &mut complaint)?;
    let env = lenient(row, "env", &mut complaint)?;
    let options = lenient(row, "options", &mut complaint)?;
    Ok(JobBody {
        id: JobId(row.get("job")?),
        command: match complaint {
            Some(complaint) => Err(complaint),
            None => command,
        },
        cwd,
        env,
        options,
        result: row
            .get::<_, Option<String>>("result")?
            .and_then(|text| serde_json::from_str(&text).ok()),
        answers: Vec::new(),
        origin: row
            .get::<_, Option<String>>("origin")?
            .and_then(|text| serde_json::from_str(&text).ok()),
    })
}

fn lenient<T: Default + serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: &str,
    complaint: &mut Option<String>,
) -> rusqlite::Result<T> {
    Ok(
        serde_json::from_str(&row.get::<_, String>(column)?).unwrap_or_else(|error| {
            *complaint = Some(format!("its stored {column} cannot be read: {error}"));
            T::default()
        }),
    )
}

/// One try at a job, with the names of its workers.
pub(super) fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        number: row.get("number")?,
        epoch: Epoch(row.get("epoch")?),
        worker: WorkerId(row.get("worker")?),
        worker_name: row
            .get::<_, Option<String>>("worker_name")?
            .unwrap_or_else(|| "unknown".to_owned()),
        adopted_by: row.get("adopted_by_name")?,
        way: row.get("way")?,
        boot: row.get::<_, Option<String>>("boot")?.map(BootId::from),
        claimed_at: at(row, "claimed_at")?,
        process: started(row)?,
        ended_at: optional_at(row, "ended_at")?,
        class: optional_word(row, "class")?,
        exit_code: row.get("exit_code")?,
        signal: row.get("signal")?,
        message: row.get("message")?,
        usage: usage(row)?,
        progress: row
            .get::<_, Option<String>>("progress")?
            .and_then(|text| serde_json::from_str(&text).ok()),
        cost_usd: row.get("cost_usd")?,
        session_id: row.get("session_id")?,
        rung: optional_word(row, "rung")?,
        agent: row
            .get::<_, Option<String>>("agent")?
            .and_then(|text| serde_json::from_str(&text).ok()),
        rule: row.get("rule")?,
        evidence: row.get("evidence")?,
        proof: row
            .get::<_, Option<String>>("proof")?
            .and_then(|text| serde_json::from_str(&text).ok()),
    })
}

/// The process of an attempt, once it was recorded.
pub(super) fn started(row: &Row<'_>) -> rusqlite::Result<Option<Started>> {
    let Some(started_at) = optional_at(row, "started_at")? else {
        return Ok(None);
    };
    Ok(Some(Started {
        pid: row.get("pid")?,
        pid_started: row.get("pid_started")?,
        started_at,
        log: row.get::<_, Option<String>>("log")?.unwrap_or_default(),
        unenforced: row.get("unenforced")?,
    }))
}

/// What a worker has too little of, and since when. What cannot be read is as good as nothing.
pub(super) fn shortage(row: &Row<'_>) -> rusqlite::Result<Option<(Shortage, Timestamp)>> {
    let text: Option<String> = row.get("shortage")?;
    let shortage = text.and_then(|text| serde_json::from_str(&text).ok());
    Ok(shortage.zip(optional_at(row, "short_since")?))
}

fn usage(row: &Row<'_>) -> rusqlite::Result<Option<ResourceUsage>> {
    let Some(user_ms) = row.get("user_ms")? else {
        return Ok(None);
    };
    Ok(Some(ResourceUsage {
        user_ms,
        system_ms: row.get("system_ms")?,
        max_rss_kib: row.get("max_rss_kib")?,
        read_bytes: row.get::<_, Option<u64>>("read_bytes")?.unwrap_or(0),
        written_bytes: row.get::<_, Option<u64>>("written_bytes")?.unwrap_or(0),
        memory_peak_bytes: row.get("memory_peak_bytes")?,
    }))
}
