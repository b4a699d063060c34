//! One attempt's group: made within its bounds, entered by the job alone, read and removed at the end.
//!
//! Used by whoever supervises the attempt. What always holds: in version 2 the job is born in its group (clone3(2),
//! `CLONE_INTO_CGROUP`); in version 1 the starting thread steps in for the moment of the start and out again, and the
//! job inherits its place. So no child of the job is ever outside, and whoever supervises it survives the group's end.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Bounds;
use super::hold::Hold;

/// The span over which processor time is counted out, in microseconds: the kernel's default.
const PERIOD: u64 = 100_000;
/// How often a group is made whose base vanishes meanwhile.
const MAKE_TRIES: u32 = 5;

/// A group that is to be made for one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// What the attempt may use.
    pub(crate) bounds: Bounds,
    /// Where its groups go, one in each hierarchy that is used.
    pub(crate) seats: Vec<Seat>,
    /// Which bounds were asked for and cannot be enforced, and why.
    pub(crate) lacking: Vec<String>,
}

/// The place of a group in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seat {
    /// Whether the hierarchy is of version 2.
    pub(crate) is_unified: bool,
    /// The directory of all groups of this store.
    pub(crate) base: PathBuf,
    /// The name of the group in it: `JOB-EPOCH`.
    pub(crate) name: String,
    /// The group in which those live who supervise; they go back there.
    pub(crate) home: PathBuf,
    /// Whether it bounds memory.
    pub(crate) memory: bool,
    /// Whether it bounds processor time.
    pub(crate) cpu: bool,
}

/// What an attempt's group has counted of its memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readings {
    /// The most memory that was used at once, in bytes, where it was counted.
    pub peak: Option<u64>,
    /// The most that was allowed.
    pub allowed: Option<u64>,
    /// How many processes the kernel killed for want of memory.
    pub oom_kills: u64,
}

/// The groups of one attempt that are there.
#[derive(Debug, Default)]
pub(crate) struct Group {
    seats: Vec<Seat>,
    hold: Hold,
}

impl Plan {
    /// The directories that its groups will have.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        self.seats.iter().map(Seat::directory).collect()
    }
}

impl Seat {
    fn directory(&self) -> PathBuf {
        self.base.join(&self.name)
    }

    /// Makes the group and sets its bounds; leaves nothing behind where that fails.
    fn make(&self, bounds: Bounds) -> io::Result<()> {
        let group = self.directory();
        self.make_directory(&group)?;
        // Again where another worker has made the base and not come to hand the controllers on.
        let bound = self
            .bound(&group, bounds)
            .or_else(|_| self.make_base().and_then(|()| self.bound(&group, bounds)));
        bound.inspect_err(|_| {
            // Empty, so nothing keeps it.
            let _ = fs::remove_dir(&group);
        })
    }

    fn make_directory(&self, group: &Path) -> io::Result<()> {
        for _ in 1..MAKE_TRIES {
            match fs::create_dir(group) {
                // The first here, or another worker has just tidied up.
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.make_base()?,
                // Left by an attempt of another history of this store: it is empty, or its job lives.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
                made => return made,
            }
        }
        fs::create_dir(group)
    }

    fn make_base(&self) -> io::Result<()> {
        match fs::create_dir(&self.base) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // In version 2 a group hands on to its children what it is told to.
        if self.is_unified {
            for (controller, is_used) in [("memory", self.memory), ("cpu", self.cpu)] {
                if is_used {
                    fs::write(
                        self.base.join("cgroup.subtree_control"),
                        format!("+{controller}"),
                    )?;
                }
            }
        }
        Ok(())
    }

