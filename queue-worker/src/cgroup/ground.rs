//! Which control groups this process may make, and what is in the way.
//!
//! The worker asks once at its start, and `qcli doctor` for the place it is called from. What always holds: a group is
//! made only below our own (or where that was handed over to us), never among those that somebody else arranges; and for
//! each bound that cannot be enforced there is one sentence that says why.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use queue_core::{Epoch, JobId};
use rustix::fs::{Access, access};

use super::Bounds;
use super::group::{Plan, Seat};
use super::mounts::{self, Hierarchy};

/// The group that a worker steps into, because in version 2 a group with processes of its own hands nothing on.
const LEAF: &str = "qcli-worker";

/// Attributes by which systemd marks a group that it has handed over (systemd.resource-control(5), `Delegate=`).
const MARKS: [&str; 2] = ["user.delegate", "trusted.delegate"];

/// How a bound is enforced here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mechanism {
    is_unified: bool,
    /// The group below which ours are made.
    parent: PathBuf,
    /// Where those live who supervise.
    home: PathBuf,
}

impl Mechanism {
    /// In a few words: `control groups, version 2, below /sys/fs/cgroup/…`.
    #[must_use]
    pub fn words(&self) -> String {
        let version = if self.is_unified { 2 } else { 1 };
        format!(
            "control groups, version {version}, below {}",
            self.parent.display()
        )
    }
}

/// Why something cannot be enforced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// There are none.
    #[error("this system has no control groups that could be used")]
    NoGroups,
    /// No hierarchy has that controller, or it is not handed on to our group.
    #[error("the {controller} controller is not handed on to the control group {group}", group = group.display())]
    NoController {
        /// `memory` or `cpu`.
        controller: &'static str,
        /// Ours.
        group: PathBuf,
    },
    /// It belongs to somebody else.
    #[error("the control group {group} cannot be written", group = group.display())]
    NotOurs {
        /// Ours.
        group: PathBuf,
    },
    /// systemd arranges it and has not handed it over.
    #[error("systemd has not handed over the control group {group}", group = group.display())]
    NotDelegated {
        /// Ours.
        group: PathBuf,
    },
    /// Processes beside the worker are in it.
    #[error("other processes share the control group {group}, so it cannot be divided", group = group.display())]
    Shared {
        /// Ours.
        group: PathBuf,
    },
    /// The system refused.
    #[error("the control group {group} cannot be divided: {problem}", group = group.display())]
    Refused {
        /// Ours.
        group: PathBuf,
        /// Its words.
        problem: String,
    },
}

impl Lack {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoGroups => "they need Linux, with control groups mounted",
            Self::NoController { .. }
            | Self::NotOurs { .. }
            | Self::NotDelegated { .. }
            | Self::Shared { .. }
            | Self::Refused { .. } => {
                "start the worker with `systemd-run --user --scope -p Delegate=yes qcli work`, or give its service `Delegate=yes`"
            }
        }
    }
}

/// What can be enforced from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// What bounds memory.
    pub memory: Result<Mechanism, Lack>,
    /// What bounds processor time.
    pub cpu: Result<Mechanism, Lack>,
    /// What holds all processes of a job together, whatever they do.
    pub hold: Result<Mechanism, Lack>,
}

impl Ground {
    /// Looks what can be enforced from the control group of this process; changes nothing.
    #[must_use]
    pub fn look() -> Self {
        Self::look_in(Path::new("/"))
    }

    /// Looks, and makes ready what has to be: in version 2 this process moves into a group of its own below the one that
    /// was handed over, and has the controllers handed on.
    #[must_use]
    pub fn prepare() -> Self {
        Self::look().divided()
    }

    /// Ground on which nothing can be enforced.
    #[must_use]
    pub fn none() -> Self {
        Self {
            memory: Err(Lack::NoGroups),
            cpu: Err(Lack::NoGroups),
            hold: Err(Lack::NoGroups),
        }
    }

    /// The same with `/` elsewhere.
    fn look_in(root: &Path) -> Self {
        let hierarchies = mounts::read(root);
        let unified = hierarchies.iter().find(|one| one.is_unified);
        let hold = unified.map_or(Err(Lack::NoGroups), |one| handed_over(root, one));
        let bound = |controller| {
            let legacy = hierarchies
                .iter()
                .find(|one| one.controllers.iter().any(|name| name == controller));
            match (legacy, &hold) {
                (Some(legacy), _) => in_legacy(legacy),
                (None, Ok(place)) if !has_controller(&place.parent, controller) => {
                    Err(Lack::NoController {
                        controller,
                        group: place.parent.clone(),
                    })
                }
                (None, hold) => hold.clone(),
            }
        };
        Self {
            memory: bound("memory"),
            cpu: bound("cpu"),
            hold,
        }
    }

