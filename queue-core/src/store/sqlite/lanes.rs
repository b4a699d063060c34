//! Lanes: jobs that may start under the same conditions, first in, first out.

use super::{fault::Done, limits, sql, tx::Tx};
use crate::job::LimitUse;
use rusqlite::named_params;

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

/// One spelling for the same limits in whichever order; costs of the same limit add up.
fn canonical(limits: &[LimitUse]) -> Done<String> {
    Ok(serde_json::to_string(&limits::merged(limits))?)
}
