//! The directory of the store's logs, and deleting files in it and nowhere else.
//!
//! A path of a log comes out of the store, and a store may come from anywhere: it is an instruction to delete a file only
//! if the file lies right where this store's workers write.

use std::io;
use std::path::{Path, PathBuf};

use queue_core::{Epoch, JobId};
use queue_worker::layout::Layout;

use crate::error::reason_of;

/// Where the workers of a store write the output of attempts.
pub(super) struct LogDirectory(PathBuf);

impl LogDirectory {
    /// The directory of a store.
    pub(super) fn of(store: &Path) -> Self {
        // As the workers do: beside the file itself, not beside a link to it.
        let store = store.canonicalize().unwrap_or_else(|_| store.to_owned());
        let any_log = Layout::of(&store).log(JobId(0), Epoch(0));
        Self(any_log.parent().unwrap_or(&store).to_owned())
    }

    /// Deletes a log. Says whether there was one; why not, where it is none of ours.
    pub(super) fn delete(&self, log: &str) -> Result<bool, String> {
        let path = Path::new(log);
        let told = |cause: &io::Error| reason_of(cause);
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err("it is no path of a file".to_owned());
        };
        let ours = match self.0.canonicalize() {
            Ok(ours) => ours,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(cause) => return Err(told(&cause)),
        };
        match folder.canonicalize() {
            Ok(folder) if folder == ours => {}
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
            Ok(_) => return Err(format!("it is not in {}", self.0.display())),
            Err(cause) => return Err(told(&cause)),
        }
        let path = ours.join(name);
        // A link is removed itself, never what it points to; a directory is refused by the system.
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(cause) => Err(told(&cause)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_files_of_the_stores_own_directory_are_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("queue.db");
        let logs = dir.path().join("queue.db-logs");
        fs::create_dir(&logs).unwrap();
        let (log, other) = (logs.join("1-1.log"), dir.path().join("precious"));
        fs::write(&log, "x").unwrap();
        fs::write(&other, "x").unwrap();
        fs::create_dir(logs.join("folder")).unwrap();
        let directory = LogDirectory::of(&store);
        let delete = |path: &Path| directory.delete(&path.to_string_lossy());

        assert_eq!(delete(&log), Ok(true));
        assert_eq!(delete(&log), Ok(false));
        assert!(delete(&other).is_err());
        assert!(delete(&logs.join("../precious")).is_err());
        assert!(delete(&logs.join("folder")).is_err());
        assert!(delete(Path::new("/")).is_err());
        assert!(other.exists() && logs.join("folder").exists());
    }

    #[test]
    fn a_link_is_removed_and_what_it_points_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("queue.db-logs");
        fs::create_dir(&logs).unwrap();
        let (link, precious) = (logs.join("1-1.log"), dir.path().join("precious"));
        fs::write(&precious, "x").unwrap();
        std::os::unix::fs::symlink(&precious, &link).unwrap();
        let directory = LogDirectory::of(&dir.path().join("queue.db"));
        assert_eq!(directory.delete(&link.to_string_lossy()), Ok(true));
        assert!(precious.exists() && link.symlink_metadata().is_err());
    }

    #[test]
    fn a_store_that_never_ran_anything_has_no_logs() {
        let dir = tempfile::tempdir().unwrap();
        let directory = LogDirectory::of(&dir.path().join("queue.db"));
        let log = dir.path().join("queue.db-logs/1-1.log");
        assert_eq!(directory.delete(&log.to_string_lossy()), Ok(false));
    }
}
