//! Systems without `/proc`: nothing can be proven about a process, so none is signalled.
//!
//! An attempt whose shim dies there (or its worker, where it has no shim) leaves what it ran to
//! itself; `docs/reliability.md` names this as a difference.

use std::io;

use super::Traces;

/// Finds nothing.
pub(super) struct Hunt;

impl Hunt {
    pub(super) fn new(traces: &Traces) -> Self {
        tracing::warn!(
            job = traces.job.0,
            "what is left of job {} cannot be found on this system; end it by hand if it still runs",
            traces.job
        );
        Self
    }

    pub(super) fn ask_to_stop(&mut self) -> io::Result<usize> {
        Ok(0)
    }

    pub(super) fn kill(&mut self) -> io::Result<usize> {
        Ok(0)
    }

    pub(super) fn is_unsure(&self) -> bool {
        false
    }

    pub(super) fn met(&self) -> usize {
        0
    }
}

/// When the kernel started a child of ours: not to be had.
pub(crate) fn start_of_child(_pid: u32) -> Option<u64> {
    None
}
