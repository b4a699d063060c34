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
        let path = layout.worker_lock(worker);
        // Locked before it has its name: whoever looked in between would take us for dead, and hold
        // the lock for that moment.
        let draft = path.with_extension("new");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&draft)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        fs::rename(&draft, &path)?;
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

/// Whether a worker may be alive.
pub(crate) fn may_live(layout: &Layout, worker: WorkerId) -> bool {
    match File::open(layout.worker_lock(worker)) {
        Err(error) => error.kind() != io::ErrorKind::NotFound,
        Ok(file) => flock(&file, FlockOperation::NonBlockingLockShared).is_err(),
    }
}

/// Takes away the file of a worker that is over and holds nothing any more.
pub(crate) fn forget(layout: &Layout, worker: WorkerId) {
    let _ = fs::remove_file(layout.worker_lock(worker));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[test]
    fn a_worker_that_begins_is_never_taken_for_dead() {
        // P6
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("queue.db");
        fs::write(&db, "").unwrap();
        let layout = Layout::beside(&db).unwrap();
        let (now, last) = (AtomicI64::new(1), 500);
        std::thread::scope(|scope| {
            let looks = scope.spawn(|| {
                while now.load(Ordering::Relaxed) < last {
                    let worker = WorkerId(now.load(Ordering::Relaxed));
                    assert!(!is_over(&layout, worker), "worker {worker} has just begun");
                }
            });
            let begin = |number| {
                now.store(number, Ordering::Relaxed);
                Life::begin(&layout, WorkerId(number))
            };
            let lives: io::Result<Vec<Life>> = (1..last).map(begin).collect();
            now.store(last, Ordering::Relaxed);
            looks.join().unwrap();
            // Only now they end.
            assert_eq!(lives.unwrap().len(), 499);
        });
    }

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
