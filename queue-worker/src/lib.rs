//! Claims jobs and supervises their processes.
//!
//! A map of the crate, from one attempt outwards:
//!
//! - [`spec`] says what to run, [`outcome`] what it came to, [`usage_error`] whether it refused its
//!   arguments, [`checkpoint_file`] what it saved; [`layout`] where its files lie.
//! - [`supervisor`]: one attempt's process from start to end, as a state machine with named states.
//! - [`process`]: starts, signals and reaps one process group; platform code.
//! - [`output`]: writes the log of an attempt: framing, cap, trouble with the disk.
//! - [`log`]: reads such a log: forwards, the last lines, following.

pub mod checkpoint_file;
pub mod layout;
pub mod log;
pub mod outcome;
pub mod output;
pub mod process;
pub mod spec;
pub mod supervisor;
pub mod usage_error;
