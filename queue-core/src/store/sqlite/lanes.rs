//! Lanes: jobs that may start under the same conditions, first in, first out.

use super::{directories, fault::Done, limits, rows, sql, tx::Tx};
use crate::{
    clock::Timestamp,
    gate::GateName,
    job::{Job, LimitUse},
    raw_text::RawText,
    way::Way,
};
use rusqlite::named_params;
use std::collections::BTreeSet;

/// Lanes are served in this order: by the rank and the position of their head, then by their id.
pub(super) type Order = (i64, i64, i64);

/// The conditions under which the jobs of a lane may start.
pub(super) struct Conditions<'a> {
    pub(super) queue: &'a str,
    pub(super) kind: &'a str,
    pub(super) limits: &'a [LimitUse],
    pub(super) gates: &'a [GateName],
    pub(super) ways: &'a [Way],
    /// Empty for none.
    pub(super) key: &'a str,
    pub(super) directory: Option<&'a RawText>,
    /// By name, sorted.
    pub(super) budgets: &'a [String],
    pub(super) priority: i32,
}

impl<'a> Conditions<'a> {
    pub(super) fn of(job: &'a Job) -> Self {
        Self {
            queue: &job.queue,
            kind: &job.kind,
            limits: &job.limits,
            gates: &job.gates,
            ways: &job.ways,
            key: job.concurrency_key.as_deref().unwrap_or(""),
            directory: job.directory.as_ref(),
            budgets: &job.budgets,
            priority: job.priority,
        }
    }
}

/// The lane of jobs with these conditions, made if need be.
pub(super) fn lane_for(tx: &Tx<'_>, conditions: &Conditions<'_>) -> Done<i64> {
    let limits = serde_json::to_string(&limits::merged(conditions.limits))?;
    let gates = serde_json::to_string(&sorted(conditions.gates))?;
    let values = named_params! {
        ":queue": conditions.queue, ":kind": conditions.kind, ":limits": limits, ":gates": gates,
        ":concurrency_key": conditions.key,
        ":ways": serde_json::to_string(conditions.ways)?,
        ":directory": directories::stored(conditions.directory)?,
        ":budgets": serde_json::to_string(conditions.budgets)?,
        ":priority": conditions.priority,
    };
    let find = || tx.one(sql::LANE_OF, values, |row| row.get(0));
    if let Some(lane) = find()? {
        return Ok(lane);
    }
    tx.run(sql::ENSURE_LANE, values)?;
    Ok(find()?.expect("the lane was made in this transaction"))
}

/// Leaves a lane out of the scan until its gate may open.
pub(super) fn shut_by_gate(tx: &Tx<'_>, lane: i64, gate: &GateName, until: Timestamp) -> Done<()> {
    tx.run(
        sql::SHUT_LANE,
        named_params! {
            ":lane": lane, ":now": tx.wall(), ":until": until.as_millis(),
            ":limit": None::<&str>, ":gate": gate.as_str(), ":budget": None::<&str>,
        },
    )?;
    Ok(())
}

/// Leaves a lane out of the scan until its budget begins anew.
pub(super) fn shut_by_budget(tx: &Tx<'_>, lane: i64, budget: &str, until: Timestamp) -> Done<()> {
    tx.run(
        sql::SHUT_LANE,
        named_params! {
            ":lane": lane, ":now": tx.wall(), ":until": until.as_millis(),
            ":limit": None::<&str>, ":gate": None::<&str>, ":budget": budget,
        },
    )?;
    Ok(())
}

/// Opens the lanes whose bucket has filled up, whose gate may open or whose budget begins anew.
pub(super) fn reopen(tx: &Tx<'_>) -> Done<()> {
    let now = named_params! {":now": tx.wall()};
    // Mostly there is none, and to look is much cheaper than to change.
    if tx.one(sql::LANE_TO_REOPEN, now, |_| Ok(()))?.is_some() {
        tx.run(sql::REOPEN_LANES, now)?;
    }
    Ok(())
}

/// The first lane in the line before an empty bucket, and until when it waits.
pub(super) fn first_shut(tx: &Tx<'_>, limit: &str) -> Done<Option<(Order, Timestamp)>> {
    tx.one(sql::FIRST_SHUT, named_params! {":limit": limit}, |row| {
        let order = (row.get("rank")?, row.get("head")?, row.get("id")?);
        Ok((order, rows::at(row, "shut_until")?))
    })
}

/// Notes the new head of a lane. Where the line before a bucket is another one by that, whoever
/// stood behind the lane asks anew.
pub(super) fn refresh(tx: &Tx<'_>, lane: i64) -> Done<()> {
    let of_lane = named_params! {":lane": lane};
    let shut = || {
        tx.one(sql::SHUT_LANE_HEAD, of_lane, |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?))
        })
    };
    let before = shut()?;
    tx.run(sql::REFRESH_LANE, of_lane)?;
    if let Some((limit, _)) = &before
        && shut()? != before
    {
        tx.run(sql::REOPEN_LANES_OF_LIMIT, named_params! {":limit": limit})?;
    }
    Ok(())
}

/// The same gates by name, each once.
fn sorted(gates: &[GateName]) -> BTreeSet<&GateName> {
    gates.iter().collect()
}
