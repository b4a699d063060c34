//! The schema of the SQLite engine: its words, its statements, their plans, and its migrations.
//!
//! Nothing here runs a verb; the suites that do are `conformance` and `properties`. A snapshot
//! that changes is a decision to look at: a dump that changes needs a migration, a plan that
//! changes may cost a hundred times more.

#![expect(clippy::unwrap_used, reason = "in a test a failure is the answer")]

mod migrations;
mod plans;
mod words;

use queue_core::store::sqlite::{OpenOptions, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

/// A fresh store that nobody has open, and a raw connection to it.
fn fresh() -> (TempDir, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    drop(SqliteStore::open(&path, &OpenOptions::default()).unwrap());
    let connection = Connection::open(&path).unwrap();
    (dir, connection)
}

/// The text that made everything in the schema, by name.
fn schema(connection: &Connection) -> String {
    let mut statement = connection
        .prepare("select sql from sqlite_schema where sql is not null order by type desc, name")
        .unwrap();
    let texts = statement
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap();
    texts
        .map(|text| text.unwrap() + ";\n")
        .collect::<Vec<_>>()
        .join("\n")
}