    fn divided(mut self) -> Self {
        for (controller, bound) in [("memory", &mut self.memory), ("cpu", &mut self.cpu)] {
            if let Ok(place) = bound
                && place.is_unified
                && let Err(lack) = hand_on(place, controller)
            {
                *bound = Err(lack);
            }
        }
        self
    }

    /// What to make for one attempt; nothing where no group is of use.
    pub(crate) fn plan(
        &self,
        store: &str,
        job: JobId,
        epoch: Epoch,
        bounds: Bounds,
    ) -> Option<Plan> {
        let memory = bounds.memory_words().map(|words| (words, &self.memory));
        let cpu = bounds.cpu_words().map(|words| (words, &self.cpu));
        let lacking = [&memory, &cpu].into_iter().flatten();
        let lacking: Vec<String> = lacking
            .filter_map(|(words, bound)| {
                let lack = bound.as_ref().err()?;
                Some(format!("{words} is not enforced: {lack}"))
            })
            .collect();
        let place = |bound: Option<(String, &Result<Mechanism, Lack>)>| bound?.1.clone().ok();
        let seats = seats(
            store,
            &format!("{job}-{epoch}"),
            place(memory),
            place(cpu),
            &self.hold,
        );
        let plan = Plan {
            bounds,
            seats,
            lacking,
        };
        (!plan.seats.is_empty() || !plan.lacking.is_empty()).then_some(plan)
    }

    /// The groups below which we make ours.
    pub(crate) fn parents(&self) -> Vec<&Path> {
        let places = [&self.memory, &self.cpu, &self.hold];
        let places = places.into_iter().filter_map(|place| place.as_ref().ok());
        let mut parents: Vec<&Path> = places.map(|place| place.parent.as_path()).collect();
        parents.sort_unstable();
        parents.dedup();
        parents
    }

    /// The directories in which the groups of `store` lie.
    pub(crate) fn bases(&self, store: &str) -> Vec<PathBuf> {
        let bases = self.parents().into_iter().flat_map(|parent| {
            let base = parent.join(store);
            [limited(&base), base]
        });
        bases.collect()
    }
}

/// Which groups an attempt needs. In version 2 one has all; a group that bounds nothing has a base of its own there,
/// because each controller that is handed on makes all groups dearer.
fn seats(
    base: &str,
    name: &str,
    memory: Option<Mechanism>,
    cpu: Option<Mechanism>,
    hold: &Result<Mechanism, Lack>,
) -> Vec<Seat> {
    let mut seats: Vec<Seat> = Vec::new();
    for (place, is_memory) in [(memory, true), (cpu, false)] {
        let Some(place) = place else { continue };
        let base = place.parent.join(base);
        let base = if place.is_unified {
            limited(&base)
        } else {
            base
        };
        let at = seats
            .iter()
            .position(|seat| seat.base == base)
            .unwrap_or_else(|| {
                seats.push(Seat {
                    is_unified: place.is_unified,
                    base,
                    name: name.to_owned(),
                    home: place.home,
                    memory: false,
                    cpu: false,
                });
                seats.len() - 1
            });
        seats[at].memory |= is_memory;
        seats[at].cpu |= !is_memory;
    }
    if let Ok(place) = hold
        && !seats.iter().any(|seat| seat.is_unified)
    {
        seats.push(Seat {
            is_unified: true,
            base: place.parent.join(base),
            name: name.to_owned(),
            home: place.home.clone(),
            memory: false,
            cpu: false,
        });
    }
    seats
}

fn limited(base: &Path) -> PathBuf {
    let mut name = base.as_os_str().to_owned();
    name.push("-bound");
    name.into()
}