    fn bound(&self, group: &Path, bounds: Bounds) -> io::Result<()> {
        let set = |file: &str, value: String| fs::write(group.join(file), value);
        if let Some(bytes) = bounds.memory.filter(|_| self.memory) {
            if self.is_unified {
                set("memory.max", bytes.to_string())?;
                // Kernels without swap accounting have no such file; one that swaps would only be slower.
                let _ = set("memory.swap.max", "0".to_owned());
                // All of the job or nothing: what is left of half a job helps nobody (Linux 4.19).
                let _ = set("memory.oom.group", "1".to_owned());
            } else {
                set("memory.limit_in_bytes", bytes.to_string())?;
                let _ = set("memory.memsw.limit_in_bytes", bytes.to_string());
            }
        }
        if let Some(millis) = bounds.cpu_millis.filter(|_| self.cpu) {
            let quota = PERIOD * u64::from(millis) / 1_000;
            if self.is_unified {
                set("cpu.max", format!("{quota} {PERIOD}"))?;
            } else {
                set("cpu.cfs_period_us", PERIOD.to_string())?;
                set("cpu.cfs_quota_us", quota.to_string())?;
            }
        }
        Ok(())
    }

    /// The bounds that are missing where this group is.
    fn missing(&self, bounds: Bounds, error: &io::Error) -> Vec<String> {
        let memory = bounds.memory_words().filter(|_| self.memory);
        let cpu = bounds.cpu_words().filter(|_| self.cpu);
        let words = memory.into_iter().chain(cpu);
        words
            .map(|bound| {
                let group = self.directory();
                format!(
                    "{bound} is not enforced: the control group {} cannot be used: {error}",
                    group.display()
                )
            })
            .collect()
    }
}

impl Group {
    /// Makes the groups of an attempt. Says as well which bounds are not enforced, and why.
    pub(crate) fn make(plan: &Plan) -> (Self, Vec<String>) {
        let mut seats = Vec::new();
        let mut lacking = plan.lacking.clone();
        for seat in &plan.seats {
            match seat.make(plan.bounds) {
                Ok(()) => seats.push(seat.clone()),
                Err(error) => lacking.extend(seat.missing(plan.bounds, &error)),
            }
        }
        (Self::of(seats), lacking)
    }

    fn of(seats: Vec<Seat>) -> Self {
        let hold = Hold::at(seats.iter().map(Seat::directory).collect());
        Self { seats, hold }
    }

    /// Its processes, their end, and its own.
    pub(crate) fn hold(&self) -> &Hold {
        &self.hold
    }

    /// The group of version 2, for a child to be born in.
    pub(crate) fn birthplace(&self) -> io::Result<Option<File>> {
        let unified = self.seats.iter().find(|seat| seat.is_unified);
        unified.map(|seat| File::open(seat.directory())).transpose()
    }

    /// Puts the calling thread into the groups of version 1 until what is handed back is dropped.
    pub(crate) fn enter(&self) -> io::Result<Visit> {
        let mut visit = Visit { homes: Vec::new() };
        for seat in self.seats.iter().filter(|seat| !seat.is_unified) {
            // 0 names the thread that writes (cgroups(7), "tasks").
            fs::write(seat.directory().join("tasks"), "0")?;
            visit.homes.push(seat.home.clone());
        }
        Ok(visit)
    }

    /// Goes on without the groups that cannot be used after all, and says which bounds that takes away.
    pub(crate) fn give_up(
        &mut self,
        unified: bool,
        bounds: Bounds,
        error: &io::Error,
    ) -> Vec<String> {
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.seats)
            .into_iter()
            .partition(|seat| seat.is_unified == unified);
        let lacking = gone
            .iter()
            .flat_map(|seat| seat.missing(bounds, error))
            .collect();
        Self::of(gone).hold.remove();
        *self = Self::of(kept);
        lacking
    }

    /// What the groups have counted.
    pub(crate) fn readings(&self) -> Option<Readings> {
        let seat = self.seats.iter().find(|seat| seat.memory)?;
        let read = |file| fs::read_to_string(seat.directory().join(file)).unwrap_or_default();
        let (allowed, peak, events) = if seat.is_unified {
            ("memory.max", "memory.peak", "memory.events")
        } else {
            (
                "memory.limit_in_bytes",
                "memory.max_usage_in_bytes",
                "memory.oom_control",
            )
        };
        Some(Readings {
            // As the kernel has rounded it.
            allowed: read(allowed).trim().parse().ok(),
            peak: read(peak).trim().parse().ok(),
            oom_kills: counted(&read(events), "oom_kill"),
        })
    }
}

