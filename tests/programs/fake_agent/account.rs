//! What agents of one folder share: the number of starts, the limit, the ledger.
//!
//! One file lock orders all of it, so that ten agents at once see one account.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::FlockOperation;
use serde_json::json;

use crate::caller::{append, now_ms};
use crate::scenario::Limit;

/// Which start this is.
#[derive(Clone, Copy)]
pub(crate) struct Start {
    /// Of all agents of the folder, from 1.
    pub(crate) of_all: u64,
    /// Of this job, from 1.
    pub(crate) of_job: u64,
}

fn locked(state: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(state.join("lock"))?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

fn count(path: &Path) -> io::Result<u64> {
    let number = fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0_u64)
        + 1;
    fs::write(path, number.to_string())?;
    Ok(number)
}

/// Counts a start.
pub(crate) fn next_start(state: &Path, job: &str) -> io::Result<Start> {
    let _lock = locked(state)?;
    Ok(Start {
        of_all: count(&state.join("starts"))?,
        of_job: count(&state.join(format!("starts-of-{job}")))?,
    })
}

/// Looks at the limit; when it lifts, in milliseconds since 1970, if it holds. A test sets or lifts it
/// itself by writing that number to `state/limit_until`.
pub(crate) fn limited_until(
    state: &Path,
    limit: Option<&Limit>,
    start: Start,
) -> io::Result<Option<i64>> {
    let _lock = locked(state)?;
    let file = state.join("limit_until");
    let known = fs::read_to_string(&file)
        .ok()
        .and_then(|text| text.trim().parse::<i64>().ok());
    let until = match (known, limit) {
        (None, Some(limit)) if start.of_all >= limit.at_start => {
            let until = now_ms() + limit.lifts_in_ms;
            fs::write(&file, until.to_string())?;
            Some(until)
        }
        (known, _) => known,
    };
    Ok(until.filter(|until| now_ms() < *until))
}

/// Books what something cost.
pub(crate) fn book(state: &Path, session: &str, job: &str, cost_usd: f64) -> io::Result<()> {
    let line = json!({ "at": now_ms(), "session": session, "job": job, "cost_usd": cost_usd });
    append(&state.join("ledger.jsonl"), &line.to_string())
}
