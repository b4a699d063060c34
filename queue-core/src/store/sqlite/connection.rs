//! One connection to the store, with every setting applied and read back.
//!
//! All connections of a process are opened here and nowhere else: the file is made with mode
//! 0600, the settings are the same for readers and the writer, and one that does not take is an
//! error. Nothing but SQLite ever opens or closes the database file: closing it by any other
//! means drops SQLite's locks (POSIX advisory locks belong to the process, fcntl(2)).

use super::{
    Durability,
    fault::{Done, translate},
    migrate,
};
use crate::error::StoreError;
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{
    cell::Cell,
    fs,
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// How long a transaction waits for another process's, before it gives up.
pub(super) const BUSY_FOR: Duration = Duration::from_secs(60);

/// The oldest engine that is safe: earlier ones can lose committed data when two connections
/// write and checkpoint at once (sqlite.org/wal.html#walresetbug).
pub(super) const OLDEST_ENGINE: (i32, &str) = (3_051_003, "3.51.3");

/// How far the write-ahead log may grow before a commit copies it into the database, in pages.
const CHECKPOINT_EVERY: i64 = 2_000;

/// What is left of the write-ahead log's file after it was copied, in bytes.
const LOG_KEPT: i64 = 16 << 20;

/// Opens a connection with all settings in place.
pub(super) fn open(path: &Path, durability: Durability) -> Done<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    wait_again(&connection);
    // Before any setting: the mode of the log is written into the file, and a file that is not
    // ours stays as it is.
    migrate::refuse_foreign(&connection, path)?;
    configure(&connection, path, durability)?;
    Ok(connection)
}

/// Applies the settings to a connection and reads each back.
pub(super) fn configure(connection: &Connection, path: &Path, durability: Durability) -> Done<()> {
    wait_again(connection);
    connection.set_prepared_statement_cache_capacity(128);
    // Otherwise a prepared statement is prepared again with almost every new value, to see whether
    // that value allows for a better plan. None of ours asks for it: plans are tested as they are.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    set(connection, path, "journal_mode", "wal")?;
    set(connection, path, "synchronous", durability.as_pragma())?;
    set(connection, path, "foreign_keys", "1")?;
    set(connection, path, "trusted_schema", "0")?;
    set(connection, path, "cell_size_check", "1")?;
    // What a savepoint may have to undo, and large sorts: otherwise in files of /tmp.
    set(connection, path, "temp_store", "2")?;
    set(
        connection,
        path,
        "wal_autocheckpoint",
        &CHECKPOINT_EVERY.to_string(),
    )?;
    set(
        connection,
        path,
        "journal_size_limit",
        &LOG_KEPT.to_string(),
    )?;
    Ok(())
}

/// Sets a pragma and reads it back: SQLite ignores in silence what it does not know.
fn set(connection: &Connection, path: &Path, pragma: &'static str, value: &str) -> Done<()> {
    let read = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
    if as_text(connection.query_row(&format!("pragma {pragma}"), [], read)?) == value {
        return Ok(());
    }
    // Some pragmas answer with a row, some with none.
    connection
        .prepare(&format!("pragma {pragma} = {value}"))?
        .query([])?
        .next()?;
    let found = as_text(connection.query_row(&format!("pragma {pragma}"), [], read)?);
    if found == value {
        return Ok(());
    }
    let path = path.to_path_buf();
    Err(StoreError::Setting {
        path,
        pragma,
        wanted: value.to_owned(),
        found,
    }
    .into())
}

fn as_text(value: rusqlite::types::Value) -> String {
    match value {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text.to_lowercase(),
        other => format!("{other:?}"),
    }
}

/// From now on the connection waits for nobody's lock, neither for that of a writer nor while
/// another process checkpoints or recovers the log.
pub(super) fn give_up_at_once(connection: &Connection) {
    connection.busy_handler(Some(|_| false)).expect(NOTED);
}

/// From now on the connection waits for the locks it needs.
pub(super) fn wait_again(connection: &Connection) {
    // Not `busy_timeout`: SQLite's own ladder of sleeps starves a process among many writers.
    connection.busy_handler(Some(wait_for_lock)).expect(NOTED);
}