/// The group of version 2 that is ours to divide.
fn handed_over(root: &Path, unified: &Hierarchy) -> Result<Mechanism, Lack> {
    let own = &unified.own;
    let parent = own
        .parent()
        .filter(|parent| parent.starts_with(&unified.mount));
    // Who put us into a group of our own has handed over the one above: a worker that has divided it before, or
    // systemd by `DelegateSubgroup=`.
    let is_leaf = own.file_name() == Some(OsStr::new(LEAF));
    let above = parent.filter(|parent| is_leaf || is_marked(parent));
    let group = above.unwrap_or(own);
    if !is_writable(group) {
        return Err(Lack::NotOurs {
            group: group.to_owned(),
        });
    }
    let is_arranged = root.join("run/systemd/system").exists() && above.is_none();
    if is_arranged && !is_marked(group) && !is_alone_in(group) {
        return Err(Lack::NotDelegated {
            group: group.to_owned(),
        });
    }
    Ok(Mechanism {
        is_unified: true,
        parent: group.to_owned(),
        home: own.clone(),
    })
}

fn in_legacy(hierarchy: &Hierarchy) -> Result<Mechanism, Lack> {
    let own = hierarchy.own.clone();
    if !is_writable(&own) {
        return Err(Lack::NotOurs { group: own });
    }
    Ok(Mechanism {
        is_unified: false,
        parent: own.clone(),
        home: own,
    })
}

