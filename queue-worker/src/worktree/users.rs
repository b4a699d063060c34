//! Processes that stand in a tree: it must not be taken away under them.
//!
//! Asked right before a removal. What always holds: it only looks. On systems without `/proc` it
//! sees nobody, and the removal goes by the job's end alone.

use std::fs;
use std::path::Path;

/// The processes whose current directory lies in `tree`, but for our own.
pub(super) fn of(tree: &Path) -> Vec<u32> {
    let Ok(tree) = fs::canonicalize(tree) else {
        return Vec::new();
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != std::process::id())
        .filter(|pid| {
            fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&tree))
        })
        .collect()
}
