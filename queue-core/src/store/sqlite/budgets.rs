//! Budgets: asked in the transaction of a claim, counted where the ledger is written.
//!
//! A lane names the budgets of whose scope its jobs are, so that one that is used up shuts lanes and a
//! claim costs the same however many jobs wait for it. [`place`] finds them for a job that is new or
//! was changed, [`set`] and [`remove`] for all jobs when a budget is. What always holds: a budget has counted what
//! the ledger says of its span, and whoever changes a budget opens its lanes.

use super::{
    fault::Done,
    lanes::{self, Conditions},
    moves, rows, sql, tx,
    tx::Tx,
};
use crate::{
    budget::{Budget, BudgetStatus, Most, Scope, Span},
    clock::Timestamp,
    error::Error,
    job::{Job, JobId},
    lease::{Epoch, Fence, Holder},
    ledger::{Booked, Spent},
    money::Usd,
    why::Cause,
    worker::WorkerId,
};
use chrono_tz::Tz;
use rusqlite::{Connection, Row, named_params, types::Type};
use std::{collections::BTreeMap, time::Duration};

/// How long a lane is left alone that waits for a person; whoever changes the budget opens it.
const PERSONS_TURN: Duration = Duration::from_secs(3_600);

// ── Claiming ────────────────────────────────────────────────────────────────────────────────

/// The budgets that one claim looked at, and the lanes that it found shut.
#[derive(Default)]
pub(super) struct Budgets {
    /// Until when each lets nothing start.
    known: BTreeMap<String, Option<Timestamp>>,
    shut: Vec<(i64, String, Timestamp)>,
}

impl Budgets {
    /// Whether something is left of every budget of a lane. If not, the lane is to be left out until
    /// the last of them begins anew.
    pub(super) fn admit(&mut self, tx: &Tx<'_>, lane: i64, names: &[String]) -> Done<bool> {
        let mut last: Option<(Timestamp, &String)> = None;
        for name in names {
            if let Some(until) = self.used_up_until(tx, name)?
                && last.is_none_or(|(other, _)| until > other)
            {
                last = Some((until, name));
            }
        }
        let Some((until, name)) = last else {
            return Ok(true);
        };
        self.shut.push((lane, name.clone(), until));
        Ok(false)
    }

    /// Shuts the lanes that have to wait.
    pub(super) fn write(self, tx: &Tx<'_>) -> Done<()> {
        for (lane, budget, until) in &self.shut {
            lanes::shut_by_budget(tx, *lane, budget, *until)?;
        }
        Ok(())
    }

    fn used_up_until(&mut self, tx: &Tx<'_>, name: &str) -> Done<Option<Timestamp>> {
        if let Some(known) = self.known.get(name) {
            return Ok(*known);
        }
        let now = tx.now.wall;
        let until = match find(tx.connection(), name)? {
            None => None,
            Some(kept) => {
                let (spent, span) = kept.at(tx.connection(), now)?;
                let is_used_up = kept.budget.most.is_used_up(&spent);
                let until = span.until.unwrap_or(now.saturating_add(PERSONS_TURN));
                is_used_up.then_some(until)
            }
        };
        self.known.insert(name.to_owned(), until);
        Ok(until)
    }
}

/// The attempts of a worker that a budget wants stopped, with its name.
pub(super) fn stopped(tx: &Tx<'_>, worker: WorkerId) -> Done<Vec<(Fence, String)>> {
    let mut found = Vec::new();
    for kept in all_kept(tx.connection(), None)? {
        let Budget {
            name, hard, most, ..
        } = &kept.budget;
        if !hard {
            continue;
        }
        let (spent, span) = kept.at(tx.connection(), tx.now.wall)?;
        if !most.is_used_up(&spent) {
            continue;
        }
        let values = named_params! {
            ":worker": worker.0, ":budget": name, ":from": span.from.as_millis(),
        };
        found.extend(tx.all(sql::RUNNING_UNDER_BUDGET, values, |row| {
            let fence = Fence {
                job: JobId(row.get("id")?),
                epoch: Epoch(row.get("epoch")?),
                holder: Holder(row.get("holder")?),
            };
            Ok((fence, name.clone()))
        })?);
    }
    Ok(found)
}

// ── Counting ────────────────────────────────────────────────────────────────────────────────