/// Why the two above cannot fail (sqlite.org/c3ref/busy_handler.html).
const NOTED: &str = "SQLite only notes which function to call";

/// Called by SQLite when another process has the lock it needs; false gives up.
///
/// Short sleeps of random length keep processes from waking in step. Measured against SQLite's
/// own ladder with eight writers: 1.6 times the transactions, a quarter of the 99th percentile.
fn wait_for_lock(tries: i32) -> bool {
    thread_local! {
        static WAITING_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    let since = WAITING_SINCE.with(|cell| {
        if tries == 0 {
            cell.set(Some(Instant::now()));
        }
        cell.get().unwrap_or_else(Instant::now)
    });
    if since.elapsed() >= BUSY_FOR {
        return false;
    }
    let most = if tries < 200 { 1_300 } else { 5_000 };
    thread::sleep(Duration::from_micros(50 + jitter(most)));
    true
}

/// A number below `most` that differs between processes and moments.
fn jitter(most: u64) -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish() % most
}

/// Sets the name of a short-lived file apart from those of other processes and moments.
pub(super) fn unique_mark() -> String {
    format!("{}-{}", std::process::id(), jitter(u64::MAX))
}

/// Whether the engine that is linked is safe to use.
pub(super) fn check_engine(version: i32) -> Result<(), StoreError> {
    if version >= OLDEST_ENGINE.0 {
        return Ok(());
    }
    let found = format!(
        "{}.{}.{}",
        version / 1_000_000,
        version / 1_000 % 1_000,
        version % 1_000
    );
    Err(StoreError::OldEngine {
        found,
        needed: OLDEST_ENGINE.1,
    })
}

/// Makes an empty file for the store with mode 0600, if there is none. Returns whether it did.
///
/// The file is made under another name and linked into place: were it opened here under its own
/// name, closing it would drop the locks of connections this process may have to it.
pub(super) fn create_file(path: &Path) -> Result<bool, StoreError> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(StoreError::IsDirectory(path.to_path_buf())),
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(file_error(path, &error)),
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(|error| file_error(path, &error))?;
    }
    let unborn = super::beside(path, &format!(".new-{}", unique_mark()));
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unborn)
        .map_err(|error| file_error(path, &error))?;
    let linked = fs::hard_link(&unborn, path);
    let _ = fs::remove_file(&unborn);
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(file_error(path, &error)),
    }
}

/// What a failure to make or open a file means for the store at `path`.
pub(super) fn file_error(path: &Path, error: &std::io::Error) -> StoreError {
    let path = path.to_path_buf();
    match error.kind() {
        ErrorKind::PermissionDenied => StoreError::PermissionDenied(path),
        ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly(path),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::DiskFull(path),
        _ => StoreError::CannotOpen {
            path,
            detail: error.to_string(),
        },
    }
}

/// Whether another look may find the file in order: it was being set up by another process.
pub(super) fn is_transient(fault: &super::fault::Fault, path: &Path) -> bool {
    match fault {
        super::fault::Fault::Engine(error) => translate(error, path).is_transient(),
        super::fault::Fault::Answer(error) => error.is_transient(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_with_the_wal_reset_bug_is_refused() {
        // T55
        assert!(
            check_engine(3_051_002)
                .unwrap_err()
                .to_string()
                .contains("3.51.2")
        );
        assert!(check_engine(3_051_003).is_ok());
        assert!(
            check_engine(rusqlite::version_number()).is_ok(),
            "the bundled engine is too old"
        );
    }

    #[test]
    fn a_setting_that_does_not_take_is_an_error() {
        // T56: SQLite answers an unknown pragma with silence.
        let connection = Connection::open_in_memory().unwrap();
        assert!(set(&connection, Path::new("x"), "synchronous", "wal").is_err());
        assert!(set(&connection, Path::new("x"), "journal", "wal").is_err());
        assert!(set(&connection, Path::new("x"), "synchronous", "1").is_ok());
    }

    #[test]
    fn a_new_file_is_readable_by_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/down/queue.db");
        assert!(create_file(&path).unwrap());
        assert!(!create_file(&path).unwrap(), "it was there before");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert!(matches!(
            create_file(directory.path()),
            Err(StoreError::IsDirectory(_))
        ));
    }
}
