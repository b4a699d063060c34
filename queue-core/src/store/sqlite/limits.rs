//! Named limits: token buckets whose level lives in one row each.
//!
//! [`Buckets`] decides for one claim, in memory; what was spent is written with the claim itself,
//! so tokens used equal jobs claimed. A bucket that has not enough for a lane shuts it, and then
//! also those that rank behind it and ask for the same bucket: they would take the tokens that
//! the first one waits for.

use super::{
    fault::Done,
    lanes::{self, Order},
    sql,
    tx::Tx,
};
use crate::{
    bucket::{self, Decision, Quota},
    clock::Timestamp,
    error::Error,
    job::{JobId, LimitUse},
    limit::Limit,
    units::Rate,
};
use rusqlite::{Connection, Row, named_params};
use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

/// A bucket as stored.
struct Bucket {
    quota: Quota,
    tat: Option<i64>,
    spent: u64,
    changed: bool,
}

fn quota(row: &Row<'_>) -> rusqlite::Result<Quota> {
    let count: u32 = row.get("count")?;
    let burst: u32 = row.get("burst")?;
    let per = Duration::from_millis(row.get("per_ms")?);
    let nothing = || rusqlite::Error::IntegralValueOutOfRange(0, 0);
    let rate = Rate::new(NonZeroU32::new(count).ok_or_else(nothing)?, per)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    Quota::new(rate, NonZeroU32::new(burst).ok_or_else(nothing)?)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn read(tx: &Tx<'_>, name: &str) -> Done<Option<Bucket>> {
    tx.one(sql::BUCKET, named_params! {":name": name}, |row| {
        Ok(Bucket {
            quota: quota(row)?,
            tat: row.get("tat_ns")?,
            spent: 0,
            changed: false,
        })
    })
}

/// The buckets that one claim looked at, and the lanes that it found shut.
#[derive(Default)]
pub(super) struct Buckets {
    known: BTreeMap<String, Option<Bucket>>,
    /// Who stands first before each bucket and waits for it, and until when.
    first: BTreeMap<String, Option<(Order, Timestamp)>>,
    shut: Vec<(i64, String, Timestamp)>,
}

impl Buckets {
    /// Whether every bucket that a lane asks for has enough for one of its jobs, and nobody who
    /// ranks before it waits for it. If not, the lane is to be left out until the last of them
    /// has. Lanes have to be asked about in their order.
    pub(super) fn admit(&mut self, tx: &Tx<'_>, lane: Order, limits: &[LimitUse]) -> Done<bool> {
        let now_ns = bucket::nanos_at(tx.now.wall);
        let mut latest: Option<(Timestamp, &str)> = None;
        for limit in limits {
            let reserved = self.reserved(tx, lane, &limit.name)?;
            let Some(bucket) = self.bucket(tx, &limit.name)? else {
                continue;
            };
            let until = match bucket::decide(&bucket.quota, bucket.tat, now_ns, limit.cost) {
                Decision::Granted { .. } => match reserved {
                    Some(until) => until,
                    None => continue,
                },
                Decision::Wait { until_ns, repair } => {
                    if repair.is_some() {
                        bucket.tat = repair;
                        bucket.changed = true;
                    }
                    let filled = bucket::millis_from(until_ns);
                    reserved.map_or(filled, |until| until.max(filled))
                }
                // Refused when it was asked for; only a hand-edited row gets here. Nobody has to
                // wait behind it.
                Decision::Never { .. } => {
                    self.shut_for_a_while(tx, lane.2);
                    return Ok(false);
                }
            };
            if latest.is_none_or(|(other, _)| until > other) {
                latest = Some((until, &limit.name));
            }
        }
        let Some((until, limit)) = latest else {
            return Ok(true);
        };
        self.first
            .entry(limit.to_owned())
            .or_default()
            .get_or_insert((lane, until));
        self.shut.push((lane.2, limit.to_owned(), until));
        Ok(false)
    }

    /// Until when the tokens of a bucket are kept for somebody who ranks before `lane`.
    fn reserved(&mut self, tx: &Tx<'_>, lane: Order, limit: &str) -> Done<Option<Timestamp>> {
        if !self.first.contains_key(limit) {
            self.first
                .insert(limit.to_owned(), lanes::first_shut(tx, limit)?);
        }
        let first = self.first.get(limit).copied().flatten();
        Ok(first
            .filter(|(order, _)| *order < lane)
            .map(|(_, until)| until))
    }

    /// Leaves out a lane that no bucket can ever serve, without anybody waiting behind it.
    pub(super) fn shut_for_a_while(&mut self, tx: &Tx<'_>, lane: i64) {
        let until = tx.now.wall.saturating_add(Duration::from_secs(3_600));
        self.shut.push((lane, String::new(), until));
    }

    /// Takes the tokens of one job. Call after [`Buckets::admit`] let its lane through.
    pub(super) fn spend(&mut self, limits: &[LimitUse], now: Timestamp) {
        let now_ns = bucket::nanos_at(now);
        for limit in limits {
            let Some(Some(bucket)) = self.known.get_mut(&limit.name) else {
                continue;
            };
            if let Decision::Granted { tat, .. } =
                bucket::decide(&bucket.quota, bucket.tat, now_ns, limit.cost)
            {
                bucket.tat = Some(tat);
                bucket.spent += u64::from(limit.cost.get());
                bucket.changed = true;
            }
        }
    }

    /// Writes what was spent, and shuts the lanes that have to wait.
    pub(super) fn write(self, tx: &Tx<'_>) -> Done<()> {
        for (name, bucket) in self.known {
            if let Some(bucket) = bucket.filter(|bucket| bucket.changed) {
                tx.run(
                    sql::SPEND_TOKENS,
                    named_params! {":name": name, ":tat_ns": bucket.tat, ":spent": bucket.spent},
                )?;
            }
        }
        for (lane, limit, until) in self.shut {
            tx.run(
                sql::SHUT_LANE,
                named_params! {
                    ":lane": lane, ":now": tx.wall(), ":until": until.as_millis(), ":limit": limit,
                    ":gate": None::<&str>, ":budget": None::<&str>,
                },
            )?;
        }
        Ok(())
    }

    fn bucket(&mut self, tx: &Tx<'_>, name: &str) -> Done<Option<&mut Bucket>> {
        if !self.known.contains_key(name) {
            self.known.insert(name.to_owned(), read(tx, name)?);
        }
        Ok(self.known.get_mut(name).and_then(Option::as_mut))
    }
}

/// Refuses a limit that nobody set, or more tokens than its bucket ever holds.
pub(super) fn check_fit(tx: &Tx<'_>, limits: &[LimitUse]) -> Done<()> {
    for limit in merged(limits) {
        let bucket =
            read(tx, &limit.name)?.ok_or_else(|| Error::LimitNotFound(limit.name.clone()))?;
        let burst = bucket.quota.burst().get();
        if limit.cost.get() > burst {
            let (limit, cost) = (limit.name, limit.cost.get());
            return Err(Error::NeverFits { limit, cost, burst }.into());
        }
    }
    Ok(())
}

/// The same limits by name; costs of the same limit add up.
pub(super) fn merged(limits: &[LimitUse]) -> Vec<LimitUse> {
    let mut merged: Vec<LimitUse> = Vec::new();
    for limit in limits {
        match merged.iter_mut().find(|other| other.name == limit.name) {
            Some(other) => other.cost = other.cost.saturating_add(limit.cost.get()),
            None => merged.push(limit.clone()),
        }
    }
    merged.sort();
    merged
}

/// The limit that keeps a job from starting the longest, and until when.
pub(super) fn empty(
    c: &Connection,
    limits: &[LimitUse],
    now: Timestamp,
) -> Done<Option<(String, Timestamp)>> {
    let now_ns = bucket::nanos_at(now);
    let mut latest: Option<(String, Timestamp)> = None;
    for limit in limits {
        let stored = super::tx::one(c, sql::BUCKET, named_params! {":name": limit.name}, |row| {
            Ok((quota(row)?, row.get("tat_ns")?))
        })?;
        let Some((quota, tat)) = stored else {
            continue;
        };
        if let Decision::Wait { until_ns, .. } = bucket::decide(&quota, tat, now_ns, limit.cost) {
            let until = bucket::millis_from(until_ns);
            if latest.as_ref().is_none_or(|(_, other)| until > *other) {
                latest = Some((limit.name.clone(), until));
            }
        }
    }
    Ok(latest)
}

/// A lane that needs a limit, while jobs are in it.
struct Need {
    cost: u32,
    waiting: u64,
    first: Option<i64>,
}

fn needs(tx: &Tx<'_>, name: &str) -> Done<Vec<Need>> {
    let needs = tx.all(
        sql::JOB_LIMITS_WAITING,
        named_params! {":name": name},
        |row| {
            Ok(Need {
                cost: row.get("cost")?,
                waiting: row.get("waiting")?,
                first: row.get("first")?,
            })
        },
    )?;
    Ok(needs.into_iter().filter(|need| need.waiting > 0).collect())
}

/// Refuses a name that no job could use.
fn check_name(name: &str) -> Result<(), Error> {
    // A job names it as `NAME=COST`.
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(Error::OutOfRange {
            field: "limit",
            value: format!("`{name}`"),
            allowed: "a name without `=`".to_owned(),
        });
    }
    Ok(())
}

