//! Where the store's files are, so that others in their place are noticed.
//!
//! Taken when the store is opened and asked around every write and before every read. A file that
//! was removed stays open, and SQLite would go on with it: what is written then is gone with the
//! process, while others work on the new file. What always holds: the files are only looked at by
//! name (stat(2)), never opened, because closing them would drop SQLite's locks.

use super::beside;
use crate::error::StoreError;
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The files of an open store, as they were when it was opened. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Files {
    store: PathBuf,
    /// The store, its log and the log's index: with a connection open, nobody but SQLite makes the
    /// latter two, and SQLite does not remove them. Each with its device and inode.
    known: Arc<[(PathBuf, (u64, u64))]>,
}

impl Files {
    /// Takes note of the files of the store at `path`, to which a connection is open.
    pub(super) fn of(path: &Path) -> Self {
        let names = [
            path.to_path_buf(),
            beside(path, "-wal"),
            beside(path, "-shm"),
        ];
        let note = |name: PathBuf| identity(&name).ok().map(|found| (name, found));
        Self {
            store: path.to_path_buf(),
            known: names.into_iter().filter_map(note).collect(),
        }
    }

    /// Looks whether the files are still the ones that were opened.
    ///
    /// # Errors
    /// [`StoreError::Replaced`]. A file that cannot be looked at for another reason is left to
    /// SQLite, which says more.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        for (file, opened) in self.known.iter() {
            let is_gone = match identity(file) {
                Ok(found) if found == *opened => continue,
                Ok(_) => false,
                Err(error) if error.kind() == io::ErrorKind::NotFound => true,
                Err(_) => continue,
            };
            return Err(StoreError::Replaced {
                path: self.store.clone(),
                file: file.clone(),
                is_gone,
            });
        }
        Ok(())
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::super::{OpenOptions, SqliteStore};
    use crate::{
        Clock, Error, SystemClock,
        error::StoreError,
        job::NewJob,
        store::{Filter, Store},
    };
    use std::{fs, path::Path, time::Duration};

    fn open(path: &Path) -> SqliteStore {
        SqliteStore::open(path, &OpenOptions::default()).unwrap()
    }

    fn is_replaced<T: std::fmt::Debug>(answer: Result<T, Error>, expected: bool) {
        match answer {
            Err(Error::Store(StoreError::Replaced { is_gone, .. })) if is_gone == expected => {}
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_store_whose_files_were_taken_away_answers_nothing_more() {
        // T50
        for (suffix, is_replaced_by_another) in
            [("", false), ("", true), ("-wal", false), ("-shm", true)]
        {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("queue.db");
            let store = open(&path);
            let now = SystemClock::new().now();
            let job = store.enqueue(NewJob::argv(["x"]), &now).unwrap().id();
            let generation = store.generation();
            let file = directory.path().join(format!("queue.db{suffix}"));
            fs::rename(&file, directory.path().join("elsewhere")).unwrap();
            if is_replaced_by_another {
                fs::write(&file, "").unwrap();
            }
            let is_gone = !is_replaced_by_another;
            is_replaced(store.enqueue(NewJob::argv(["x"]), &now), is_gone);
            is_replaced(store.job(job), is_gone);
            is_replaced(store.ids(&Filter::default()), is_gone);
            is_replaced(store.export(job, 1), is_gone);
            is_replaced(store.tidy(), is_gone);
            is_replaced(store.backup(&directory.path().join("copy")), is_gone);
            assert!(
                store.wait_for_change(generation, Duration::from_secs(60)),
                "whoever waits is to look and learn of it"
            );
            // Put back, it is the same store.
            fs::rename(directory.path().join("elsewhere"), &file).unwrap();
            assert_eq!(store.job(job).unwrap().id, job);
            store.enqueue(NewJob::argv(["x"]), &now).unwrap();
        }
    }
}
