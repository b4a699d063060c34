//! The readers: a small pool of connections that never write.
//!
//! Connections are opened when they are first needed. A query that runs too long is interrupted,
//! so that one caller cannot keep a snapshot, and with it the write-ahead log, for ever. What always
//! holds: when the pool is gone, its connections are closed, so that the last one of a store
//! takes the write-ahead log away.

use super::{
    Durability, connection,
    fault::{Done, Fault},
    files::Files,
};
use crate::error::StoreError;
use r2d2::PooledConnection;
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, OpenFlags};
use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex,
        mpsc::{self, Receiver, SyncSender},
    },
    time::{Duration, Instant},
};

/// How many steps of the engine lie between two looks at the clock.
const STEPS_BETWEEN_LOOKS: i32 = 20_000;

/// How long a connection may take to be opened.
const OPENED_WITHIN: Duration = Duration::from_secs(5);

/// How long a caller waits for others to be done reading.
const WAIT: Duration = Duration::from_secs(30);

/// How long connections may take to be closed.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// What goes with a connection, right after that is closed.
#[derive(Clone)]
struct Open {
    _until_dropped: SyncSender<()>,
}

pub(super) struct Readers {
    /// There until this is dropped.
    pool: Option<r2d2::Pool<SqliteConnectionManager>>,
    /// There as long as a connection is open: each has a copy, and this is the first.
    open: Option<Open>,
    closed: Mutex<Receiver<()>>,
    files: Files,
    path: PathBuf,
    query_timeout: Duration,
    /// How long a caller waits while all connections are busy.
    wait: Duration,
}

impl Readers {
    /// Makes the pool without opening anything: that the file can be opened is known before.
    pub(super) fn new(files: Files, path: &Path, size: u32, query_timeout: Duration) -> Self {
        let file = path.to_path_buf();
        let manager = SqliteConnectionManager::file(path)
            .with_flags(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .with_init(move |connection| {
                connection::configure(connection, &file, Durability::Normal)
                    .map_err(engine_error)?;
                connection.pragma_update(None, "query_only", true)
            });
        let pool = r2d2::Pool::builder()
            .max_size(size.max(1))
            .min_idle(Some(0))
            .test_on_check_out(false)
            .max_lifetime(None)
            .idle_timeout(None)
            .connection_timeout(OPENED_WITHIN)
            .build_unchecked(manager);
        let (open, closed) = mpsc::sync_channel(0);
        Self {
            pool: Some(pool),
            open: Some(Open {
                _until_dropped: open,
            }),
            closed: Mutex::new(closed),
            files,
            path: path.to_path_buf(),
            query_timeout,
            wait: WAIT,
        }
    }

    /// Runs `read` on one snapshot of the store.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Connection) -> Done<T>) -> crate::Result<T> {
        // A connection that is made for this read would be one to whatever lies there now.
        self.files.check()?;
        let connection = self.connection()?;
        let (started, limit) = (Instant::now(), self.query_timeout);
        let too_slow = move || started.elapsed() > limit;
        self.told(
            connection
                .progress_handler(STEPS_BETWEEN_LOOKS, Some(too_slow))
                .map_err(Fault::from),
        )?;
        let answer = self.told(snapshot(&connection, read));
        self.told(
            connection
                .progress_handler(0, None::<fn() -> bool>)
                .map_err(Fault::from),
        )?;
        answer
    }

    /// A connection of the pool. While all of them are busy it waits longer than for one that
    /// cannot be opened.
    fn connection(&self) -> crate::Result<PooledConnection<SqliteConnectionManager>> {
        let pool = self.pool.as_ref().expect("it is there until the end");
        let is_busy = || pool.state().connections >= pool.max_size();
        let answer = match pool.get_timeout(self.wait.min(OPENED_WITHIN)) {
            Err(_) if is_busy() => pool.get_timeout(self.wait.saturating_sub(OPENED_WITHIN)),
            answer => answer,
        };
        let mut connection = answer.map_err(|error| {
            let path = self.path.clone();
            if is_busy() {
                let waited = self.wait;
                return crate::Error::from(StoreError::Busy { path, waited });
            }
            let detail = error.to_string();
            crate::Error::from(StoreError::CannotOpen { path, detail })
        })?;
        let extensions = PooledConnection::extensions_mut(&mut connection);
        if extensions.get::<Open>().is_none() {
            extensions.insert(self.open.clone().expect("it is there until the end"));
        }
        Ok(connection)
    }

