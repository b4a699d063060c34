//! What every store promises, one file per area; run once per engine.
//!
//! A comment with a letter and a number names the entry of the collected failures of other queues
//! (`T…` of engines, `S…` of command-line queues) that a test keeps out.

#![expect(clippy::unwrap_used, reason = "in a test a failure is the answer")]

mod archive;
mod at_once;
mod bounds;
mod budgets;
mod cancel;
mod checkpoints;
mod claim;
mod clock_changes;
mod concurrency;
mod dependencies;
mod directories;
mod edit;
mod enqueue;
mod fence;
mod gates;
mod hold_release;
mod lease;
mod ledger;
mod limits;
mod list;
mod priority;
mod promote;
mod proof;
mod prune;
mod questions;
mod queues;
mod reposition;
mod requeue;
mod rescue;
mod retry;
mod sessions;
mod snooze;
mod unique;
mod unreadable;
mod upkeep;
mod wake;
mod ways;
mod why;
mod workers;
