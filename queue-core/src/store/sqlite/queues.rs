//! Queues, concurrency keys and workers: their settings and what stands in them.

use super::{
    enqueue,
    fault::Done,
    rows, sql,
    tx::{self, Tx},
};
use crate::{
    clock::Timestamp,
    error::Error,
    job::JobId,
    queue::{KeyStatus, Queue, QueueChange, QueueStatus},
    units::format_duration,
    worker::{NewWorker, Shortage, Worker, WorkerId},
};
use rusqlite::{Connection, Row, named_params};
use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

/// How long a worker that stopped, or was never seen again, is remembered.
const WORKERS_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The longest ageing, some thirty years: what strict priorities count as.
const LONGEST_AGEING: Duration = Duration::from_secs(1_000_000_000);

fn queue(row: &Row<'_>) -> rusqlite::Result<Queue> {
    Ok(Queue {
        name: row.get("name")?,
        paused_at: rows::optional_at(row, "paused_at")?,
        concurrency: row
            .get::<_, Option<u32>>("concurrency")?
            .and_then(NonZeroU32::new),
        ageing: Duration::from_millis(row.get("ageing_ms")?),
    })
}

/// The rank of a job is its priority times the ageing: that has to fit the column.
fn check_ageing(ageing: Duration) -> Result<(), Error> {
    if ageing <= LONGEST_AGEING {
        return Ok(());
    }
    Err(Error::OutOfRange {
        field: "ageing",
        value: format_duration(ageing),
        allowed: format!("at most {}", format_duration(LONGEST_AGEING)),
    })
}

/// Refuses a queue that nobody could have set so.
pub(super) fn check(tx: &Tx<'_>, name: &str) -> Done<()> {
    enqueue::check_queue(name)?;
    let found = tx.one(sql::QUEUE_ROW, named_params! {":name": name}, queue)?;
    Ok(found.map_or(Ok(()), |queue| check_ageing(queue.ageing))?)
}

/// Changes a queue, and creates it if need be.
pub(super) fn set(tx: &Tx<'_>, name: &str, change: &QueueChange) -> Done<Queue> {
    enqueue::check_queue(name)?;
    if let Some(ageing) = change.ageing {
        check_ageing(ageing)?;
    }
    tx.run(
        sql::ENSURE_QUEUE,
        named_params! {":name": name, ":now": tx.wall()},
    )?;
    let mut found = tx
        .one(sql::QUEUE_ROW, named_params! {":name": name}, queue)?
        .ok_or_else(|| Error::QueueNotFound(name.to_owned()))?;
    match change.paused {
        Some(true) => {
            found.paused_at.get_or_insert(tx.now.wall);
        }
        Some(false) => found.paused_at = None,
        None => {}
    }
    if let Some(concurrency) = change.concurrency {
        found.concurrency = concurrency;
    }
    let paused_now = change.paused == Some(true);
    let ageing_changed = change.ageing.is_some_and(|ageing| ageing != found.ageing);
    if let Some(ageing) = change.ageing {
        found.ageing = ageing;
    }
    tx.run(
        sql::SET_QUEUE,
        named_params! {
            ":name": name,
            ":paused_at": found.paused_at.map(Timestamp::as_millis),
            ":concurrency": found.concurrency.map(NonZeroU32::get),
            ":ageing_ms": i64::try_from(found.ageing.as_millis()).unwrap_or(i64::MAX),
        },
    )?;
    if ageing_changed {
        tx.run(sql::REFRESH_QUEUE_LANES, named_params! {":queue": name})?;
    }
    if ageing_changed || paused_now {
        // The line before a bucket is another one by that.
        tx.run(sql::REOPEN_ALL_LANES, [])?;
    }
    Ok(found)
}