    fn told<T>(&self, done: Done<T>) -> crate::Result<T> {
        done.map_err(|fault| match fault {
            Fault::Engine(error)
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) =>
            {
                StoreError::TooSlow {
                    path: self.path.clone(),
                    limit: self.query_timeout,
                }
                .into()
            }
            fault => fault.told(&self.path),
        })
    }
}

impl Drop for Readers {
    /// A thread of the pool that has just opened a connection may hold the pool a little longer than
    /// we do. Were the process to end before that, the connection would not be closed.
    fn drop(&mut self) {
        drop(self.pool.take());
        drop(self.open.take());
        // Nothing is ever sent: it ends when the last connection is closed.
        let _ = super::lock(&self.closed).recv_timeout(CLOSED_WITHIN);
    }
}

/// All reads of `read` see one state of the store. It ends with the read however that ends: a
/// connection that went back to the pool with it would refuse every later read.
fn snapshot<T>(connection: &Connection, read: impl FnOnce(&Connection) -> Done<T>) -> Done<T> {
    let state = connection.unchecked_transaction()?;
    read(&state)
}

fn engine_error(fault: Fault) -> rusqlite::Error {
    match fault {
        Fault::Engine(error) => error,
        Fault::Answer(error) => rusqlite::Error::ToSqlConversionFailure(Box::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{OpenOptions, SqliteStore};
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_query_that_hangs_is_ended_and_the_next_one_runs() {
        // T53
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue.db");
        connection::create_file(&path).unwrap();
        connection::open(&path, Durability::Normal).unwrap();
        let readers = Readers::new(Files::of(&path), &path, 1, Duration::from_millis(50));
        let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";
        let answer = readers.read(|c| Ok(c.query_row(endless, [], |row| row.get::<_, i64>(0))?));
        assert!(
            matches!(answer, Err(crate::Error::Store(StoreError::TooSlow { .. }))),
            "{answer:?}"
        );
        assert_eq!(
            readers
                .read(|c| Ok(c.query_row("select 7", [], |row| row.get::<_, i64>(0))?))
                .unwrap(),
            7
        );
    }

    #[test]
    fn who_closes_a_store_leaves_no_log_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue.db");
        for _ in 0..200 {
            let store = SqliteStore::open(&path, &OpenOptions::default()).unwrap();
            assert!(store.queues().unwrap().is_empty());
            drop(store);
            assert!(!directory.path().join("queue.db-wal").exists());
        }
    }

    #[test]
    fn who_finds_all_readers_busy_waits_and_is_told_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue.db");
        connection::create_file(&path).unwrap();
        connection::open(&path, Durability::Normal).unwrap();
        let mut readers = Readers::new(Files::of(&path), &path, 1, Duration::from_secs(30));
        readers.wait = Duration::from_millis(50);
        let answer = readers.read(|_| Ok(readers.read(|_| Ok(()))));
        let busy = matches!(
            answer,
            Ok(Err(crate::Error::Store(StoreError::Busy { .. })))
        );
        assert!(busy, "{answer:?}");
        readers.read(|_| Ok(())).unwrap();
    }

    #[test]
    fn a_reader_cannot_write() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue.db");
        connection::create_file(&path).unwrap();
        connection::open(&path, Durability::Normal).unwrap();
        let readers = Readers::new(Files::of(&path), &path, 1, Duration::from_secs(30));
        let answer = readers.read(|c| Ok(c.execute_batch("create table t (x)")?));
        assert!(
            matches!(answer, Err(crate::Error::Store(StoreError::ReadOnly(_)))),
            "{answer:?}"
        );
    }

    #[test]
    fn a_read_that_panics_leaves_its_connection_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue.db");
        connection::create_file(&path).unwrap();
        connection::open(&path, Durability::Normal).unwrap();
        let readers = Readers::new(Files::of(&path), &path, 1, Duration::from_secs(30));
        let broken =
            std::panic::AssertUnwindSafe(|| readers.read(|_| -> Done<()> { panic!("on purpose") }));
        assert!(std::panic::catch_unwind(broken).is_err());
        let seven = readers.read(|c| Ok(c.query_row("select 7", [], |row| row.get::<_, i64>(0))?));
        assert_eq!(seven.unwrap(), 7);
    }
}
