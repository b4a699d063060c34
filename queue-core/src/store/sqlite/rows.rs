//! From rows to nouns.
//!
//! A word that no enum knows can only be there because somebody edited the file by hand past the
//! `check` lists; it is reported as a failure to read that column, never guessed at.

use crate::{
    attempt::{Attempt, ResourceUsage, Started},
    clock::{BootId, Timestamp},
    job::{Job, JobBody, JobId, UniqueWhile},
    lease::{Epoch, Holder},
    raw_text::RawText,
    worker::{Shortage, WorkerId},
};
use rusqlite::{Row, RowIndex, types::Type};
use std::{error::Error, str::FromStr};

/// A word of one of our enums.
pub(super) fn word<T>(row: &Row<'_>, column: impl RowIndex + Copy) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    let index = column.idx(row.as_ref())?;
    parse(index, &row.get::<_, String>(index)?)
}

/// A word of one of our enums, where there is one.
pub(super) fn optional_word<T>(
    row: &Row<'_>,
    column: impl RowIndex + Copy,
) -> rusqlite::Result<Option<T>>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    let index = column.idx(row.as_ref())?;
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
    column: impl RowIndex + Copy,
) -> rusqlite::Result<T> {
    let index = column.idx(row.as_ref())?;
    serde_json::from_str(&row.get::<_, String>(index)?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error))
    })
}

/// A moment.
pub(super) fn at(row: &Row<'_>, column: impl RowIndex + Copy) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

/// A moment, where there is one.
pub(super) fn optional_at(
    row: &Row<'_>,
    column: impl RowIndex + Copy,
) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row
        .get::<_, Option<i64>>(column)?
        .map(Timestamp::from_millis))
}

/// The places of the columns of a row, one after the other in the order of its statement: a name is
/// looked for among all columns each time, which costs more than the reading. A debug build makes sure
/// that the column has that name.
fn in_order<'r>(row: &'r Row<'_>) -> impl FnMut(&str) -> usize + 'r {
    let mut places = 0..;
    move |column| {
        let place = places.next().expect("a row has few columns");
        debug_assert_eq!(row.as_ref().column_name(place), Ok(column));
        place
    }
}

/// The narrow row of a job, with the limits, gates, ways and budgets of its lane: of a statement that
/// names the columns as `job_row` does.
pub(super) fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let mut next = in_order(row);
    Ok(Job {
        id: JobId(row.get(next("id"))?),
        uid: row.get(next("uid"))?,
        queue: row.get(next("queue"))?,
        kind: row.get(next("kind"))?,
        name: row.get(next("name"))?,
        state: word(row, next("state"))?,
        wait_reason: optional_word(row, next("wait_reason"))?,
        class: optional_word(row, next("class"))?,
        priority: row.get(next("priority"))?,
        position: row.get(next("position"))?,
        run_at: optional_at(row, next("run_at"))?,
        attempt: row.get(next("attempt"))?,
        max_attempts: row.get(next("max_attempts"))?,
        stalls: row.get(next("stalls"))?,
        max_stalls: row.get(next("max_stalls"))?,
        backoff: word(row, next("backoff"))?,
        epoch: Epoch(row.get(next("epoch"))?),
        holder: Holder(row.get(next("holder"))?),
        worker: row.get::<_, Option<i64>>(next("worker"))?.map(WorkerId),
        lease_expires_at: optional_at(row, next("lease_expires_at"))?,
        unique: unique(row, next("unique_key"), next("unique_while"))?,
        concurrency_key: Some(row.get::<_, String>(next("concurrency_key"))?)
            .filter(|key| !key.is_empty()),
        directory: directory(row, next("directory"))?,
        limits: json(row, next("limits"))?,
        gates: json(row, next("gates"))?,
        ways: json(row, next("ways"))?,
        way: row.get(next("way"))?,
        budgets: json(row, next("budgets"))?,
        waiting_on: row.get(next("waiting_on"))?,
        held_at: optional_at(row, next("held_at"))?,
        asked_at: optional_at(row, next("asked_at"))?,
        cancel_requested_at: optional_at(row, next("cancel_requested_at"))?,
        expires_at: optional_at(row, next("expires_at"))?,
        created_at: at(row, next("created_at"))?,
        finished_at: optional_at(row, next("finished_at"))?,
    })
}

fn unique(
    row: &Row<'_>,
    key: usize,
    while_: usize,
) -> rusqlite::Result<Option<(String, UniqueWhile)>> {
    Ok(match row.get(key)? {
        Some(key) => Some((key, word(row, while_)?)),
        None => None,
    })
}

fn directory(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<RawText>> {
    match row.get_ref(column)?.as_str()? {
        "" => Ok(None),
        _ => json(row, column).map(Some),
    }
}

/// What an attempt needs. A body that cannot be read is handed on as such: the job must fail, not
/// the worker.
pub(super) fn body(row: &Row<'_>) -> rusqlite::Result<JobBody> {
    let mut next = in_order(row);
    let mut complaint = None;
    let id = JobId(row.get(next("job"))?);
    let command = serde_json::from_str(&row.get::<_, String>(next("command"))?)
        .map_err(|error| format!("its stored command cannot be read: {error}"));
    let cwd = lenient(row, next("cwd"), "cwd", &mut complaint)?;
    let env = lenient(row, next("env"), "env", &mut complaint)?;
    let options = lenient(row, next("options"), "options", &mut complaint)?;
    Ok(JobBody {
        id,
        command: match complaint {
            Some(complaint) => Err(complaint),
            None => command,
        },
        cwd,
        env,
        options,
        result: row
            .get::<_, Option<String>>(next("result"))?
            .and_then(|text| serde_json::from_str(&text).ok()),
        answers: Vec::new(),
        origin: row
            .get::<_, Option<String>>(next("origin"))?
            .and_then(|text| serde_json::from_str(&text).ok()),
    })
}

fn lenient<T: Default + serde::de::DeserializeOwned>(
    row: &Row<'_>,
    place: usize,
    column: &str,
    complaint: &mut Option<String>,
) -> rusqlite::Result<T> {
    let text: String = row.get(place)?;
    Ok(serde_json::from_str(&text).unwrap_or_else(|error| {
        *complaint = Some(format!("its stored {column} cannot be read: {error}"));
        T::default()
    }))
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