/// All queues with what stands in them.
pub(super) fn all(connection: &Connection) -> Done<Vec<QueueStatus>> {
    let mut counts: BTreeMap<String, BTreeMap<_, u64>> = BTreeMap::new();
    tx::all(connection, sql::QUEUE_COUNTS, [], |row| {
        let queue: String = row.get("queue")?;
        counts
            .entry(queue)
            .or_default()
            .insert(rows::word(row, "state")?, row.get("jobs")?);
        Ok(())
    })?;
    let queues = tx::all(connection, sql::ALL_QUEUES, [], queue)?;
    queues
        .into_iter()
        .map(|queue| {
            let oldest_pending = tx::one(
                connection,
                sql::OLDEST_PENDING,
                named_params! {":queue": queue.name},
                |row| Ok((JobId(row.get("id")?), rows::at(row, "queued_at")?)),
            )?;
            let counts = counts.remove(&queue.name).unwrap_or_default();
            Ok(QueueStatus {
                queue,
                counts,
                oldest_pending,
            })
        })
        .collect()
}

/// The concurrency keys that were set or are in use.
pub(super) fn keys(connection: &Connection) -> Done<Vec<KeyStatus>> {
    tx::all(connection, sql::ALL_KEYS, [], |row| {
        let running: Vec<i64> = rows::json(row, "running")?;
        Ok(KeyStatus {
            key: row.get("key")?,
            places: NonZeroU32::new(row.get("places")?).unwrap_or(NonZeroU32::MIN),
            running: running.into_iter().map(JobId).collect(),
        })
    })
}

/// Registers a worker.
pub(super) fn register(tx: &Tx<'_>, about: &NewWorker) -> Done<WorkerId> {
    let before = tx.now.wall.saturating_sub(WORKERS_KEPT).as_millis();
    tx.run(sql::FORGET_WORKERS, named_params! {":before": before})?;
    tx.run(
        sql::REGISTER_WORKER,
        named_params! {
            ":name": about.name,
            ":host": about.host,
            ":pid": about.pid,
            ":boot": tx.now.boot.as_ref().map(|boot| boot.as_str().to_owned()),
            ":version": about.version,
            ":concurrency": about.concurrency,
            ":queues": serde_json::to_string(&about.queues)?,
            ":now": tx.wall(),
        },
    )?;
    Ok(WorkerId(tx.connection().last_insert_rowid()))
}

/// Notes that a worker stopped in order.
pub(super) fn stopped(tx: &Tx<'_>, worker: WorkerId) -> Done<()> {
    let values = named_params! {":worker": worker.0, ":now": tx.wall()};
    if tx.run(sql::STOP_WORKER, values)? == 0 {
        return Err(Error::WorkerNotFound(worker).into());
    }
    Ok(())
}

/// Notes what a worker has too little of, or that it has enough.
pub(super) fn short(tx: &Tx<'_>, worker: WorkerId, shortage: Option<&Shortage>) -> Done<()> {
    let shortage = shortage.map(serde_json::to_string).transpose()?;
    let values = named_params! {":worker": worker.0, ":shortage": shortage, ":now": tx.wall()};
    if tx.run(sql::SET_SHORTAGE, values)? == 0 {
        return Err(Error::WorkerNotFound(worker).into());
    }
    Ok(())
}

/// Every worker that is known, the newest in front.
pub(super) fn workers(connection: &Connection) -> Done<Vec<Worker>> {
    tx::all(connection, sql::ALL_WORKERS, [], |row| {
        Ok(Worker {
            id: WorkerId(row.get("id")?),
            about: NewWorker {
                name: row.get("name")?,
                host: row.get("host")?,
                pid: row.get("pid")?,
                concurrency: row.get("concurrency")?,
                queues: rows::json(row, "queues")?,
                version: row.get("version")?,
            },
            started_at: rows::at(row, "started_at")?,
            seen_at: rows::at(row, "seen_at")?,
            stopped_at: rows::optional_at(row, "stopped_at")?,
            short: rows::shortage(row)?,
            in_progress: row.get("in_progress")?,
        })
    })
}
