//! The proof that a worker lives: a lock on a file of its own, which its death lets go of at once.
//!
//! Held from the registration to the end of the process, however that comes (flock(2): the lock
//! goes with the last copy of the descriptor). What always holds: a file that is there and not
//! locked belongs to a worker that is dead; without the file nothing is known, and the leases of
//! that worker have to run out.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use queue_core::WorkerId;
use rustix::fs::{FlockOperation, flock};

use crate::layout::Layout;

/// The lock of this worker, for as long as the value lives.
#[derive(Debug)]
pub(crate) struct Life {
    _lock: File,
}

impl Life {
    /// Begins to prove that `worker`, which is this process, lives.
    pub(crate) fn begin(layout: &Layout, worker: WorkerId) -> io::Result<Self> {
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(layout.worker_lock(worker))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { _lock: lock })
    }
}

/// Whether a worker is proven to be dead.
pub(crate) fn is_over(layout: &Layout, worker: WorkerId) -> bool {
    let Ok(file) = File::open(layout.worker_lock(worker)) else {
        return false;
    };
    flock(&file, FlockOperation::NonBlockingLockShared).is_ok()
}

/// Takes away the file of a worker that is over and holds nothing any more.
pub(crate) fn forget(layout: &Layout, worker: WorkerId) {
    let _ = fs::remove_file(layout.worker_lock(worker));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_lives_for_as_long_as_it_holds_its_lock() {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("queue.db");
        fs::write(&db, "").unwrap();
        let layout = Layout::beside(&db).unwrap();
        let worker = WorkerId(7);
        assert!(!is_over(&layout, worker), "nothing is known of it");
        let life = Life::begin(&layout, worker).unwrap();
        assert!(!is_over(&layout, worker));
        drop(life);
        assert!(is_over(&layout, worker));
        forget(&layout, worker);
        assert!(!is_over(&layout, worker));
    }
}
