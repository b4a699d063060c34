//! Finds the processes of an attempt in `/proc` and signals them by pidfd.
//!
//! Four things prove that a process belongs to it: it is the recorded first process (number and
//! start time), its environment names the attempt, it is in the first process's group while a
//! proven one is too, or a proven one started it. What always holds: between the proof and the
//! signal a pidfd keeps the number from meaning another process.

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::Traces;

/// A process as `/proc` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: u32,
    parent: u32,
    group: u32,
    /// Clock ticks between the boot and its start.
    started: u64,
}

impl Process {
    fn identity(&self) -> (u32, u64) {
        (self.pid, self.started)
    }
}

/// The search for one attempt's processes.
pub(super) struct Hunt {
    marks: [Vec<u8>; 3],
    first: Option<(u32, u64)>,
    proven: HashSet<(u32, u64)>,
    asked: HashSet<(u32, u64)>,
}

impl Hunt {
    pub(super) fn new(traces: &Traces) -> Self {
        let mut db = b"QUEUE_DB=".to_vec();
        db.extend_from_slice(traces.db.as_os_str().as_bytes());
        Self {
            marks: [
                format!("QUEUE_JOB_ID={}", traces.job).into_bytes(),
                format!("QUEUE_EPOCH={}", traces.epoch).into_bytes(),
                db,
            ],
            first: traces.first,
            proven: HashSet::new(),
            asked: HashSet::new(),
        }
    }

    /// Sends SIGTERM to those that were not asked yet. Returns how many live.
    pub(super) fn ask_to_stop(&mut self) -> usize {
        let found = self.find();
        for process in &found {
            if self.asked.insert(process.identity()) {
                signal(process, &[Signal::TERM, Signal::CONT]);
            }
        }
        found.len()
    }

    /// Sends SIGKILL to all that live. Returns how many do.
    pub(super) fn kill(&mut self) -> usize {
        let found = self.find();
        for process in &found {
            signal(process, &[Signal::KILL]);
        }
        found.len()
    }

    /// How many processes were met in all.
    pub(super) fn met(&self) -> usize {
        self.proven.len()
    }

    fn find(&mut self) -> Vec<Process> {
        let all = processes();
        for process in &all {
            if !self.proven.contains(&process.identity()) && self.is_proven_by_itself(process) {
                self.proven.insert(process.identity());
            }
        }
        self.prove_group(&all);
        self.prove_descendants(&all);
        all.into_iter()
            .filter(|process| self.proven.contains(&process.identity()))
            .collect()
    }

    fn is_proven_by_itself(&self, process: &Process) -> bool {
        if self.first == Some(process.identity()) {
            return true;
        }
        let environment = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
        carries(&environment, &self.marks)
    }

    /// A group keeps its number for as long as one member lives, so one proven member proves all.
    fn prove_group(&mut self, all: &[Process]) {
        let Some((group, _)) = self.first else {
            return;
        };
        let members = || all.iter().filter(|process| process.group == group);
        if members().any(|member| self.proven.contains(&member.identity())) {
            self.proven.extend(members().map(Process::identity));
        }
    }

    fn prove_descendants(&mut self, all: &[Process]) {
        loop {
            let parents: HashSet<u32> = all
                .iter()
                .filter(|process| self.proven.contains(&process.identity()))
                .map(|process| process.pid)
                .collect();
            let before = self.proven.len();
            let children = all
                .iter()
                .filter(|process| parents.contains(&process.parent));
            self.proven.extend(children.map(Process::identity));
            if self.proven.len() == before {
                return;
            }
        }
    }
}

/// Whether an environment has all three variables, whole.
fn carries(environment: &[u8], marks: &[Vec<u8>; 3]) -> bool {
    marks.iter().all(|mark| {
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark)
    })
}

/// All processes that run, without this one.
fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .filter_map(read)
        .collect()
}

/// A process that runs; none where it is gone, or ended and waits to be reaped.
fn read(pid: u32) -> Option<Process> {
    parse(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `/proc/PID/stat` (proc_pid_stat(5)): the fields after the last `)`, because the name
/// before it may hold anything.
fn parse(pid: u32, stat: &[u8]) -> Option<Process> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[name_end + 1..]).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Field 3, the state, is the first of the rest.
    let field = |number: usize| fields.get(number - 3).copied();
    if matches!(field(3)?, "Z" | "X" | "x") {
        return None;
    }
    Some(Process {
        pid,
        parent: field(4)?.parse().ok()?,
        group: field(5)?.parse().ok()?,
        started: field(22)?.parse().ok()?,
    })
}

