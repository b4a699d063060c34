//! Claims jobs and supervises their processes.
//!
//! A map of the crate, from the worker inwards:
//!
//! - [`worker`]: a worker from start to end; [`args`] and [`console`] make it a command, whose front door
//!   is in `queue-cli`.
//! - `dispatcher`: the event loop: owns the slots, and is the only part that talks to the store;
//!   `waker` brings it wakes, [`signals`] tells it to stop.
//! - [`agent`]: what a coding agent printed, and what it came to.
//! - `attempt`: one attempt on its thread: [`spec`] says what to run, [`outcome`] what it came to,
//!   [`usage_error`] whether it refused its arguments, [`checkpoint_file`] what it saved.
//! - [`agent`]: how coding agents are called.
//! - `host`: where the attempt is supervised: on that thread, or in a [`shim`], a small process of
//!   its own that outlives the worker; `shims` keeps those that wait, `handover` is what is said
//!   between the two, and `post` holds the files where they meet.
//! - `proof`: whether a job that says that it is done has done what was asked.
//! - `recovery`: finds what a dead worker left running: adopts it, or ends it.
//! - [`reserve`]: what the worker keeps free of memory and disk, and starts nothing without.
//! - `life`: the lock by which a worker's death is noticed at once.
//! - [`cgroup`]: control groups: bounds on what an attempt may use, and a hold on all its processes.
//! - [`layout`]: where the files of attempts lie.
//! - [`supervisor`]: one attempt's process from start to end, as a state machine with named states.
//! - [`process`]: starts, signals and reaps one process group; platform code.
//! - [`output`]: writes the log of an attempt: framing, cap, trouble with the disk.
//! - [`log`]: reads such a log: forwards, the last lines, following.
//! - [`mod@worktree`]: a git worktree for each job that asks for one: made, saved, taken over, removed.

pub mod agent;
pub mod args;
mod attempt;
pub mod cgroup;
pub mod checkpoint_file;
pub mod console;
mod dispatcher;
mod handover;
mod host;
mod init;
pub mod layout;
mod life;
pub mod log;
pub mod outcome;
pub mod output;
mod post;
mod private_file;
pub mod process;
mod proof;
mod recovery;
mod registration;
pub mod reserve;
pub mod shim;
mod shims;
pub mod signals;
mod spares;
pub mod spec;
pub mod supervisor;
pub mod usage_error;
mod waker;
pub mod worker;
pub mod worktree;

pub use signals::{Stop, StopLevel};
pub use worker::{Summary, Until, WorkerError, WorkerOptions, run, run_by};
