//! All processes below this one: what an attempt started, wherever its processes went.
//!
//! Used by the process that was made for one attempt and nothing else. It is a child subreaper
//! (prctl(2), PR_SET_CHILD_SUBREAPER): orphans of its descendants become its own children, also
//! those that called `setsid` or cleared their environment. What always holds: a process that was
//! found is a descendant of this one, so it belongs to the attempt.

use std::collections::HashSet;
use std::fs;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, waitid, waitpid};

use super::proc::{self, Process};

/// How often it is looked again when nobody is found below this process, which has children.
const LOOKS: u32 = 5;

/// Makes this process the one that orphans of its descendants fall to.
pub(crate) fn adopt_orphans() -> std::io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(
        rustix::process::getpid(),
    ))?)
}

/// The processes below this one that still run. Orphans among them that have ended are reaped;
/// `leader` is left for its supervisor.
pub(crate) fn live(leader: u32) -> Vec<Process> {
    for _ in 0..LOOKS {
        // Most attempts leave nothing behind: then no process has this one above it, and one call
        // tells, where a look into `/proc` costs the kernel a walk at each exit.
        if is_childless() {
            return Vec::new();
        }
        let found = walk(leader);
        if !found.is_empty() {
            return found;
        }
        // Somebody is there: a list may leave one out while another one ends
        // (proc_tid_children(5)).
    }
    Vec::new()
}

fn walk(leader: u32) -> Vec<Process> {
    let own = std::process::id();
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut parents = vec![own];
    while let Some(parent) = parents.pop() {
        for child in children(parent) {
            if !seen.insert(child) {
                continue;
            }
            match proc::read(child) {
                Some(process) => {
                    found.push(process);
                    parents.push(child);
                }
                None if parent == own && child != leader => reap(child),
                None => {}
            }
        }
    }
    found
}

/// The children of a process, by its threads' lists; by a look at all processes where the kernel
/// keeps no lists (CONFIG_PROC_CHILDREN).
fn children(parent: u32) -> Vec<u32> {
    listed_children(parent).unwrap_or_else(|| {
        let all = proc::processes().unwrap_or_default().into_iter();
        all.filter(|process| process.parent == parent)
            .map(|process| process.pid)
            .collect()
    })
}

fn listed_children(parent: u32) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    let Ok(threads) = fs::read_dir(format!("/proc/{parent}/task")) else {
        // It has ended.
        return Some(found);
    };
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(list) => found.extend(
                list.split_ascii_whitespace()
                    .filter_map(|n| n.parse::<u32>().ok()),
            ),
            Err(_) if thread.path().exists() => return None,
            Err(_) => {}
        }
    }
    Some(found)
}

/// Whether nothing at all is below this process, not even somebody to be reaped.
pub(crate) fn is_childless() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, look), Err(Errno::CHILD))
}

fn reap(child: u32) {
    if let Some(pid) = i32::try_from(child).ok().and_then(Pid::from_raw) {
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}
