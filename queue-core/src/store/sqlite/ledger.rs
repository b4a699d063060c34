//! The ledger: what attempts used, booked with what was read of their output.
//!
//! [`book`] is called where facts are saved, in the same transaction and under the same fence. What
//! always holds: an attempt has in the ledger what was said of it last, however often and by
//! whichever worker it was said; rows are never removed with their job or attempt.

use super::{budgets, fault::Done, rows, sql, tx, tx::Tx};
use crate::{
    clock::Timestamp,
    cost::{CostQuery, Costs, Summing},
    job::JobId,
    lease::Epoch,
    ledger::{Bill, Booked, Line, MOST_TOKENS, Spent},
    money::Usd,
};
use rusqlite::{Connection, Row, named_params};
use std::collections::BTreeMap;

/// Puts the bill of an attempt in place of what was booked of it.
pub(super) fn book(tx: &Tx<'_>, job: JobId, epoch: Epoch, bill: &Bill) -> Done<()> {
    let before = of_attempt(tx.connection(), job, epoch)?;
    tx.run(
        sql::UNBOOK_ATTEMPT,
        named_params! {":job": job.0, ":epoch": epoch.0},
    )?;
    for line in merged(&bill.lines).values().filter(|line| !line.is_empty()) {
        let tokens = |number: u64| {
            i64::try_from(number.min(MOST_TOKENS)).expect("the most tokens fit a column")
        };
        tx.run(
            sql::BOOK_LINE,
            named_params! {
                ":job": job.0,
                ":epoch": epoch.0,
                ":model": line.model,
                ":agent": bill.agent,
                ":profile": bill.profile,
                ":input": tokens(line.input),
                ":output": tokens(line.output),
                ":cache_read": tokens(line.cache_read),
                ":cache_write": tokens(line.cache_write),
                ":cost": line.cost.map(|cost| cost.min(Usd::MOST).nanos()),
            },
        )?;
    }
    budgets::rebooked(tx, &before, &of_attempt(tx.connection(), job, epoch)?)
}

fn of_attempt(c: &Connection, job: JobId, epoch: Epoch) -> Done<Vec<Booked>> {
    let mut lines = of_job(c, job)?;
    lines.retain(|booked| booked.epoch == epoch);
    Ok(lines)
}

/// The lines with each model once.
fn merged(lines: &[Line]) -> BTreeMap<&str, Line> {
    let mut models: BTreeMap<&str, Line> = BTreeMap::new();
    for line in lines {
        let known = models.entry(&line.model).or_insert_with(|| Line {
            model: line.model.clone(),
            ..Line::default()
        });
        known.add(line);
    }
    models
}

/// What all attempts of a job used, but for one of them.
pub(super) fn spent(c: &Connection, job: JobId, except: Option<Epoch>) -> Done<Spent> {
    let lines = of_job(c, job)?;
    let counts = lines.iter().filter(|booked| Some(booked.epoch) != except);
    Ok(Spent::of(counts.map(|booked| &booked.line)))
}

/// The lines of a job, oldest attempt first.
pub(super) fn of_job(c: &Connection, job: JobId) -> Done<Vec<Booked>> {
    tx::all(c, sql::BOOKED, named_params! {":job": job.0}, booked)
}

/// What agents cost. Line by line: a ledger may be long.
pub(super) fn costs(c: &Connection, query: &CostQuery) -> Done<Costs> {
    let mut summing = Summing::new(query);
    let since = query.since.map(Timestamp::as_millis);
    let mut statement = c.prepare_cached(sql::LEDGER_SINCE)?;
    let mut lines = statement.query(named_params! {":since": since})?;
    while let Some(row) = lines.next()? {
        summing.add(&booked(row)?);
    }
    Ok(summing.into_costs())
}

fn booked(row: &Row<'_>) -> rusqlite::Result<Booked> {
    Ok(Booked {
        job: JobId(row.get("job")?),
        epoch: Epoch(row.get("epoch")?),
        queue: row.get("queue")?,
        tags: rows::json(row, "tags")?,
        agent: row.get("agent")?,
        profile: row.get("profile")?,
        began_at: rows::at(row, "began_at")?,
        line: Line {
            model: row.get("model")?,
            input: row.get("input_tokens")?,
            output: row.get("output_tokens")?,
            cache_read: row.get("cache_read_tokens")?,
            cache_write: row.get("cache_write_tokens")?,
            cost: row
                .get::<_, Option<u64>>("cost_nano_usd")?
                .map(Usd::from_nanos),
        },
    })
}
