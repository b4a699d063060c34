//! What the dispatcher does below its reserve of memory or disk: it starts nothing, says so once, and begins again by itself.
//!
//! Split from the event loop for its length alone. What always holds: nothing is started before the first look; a change
//! is told once, in the log and in the store, where `qcli why`, `status` and `workers` find it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use queue_core::worker::{Resource, Shortage};
use tokio::task::JoinError;

use super::Dispatcher;

impl Dispatcher {
    /// Whether as much is free as is to be kept free, as far as is known.
    pub(super) fn has_reserve(&self) -> bool {
        self.below_reserve == Some(None)
    }

    /// Looks at memory and disks on a thread of the pool: a file system may hang.
    pub(super) fn measure(&mut self) {
        if self.measuring.is_some() {
            return;
        }
        let reserve = self.options.reserve;
        let until_now = self.below_reserve.clone().flatten();
        let directories = self.written_directories();
        self.measuring = Some(tokio::task::spawn_blocking(move || {
            reserve.look(&directories, until_now.as_ref())
        }));
    }

    fn written_directories(&self) -> Vec<PathBuf> {
        let store = self.layout.db().parent().map(PathBuf::from);
        store.into_iter().chain(self.layout.directories()).collect()
    }

    /// Takes in what was found. A look that broke counts as enough.
    pub(super) fn take_measure(&mut self, found: Result<Option<Shortage>, JoinError>) {
        let found = found.unwrap_or_default();
        let had_reserve = self.has_reserve();
        let before = self.below_reserve.take().flatten();
        match (&before, &found) {
            (Some(before), Some(found)) if is_same(before, found) => {}
            (_, Some(shortage)) => {
                tracing::warn!(
                    worker = %self.name,
                    "worker {} does not start jobs: {}; free some, or start it with a smaller `--min-free-{}`",
                    self.name,
                    shortage.words(),
                    shortage.resource
                );
                self.tell(Some(shortage));
            }
            (Some(before), None) => {
                let resource = match before.resource {
                    Resource::Memory => "memory",
                    Resource::Disk => "disk",
                };
                tracing::info!(worker = %self.name, "worker {} starts jobs again: enough {resource} is free", self.name);
                self.tell(None);
            }
            (None, None) => {}
        }
        self.below_reserve = Some(found);
        if !had_reserve && self.has_reserve() {
            self.agenda.look_now(Instant::now());
        }
    }

    /// Tells the store, for people who ask. What it does not take is not told: nothing depends on it.
    fn tell(&self, shortage: Option<&Shortage>) {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let (worker, shortage) = (self.worker, shortage.cloned());
        drop(tokio::task::spawn_blocking(move || {
            if let Err(error) = store.worker_short(worker, shortage.as_ref(), &clock.now()) {
                tracing::debug!(%error, "a shortage could not be noted");
            }
        }));
    }
}

/// Whether two shortages are of the same thing; how much is free changes all the time.
fn is_same(before: &Shortage, after: &Shortage) -> bool {
    (before.resource, &before.place) == (after.resource, &after.place)
}
