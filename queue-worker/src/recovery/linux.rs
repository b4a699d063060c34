//! Finds the processes of an attempt in `/proc` and signals them by pidfd.
//!
//! Five things prove that a process belongs to it: it is in the attempt's control group, it is the
//! recorded first process (number and start time), its environment names the attempt, it is in the
//! first process's group while a proven one is too, or a proven one started it. What always holds: between the proof and the
//! signal a pidfd keeps the number from meaning another process.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;

use rustix::process::Signal;

use super::Traces;
use crate::cgroup::Hold;
use crate::process::proc::{Process, has_environment, present, processes, read, signal};

/// The search for one attempt's processes.
pub(super) struct Hunt {
    marks: [Vec<u8>; 3],
    first: Option<(u32, u64)>,
    groups: Hold,
    proven: HashSet<(u32, u64)>,
    asked: HashSet<(u32, u64)>,
    is_unsure: bool,
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
            groups: traces.groups.clone(),
            proven: HashSet::new(),
            asked: HashSet::new(),
            is_unsure: false,
        }
    }

    /// Whether the last look met a process that might belong to the attempt and cannot be told yet.
    pub(super) fn is_unsure(&self) -> bool {
        self.is_unsure
    }

    /// Sends SIGTERM to those that were not asked yet. Returns how many live.
    ///
    /// # Errors
    /// When `/proc` cannot be read at the moment: then there is no telling who lives.
    pub(super) fn ask_to_stop(&mut self) -> io::Result<usize> {
        let found = self.find()?;
        for process in &found {
            if self.asked.insert(process.identity()) {
                signal(process, &[Signal::TERM, Signal::CONT]);
            }
        }
        Ok(found.len())
    }

    /// Sends SIGKILL to all that live. Returns how many do.
    ///
    /// # Errors
    /// When `/proc` cannot be read at the moment.
    pub(super) fn kill(&mut self) -> io::Result<usize> {
        self.groups.kill();
        let found = self.find()?;
        for process in &found {
            signal(process, &[Signal::KILL]);
        }
        Ok(found.len())
    }

    /// How many processes were met in all.
    pub(super) fn met(&self) -> usize {
        self.proven.len()
    }

    fn find(&mut self) -> io::Result<Vec<Process>> {
        // Listed before and after: between the two looks a number does not change its meaning.
        let before = self.groups.members();
        let all = processes()?;
        self.is_unsure = false;
        if !before.is_empty() {
            let still: HashSet<u32> = self.groups.members().into_iter().collect();
            let members = all
                .iter()
                .filter(|one| before.contains(&one.pid) && still.contains(&one.pid));
            self.proven.extend(members.map(Process::identity));
        }
        for process in &all {
            if self.proven.contains(&process.identity()) {
                continue;
            }
            match self.is_proven_by_itself(process)? {
                Some(true) => {
                    self.proven.insert(process.identity());
                }
                Some(false) => {}
                None => self.is_unsure = true,
            }
        }
        self.prove_group(&all);
        self.prove_descendants(&all);
        Ok(all
            .into_iter()
            .filter(|process| self.proven.contains(&process.identity()))
            .collect())
    }

    /// `None` where it cannot be told: from the moment when execve(2) gives a process its new memory
    /// until it has put the environment there, the process seems to have none (`env_end` in
    /// fs/proc/base.c). A shim that dies right after the start leaves its job there.
    fn is_proven_by_itself(&self, process: &Process) -> io::Result<Option<bool>> {
        if self.first == Some(process.identity()) {
            return Ok(Some(true));
        }
        let environment = || present(fs::read(format!("/proc/{}/environ", process.pid)));
        let Some(mut variables) = environment()? else {
            return Ok(Some(false));
        };
        if variables.is_empty() && process.has_memory {
            if !has_environment(process.pid) {
                return Ok(None);
            }
            // It is in place now, and may be empty all the same.
            variables = environment()?.unwrap_or_default();
        }
        Ok(Some(carries(&variables, &self.marks)))
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

    use queue_core::attempt::Started;
    use queue_core::{Epoch, JobId, Timestamp};

    use super::*;
    use crate::post::Post;
    use crate::recovery::{Recovered, end_all, recover};
    use crate::signals::StopLevel;
    use crate::supervisor::Spec;

    fn traces(db: &Path, first: Option<(u32, u64)>) -> Traces {
        Traces {
            job: JobId(4),
            epoch: Epoch(2),
            db: db.to_owned(),
            first,
            is_this_boot: true,
            groups: Hold::default(),
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
        let met = end_all(&traces(dir.path(), first), || false, || StopLevel::Work).unwrap();
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
        // P4, T20
        let dir = tempfile::tempdir().unwrap();
        let mut stranger = start(dir.path(), "44", "exec sleep 600");
        let started = start_of_child(stranger.id()).unwrap();
        let traces = traces(dir.path(), Some((stranger.id(), started + 1)));
        assert_eq!(end_all(&traces, || false, || StopLevel::Work), Some(0));
        assert!(stranger.try_wait().unwrap().is_none());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }

    #[test]
    fn what_was_noted_before_a_reboot_names_nobody() {
        // P4
        let dir = tempfile::tempdir().unwrap();
        let mut stranger = start(dir.path(), "44", "exec sleep 600");
        let post = Post::at(dir.path());
        let noted = Started {
            pid: stranger.id(),
            pid_started: start_of_child(stranger.id()),
            started_at: Timestamp::EPOCH,
            log: String::new(),
            unenforced: None,
        };
        let spec = Spec::new(1, 1, 1, "/bin/true", dir.path(), dir.path().join("log"));
        let lock = post.prepare(&spec).unwrap();
        let (_, lock, _) = Post::take_spec(lock).unwrap();
        lock.write_started(&noted).unwrap();
        drop(lock);
        assert_eq!(post.started(), Some(noted));
        let traces = Traces {
            is_this_boot: false,
            ..traces(dir.path(), None)
        };
        let found = recover(&post, &traces, || StopLevel::Work);
        assert!(matches!(found, Recovered::Cleared(0)), "{found:?}");
        assert!(stranger.try_wait().unwrap().is_none());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}
