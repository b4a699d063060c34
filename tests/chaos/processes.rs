//! The processes of one run, wherever they went, and signals that hit no other.
//!
//! Found by the run's directory in their environment or their arguments, as `/proc` shows both.
//! What always holds: a process is looked at once more between getting hold of it and the signal.

use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};
use std::{fs, os::unix::ffi::OsStrExt, path::Path, thread, time::Duration};

/// What a process is to the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// The shim of this attempt, as `JOB-EPOCH`.
    Shim(String),
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
        let is_same = look(self.pid, root).is_some_and(|now| now.role == self.role);
        is_same && pidfd_send_signal(&pidfd, signal).is_ok()
    }
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
    let role = if let Some((_, directory)) = words.split_once("--supervise-attempt ") {
        let name = directory.trim_end().rsplit('/').next();
        Role::Shim(name.unwrap_or_default().to_owned())
    } else if let (Some(job), Some(epoch)) = (variable("QUEUE_JOB_ID="), variable("QUEUE_EPOCH=")) {
        Role::Job(format!("{job}-{epoch}"))
    } else {
        Role::Product
    };
    Some(Found { pid, role, words })
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
