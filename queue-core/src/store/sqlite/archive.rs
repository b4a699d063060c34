//! Export and import: jobs with their history, as rows by table.
//!
//! Columns are taken from the schema, so a column that a later migration adds is carried without
//! another line here. What only makes sense inside one store (lanes, leases, workers) stays
//! behind; a job that was running arrives as one whose worker died.

mod settings;

use super::{
    budgets, dependencies, enqueue,
    fault::Done,
    lanes::{self, Conditions},
    limits, moves, rows, sql,
    tx::{self, Tx},
};
use crate::{
    error::Error,
    gate::GateName,
    job::{JobId, LimitUse},
    raw_text::{RawText, from_hex, to_hex},
    state::{Class, State, WaitReason},
    store::{Archived, Import, Imported},
    way::Way,
};
use rusqlite::{
    Connection, ToSql, named_params,
    types::{Value as Sql, ValueRef},
};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// The version of the format.
const FORMAT: u32 = 1;

/// The tables that belong to a job, and the column that names it.
const TABLES: &[(&str, &str)] = &[
    ("job", "id"),
    ("job_body", "job"),
    ("tag", "job"),
    ("attempt", "job"),
    ("checkpoint", "job"),
    ("question", "job"),
    ("dependency", "job"),
    ("ledger", "job"),
];

/// What a job has to itself only inside its own store.
const LEFT_BEHIND: &[&str] = &[
    "lane",
    "keeps_place",
    "worker",
    "lease_boot",
    "lease_until",
    "lease_expires_at",
];

/// The largest whole number that every reader of JSON understands (RFC 8259, 6).
const LARGEST: i64 = (1 << 53) - 1;

/// A job keeps its id up to this one: the ids of all later jobs follow the highest.
const LAST_ID_KEPT: i64 = i32::MAX as i64;

type Row = Map<String, Json>;

/// Jobs after `after`, by id.
pub(super) fn export(c: &Connection, after: JobId, most: usize) -> Done<Vec<Archived>> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let ids: Vec<i64> = tx::all(
        c,
        "select id from job where id > ? order by id limit ?",
        [after.0, most],
        |row| row.get(0),
    )?;
    ids.into_iter().map(|id| export_one(c, id)).collect()
}

fn export_one(c: &Connection, id: i64) -> Done<Archived> {
    let mut tables = BTreeMap::new();
    for (table, key) in TABLES {
        tables.insert((*table).to_owned(), all_rows(c, table, key, id)?);
    }
    type Conditions = (Vec<LimitUse>, Vec<GateName>, Vec<Way>, Vec<String>);
    let (limits, gates, ways, budgets): Conditions =
        tx::one(c, sql::JOB_ROW, named_params! {":job": id}, |row| {
            Ok((
                rows::json(row, "limits")?,
                rows::json(row, "gates")?,
                rows::json(row, "ways")?,
                rows::json(row, "budgets")?,
            ))
        })?
        .unwrap_or_default();
    if let Some(job) = tables
        .get_mut("job")
        .and_then(|rows: &mut Vec<Row>| rows.first_mut())
    {
        job.retain(|column, _| !LEFT_BEHIND.contains(&column.as_str()));
        job.insert("limits".to_owned(), serde_json::to_value(&limits)?);
        let passed: Vec<_> = (ways.iter().flat_map(|way| &way.gates))
            .chain(&gates)
            .collect();
        job.insert("gates".to_owned(), serde_json::to_value(&gates)?);
        job.insert("ways".to_owned(), serde_json::to_value(&ways)?);
        for (table, rows) in settings::export(c, job, &limits, &passed, &budgets)? {
            tables.insert(table.to_owned(), rows);
        }
    }
    Ok(Archived {
        schema: FORMAT,
        rows: tables,
    })
}

/// The rows of a table of which a column has this value.
fn all_rows(c: &Connection, table: &str, column: &str, value: impl ToSql) -> Done<Vec<Row>> {
    let statement = format!("select * from {table} where {column} = ?");
    tx::all(c, &statement, [value], as_json)
}

