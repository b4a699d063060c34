//! The control groups of one store's attempts: which one each gets, and clearing away old ones.
//!
//! Owned by the worker. What always holds: a group is named for the store's file, the job and its epoch, so two stores,
//! or two histories of one, never share one; and one with a process in it is not removed.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use queue_core::{Epoch, JobId};

use super::ground::Ground;
use super::group::Plan;
use super::hold::Hold;
use super::{Bounds, Lack};

/// How the directory of a store's groups begins; its file's device and number follow.
const BASE: &str = "qcli-store-";

/// The groups that are made for one store.
#[derive(Debug)]
pub(crate) struct Groups {
    ground: Ground,
    /// The name of the directory of its groups.
    store: String,
}

impl Groups {
    /// Groups for the store at `db`; makes ready what has to be.
    ///
    /// # Errors
    /// When there is no such file.
    pub(crate) fn of(db: &Path) -> io::Result<Self> {
        // Looked at and not opened: nobody but SQLite opens that file.
        let file = fs::metadata(db)?;
        Ok(Self {
            ground: Ground::prepare(),
            store: format!("{BASE}{:x}.{:x}", file.dev(), file.ino()),
        })
    }

    /// What to make for one attempt; nothing where no group is of use. A direct attempt has one only for its bounds: it
    /// makes three times as much work of starting a tiny command, which is all that such attempts are for.
    pub(crate) fn plan(
        &self,
        job: JobId,
        epoch: Epoch,
        bounds: Bounds,
        is_direct: bool,
    ) -> Option<Plan> {
        if is_direct && !bounds.is_any() {
            return None;
        }
        self.ground.plan(&self.store, job, epoch, bounds)
    }

    /// Why bounds cannot be enforced here, if they cannot.
    pub(crate) fn lacks(&self) -> impl Iterator<Item = &Lack> {
        [&self.ground.memory, &self.ground.cpu]
            .into_iter()
            .filter_map(|bound| bound.as_ref().err())
    }

    /// Removes the empty groups of attempts that are over, left by workers that were killed.
    pub(crate) fn remove_stale(&self, is_over: impl Fn(JobId, Epoch) -> bool) {
        for base in self.ground.bases(&self.store) {
            for entry in fs::read_dir(base).into_iter().flatten().flatten() {
                let name = entry.file_name();
                if named(&name.to_string_lossy()).is_some_and(|(job, epoch)| is_over(job, epoch)) {
                    Hold::at(vec![entry.path()]).remove();
                }
            }
        }
    }

    /// Removes the directories of stores, this one's and those whose worker was killed, where no attempt is left in
    /// them: the kernel refuses where there is, and who needs one again makes it again.
    pub(crate) fn remove_empty_bases(&self) {
        for parent in self.ground.parents() {
            for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
                if entry
                    .file_name()
                    .as_encoded_bytes()
                    .starts_with(BASE.as_bytes())
                {
                    let _ = fs::remove_dir(entry.path());
                }
            }
        }
    }
}

fn named(name: &str) -> Option<(JobId, Epoch)> {
    let (job, epoch) = name.split_once('-')?;
    Some((JobId(job.parse().ok()?), Epoch(epoch.parse().ok()?)))
}
