//! Lanes: jobs that may start under the same conditions, first in, first out.

use super::{fault::Done, limits, rows, sql, tx::Tx};
use crate::{clock::Timestamp, job::LimitUse};
use rusqlite::named_params;

/// Lanes are served in this order: by the rank and the position of their head, then by their id.
pub(super) type Order = (i64, i64, i64);

/// The lane of jobs with these conditions, made if need be.
pub(super) fn lane_for(
    tx: &Tx<'_>,
    queue: &str,
    kind: &str,
    limits: &[LimitUse],
    key: &str,
    priority: i32,
) -> Done<i64> {
    let limits = canonical(limits)?;
    let find = || {
        tx.one(
            sql::LANE_OF,
            named_params! {
                ":queue": queue, ":kind": kind, ":limits": limits,
                ":concurrency_key": key, ":priority": priority,
            },
            |row| row.get(0),
        )
    };
    if let Some(lane) = find()? {
        return Ok(lane);
    }
    tx.run(
        sql::ENSURE_LANE,
        named_params! {
            ":queue": queue, ":kind": kind, ":limits": limits,
            ":concurrency_key": key, ":priority": priority,
        },
    )?;
    Ok(find()?.expect("the lane was made in this transaction"))
}

/// Opens the lanes whose bucket has filled up.
pub(super) fn reopen(tx: &Tx<'_>) -> Done<()> {
    tx.run(sql::REOPEN_LANES, named_params! {":now": tx.wall()})?;
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

/// One spelling for the same limits in whichever order; costs of the same limit add up.
fn canonical(limits: &[LimitUse]) -> Done<String> {
    Ok(serde_json::to_string(&limits::merged(limits))?)
}
