//! A job on its way from one store to another.
//!
//! Made by [`Store::export`](super::Store::export), taken by [`Store::import`](super::Store::import). Its
//! JSON is a format that files outlive releases in: columns and tables are added to it, never renamed.

use crate::job::JobId;
use std::collections::BTreeMap;

/// A job with its history, on its way from one store to another. Its JSON is the format of
/// `qcli export`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Archived {
    /// The version of this format.
    pub schema: u32,
    /// The job's rows, by table: each row an object of its columns.
    pub rows: BTreeMap<String, Vec<serde_json::Map<String, serde_json::Value>>>,
}

/// What became of an imported job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// It is here now, under this id.
    Added(JobId),
    /// It was here before, under this id.
    Existing(JobId),
}