/// Refuses a limit that nobody could have set so.
pub(super) fn check(tx: &Tx<'_>, name: &str) -> Done<()> {
    check_name(name)?;
    read(tx, name).map(drop)
}

/// Sets a limit. Lanes that waited for it ask anew.
pub(super) fn set(tx: &Tx<'_>, name: &str, quota: &Quota) -> Done<()> {
    check_name(name)?;
    let burst = quota.burst().get();
    if let Some(need) = needs(tx, name)?.iter().find(|need| need.cost > burst) {
        return Err(Error::NeverFits {
            limit: name.to_owned(),
            cost: need.cost,
            burst,
        }
        .into());
    }
    tx.run(
        sql::SET_BUCKET,
        named_params! {
            ":name": name,
            ":count": quota.rate().count().get(),
            ":per_ms": i64::try_from(quota.rate().per().as_millis()).unwrap_or(i64::MAX),
            ":burst": burst,
            ":now": tx.wall(),
            ":empty_now": bucket::emptied_at(quota, bucket::nanos_at(tx.now.wall)),
        },
    )?;
    tx.run(sql::REOPEN_ALL_LANES, [])?;
    Ok(())
}

/// Takes a limit away that no job needs any more.
pub(super) fn remove(tx: &Tx<'_>, name: &str) -> Done<()> {
    let needs = needs(tx, name)?;
    if let Some(first) = needs.iter().filter_map(|need| need.first).min() {
        let count = needs.iter().map(|need| need.waiting).sum();
        return Err(Error::LimitInUse {
            limit: name.to_owned(),
            count,
            first: JobId(first),
        }
        .into());
    }
    if tx.run(sql::REMOVE_BUCKET, named_params! {":name": name})? == 0 {
        return Err(Error::LimitNotFound(name.to_owned()).into());
    }
    Ok(())
}

/// All limits, or the one of a name.
pub(super) fn all(connection: &Connection, name: Option<&str>, now: Timestamp) -> Done<Vec<Limit>> {
    let now_ns = bucket::nanos_at(now);
    super::tx::all(
        connection,
        sql::ALL_BUCKETS,
        named_params! {":name": name},
        |row| {
            let quota = quota(row)?;
            let tat = row.get("tat_ns")?;
            let next_at = match bucket::decide(&quota, tat, now_ns, NonZeroU32::MIN) {
                Decision::Wait { until_ns, .. } => Some(bucket::millis_from(until_ns)),
                Decision::Granted { .. } | Decision::Never { .. } => None,
            };
            Ok(Limit {
                name: row.get("name")?,
                quota,
                available: bucket::level(&quota, tat, now_ns),
                next_at,
                spent: row.get("spent")?,
                waiting: row.get("waiting")?,
            })
        },
    )
}
