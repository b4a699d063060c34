//! What the processes of an attempt used, in words.
//!
//! The page of a job says it of the last attempt, and its table of attempts of each. Time on the CPU and memory are given
//! as a person reads them; `--json` has the numbers.

use std::time::Duration;

use queue_core::{attempt::ResourceUsage, units::about_bytes};

use crate::output::time::span;

/// What the processes of the last attempt used.
pub(super) fn used(usage: ResourceUsage) -> String {
    let cpu = |millis| span(Duration::from_millis(millis));
    let mut words = format!(
        "cpu {}, in the system {}, memory {}",
        cpu(usage.user_ms),
        cpu(usage.system_ms),
        memory(usage),
    );
    if usage.read_bytes > 0 || usage.written_bytes > 0 {
        let (read, written) = (
            about_bytes(usage.read_bytes),
            about_bytes(usage.written_bytes),
        );
        words.push_str(&format!(", disk {read} read and {written} written"));
    }
    words
}

/// The time on the CPU, with that of the system on its behalf.
pub(super) fn cpu(usage: ResourceUsage) -> String {
    span(Duration::from_millis(
        usage.user_ms.saturating_add(usage.system_ms),
    ))
}

/// The most memory an attempt used: of all its processes together where that was counted, else of
/// the largest one.
pub(super) fn memory(usage: ResourceUsage) -> String {
    about_bytes(
        usage
            .memory_peak_bytes
            .unwrap_or(usage.max_rss_kib.saturating_mul(1_024)),
    )
}
