//! Changes that nobody was woken for.
//!
//! Asked while somebody waits for a change: a writer may die between its commit and the wake, and
//! a foreign program knows no wakes at all. What always holds: a commit by any other connection is
//! noticed at the next look, and counted once for all who wait in this process.

use super::{Durability, connection, lock};
use rusqlite::Connection;
use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// How often to look while somebody waits.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(250);

/// See the module.
pub(super) struct ForeignChanges {
    path: PathBuf,
    /// A connection of its own: `data_version` tells what changed since the same one last asked.
    seen: Mutex<Option<(Connection, i64)>>,
    count: AtomicU32,
}

impl ForeignChanges {
    pub(super) fn of(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            seen: Mutex::new(None),
            count: AtomicU32::new(0),
        }
    }

    /// How many looks found a change.
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }

    /// Looks whether the file was changed since the last look; the first one only takes note.
    ///
    /// It is a net under the wakes: where it cannot look, nothing is lost but time.
    pub(super) fn look(&self) {
        let mut seen = lock(&self.seen);
        match seen.as_mut() {
            Some((connection, known)) => {
                if let Ok(version) = data_version(connection)
                    && version != *known
                {
                    *known = version;
                    self.count.fetch_add(1, Ordering::SeqCst);
                }
            }
            None => {
                *seen = connection::open(&self.path, Durability::Normal)
                    .ok()
                    .and_then(|connection| {
                        let version = data_version(&connection).ok()?;
                        Some((connection, version))
                    });
            }
        }
    }

    /// Takes note of the present, unless that was done before.
    pub(super) fn begin(&self) {
        if lock(&self.seen).is_none() {
            self.look();
        }
    }
}

/// Another number after each commit by another connection (sqlite.org, PRAGMA data_version).
fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("pragma data_version", [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::super::{OpenOptions, SqliteStore};
    use crate::store::Store;
    use rusqlite::Connection;
    use std::time::Duration;

    #[test]
    fn a_write_that_wakes_nobody_is_noticed_soon() {
        // T48
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue.db");
        let store = SqliteStore::open(&path, &OpenOptions::default()).unwrap();
        let generation = store.generation();
        assert!(!store.wait_for_change(generation, Duration::ZERO));
        Connection::open(&path)
            .unwrap()
            .execute(
                "insert into queue (name, created_at) values ('foreign', 0)",
                [],
            )
            .unwrap();
        assert!(store.wait_for_change(generation, Duration::from_secs(60)));
        let generation = store.generation();
        assert!(!store.wait_for_change(generation, Duration::from_millis(600)));
    }
}
