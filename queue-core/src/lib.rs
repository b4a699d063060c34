//! The queue: states, leases, policies, storage.
//!
//! A map, from the outside in:
//! - [`store`]: [`Store`], one method per verb, and its engine [`SqliteStore`];
//! - the nouns: [`job`], [`agent`], [`attempt`], [`proof`], [`lease`], [`checkpoint`], [`question`],
//!   [`queue`], [`limit`], [`ledger`], [`worker`];
//! - the decisions, plain functions without input or output: [`state`], [`retry`], [`bucket`],
//!   [`gate`], [`budget`], [`cost`], [`why`];
//! - what they are made of: [`clock`], [`units`], [`money`], [`raw_text`], [`words`], [`error`];
//! - [`wake`], how processes tell each other that something was written;
//! - [`failpoint`], places where a test may have the process killed.
//!
//! Core decides, edges act: nothing here prints, spawns or asks what time it is.

pub mod agent;
pub mod attempt;
pub mod bucket;
pub mod budget;
pub mod checkpoint;
pub mod clock;
pub mod cost;
pub mod error;
pub mod failpoint;
pub mod gate;
pub mod job;
pub mod lease;
pub mod ledger;
pub mod limit;
pub mod money;
pub mod proof;
pub mod question;
pub mod queue;
pub mod raw_text;
pub mod retry;
pub mod state;
pub mod store;
pub mod units;
pub mod wake;
pub mod way;
pub mod why;
pub mod words;
pub mod worker;

pub use clock::{Clock, Now, StoppedClock, SystemClock, Timestamp};
pub use error::{Error, Result, StoreError};
pub use job::{Command, Enqueued, Job, JobId, NewJob};
pub use lease::{Epoch, Fence, Holder, Lease};
pub use state::{Class, State, Verb, WaitReason};
pub use store::{Store, sqlite::SqliteStore};
pub use worker::WorkerId;
