//! Starts, signals and reaps the process group of one attempt.
//!
//! Called by the supervisor only. What always holds: a group is signalled while its identity is
//! known (by pidfd, or by the number of a process that is not yet reaped), so a recycled number is
//! never hit; and a process is started without a copy of our memory (`clone`, or else the fast
//! `posix_spawn` path of std), because a fork of a large worker stalls it for tens of milliseconds.

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod clone;
#[cfg(target_os = "linux")]
pub(crate) mod memory;
#[cfg(target_os = "linux")]
pub(crate) mod oom;
mod problem;
#[cfg(target_os = "linux")]
pub(crate) mod proc;
mod resolve;
#[cfg(target_os = "linux")]
pub(crate) mod tree;
mod unix;
mod wakeup;

use serde::{Deserialize, Serialize};

pub use problem::{SpawnClass, SpawnProblem};
pub use resolve::resolve_program;
#[cfg(target_os = "linux")]
pub(crate) use unix::spawn_in;
pub use unix::{Child, Launch, Pipes, spawn};
pub(crate) use wakeup::Wakeup;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// What a process and the descendants it waited for consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Time in user mode, milliseconds.
    pub user_ms: u64,
    /// Time in the kernel, milliseconds.
    pub system_ms: u64,
    /// Peak resident memory of the largest of these processes, KiB. On Linux not less than the
    /// memory of the process that started it, which the kernel counts in until the `exec`.
    pub max_rss_kb: u64,
    /// Bytes read from disks; 0 where the system does not count them.
    #[serde(default)]
    pub read_bytes: u64,
    /// Bytes written that go to disks; 0 where the system does not count them.
    #[serde(default)]
    pub written_bytes: u64,
}