/// An attempt's lines were replaced: counts the difference. The ledger has the new ones already.
pub(super) fn rebooked(tx: &Tx<'_>, before: &[Booked], after: &[Booked]) -> Done<()> {
    let Some(example) = after.first().or(before.first()) else {
        return Ok(());
    };
    let (queue, tags, at) = (&example.queue, &example.tags, example.began_at);
    let sum = |lines: &[Booked]| Spent::of(lines.iter().map(|booked| &booked.line));
    let (less, more) = (sum(before), sum(after));
    if less == more {
        return Ok(());
    }
    for kept in all_kept(tx.connection(), None)? {
        let Budget {
            scope, per, zone, ..
        } = &kept.budget;
        if !scope.covers(queue, tags) {
            continue;
        }
        let span = per.span(*zone, at);
        if span.from == kept.counted_from {
            count(
                tx,
                &kept.budget.name,
                span,
                kept.counted.but(less).and(more),
            )?;
        } else if span.from > kept.counted_from {
            recount(tx, &kept.budget, span)?;
        }
    }
    Ok(())
}

/// Counts what the ledger says, for every budget.
pub(super) fn recount_all(tx: &Tx<'_>) -> Done<()> {
    for kept in all_kept(tx.connection(), None)? {
        recount(
            tx,
            &kept.budget,
            kept.budget.per.span(kept.budget.zone, tx.now.wall),
        )?;
    }
    Ok(())
}

fn recount(tx: &Tx<'_>, budget: &Budget, span: Span) -> Done<()> {
    let spent = summed(tx.connection(), &budget.scope, span)?;
    count(tx, &budget.name, span, spent)
}

fn count(tx: &Tx<'_>, name: &str, span: Span, spent: Spent) -> Done<()> {
    tx.run(
        sql::COUNT_BUDGET,
        named_params! {
            ":name": name,
            ":from": span.from.as_millis(),
            ":cost": whole(spent.cost.nanos()),
            ":tokens": whole(spent.tokens),
            ":unpriced": whole(spent.unpriced),
        },
    )?;
    Ok(())
}

/// The nearest number that a column holds.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What attempts of a scope spent that began in a span, by the ledger itself.
fn summed(c: &Connection, scope: &Scope, span: Span) -> Done<Spent> {
    let (key, value) = tag_of(scope);
    let values = named_params! {
        ":from": span.from.as_millis(),
        ":until": span.until.map(Timestamp::as_millis),
        ":queue": scope.queue,
        ":tag_key": key,
        ":tag_value": value,
    };
    let sum = tx::one(c, sql::SUM_LEDGER, values, |row| {
        let (dollars, nanos): (u64, u64) = (row.get("usd")?, row.get("nanos")?);
        let dollars = dollars.saturating_mul(1_000_000_000);
        Ok(Spent {
            cost: Usd::from_nanos(dollars.saturating_add(nanos)),
            tokens: row.get("tokens")?,
            unpriced: row.get("unpriced")?,
        })
    })?;
    Ok(sum.unwrap_or_default())
}

fn tag_of(scope: &Scope) -> (Option<&str>, Option<&str>) {
    match &scope.tag {
        None => (None, None),
        Some((key, value)) => (Some(key), value.as_deref()),
    }
}

// ── Lanes ───────────────────────────────────────────────────────────────────────────────────

/// The same as [`place`] for a job that is new, and so in a lane of no budget.
pub(super) fn place_new(tx: &Tx<'_>, id: JobId) -> Done<()> {
    let of_job = named_params! {":job": id.0};
    match tx.one(sql::COVERING_BUDGETS, of_job, |_| Ok(()))? {
        Some(()) => place(tx, id),
        None => Ok(()),
    }
}

/// Puts a job that was changed into the lane of the budgets of whose scope it is.
pub(super) fn place(tx: &Tx<'_>, id: JobId) -> Done<()> {
    let of_job = named_params! {":job": id.0};
    let budgets: Vec<String> = tx.all(sql::COVERING_BUDGETS, of_job, |row| row.get(0))?;
    let before = moves::read(tx, id)?;
    if before.budgets == budgets {
        return Ok(());
    }
    tx.touch_lane_of(id)?;
    let after = Job { budgets, ..before };
    let lane = lanes::lane_for(tx, &Conditions::of(&after))?;
    tx.run(sql::SET_LANE, named_params! {":job": id.0, ":lane": lane})?;
    tx.touch(lane);
    Ok(())
}

