//! The processes of one run, wherever they went, and signals that hit no other.
//!
//! Found by the run's directory in their environment or their arguments, as `/proc` shows both.
//! What always holds: a process is looked at once more between getting hold of it and the signal.

use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};
use std::{fs, os::unix::ffi::OsStrExt, path::Path, thread, time::Duration};

/// What a process is to the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// A shim, and the attempt it has, as `JOB-EPOCH`.
    Shim(Option<String>),
    /// A process of this attempt, as `JOB-EPOCH`.
    Job(String),
    /// A worker, or a command.
    Product,
}

/// One process.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) pid: Pid,
    pub(crate) role: Role,
    pub(crate) words: String,
}

impl Found {
    /// Signals it, if it is still what it was. Says whether it was.
    pub(crate) fn signal(&self, root: &Path, signal: Signal) -> bool {
        let Ok(pidfd) = pidfd_open(self.pid, PidfdFlags::empty()) else {
            return false;
        };
        let is_same = look(self.pid, root).is_some_and(|now| match (&now.role, &self.role) {
            // Whichever attempt it has by now.
            (Role::Shim(_), Role::Shim(_)) => true,
            (now, before) => now == before,
        });
        is_same && pidfd_send_signal(&pidfd, signal).is_ok()
    }

    /// Stops a shim and says which attempt it has then: one that stands still takes no other.
    pub(crate) fn hold_still(&self, root: &Path) -> Option<String> {
        if !self.signal(root, Signal::STOP) {
            return None;
        }
        let stat = format!("/proc/{}/stat", self.pid.as_raw_nonzero());
        while fs::read_to_string(&stat)
            .is_ok_and(|text| !["T", "t", "Z", "X"].contains(&state_in(&text)))
        {
            thread::yield_now();
        }
        match look(self.pid, root)?.role {
            Role::Shim(attempt) => attempt,
            Role::Job(_) | Role::Product => None,
        }
    }
}

/// The state in a line of `/proc/PID/stat`: the word after the name, which may hold anything.
fn state_in(stat: &str) -> &str {
    let behind = stat.rsplit_once(") ").map_or("", |(_, behind)| behind);
    behind.split(' ').next().unwrap_or_default()
}

/// Stops a process and lets it go on after a while, on a thread of its own: a frozen worker may
/// hold the lock that the run itself waits for.
pub(crate) fn freeze(pid: Pid, span: Duration) {
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    if pidfd_send_signal(&pidfd, Signal::STOP).is_ok() {
        thread::spawn(move || {
            thread::sleep(span);
            let _ = pidfd_send_signal(&pidfd, Signal::CONT);
        });
    }
}

/// All processes of the run in `root` that have not ended, but this one.
pub(crate) fn all_of(root: &Path) -> Vec<Found> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .filter(|pid| *pid != getpid())
        .filter_map(|pid| look(pid, root))
        .collect()
}

fn look(pid: Pid, root: &Path) -> Option<Found> {
    let folder = format!("/proc/{}", pid.as_raw_nonzero());
    let arguments = fs::read(format!("{folder}/cmdline")).unwrap_or_default();
    let environment = fs::read(format!("{folder}/environ")).unwrap_or_default();
    let marker = root.as_os_str().as_bytes();
    let mentions = |text: &[u8]| text.windows(marker.len()).any(|window| window == marker);
    let words = String::from_utf8_lossy(&arguments).replace('\0', " ");
    if words.contains(crate::guard::ARGUMENT) || !(mentions(&arguments) || mentions(&environment)) {
        return None;
    }
    let variable = |name: &str| {
        let mut all = environment.split(|byte| *byte == 0);
        all.find_map(|one| Some(String::from_utf8_lossy(one).strip_prefix(name)?.to_owned()))
    };
    let role = if words.contains(" --supervise-attempts ") {
        Role::Shim(attempt_of(&folder))
    } else if let (Some(job), Some(epoch)) = (variable("QUEUE_JOB_ID="), variable("QUEUE_EPOCH=")) {
        Role::Job(format!("{job}-{epoch}"))
    } else {
        Role::Product
    };
    Some(Found { pid, role, words })
}

/// The attempt whose lock is the standard input of a shim.
fn attempt_of(shim: &str) -> Option<String> {
    let lock = fs::read_link(format!("{shim}/fd/0")).ok()?;
    let is_lock = lock.file_name().is_some_and(|name| name == "lock");
    let directory = lock.parent().filter(|_| is_lock)?;
    Some(directory.file_name()?.to_str()?.to_owned())
}

/// Kills all processes of the run in `root` until none is left, for a while.
pub(crate) fn end_all(root: &Path) {
    for _ in 0..200 {
        let left = all_of(root);
        if left.is_empty() {
            return;
        }
        for process in left {
            process.signal(root, Signal::KILL);
        }
        thread::sleep(Duration::from_millis(20));
    }
}