fn signal(process: &Process, signals: &[Signal]) {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
        // It is gone.
        return;
    };
    // Only now the number cannot change its meaning any more: is it still the proven process?
    if read(process.pid).is_some_and(|now| now.started == process.started) {
        for signal in signals {
            let _ = pidfd_send_signal(&pidfd, *signal);
        }
    }
}

/// When the kernel started a child of ours, in clock ticks since boot; `None` where it has ended.
pub(crate) fn start_of_child(pid: u32) -> Option<u64> {
    read(pid)
        .filter(|process| process.parent == std::process::id())
        .map(|process| process.started)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::{Child, Command};

    use queue_core::{Epoch, JobId};

    use super::*;
    use crate::recovery::end_all;
    use crate::signals::StopLevel;

    fn traces(db: &Path, first: Option<(u32, u64)>) -> Traces {
        Traces {
            job: JobId(4),
            epoch: Epoch(2),
            db: db.to_owned(),
            first,
        }
    }

    fn start(db: &Path, job: &str, line: &str) -> Child {
        Command::new("/bin/sh")
            .args(["-c", line])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("QUEUE_JOB_ID", job)
            .env("QUEUE_EPOCH", "2")
            .env("QUEUE_DB", db)
            .process_group(0)
            .spawn()
            .unwrap()
    }

    fn pid_in(path: &Path) -> u32 {
        loop {
            let text = fs::read_to_string(path).unwrap_or_default();
            if let Some(pid) = text.strip_suffix('\n') {
                return pid.parse().unwrap();
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    #[test]
    fn fields_are_read_behind_the_last_bracket() {
        let rest = "S 7 8 9 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 4711 1 1";
        let process = parse(12, format!("12 (a) Z (b)) {rest}").as_bytes()).unwrap();
        let expected = Process {
            pid: 12,
            parent: 7,
            group: 8,
            started: 4711,
        };
        assert_eq!(process, expected);
        assert_eq!(parse(12, b"12 (x) Z 1 1 1"), None);
        assert_eq!(parse(12, b""), None);
    }

    #[test]
    fn a_mark_has_to_be_whole() {
        let marks = [b"A=1".to_vec(), b"B=2".to_vec(), b"C=3".to_vec()];
        assert!(carries(b"B=2\0C=3\0A=1\0", &marks));
        assert!(!carries(b"B=2\0C=3\0A=11\0", &marks));
        assert!(!carries(b"B=2\0C=3\0", &marks));
    }

    #[test]
    fn a_tree_is_ended_whatever_it_did_to_hide_and_strangers_live() {
        // T15
        let dir = tempfile::tempdir().unwrap();
        let (hidden, stubborn) = (dir.path().join("hidden"), dir.path().join("stubborn"));
        // One left the group, the session and its environment; one does not hear SIGTERM.
        let line = format!(
            "env -i setsid sh -c 'echo $$ > {}; exec sleep 600' & \
             trap '' TERM; echo $$ > {}; while :; do sleep 1; done",
            hidden.display(),
            stubborn.display()
        );
        let mut tree = start(dir.path(), "4", &line);
        let mut stranger = start(dir.path(), "44", "exec sleep 600");
        let members = [pid_in(&hidden), pid_in(&stubborn)];
        assert!(members.iter().all(|pid| read(*pid).is_some()));

        let first = Some((tree.id(), start_of_child(tree.id()).unwrap()));
        let met = end_all(&traces(dir.path(), first), || StopLevel::Work).unwrap();
        assert!(met >= 2, "met {met}");
        for pid in members {
            assert_eq!(read(pid), None);
        }
        tree.wait().unwrap();
        assert!(stranger.try_wait().unwrap().is_none());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }

    #[test]
    fn a_number_that_names_another_process_now_is_left_alone() {
        // T20
        let dir = tempfile::tempdir().unwrap();
        let mut stranger = start(dir.path(), "44", "exec sleep 600");
        let started = start_of_child(stranger.id()).unwrap();
        let traces = traces(dir.path(), Some((stranger.id(), started + 1)));
        assert_eq!(end_all(&traces, || StopLevel::Work), Some(0));
        assert!(stranger.try_wait().unwrap().is_none());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}
