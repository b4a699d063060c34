//! What a worker keeps free: memory, and room on the disks that the queue writes to.
//!
//! The dispatcher has it measured once a second and starts nothing while there is too little; what runs goes on. What
//! always holds: a worker that stopped starting begins again only when an eighth more is free than it keeps, so that it
//! does not go back and forth with each job; what cannot be measured counts as plenty.

use std::fs;
use std::path::{Path, PathBuf};

use queue_core::worker::{Resource, Shortage};
use rustix::fs::statvfs;

use crate::cgroup;

/// How much is kept free, in bytes; 0 asks for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserve {
    /// Of memory: the machine's, and that of the worker's control group.
    pub memory: u64,
    /// Of each file system that holds the store, its logs, or its running jobs.
    pub disk: u64,
}

impl Default for Reserve {
    /// 256 MiB of each: enough for the system to go on, and for the store to note what ends.
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            disk: 256 << 20,
        }
    }
}

/// How much of something is free, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Free {
    resource: Resource,
    bytes: u64,
    place: Option<String>,
}

impl Reserve {
    /// What there is too little of, given what was short until now; nothing where there is enough.
    fn shortage(&self, free: &[Free], until_now: Option<&Shortage>) -> Option<Shortage> {
        let is_short = |free: &&Free| {
            let kept = self.kept(free.resource);
            let is_same = until_now.is_some_and(|short| {
                (short.resource, &short.place) == (free.resource, &free.place)
            });
            let enough = if is_same {
                kept.saturating_add(kept / 8)
            } else {
                kept
            };
            free.bytes < enough
        };
        free.iter().find(is_short).map(|free| Shortage {
            resource: free.resource,
            free_bytes: free.bytes,
            kept_bytes: self.kept(free.resource),
            place: free.place.clone(),
        })
    }

    fn kept(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Memory => self.memory,
            Resource::Disk => self.disk,
        }
    }

    /// Measures what is kept and says what there is too little of. `directories` are those that the queue writes to.
    pub(crate) fn look(
        &self,
        directories: &[PathBuf],
        until_now: Option<&Shortage>,
    ) -> Option<Shortage> {
        let mut free = Vec::new();
        if self.disk > 0 {
            free.extend(directories.iter().filter_map(|place| free_on_disk(place)));
        }
        if self.memory > 0 {
            free.extend(free_memory());
            free.extend(free_in_group());
        }
        self.shortage(&free, until_now)
    }
}

/// Room for us on the file system of a directory: what is kept for the system's owner is not among it.
fn free_on_disk(directory: &Path) -> Option<Free> {
    let facts = statvfs(directory).ok()?;
    Some(Free {
        resource: Resource::Disk,
        bytes: facts.f_bavail.saturating_mul(facts.f_frsize),
        place: Some(directory.display().to_string()),
    })
}

/// Memory that can be had without swapping (proc_meminfo(5), `MemAvailable`).
fn free_memory() -> Option<Free> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    Some(Free {
        resource: Resource::Memory,
        bytes: available(&text)?,
        place: None,
    })
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

/// What is left within the bounds that others have set for us.
fn free_in_group() -> Option<Free> {
    let (group, bytes) = cgroup::free_memory()?;
    Some(Free {
        resource: Resource::Memory,
        bytes,
        place: Some(group.display().to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Reserve = Reserve {
        memory: 800,
        disk: 1_600,
    };

    fn disk(bytes: u64, place: &str) -> Free {
        Free {
            resource: Resource::Disk,
            bytes,
            place: Some(place.to_owned()),
        }
    }

    fn memory(bytes: u64) -> Free {
        Free {
            resource: Resource::Memory,
            bytes,
            place: None,
        }
    }

    #[test]
    fn too_little_of_anything_is_a_shortage_and_says_of_what() {
        let plenty = [disk(1_600, "/a"), disk(9_999, "/b"), memory(800)];
        assert_eq!(KEPT.shortage(&plenty, None), None);
        let short = KEPT.shortage(&[disk(1_600, "/a"), disk(1_599, "/b")], None);
        let expected = Shortage {
            resource: Resource::Disk,
            free_bytes: 1_599,
            kept_bytes: 1_600,
            place: Some("/b".to_owned()),
        };
        assert_eq!(short, Some(expected));
        let short = KEPT.shortage(&[memory(799)], None).unwrap();
        assert_eq!((short.resource, short.kept_bytes), (Resource::Memory, 800));
    }

    #[test]
    fn a_shortage_ends_only_when_clearly_more_is_free_than_is_kept() {
        let short = KEPT.shortage(&[memory(700)], None);
        assert!(short.is_some());
        assert!(KEPT.shortage(&[memory(899)], short.as_ref()).is_some());
        assert_eq!(KEPT.shortage(&[memory(900)], short.as_ref()), None);
        // Another place has not been short and is not asked for more.
        assert_eq!(
            KEPT.shortage(&[memory(900), disk(1_600, "/a")], short.as_ref()),
            None
        );
    }

    #[test]
    fn nothing_is_asked_for_with_a_reserve_of_nothing() {
        let none = Reserve { memory: 0, disk: 0 };
        assert_eq!(none.look(&[PathBuf::from("/")], None), None);
        let all = Reserve {
            memory: 0,
            disk: u64::MAX,
        };
        let short = all.look(&[PathBuf::from("/")], None).unwrap();
        assert_eq!(short.place.as_deref(), Some("/"));
    }

    #[test]
    fn available_memory_is_read_from_its_own_line() {
        let text = "MemTotal:  24684 kB\nMemFree:  4 kB\nMemAvailable:   2048 kB\n";
        assert_eq!(available(text), Some(2 << 20));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
    }
}
