//! The settings that go along with a job: of its queue, its limits, its gates, its concurrency key
//! and its budgets.
//!
//! Each job carries those it uses, so that any part of a file can be imported by itself. What is
//! set here already is never touched: the jobs that are here rely on it. How full a bucket is and
//! how often it was used stays with the store that it belongs to, and so does what closed a gate;
//! what a budget has counted follows the ledger.

use super::{Row, all_rows, insert};
use crate::{
    gate::GateName,
    job::LimitUse,
    store::{
        Archived, ImportedSettings, SettingsResult, Shared,
        sqlite::{budgets, fault::Done, gates, limits, queues, tx::Tx},
    },
};
use rusqlite::Connection;
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

/// Where the settings of something stand.
struct Place {
    of: Shared,
    table: &'static str,
    key: &'static str,
    /// What is not a setting but what became of it in its store.
    left_behind: &'static [&'static str],
}

const PLACES: &[Place] = &[
    Place {
        of: Shared::Queue,
        table: "queue",
        key: "name",
        left_behind: &["created_at"],
    },
    Place {
        of: Shared::Limit,
        table: "limit_bucket",
        key: "name",
        left_behind: &["tat_ns", "spent", "created_at"],
    },
    Place {
        of: Shared::Gate,
        table: "gate",
        key: "name",
        left_behind: &[
            "stand",
            "reason",
            "until",
            "since",
            "evidence",
            "set_by",
            "tries",
            "probe_job",
            "probe_epoch",
            "probe_holder",
            "probe_since",
            "last_start",
            "passed_at",
            "failures",
        ],
    },
    Place {
        of: Shared::ConcurrencyKey,
        table: "concurrency_key",
        key: "key",
        left_behind: &[],
    },
    Place {
        of: Shared::Budget,
        table: "budget",
        key: "name",
        left_behind: &[
            "created_at",
            "counted_from",
            "nano_usd",
            "tokens",
            "unpriced",
        ],
    },
];

impl Place {
    fn read(&self, c: &Connection, name: &str) -> Done<Option<Row>> {
        let mut rows = all_rows(c, self.table, self.key, name)?;
        let mut row = rows.pop();
        if let Some(row) = &mut row {
            row.retain(|column, _| !self.left_behind.contains(&column.as_str()));
        }
        // Of a gate that nobody set there is a row as soon as something happened to it.
        Ok(row.filter(|row| self.of != Shared::Gate || stagger(row).is_some()))
    }
}

/// What was brought so far, by what it is of and its name.
#[derive(Default)]
pub(super) struct Brought(BTreeMap<(Shared, String), SettingsResult>);

impl Brought {
    fn note(&mut self, of: Shared, name: String, result: SettingsResult) {
        match self.0.entry((of, name)) {
            Entry::Vacant(first) => {
                first.insert(result);
            }
            Entry::Occupied(mut before) => {
                let most = result.max(*before.get());
                before.insert(most);
            }
        }
    }

    pub(super) fn into_answers(self) -> Vec<ImportedSettings> {
        let answers = self.0.into_iter();
        answers
            .map(|((of, name), result)| ImportedSettings { of, name, result })
            .collect()
    }
}

/// The settings that a job uses, by table. What has none of its own is left out.
pub(super) fn export(
    c: &Connection,
    job: &Row,
    limits: &[LimitUse],
    gates: &[&GateName],
    budgets: &[String],
) -> Done<Vec<(&'static str, Vec<Row>)>> {
    let text = |column: &str| job.get(column).and_then(Json::as_str).unwrap_or_default();
    let mut tables = Vec::new();
    for place in PLACES {
        let names: Vec<&str> = match place.of {
            Shared::Queue => vec![text("queue")],
            Shared::Limit => limits.iter().map(|limit| limit.name.as_str()).collect(),
            Shared::Gate => gates.iter().map(|gate| gate.as_str()).collect(),
            Shared::ConcurrencyKey => vec![text("concurrency_key")],
            Shared::Budget => budgets.iter().map(String::as_str).collect(),
        };
        let mut rows = Vec::new();
        for name in names {
            rows.extend(place.read(c, name)?);
        }
        if !rows.is_empty() {
            tables.push((place.table, rows));
        }
    }
    Ok(tables)
}

/// Makes what a job brings along and nobody set here.
pub(super) fn import(tx: &Tx<'_>, archived: &Archived, brought: &mut Brought) -> Done<()> {
    for place in PLACES {
        for row in archived.rows.get(place.table).into_iter().flatten() {
            let name = row.get(place.key).and_then(Json::as_str);
            let name = name.ok_or_else(|| super::unreadable(place.table))?;
            let result = match place.read(tx.connection(), name)? {
                None => {
                    add(tx, place, name, row)?;
                    SettingsResult::Added
                }
                Some(here) if says_the_same(place, &here, row) => SettingsResult::Same,
                Some(_) => SettingsResult::Kept,
            };
            brought.note(place.of, name.to_owned(), result);
        }
    }
    Ok(())
}

fn add(tx: &Tx<'_>, place: &Place, name: &str, row: &Row) -> Done<()> {
    if place.of == Shared::Gate {
        return set_stagger(tx, name, row);
    }
    let mut row = row.clone();
    row.retain(|column, _| !place.left_behind.contains(&column.as_str()));
    if place.left_behind.contains(&"created_at") {
        row.insert("created_at".to_owned(), tx.wall().into());
    }
    if place.of == Shared::Budget {
        // Counted anew, once the ledger of all jobs is here.
        for counted in ["counted_from", "nano_usd", "tokens", "unpriced"] {
            row.insert(counted.to_owned(), 0.into());
        }
    }
    insert(tx, place.table, &row)?;
    // Read as everybody will: what nobody could have set must not get in.
    match place.of {
        Shared::Queue => queues::check(tx, name)?,
        Shared::Limit => limits::check(tx, name)?,
        Shared::ConcurrencyKey => {
            queues::keys(tx.connection())?;
        }
        Shared::Gate => {}
        Shared::Budget => budgets::brought(tx, name)?,
    }
    Ok(())
}

/// How far apart jobs start that pass the gate, in milliseconds, where somebody has said it.
fn stagger(row: &Row) -> Option<u64> {
    row.get("stagger_ms").and_then(Json::as_u64)
}

/// Sets how far apart jobs start here. Whether the gate is closed is no matter of other stores.
fn set_stagger(tx: &Tx<'_>, name: &str, row: &Row) -> Done<()> {
    let name: GateName = name.parse().map_err(|_| super::unreadable("gate"))?;
    let millis = stagger(row).ok_or_else(|| super::unreadable("stagger_ms"))?;
    gates::change(tx, &name, |gate| {
        gate.stagger = Some(Duration::from_millis(millis));
    })
}

/// Whether what came along is what is set here. Since when a queue is paused makes no difference.
fn says_the_same(place: &Place, here: &Row, there: &Row) -> bool {
    let mut settings = there
        .iter()
        .filter(|(column, _)| !place.left_behind.contains(&column.as_str()));
    settings.all(
        |(column, value)| match (column.as_str(), here.get(column)) {
            ("paused_at", Some(own)) => value.is_null() == own.is_null(),
            (_, own) => own == Some(value),
        },
    )
}
