//! The groups of one attempt as directories: who is in them, ending all of them, removing them.
//!
//! Used by whoever supervises an attempt and, where nobody is left who did, by recovery, which finds the names in the
//! attempt's run directory. What always holds: a process is ended through the kernel's own list of the group, never by
//! a number alone; a group is removed only once it is empty, because the kernel refuses it before.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// How often, and after which waits, a group is removed that its last process is just leaving.
const REMOVE_TRIES: u32 = 20;
const REMOVE_WAIT: Duration = Duration::from_millis(1);

/// The directories of one attempt's groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hold {
    directories: Vec<PathBuf>,
}

impl Hold {
    /// The groups at these directories, made or not.
    pub(crate) fn at(directories: Vec<PathBuf>) -> Self {
        Self { directories }
    }

    /// The processes in the groups, each once.
    pub(crate) fn members(&self) -> Vec<u32> {
        let mut found: Vec<u32> = self
            .directories
            .iter()
            .flat_map(|group| inside(group))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Kills all processes in the groups, those that they are just starting included (cgroup.kill, Linux 5.14). False
    /// where the kernel does not do that and each process has to be signalled.
    pub(crate) fn kill(&self) -> bool {
        let kills = self
            .directories
            .iter()
            .map(|group| fs::write(group.join("cgroup.kill"), "1"));
        kills.fold(false, |any, answer| any | answer.is_ok())
    }

    /// Removes the groups if they are empty.
    pub(crate) fn remove(&self) {
        for group in &self.directories {
            if let Err(error) = remove_group(group)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::debug!(group = %group.display(), %error, "a control group is left");
            }
        }
    }
}

/// The processes in a group and below it.
fn inside(group: &Path) -> Vec<u32> {
    // Most groups are asked when they are empty, and in version 2 one file tells.
    let events = fs::read_to_string(group.join("cgroup.events"));
    if events.is_ok_and(|events| events.lines().any(|line| line == "populated 0")) {
        return Vec::new();
    }
    let mut found = numbers(&group.join("cgroup.procs"));
    if let Ok(tasks) = fs::read_to_string(group.join("tasks")) {
        // In version 1 a group lists a process of which a single thread is in it: the supervisor's own, on its way
        // through. A process of the job is in it with its first thread as well.
        let tasks = parse(&tasks);
        found.retain(|pid| tasks.contains(pid));
    }
    for child in below(group) {
        found.extend(inside(&child));
    }
    found
}

fn numbers(file: &Path) -> Vec<u32> {
    parse(&fs::read_to_string(file).unwrap_or_default())
}

fn parse(list: &str) -> Vec<u32> {
    list.split_ascii_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect()
}

/// The groups that the job made in its own.
fn below(group: &Path) -> Vec<PathBuf> {
    // A directory has a link from itself, one from above, and one from each directory in it.
    if fs::metadata(group).map_or(true, |facts| facts.nlink() == 2) {
        return Vec::new();
    }
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn remove_group(group: &Path) -> io::Result<()> {
    for child in below(group) {
        remove_group(&child)?;
    }
    for _ in 1..REMOVE_TRIES {
        match fs::remove_dir(group) {
            // The last process has been reaped and may not have left altogether.
            Err(error) if is_busy(&error) && inside(group).is_empty() => thread::sleep(REMOVE_WAIT),
            answer => return answer,
        }
    }
    fs::remove_dir(group)
}

fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ResourceBusy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_those_of_all_groups_and_of_what_the_job_made_below() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        fs::create_dir_all(one.join("own")).unwrap();
        fs::create_dir(&two).unwrap();
        fs::write(one.join("cgroup.procs"), "7\n5\n").unwrap();
        fs::write(one.join("own/cgroup.procs"), "9\n").unwrap();
        // Version 1, where a supervisor's thread passes through.
        fs::write(two.join("cgroup.procs"), "5\n77\n").unwrap();
        fs::write(two.join("tasks"), "5\n78\n").unwrap();
        let hold = Hold::at(vec![one.clone(), two, dir.path().join("gone")]);
        assert_eq!(hold.members(), [5, 7, 9]);

        fs::write(one.join("cgroup.events"), "populated 0\nfrozen 0\n").unwrap();
        assert_eq!(hold.members(), [5]);
    }

    #[test]
    fn groups_are_removed_from_the_inside_and_what_is_gone_is_as_good() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path().join("4-2");
        fs::create_dir_all(group.join("own/deep")).unwrap();
        let hold = Hold::at(vec![group.clone(), dir.path().join("gone")]);
        hold.remove();
        assert!(!group.exists());
        hold.remove();
    }
}