/// Moves the jobs that are in the scope of a budget now, or not any more, to other lanes.
fn place_all(tx: &Tx<'_>, name: &str) -> Done<()> {
    let lanes = tx.all(sql::LANES_IN_USE, [], |row| {
        Ok((
            row.get::<_, i64>("id")?,
            rows::json::<Vec<String>>(row, "budgets")?,
        ))
    })?;
    for (lane, mut budgets) in lanes {
        let is_named = budgets.iter().any(|known| known == name);
        let values = named_params! {":lane": lane, ":budget": name, ":covered": !is_named};
        let jobs: Vec<i64> = tx.all(sql::JOBS_TO_MOVE, values, |row| row.get(0))?;
        if jobs.is_empty() {
            continue;
        }
        if is_named {
            budgets.retain(|known| known != name);
        } else {
            budgets.push(name.to_owned());
            budgets.sort_unstable();
        }
        let other = lane_like(tx, lane, &budgets)?;
        let jobs = serde_json::to_string(&jobs)?;
        tx.run(
            sql::MOVE_TO_LANE,
            named_params! {":jobs": jobs, ":lane": other},
        )?;
        tx.touch(lane);
        tx.touch(other);
    }
    Ok(())
}

fn lane_like(tx: &Tx<'_>, lane: i64, budgets: &[String]) -> Done<i64> {
    let budgets = serde_json::to_string(budgets)?;
    let values = named_params! {":lane": lane, ":budgets": budgets};
    tx.run(sql::COPY_LANE, values)?;
    let found = tx.one(sql::LANE_LIKE, values, |row| row.get(0))?;
    Ok(found.expect("the lane was made in this transaction"))
}

// ── People ──────────────────────────────────────────────────────────────────────────────────

/// Sets a budget, and says how it stands then.
pub(super) fn set(tx: &Tx<'_>, budget: &Budget) -> Done<BudgetStatus> {
    check(budget)?;
    let before = find(tx.connection(), &budget.name)?;
    let (key, value) = tag_of(&budget.scope);
    tx.run(
        sql::SET_BUDGET,
        named_params! {
            ":name": budget.name,
            ":queue": budget.scope.queue,
            ":tag_key": key,
            ":tag_value": value,
            ":per": budget.per.as_str(),
            ":zone": budget.zone.name(),
            ":cost": budget.most.cost.map(|cost| whole(cost.nanos())),
            ":tokens": budget.most.tokens.map(whole),
            ":hard": budget.hard,
            ":now": tx.wall(),
        },
    )?;
    recount(tx, budget, budget.per.span(budget.zone, tx.now.wall))?;
    if before.is_none_or(|before| before.budget.scope != budget.scope) {
        place_all(tx, &budget.name)?;
    }
    reopen(tx, &budget.name)?;
    let set = all(tx.connection(), Some(&budget.name), tx.now.wall)?.pop();
    Ok(set.ok_or_else(|| Error::BudgetNotFound(budget.name.clone()))?)
}

/// A budget came along with a job of another store, and is in force from now on.
pub(super) fn brought(tx: &Tx<'_>, name: &str) -> Done<()> {
    if let Some(kept) = find(tx.connection(), name)? {
        check(&kept.budget)?;
    }
    place_all(tx, name)
}

fn check(budget: &Budget) -> Result<(), Error> {
    let name = &budget.name;
    let is_good = |c: char| !c.is_whitespace() && !c.is_control();
    if name.is_empty() || name.len() > 200 || !name.chars().all(is_good) {
        return Err(Error::OutOfRange {
            field: "name of a budget",
            value: format!("`{name}`"),
            allowed: "a name without spaces, of at most 200 bytes".to_owned(),
        });
    }
    let is_nothing = budget.most.cost == Some(Usd::ZERO) || budget.most.tokens == Some(0);
    if budget.most.is_unbounded() || is_nothing {
        return Err(Error::OutOfRange {
            field: "budget",
            value: name.clone(),
            allowed: "a most of more than nothing, in US dollars or tokens".to_owned(),
        });
    }
    Ok(())
}

/// Takes a budget away: what waited for it may start.
pub(super) fn remove(tx: &Tx<'_>, name: &str) -> Done<()> {
    if tx.run(sql::REMOVE_BUDGET, named_params! {":name": name})? == 0 {
        return Err(Error::BudgetNotFound(name.to_owned()).into());
    }
    place_all(tx, name)?;
    reopen(tx, name)
}

