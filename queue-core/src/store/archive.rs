//! Jobs on their way from one store to another, and what came of them there.
//!
//! Made by [`Store::export`](super::Store::export), taken by [`Store::import`](super::Store::import). The
//! JSON of a job is a format that files outlive releases in: columns and tables are added to it,
//! never renamed, and a table that is missing is one that its release did not write.

use crate::job::JobId;
use std::collections::BTreeMap;

/// A job with its history, and the settings of the queue, the limits, the gates and the concurrency
/// key that it uses. Its JSON is the format of `qcli export`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Archived {
    /// The version of this format.
    pub schema: u32,
    /// The job's rows, by table: each row an object of its columns.
    pub rows: BTreeMap<String, Vec<serde_json::Map<String, serde_json::Value>>>,
}

/// What came of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Import {
    /// One answer for each job, in the order in which they came.
    pub jobs: Vec<Imported>,
    /// What the jobs that were added use, by kind and name.
    pub settings: Vec<ImportedSettings>,
}

/// What became of an imported job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// It is here now, under this id.
    Added(JobId),
    /// It was here before, under this id.
    Existing(JobId),
}

/// What became of the settings of one queue, limit, gate, concurrency key or budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedSettings {
    /// What they are of.
    pub of: Shared,
    /// Its name.
    pub name: String,
    /// What became of them.
    pub result: SettingsResult,
}

/// What several jobs use together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shared {
    /// A queue.
    Queue,
    /// A limit.
    Limit,
    /// A gate: how far apart jobs start that pass it.
    Gate,
    /// A concurrency key.
    ConcurrencyKey,
    /// A budget: how much it is, and what for.
    Budget,
}

/// What became of settings that came along with a job. The later of two goes before the earlier
/// where several jobs brought the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettingsResult {
    /// They are the same here.
    Same,
    /// There were none here; these are in force now.
    Added,
    /// There are others here, and they stay.
    Kept,
}
