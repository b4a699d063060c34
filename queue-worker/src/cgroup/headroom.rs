//! How much memory is left to this process within the bounds that its control groups, and those above them, have.
//!
//! Asked by the worker before it starts jobs. What always holds: caches that the kernel can drop count as free, as they
//! do in the machine's own `MemAvailable`; a group without a bound does not limit anything.

use std::fs;
use std::path::{Path, PathBuf};

use super::mounts::{self, Hierarchy};

/// The group with the least memory left, and how much; nothing where none has a bound.
pub(crate) fn free_memory() -> Option<(PathBuf, u64)> {
    free_memory_in(Path::new("/"))
}

fn free_memory_in(root: &Path) -> Option<(PathBuf, u64)> {
    let hierarchies = mounts::read(root);
    let counts =
        |one: &&Hierarchy| one.is_unified || one.controllers.iter().any(|name| name == "memory");
    let groups = hierarchies.iter().filter(counts).flat_map(|one| {
        let inside = |group: &&Path| group.starts_with(&one.mount);
        one.own
            .ancestors()
            .take_while(inside)
            .map(|group| (group, one.is_unified))
            .collect::<Vec<_>>()
    });
    groups
        .filter_map(|(group, is_unified)| Some((group.to_owned(), left_in(group, is_unified)?)))
        .min_by_key(|(_, left)| *left)
}

fn left_in(group: &Path, is_unified: bool) -> Option<u64> {
    let (bound, used, cache) = if is_unified {
        ("memory.max", "memory.current", "inactive_file")
    } else {
        (
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        )
    };
    let number = |file: &str| -> Option<u64> {
        fs::read_to_string(group.join(file))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    // In version 2 no bound is `max`; in version 1 it is a number near the largest there is.
    let bound = number(bound).filter(|bound| *bound < 1 << 60)?;
    let statistics = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let droppable = super::group::counted(&statistics, cache);
    Some(bound.saturating_sub(number(used)?.saturating_sub(droppable)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, file: &str, text: &str) {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn the_tightest_group_above_us_counts_without_what_can_be_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        put(root, "proc/self/cgroup", "0::/a/b\n");
        put(
            root,
            "proc/self/mountinfo",
            "29 24 0:26 / /cg rw - cgroup2 cgroup2 rw\n",
        );
        put(root, "cg/a/b/memory.max", "max\n");
        put(root, "cg/a/b/memory.current", "500\n");
        assert_eq!(free_memory_in(root), None);
        put(root, "cg/a/memory.max", "1000\n");
        put(root, "cg/a/memory.current", "900\n");
        put(root, "cg/a/memory.stat", "anon 700\ninactive_file 200\n");
        assert_eq!(free_memory_in(root), Some((root.join("cg/a"), 300)));
    }

    #[test]
    fn in_version_1_no_bound_is_a_large_number() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        put(root, "proc/self/cgroup", "4:memory:/a\n");
        put(
            root,
            "proc/self/mountinfo",
            "29 24 0:26 / /cg rw - cgroup cgroup rw,memory\n",
        );
        put(root, "cg/a/memory.limit_in_bytes", "9223372036854771712\n");
        put(root, "cg/a/memory.usage_in_bytes", "5\n");
        assert_eq!(free_memory_in(root), None);
        put(root, "cg/a/memory.limit_in_bytes", "4096\n");
        assert_eq!(free_memory_in(root), Some((root.join("cg/a"), 4_091)));
    }
}