fn as_json(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let mut object = Map::new();
    for index in 0..row.as_ref().column_count() {
        let name = row.as_ref().column_name(index)?.to_owned();
        let value = match row.get_ref(index)? {
            ValueRef::Null => Json::Null,
            ValueRef::Integer(number) => number.into(),
            ValueRef::Real(number) => number.into(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
            ValueRef::Blob(bytes) => serde_json::json!({ "hex": to_hex(bytes) }),
        };
        object.insert(name, value);
    }
    Ok(object)
}

/// Adds jobs of another store. Ids that are taken here are given anew, in the order of the file,
/// and dependencies follow them. A parent that is not among them stands for nobody here.
pub(super) fn import(tx: &Tx<'_>, jobs: &[Archived]) -> Done<Import> {
    let mut brought = settings::Brought::default();
    let mut ids: BTreeMap<i64, JobId> = BTreeMap::new();
    let mut imported = Vec::with_capacity(jobs.len());
    for archived in jobs {
        let job = job_row(archived)?;
        let old = job
            .get("id")
            .and_then(Json::as_i64)
            .ok_or_else(|| unreadable("id"))?;
        let uid = job
            .get("uid")
            .and_then(Json::as_str)
            .ok_or_else(|| unreadable("uid"))?;
        let here = tx.one("select id from job where uid = ?", [uid], |row| {
            row.get(0).map(JobId)
        })?;
        let outcome = match here {
            Some(id) => Imported::Existing(id),
            None => Imported::Added(import_one(tx, archived, old, &mut brought)?),
        };
        let (Imported::Added(id) | Imported::Existing(id)) = outcome;
        ids.insert(old, id);
        imported.push(outcome);
    }
    for (archived, outcome) in jobs.iter().zip(&imported) {
        if let Imported::Added(id) = outcome {
            import_dependencies(tx, archived, *id, &ids)?;
        }
    }
    budgets::recount_all(tx)?;
    Ok(Import {
        jobs: imported,
        settings: brought.into_answers(),
    })
}

fn job_row(archived: &Archived) -> Result<&Row, Error> {
    if archived.schema != FORMAT {
        return Err(Error::OutOfRange {
            field: "schema",
            value: archived.schema.to_string(),
            allowed: FORMAT.to_string(),
        });
    }
    archived
        .rows
        .get("job")
        .and_then(|rows| rows.first())
        .ok_or_else(|| unreadable("job"))
}

fn unreadable(field: &'static str) -> Error {
    Error::OutOfRange {
        field,
        value: "missing".to_owned(),
        allowed: "as it was exported".to_owned(),
    }
}

fn import_one(
    tx: &Tx<'_>,
    archived: &Archived,
    old: i64,
    brought: &mut settings::Brought,
) -> Done<JobId> {
    check(archived)?;
    settings::import(tx, archived, brought)?;
    let mut job = job_row(archived)?.clone();
    job.retain(|column, _| !LEFT_BEHIND.contains(&column.as_str()));
    let taken = tx
        .one("select 1 from job where id = ?", [old], |_| Ok(()))?
        .is_some();
    if taken || old <= last_given(tx)? || old > LAST_ID_KEPT {
        job.remove("id");
    }
    let epoch = newest_epoch(archived);
    job.insert("epoch".to_owned(), epoch.into());
    let directory: Option<RawText> = match job.get("directory").and_then(Json::as_str) {
        None | Some("") => None,
        Some(text) => Some(serde_json::from_str(text)?),
    };
    let limits: Vec<LimitUse> =
        serde_json::from_value(job.remove("limits").unwrap_or(Json::Array(Vec::new())))?;
    let gates: Vec<GateName> =
        serde_json::from_value(job.remove("gates").unwrap_or(Json::Array(Vec::new())))?;
    let ways: Vec<Way> =
        serde_json::from_value(job.remove("ways").unwrap_or(Json::Array(Vec::new())))?;
    let text = |column: &str| {
        job.get(column)
            .and_then(Json::as_str)
            .unwrap_or("")
            .to_owned()
    };
    let (queue, kind, key) = (text("queue"), text("kind"), text("concurrency_key"));
    let priority = job
        .get("priority")
        .and_then(Json::as_i64)
        .and_then(|p| i32::try_from(p).ok());
    if queue.is_empty() {
        return Err(unreadable("queue").into());
    }
    if job.get("finished_at").is_none_or(Json::is_null) {
        limits::check_fit(tx, &limits)?;
    }
    tx.run(
        sql::ENSURE_QUEUE,
        named_params! {":name": queue, ":now": tx.wall()},
    )?;
    let conditions = Conditions {
        queue: &queue,
        kind: &kind,
        limits: &limits,
        gates: &gates,
        ways: &ways,
        key: &key,
        directory: directory.as_ref(),
        budgets: &[],
        priority: priority.unwrap_or(0),
    };
    let lane = lanes::lane_for(tx, &conditions)?;
    let (position, queued_at) = tx.join_line()?;
    job.insert("lane".to_owned(), lane.into());
    job.insert("position".to_owned(), position.into());
    job.insert("queued_at".to_owned(), queued_at.into());
    interrupt(&mut job, archived);
    give_up_taken_key(tx, &mut job)?;
    insert(tx, "job", &job)?;
    let id = JobId(tx.connection().last_insert_rowid());
    tx.touch(lane);
    for (table, key) in TABLES
        .iter()
        .filter(|(table, _)| !["job", "dependency"].contains(table))
    {
        for row in archived.rows.get(*table).into_iter().flatten() {
            let mut row = row.clone();
            row.insert((*key).to_owned(), id.0.into());
            close(table, &mut row, tx.wall());
            insert(tx, table, &row)?;
        }
    }
    budgets::place_new(tx, id)?;
    Ok(id)
}

/// Refuses what the schema lets through but no store ever writes: a job without its body, and
/// numbers that the next claim would count beyond what a column holds.
fn check(archived: &Archived) -> Result<(), Error> {
    if archived
        .rows
        .get("job_body")
        .is_none_or(|rows| rows.len() != 1)
    {
        return Err(unreadable("job_body"));
    }
    for row in archived.rows.values().flatten() {
        for (column, value) in row {
            let allowed = match column.as_str() {
                // Moments that a very long delay leads to.
                "run_at" | "expires_at" => continue,
                "epoch" | "holder" => 0..=LARGEST,
                "number" | "attempt" | "stalls" => 0..=i64::from(i32::MAX),
                _ => -LARGEST..=LARGEST,
            };
            let number = value.as_i64();
            if number.is_some_and(|number| !allowed.contains(&number)) {
                return Err(Error::OutOfRange {
                    field: "number",
                    value: format!("{column} {value}"),
                    allowed: format!("from {} to {}", allowed.start(), allowed.end()),
                });
            }
        }
    }
    Ok(())
}

/// The newest epoch that anything of a job names. The next claim has to come after all of them.
fn newest_epoch(archived: &Archived) -> i64 {
    ["job", "attempt", "checkpoint", "question"]
        .iter()
        .filter_map(|table| archived.rows.get(*table))
        .flatten()
        .filter_map(|row| row.get("epoch").and_then(Json::as_i64))
        .max()
        .unwrap_or(0)
}

/// A job that was running when it was exported does not run here. What it asked is still open.
fn interrupt(job: &mut Row, archived: &Archived) {
    if job.get("state").and_then(Json::as_str) == Some(State::InProgress.as_str()) {
        job.insert("state".to_owned(), State::Pending.as_str().into());
        job.insert("class".to_owned(), Class::WorkerDied.as_str().into());
        job.insert("cancel_requested_at".to_owned(), Json::Null);
        let attempt = job.get("attempt").and_then(Json::as_i64).unwrap_or(1);
        job.insert("attempt".to_owned(), (attempt - 1).max(0).into());
        if let Some(asked_at) = asks_since(archived) {
            job.insert("state".to_owned(), State::Blocked.as_str().into());
            job.insert("wait_reason".to_owned(), WaitReason::Answer.as_str().into());
            job.insert("asked_at".to_owned(), asked_at);
        }
    }
}

/// When a job that is running asked what nobody has answered yet.
fn asks_since(archived: &Archived) -> Option<Json> {
    let last = archived.rows.get("question")?.last()?;
    let is_open = last.get("answer").is_none_or(Json::is_null)
        && last.get("is_past").and_then(Json::as_i64) == Some(0);
    is_open.then(|| last.get("asked_at").cloned()).flatten()
}

/// A unique key that a job here holds stays with that job; the one that arrives goes without.
fn give_up_taken_key(tx: &Tx<'_>, job: &mut Row) -> Done<()> {
    let Some(key) = job.get("unique_key").and_then(Json::as_str) else {
        return Ok(());
    };
    if enqueue::unique_holder(tx, key, JobId(0))?.is_some() {
        job.insert("unique_key".to_owned(), Json::Null);
        job.insert("unique_while".to_owned(), Json::Null);
    }
    Ok(())
}

fn close(table: &str, row: &mut Row, now: i64) {
    if table == "attempt" && row.get("ended_at").is_none_or(Json::is_null) {
        row.insert("ended_at".to_owned(), now.into());
        row.insert("class".to_owned(), Class::WorkerDied.as_str().into());
    }
}

fn import_dependencies(
    tx: &Tx<'_>,
    archived: &Archived,
    id: JobId,
    ids: &BTreeMap<i64, JobId>,
) -> Done<()> {
    for row in archived.rows.get("dependency").into_iter().flatten() {
        let mut row = row.clone();
        let parent = row
            .get("parent")
            .and_then(Json::as_i64)
            .ok_or_else(|| unreadable("parent"))?;
        let parent = match ids.get(&parent) {
            Some(job) => job.0,
            None => number_of_nobody(tx, parent)?,
        };
        row.insert("job".to_owned(), id.0.into());
        row.insert("parent".to_owned(), parent.into());
        insert(tx, "dependency", &row)?;
    }
    dependencies::refuse_cycle(tx, id)?;
    dependencies::recount(tx, id)?;
    // Read as everybody will: what cannot be read must not get in.
    tx.all(sql::ATTEMPTS, named_params! {":job": id.0}, rows::attempt)?;
    let before = moves::read(tx, id)?;
    if before.state.is_waiting() {
        let mut after = before.clone();
        moves::settle(
            &mut after,
            before.wait_reason.unwrap_or(WaitReason::Delay),
            tx.now.wall,
        );
        if after.state != before.state {
            moves::apply(tx, crate::state::Verb::Edit, &before, &after)?;
        }
    }
    Ok(())
}

/// The number under which a job is known here that did not come along: its old one, or a new one
/// if that is another job's. No job has it and none will, so nothing unrelated can ever meet the
/// dependency, which stays open with the reason that its parent is gone.
fn number_of_nobody(tx: &Tx<'_>, old: i64) -> Done<i64> {
    let last = last_given(tx)?;
    let is_taken = tx
        .one("select 1 from job where id = ?", [old], |_| Ok(()))?
        .is_some();
    if (1..=last).contains(&old) && !is_taken {
        return Ok(old);
    }
    let number = if (last + 1..=LAST_ID_KEPT).contains(&old) {
        old
    } else {
        last + 1
    };
    tx.run(
        "update sqlite_sequence set seq = ? where name = 'job'",
        [number],
    )?;
    Ok(number)
}

/// The highest number that a job here ever had.
fn last_given(tx: &Tx<'_>) -> Done<i64> {
    let last = tx.one(
        "select seq from sqlite_sequence where name = 'job'",
        [],
        |row| row.get(0),
    )?;
    Ok(last.unwrap_or(0))
}

/// Inserts a row whose columns are checked against the schema: a name from a file never becomes
/// part of a statement unless a table has it.
fn insert(tx: &Tx<'_>, table: &str, row: &Row) -> Done<()> {
    let known: Vec<String> = tx.all("select name from pragma_table_info(?)", [table], |row| {
        row.get(0)
    })?;
    let columns: Vec<&String> = known
        .iter()
        .filter(|name| row.contains_key(*name))
        .collect();
    if let Some(unknown) = row.keys().find(|name| !known.contains(name)) {
        return Err(Error::OutOfRange {
            field: "column",
            value: unknown.clone(),
            allowed: format!("one of table {table}"),
        }
        .into());
    }
    let names: Vec<&str> = columns.iter().map(|name| name.as_str()).collect();
    let marks = vec!["?"; names.len()].join(", ");
    let values: Vec<Sql> = columns
        .iter()
        .map(|name| as_sql(&row[*name]))
        .collect::<Result<_, _>>()?;
    let statement = format!(
        "insert into {table} (\"{}\") values ({marks})",
        names.join("\", \"")
    );
    tx.run(&statement, rusqlite::params_from_iter(values))?;
    Ok(())
}

fn as_sql(value: &Json) -> Result<Sql, Error> {
    Ok(match value {
        Json::Null => Sql::Null,
        Json::Bool(yes) => i64::from(*yes).into(),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().unwrap_or(0.0).into(),
        },
        Json::String(text) => text.clone().into(),
        Json::Object(object) => {
            let hex = object.get("hex").and_then(Json::as_str).and_then(from_hex);
            Sql::Blob(hex.ok_or_else(|| unreadable("hex"))?)
        }
        Json::Array(_) => return Err(unreadable("value")),
    })
}
