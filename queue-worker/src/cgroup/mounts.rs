//! Where the control groups of this process lie: the hierarchies that are mounted, and its place in each.
//!
//! Read once by the worker. What always holds: only hierarchies in which this process has a place that can be reached
//! through a mount are named; the files are those of cgroups(7) and proc_pid_mountinfo(5), nothing is tried out.

use std::fs;
use std::path::{Path, PathBuf};

/// One mounted hierarchy of control groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// Whether it is of version 2, where one hierarchy has all controllers.
    pub(super) is_unified: bool,
    /// The controllers of a hierarchy of version 1.
    pub(super) controllers: Vec<String>,
    /// Where it is mounted.
    pub(super) mount: PathBuf,
    /// The group of this process in it.
    pub(super) own: PathBuf,
}

/// The hierarchies of this process; `root` is `/`, or a tree of files in its place.
pub(super) fn read(root: &Path) -> Vec<Hierarchy> {
    let text = |file: &str| fs::read_to_string(root.join(file)).unwrap_or_default();
    let mut found = parse(&text("proc/self/cgroup"), &text("proc/self/mountinfo"));
    for hierarchy in &mut found {
        for path in [&mut hierarchy.mount, &mut hierarchy.own] {
            *path = under(root, path);
        }
    }
    found
}

fn under(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn parse(places: &str, mounts: &str) -> Vec<Hierarchy> {
    places
        .lines()
        .filter_map(|line| {
            // `4:memory:/a/b`; `0::/a/b` for version 2.
            let mut fields = line.splitn(3, ':');
            let (_, controllers, place) = (fields.next()?, fields.next()?, fields.next()?);
            find(controllers, place, mounts)
        })
        .collect()
}

/// The mount through which the place can be reached, and the place there.
fn find(controllers: &str, place: &str, mounts: &str) -> Option<Hierarchy> {
    let is_unified = controllers.is_empty();
    let wanted: Vec<&str> = controllers
        .split(',')
        .filter(|one| !one.is_empty())
        .collect();
    mounts.lines().find_map(|line| {
        let mount = Mount::parse(line)?;
        let is_it = if is_unified {
            mount.kind == "cgroup2"
        } else {
            mount.kind == "cgroup"
                && wanted
                    .iter()
                    .all(|one| mount.options.split(',').any(|o| o == *one))
        };
        // A mount may show a part of the hierarchy only, as in a container.
        let below = Path::new(place).strip_prefix(&mount.root).ok()?;
        is_it.then(|| Hierarchy {
            is_unified,
            controllers: wanted.iter().map(|one| (*one).to_owned()).collect(),
            own: Path::new(&mount.at).join(below),
            mount: PathBuf::from(&mount.at),
        })
    })
}

/// A line of `mountinfo`: `31 23 0:28 ROOT AT options tags… - KIND source OPTIONS`.
struct Mount<'a> {
    root: String,
    at: String,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (front, back) = line.split_once(" - ")?;
        let mut front = front.split(' ').skip(3);
        let (root, at) = (front.next()?, front.next()?);
        let mut back = back.split(' ');
        let (kind, options) = (back.next()?, back.nth(1)?);
        Some(Self {
            root: unescape(root),
            at: unescape(at),
            kind,
            options,
        })
    }
}

/// Blanks and backslashes stand in octal there.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(cgroup: &str, mountinfo: &str) -> Vec<(bool, String)> {
        parse(cgroup, mountinfo)
            .into_iter()
            .map(|one| (one.is_unified, one.own.display().to_string()))
            .collect()
    }

    #[test]
    fn a_service_of_systemd_has_one_place() {
        let cgroup =
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/queue-worker.service\n";
        let mounts = "24 30 0:22 / /proc rw - proc proc rw\n\
            29 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(
            places(cgroup, mounts),
            [(
                true,
                "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/queue-worker.service"
                    .to_owned()
            )]
        );
    }

    #[test]
    fn in_both_versions_at_once_each_hierarchy_has_its_place() {
        let cgroup = "4:memory:/a/b\n2:cpu,cpuacct:/\n1:name=systemd:/x\n0::/\n";
        let mounts = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        assert_eq!(
            places(cgroup, mounts),
            [
                (false, "/sys/fs/cgroup/memory/a/b".to_owned()),
                (false, "/sys/fs/cgroup/cpu,cpuacct/".to_owned()),
                (true, "/sys/fs/cgroup/unified/".to_owned())
            ]
        );
    }

    #[test]
    fn a_mount_that_shows_a_part_is_read_from_there_and_another_part_is_no_place() {
        let mounts = "29 24 0:26 /docker/abc /sys/fs/my\\040groups rw - cgroup2 cgroup2 rw\n";
        assert_eq!(
            places("0::/docker/abc/in\n", mounts),
            [(true, "/sys/fs/my groups/in".to_owned())]
        );
        assert_eq!(places("0::/docker/xyz\n", mounts), []);
        assert_eq!(places("", mounts), []);
        assert_eq!(places("0::/docker/abc\n", "garbage\n"), []);
    }
}