fn reopen(tx: &Tx<'_>, name: &str) -> Done<()> {
    tx.run(sql::REOPEN_LANES_OF_BUDGET, named_params! {":budget": name})?;
    Ok(())
}

/// All budgets, or the one of a name.
pub(super) fn all(c: &Connection, name: Option<&str>, now: Timestamp) -> Done<Vec<BudgetStatus>> {
    let mut found = Vec::new();
    for kept in all_kept(c, name)? {
        let (spent, span) = kept.at(c, now)?;
        let of_budget = named_params! {":budget": kept.budget.name};
        let waiting = tx::one(c, sql::WAITING_UNDER_BUDGET, of_budget, |row| row.get(0))?;
        found.push(BudgetStatus {
            budget: kept.budget,
            spent,
            until: span.until,
            waiting: waiting.unwrap_or(0),
        });
    }
    Ok(found)
}

/// The budgets of a job of which nothing is left.
pub(super) fn causes(c: &Connection, job: &Job, now: Timestamp) -> Done<Vec<Cause>> {
    let mut causes = Vec::new();
    for name in &job.budgets {
        let Some(kept) = find(c, name)? else {
            continue;
        };
        let (spent, span) = kept.at(c, now)?;
        if kept.budget.most.is_used_up(&spent) {
            causes.push(Cause::BudgetUsedUp {
                budget: name.clone(),
                most: kept.budget.most,
                spent,
                until: span.until,
            });
        }
    }
    Ok(causes)
}

/// The budgets that have counted something else than the ledger says.
pub(super) fn miscounted(c: &Connection) -> Done<Vec<String>> {
    let mut wrong = Vec::new();
    for Kept {
        budget,
        counted_from,
        counted,
    } in all_kept(c, None)?
    {
        let span = budget.per.span(budget.zone, counted_from);
        if summed(c, &budget.scope, span)? != counted {
            wrong.push(format!("budget {} has not", budget.name));
        }
    }
    Ok(wrong)
}

// ── Rows ────────────────────────────────────────────────────────────────────────────────────

/// A budget as it is kept.
struct Kept {
    budget: Budget,
    counted_from: Timestamp,
    counted: Spent,
}

impl Kept {
    /// What was spent in the span of a moment, and that span.
    fn at(&self, c: &Connection, now: Timestamp) -> Done<(Spent, Span)> {
        let span = self.budget.per.span(self.budget.zone, now);
        let spent = match span.from.cmp(&self.counted_from) {
            std::cmp::Ordering::Equal => self.counted,
            // Whatever is booked for a span counts it: nothing was.
            std::cmp::Ordering::Greater => Spent::default(),
            // The clock was set back.
            std::cmp::Ordering::Less => summed(c, &self.budget.scope, span)?,
        };
        Ok((spent, span))
    }
}

fn find(c: &Connection, name: &str) -> Done<Option<Kept>> {
    Ok(all_kept(c, Some(name))?.pop())
}

fn all_kept(c: &Connection, name: Option<&str>) -> Done<Vec<Kept>> {
    tx::all(c, sql::BUDGETS, named_params! {":name": name}, kept)
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let key: Option<String> = row.get("tag_key")?;
    let value: Option<String> = row.get("tag_value")?;
    let cost: Option<u64> = row.get("most_nano_usd")?;
    Ok(Kept {
        budget: Budget {
            name: row.get("name")?,
            scope: Scope {
                queue: row.get("queue")?,
                tag: key.map(|key| (key, value)),
            },
            per: rows::word(row, "per")?,
            zone: zone(row)?,
            most: Most {
                cost: cost.map(Usd::from_nanos),
                tokens: row.get("most_tokens")?,
            },
            hard: row.get("hard")?,
        },
        counted_from: rows::at(row, "counted_from")?,
        counted: Spent {
            cost: Usd::from_nanos(row.get("nano_usd")?),
            tokens: row.get("tokens")?,
            unpriced: row.get("unpriced")?,
        },
    })
}

fn zone(row: &Row<'_>) -> rusqlite::Result<Tz> {
    let index = row.as_ref().column_index("zone")?;
    row.get::<_, String>(index)?
        .parse()
        .map_err(|error: chrono_tz::ParseError| {
            rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error))
        })
}