/// The number behind a name, one pair a line.
pub(super) fn counted(text: &str, name: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(key, _)| *key == name)
        .and_then(|(_, number)| number.trim().parse().ok())
        .unwrap_or(0)
}

/// A thread's stay in the groups of version 1.
#[derive(Debug)]
pub(crate) struct Visit {
    homes: Vec<PathBuf>,
}

impl Drop for Visit {
    fn drop(&mut self) {
        for home in &self.homes {
            // Our own group, so it is there and takes us back.
            if let Err(error) = fs::write(home.join("tasks"), "0") {
                tracing::warn!(group = %home.display(), %error, "a thread stays in a job's control group");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        memory: Some(64 << 20),
        cpu_millis: Some(1_500),
    };

    fn seat(base: &Path, is_unified: bool) -> Seat {
        Seat {
            is_unified,
            base: base.to_owned(),
            name: "4-2".to_owned(),
            home: base.join("home"),
            memory: true,
            cpu: true,
        }
    }

    fn plan(seats: Vec<Seat>) -> Plan {
        Plan {
            bounds: BOUNDS,
            seats,
            lacking: Vec::new(),
        }
    }

    fn read(path: PathBuf) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn bounds_are_written_as_version_2_takes_them() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("base");
        let (group, lacking) = Group::make(&plan(vec![seat(&base, true)]));
        assert_eq!(lacking, Vec::<String>::new());
        let made = base.join("4-2");
        assert_eq!(read(made.join("memory.max")), "67108864");
        assert_eq!(read(made.join("memory.swap.max")), "0");
        assert_eq!(read(made.join("memory.oom.group")), "1");
        assert_eq!(read(made.join("cpu.max")), "150000 100000");
        assert_eq!(read(base.join("cgroup.subtree_control")), "+cpu");
        assert!(group.birthplace().unwrap().is_some());

        fs::write(made.join("memory.peak"), "67108000\n").unwrap();
        fs::write(
            made.join("memory.events"),
            "low 0\nmax 3\noom 2\noom_kill 2\noom_group_kill 1\n",
        )
        .unwrap();
        let expected = Readings {
            allowed: Some(64 << 20),
            peak: Some(67_108_000),
            oom_kills: 2,
        };
        assert_eq!(group.readings(), Some(expected));
    }

    #[test]
    fn bounds_are_written_as_version_1_takes_them_and_the_thread_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("base");
        fs::create_dir_all(base.join("home")).unwrap();
        let (group, lacking) = Group::make(&plan(vec![seat(&base, false)]));
        assert_eq!(lacking, Vec::<String>::new());
        let made = base.join("4-2");
        assert_eq!(read(made.join("memory.limit_in_bytes")), "67108864");
        assert_eq!(read(made.join("memory.memsw.limit_in_bytes")), "67108864");
        assert_eq!(read(made.join("cpu.cfs_quota_us")), "150000");
        assert!(group.birthplace().unwrap().is_none());

        let visit = group.enter().unwrap();
        assert_eq!(read(made.join("tasks")), "0");
        assert!(!base.join("home/tasks").exists());
        drop(visit);
        assert_eq!(read(base.join("home/tasks")), "0");

        fs::write(made.join("memory.max_usage_in_bytes"), "4096\n").unwrap();
        fs::write(
            made.join("memory.oom_control"),
            "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        )
        .unwrap();
        let expected = Readings {
            allowed: Some(64 << 20),
            peak: Some(4_096),
            oom_kills: 1,
        };
        assert_eq!(group.readings(), Some(expected));
    }

    #[test]
    fn a_group_that_cannot_be_made_is_no_group_and_its_bounds_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let blocked = dir.path().join("file");
        fs::write(&blocked, "").unwrap();
        let (group, lacking) = Group::make(&plan(vec![seat(&blocked.join("base"), true)]));
        assert!(group.seats.is_empty());
        assert_eq!(lacking.len(), 2, "{lacking:?}");
        assert!(
            lacking[0].starts_with("--mem 64MiB is not enforced: "),
            "{lacking:?}"
        );
        assert!(
            lacking[1].starts_with("--cpu 1.5 is not enforced: "),
            "{lacking:?}"
        );
    }
}
