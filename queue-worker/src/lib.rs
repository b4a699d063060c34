//! Claims jobs and supervises their processes.
//!
//! A map of the crate, from one attempt outwards:
//!
//! - [`process`]: starts, signals and reaps one process group; the only place with platform code.
//! - [`supervisor`]: one attempt's process from start to end, as a state machine with named states.
//! - [`output`]: writes the log of an attempt: framing, cap, trouble with the disk.
//! - [`log`]: reads such a log: forwards, the last lines, following.

pub mod log;
pub mod output;
pub mod process;
pub mod supervisor;
