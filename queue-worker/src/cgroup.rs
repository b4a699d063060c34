//! Control groups: what an attempt may use at the most, and a hold on all its processes.
//!
//! The worker looks once which groups it may make ([`Ground`]) and plans one for each attempt
//! ([`Plan`]); who supervises the attempt makes it ([`Group`]), starts the job in it, reads what was
//! used, and removes it; recovery ends by it what a dead attempt left. What always holds: a job is in
//! its group before its first instruction, nobody else is, and a bound that is not enforced is said.

mod ground;
mod group;
mod groups;
mod headroom;
mod hold;
mod mounts;

use queue_core::units::{format_bytes, format_cpus};
use serde::{Deserialize, Serialize};

pub use ground::{Ground, Lack, Mechanism};
pub use group::Readings;
pub(crate) use group::{Group, Plan};
pub(crate) use groups::Groups;
pub(crate) use headroom::free_memory;
pub(crate) use hold::Hold;

/// What the processes of one attempt may use together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Processor time, in thousandths of one processor.
    pub cpu_millis: Option<u32>,
}

impl Bounds {
    /// Whether anything is bound.
    #[must_use]
    pub fn is_any(self) -> bool {
        self.memory.is_some() || self.cpu_millis.is_some()
    }

    /// The bound on memory, as it is written on the command line.
    fn memory_words(self) -> Option<String> {
        self.memory
            .map(|bytes| format!("--mem {}", format_bytes(bytes)))
    }

    /// The bound on processor time, as it is written on the command line.
    fn cpu_words(self) -> Option<String> {
        self.cpu_millis
            .map(|millis| format!("--cpu {}", format_cpus(millis)))
    }
}
