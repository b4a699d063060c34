//! Claims jobs and supervises their processes.
//!
//! A map of the crate, from one attempt outwards:
//!
//! - [`process`]: starts, signals and reaps one process group; the only place with platform code.

pub mod process;
