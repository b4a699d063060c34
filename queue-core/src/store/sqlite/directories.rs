//! Directories that a job has to itself while it runs.
//!
//! The claim asks [`Directories`] before it takes a job; `why` asks [`holder`]. Who has a directory
//! is read off the jobs in progress and never kept, so it is free again in the transaction that
//! ends the lease, however that comes about, and stays taken while a job passes between workers.

use super::{fault::Done, sql, tx, tx::Tx};
use crate::{job::JobId, raw_text::RawText};
use rusqlite::{Connection, named_params};
use std::collections::BTreeMap;

/// The directories that one claim looked at, and whether each is free.
#[derive(Default)]
pub(super) struct Directories(BTreeMap<String, bool>);

impl Directories {
    /// Whether nobody has this directory, as it is stored. Jobs that share theirs name none.
    pub(super) fn is_free(&mut self, tx: &Tx<'_>, directory: &str) -> Done<bool> {
        if directory.is_empty() {
            return Ok(true);
        }
        if let Some(free) = self.0.get(directory) {
            return Ok(*free);
        }
        let free = holder_of(tx.connection(), directory)?.is_none();
        self.0.insert(directory.to_owned(), free);
        Ok(free)
    }

    /// Notes that a job with this directory was taken.
    pub(super) fn take(&mut self, directory: &str) {
        if let Some(free) = self.0.get_mut(directory) {
            *free = false;
        }
    }
}

/// The running job that has a directory to itself.
pub(super) fn holder(c: &Connection, directory: &RawText) -> Done<Option<JobId>> {
    holder_of(c, &stored(Some(directory))?)
}

fn holder_of(c: &Connection, directory: &str) -> Done<Option<JobId>> {
    let values = named_params! {":directory": directory};
    tx::one(c, sql::DIRECTORY_HOLDER, values, |row| {
        row.get("id").map(JobId)
    })
}

/// A directory as its column has it: JSON, since a path need not be UTF-8; empty for none.
pub(super) fn stored(directory: Option<&RawText>) -> Done<String> {
    Ok(match directory {
        Some(directory) => serde_json::to_string(directory)?,
        None => String::new(),
    })
}
