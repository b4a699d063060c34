//! Brings the schema of a store up to date: forward only, one process at a time.
//!
//! The version is read inside the exclusive transaction that applies what is missing, so that of
//! two processes that start at once one migrates and the other finds it done. Each migration is
//! recorded with the checksum of its text; a store of a later release is refused untouched.

use super::fault::Done;
use crate::{clock::Now, error::StoreError, failpoint};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use std::path::Path;

/// Marks the file as ours in its header: "QCLI" (sqlite.org/pragma.html#pragma_application_id).
const APPLICATION_ID: i64 = 0x5143_4c49;

/// Every migration, by version. A released one is never changed.
const MIGRATIONS: &[(i64, &str, &str)] =
    &[(1, "jobs", include_str!("../../../migrations/0001_jobs.sql"))];

/// The newest schema that this release knows.
pub(super) const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

const CREATE_LEDGER: &str = "create table if not exists migration (
  version    integer primary key,
  name       text not null,
  checksum   text not null,
  applied_at integer not null
) strict";

/// Applies what is missing. A store that is up to date is only read.
pub(super) fn migrate(connection: &mut Connection, path: &Path, now: &Now) -> Done<()> {
    if schema_version(connection)? == NEWEST {
        return check_ledger(connection, path);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    failpoint::hit("migrate.begun");
    let found = schema_version(&transaction)?;
    if found > NEWEST {
        return Err(StoreError::Newer {
            path: path.to_path_buf(),
            found,
            known: NEWEST,
        }
        .into());
    }
    transaction.execute_batch(CREATE_LEDGER)?;
    check_ledger(&transaction, path)?;
    for (version, name, text) in MIGRATIONS.iter().filter(|(version, ..)| *version > found) {
        transaction.execute_batch(text)?;
        transaction.execute(
            "insert into migration (version, name, checksum, applied_at) values (?, ?, ?, ?)",
            (version, name, checksum(text), now.wall.as_millis()),
        )?;
        failpoint::hit("migrate.applied");
    }
    if found == 0 {
        let id = uuid::Uuid::now_v7().to_string();
        transaction.execute("insert into meta (key, value) values ('store_id', ?)", [id])?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    transaction.pragma_update(None, "user_version", NEWEST)?;
    failpoint::hit("migrate.versioned");
    transaction.commit()?;
    failpoint::hit("migrate.committed");
    Ok(())
}

fn schema_version(connection: &Connection) -> Done<i64> {
    Ok(connection.query_row("pragma user_version", [], |row| row.get(0))?)
}

/// Refuses a database that some other program, or a later release, made. Only reads.
pub(super) fn refuse_foreign(connection: &Connection, path: &Path) -> Done<()> {
    // One look at all of it: another process may be setting the file up.
    let connection = connection.unchecked_transaction()?;
    let id: i64 = connection.query_row("pragma application_id", [], |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("select count(*) from sqlite_schema", [], |row| row.get(0))?;
    let version = schema_version(&connection)?;
    if version > NEWEST && id == APPLICATION_ID {
        let path = path.to_path_buf();
        return Err(StoreError::Newer {
            path,
            found: version,
            known: NEWEST,
        }
        .into());
    }
    if id != APPLICATION_ID && tables > 0 {
        return Err(StoreError::Foreign(path.to_path_buf()).into());
    }
    Ok(())
}

/// Compares what was applied with the texts of this release.
fn check_ledger(connection: &Connection, path: &Path) -> Done<()> {
    let there = connection
        .query_row(
            "select 1 from sqlite_schema where name = 'migration'",
            [],
            |_| Ok(()),
        )
        .optional()?;
    if there.is_none() {
        return Err(StoreError::Foreign(path.to_path_buf()).into());
    }
    let mut statement = connection.prepare("select version, checksum from migration")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (version, applied): (i64, String) = (row.get(0)?, row.get(1)?);
        let known = MIGRATIONS.iter().find(|(known, ..)| *known == version);
        if known.is_some_and(|(.., text)| checksum(text) != applied) {
            let path = path.to_path_buf();
            return Err(StoreError::ForeignMigration { path, version }.into());
        }
    }
    Ok(())
}

/// FNV-1a, 64 bits (draft-eastlake-fnv). It finds accidents; it is no defence against intent.
fn checksum(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}