fn is_writable(group: &Path) -> bool {
    access(group, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

fn has_controller(group: &Path, controller: &str) -> bool {
    let list = fs::read_to_string(group.join("cgroup.controllers")).unwrap_or_default();
    list.split_ascii_whitespace().any(|name| name == controller)
}

fn is_marked(group: &Path) -> bool {
    MARKS.iter().any(|mark| {
        let mut value = [0; 8];
        let read = rustix::fs::getxattr(group, *mark, &mut value);
        read.is_ok_and(|length| value[..length].starts_with(b"1"))
    })
}

fn is_alone_in(group: &Path) -> bool {
    let list = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    list.trim() == std::process::id().to_string()
}

/// Has a controller handed on to the groups below, which needs our own to be empty first.
fn hand_on(place: &mut Mechanism, controller: &'static str) -> Result<(), Lack> {
    let group = place.parent.clone();
    let refused = |error: &io::Error| match error.kind() {
        io::ErrorKind::ResourceBusy => Lack::Shared {
            group: group.clone(),
        },
        _ => Lack::Refused {
            group: group.clone(),
            problem: error.to_string(),
        },
    };
    // The real root, which has no type, may have processes as well.
    let must_be_empty = group.join("cgroup.type").exists();
    if must_be_empty && place.home == group {
        let leaf = group.join(LEAF);
        match fs::create_dir(&leaf) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(refused(&error));
            }
            _ => {}
        }
        fs::write(leaf.join("cgroup.procs"), "0").map_err(|error| refused(&error))?;
        place.home = leaf;
    }
    fs::write(
        group.join("cgroup.subtree_control"),
        format!("+{controller}"),
    )
    .map_err(|error| refused(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of files as a system shows them.
    struct System(tempfile::TempDir);

    impl System {
        fn new(cgroup: &str, mounts: &str) -> Self {
            let system = Self(tempfile::tempdir().unwrap());
            system.put("proc/self/cgroup", cgroup);
            system.put("proc/self/mountinfo", mounts);
            system
        }

        /// A worker in a service of version 2.
        fn unified(own: &str) -> Self {
            let mounts = "29 24 0:26 / /cg rw - cgroup2 cgroup2 rw\n";
            let system = Self::new(&format!("0::{own}\n"), mounts);
            let own = format!("cg{own}");
            system.put(&format!("{own}/cgroup.type"), "domain\n");
            system.put(&format!("{own}/cgroup.controllers"), "cpu memory pids\n");
            system.put(
                &format!("{own}/cgroup.procs"),
                &std::process::id().to_string(),
            );
            system
        }

        fn put(&self, file: &str, text: &str) {
            let file = self.0.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }

        fn read(&self, file: &str) -> String {
            fs::read_to_string(self.0.path().join(file)).unwrap()
        }

        fn path(&self, file: &str) -> PathBuf {
            self.0.path().join(file)
        }

        fn look(&self) -> Ground {
            Ground::look_in(self.0.path())
        }
    }

    fn bounds(memory: bool, cpu: bool) -> Bounds {
        Bounds {
            memory: memory.then_some(1 << 30),
            cpu_millis: cpu.then_some(500),
        }
    }

    fn plan(ground: &Ground, bounds: Bounds) -> Plan {
        ground
            .plan("qcli-store-5a", JobId(4), Epoch(2), bounds)
            .unwrap()
    }

    fn directories(plan: &Plan) -> Vec<PathBuf> {
        plan.directories()
    }

    #[test]
    fn in_version_2_the_worker_steps_aside_and_has_the_controllers_handed_on() {
        let system = System::unified("/own.service");
        let ground = system.look().divided();
        assert_eq!(system.read("cg/own.service/qcli-worker/cgroup.procs"), "0");
        assert_eq!(system.read("cg/own.service/cgroup.subtree_control"), "+cpu");
        let both = plan(&ground, bounds(true, true));
        assert_eq!(
            directories(&both),
            [system.path("cg/own.service/qcli-store-5a-bound/4-2")]
        );
        assert!(both.seats[0].memory && both.seats[0].cpu);
        let neither = plan(&ground, bounds(false, false));
        assert_eq!(
            directories(&neither),
            [system.path("cg/own.service/qcli-store-5a/4-2")]
        );
        assert!(
            ground
                .bases("qcli-store-5a")
                .contains(&system.path("cg/own.service/qcli-store-5a-bound"))
        );
    }

    #[test]
    fn a_worker_in_a_group_of_its_own_divides_the_one_above() {
        let system = System::unified("/own.service/qcli-worker");
        system.put("cg/own.service/cgroup.type", "domain\n");
        system.put("cg/own.service/cgroup.controllers", "cpu memory\n");
        let ground = system.look().divided();
        assert!(
            !system
                .path("cg/own.service/qcli-worker/qcli-worker")
                .exists()
        );
        assert_eq!(
            directories(&plan(&ground, bounds(true, false))),
            [system.path("cg/own.service/qcli-store-5a-bound/4-2")]
        );
    }

    #[test]
    fn what_systemd_has_not_handed_over_is_left_alone_unless_the_worker_is_alone_there() {
        let system = System::unified("/session.scope");
        system.put("run/systemd/system/x", "");
        assert!(system.look().memory.is_ok(), "alone in it");
        system.put("cg/session.scope/cgroup.procs", "1\n2\n");
        let group = system.path("cg/session.scope");
        let lack = Lack::NotDelegated { group };
        assert_eq!(system.look().memory, Err(lack.clone()));
        assert_eq!(system.look().hold, Err(lack));
        let plan = plan(&system.look(), bounds(true, false));
        assert_eq!(plan.seats, []);
        assert!(
            plan.lacking[0].starts_with("--mem 1GiB is not enforced: systemd has not handed over"),
            "{plan:?}"
        );
        assert_eq!(
            system
                .look()
                .plan("qcli-store-5a", JobId(4), Epoch(2), bounds(false, false)),
            None
        );
    }

    #[test]
    fn a_controller_that_is_not_handed_on_is_named_and_the_other_still_bounds() {
        let system = System::unified("/own.service");
        system.put("cg/own.service/cgroup.controllers", "memory pids\n");
        let ground = system.look();
        assert!(ground.memory.is_ok());
        let plan = plan(&ground, bounds(true, true));
        assert_eq!((plan.seats.len(), plan.lacking.len()), (1, 1));
        assert!(plan.seats[0].memory && !plan.seats[0].cpu);
        assert!(
            plan.lacking[0].contains("the cpu controller is not handed on"),
            "{plan:?}"
        );
    }

    #[test]
    fn version_1_bounds_beside_version_2_which_holds() {
        let cgroup = "4:memory:/a\n1:cpu:/\n0::/\n";
        let mounts = "32 31 0:29 / /cg/cpu rw - cgroup cgroup rw,cpu\n\
            35 31 0:32 / /cg/memory rw - cgroup cgroup rw,memory\n\
            41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw\n";
        let system = System::new(cgroup, mounts);
        for group in ["memory/a", "cpu", "unified"] {
            system.put(&format!("cg/{group}/cgroup.procs"), "1\n");
        }
        let ground = system.look().divided();
        assert_eq!(
            directories(&plan(&ground, bounds(true, true))),
            [
                system.path("cg/memory/a/qcli-store-5a/4-2"),
                system.path("cg/cpu/qcli-store-5a/4-2"),
                system.path("cg/unified/qcli-store-5a/4-2")
            ]
        );
        assert_eq!(
            directories(&plan(&ground, bounds(false, false))),
            [system.path("cg/unified/qcli-store-5a/4-2")]
        );
    }

    #[test]
    fn without_control_groups_there_is_nothing_to_make_and_the_bounds_say_so() {
        let system = System::new("", "");
        assert_eq!(system.look(), Ground::none());
        let plan = plan(&Ground::none(), bounds(true, true));
        assert_eq!((plan.seats.len(), plan.lacking.len()), (0, 2));
    }
}
