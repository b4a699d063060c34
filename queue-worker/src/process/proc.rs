//! Processes as `/proc` shows them, and signals that cannot hit another one.
//!
//! Linux only. What always holds: a process is named by its number and its start time, and between
//! the look and the signal a pidfd keeps the number from meaning another process.

use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process as `/proc` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    /// Clock ticks between the boot and its start.
    pub(crate) started: u64,
    /// Whether it has memory of its own: threads of the kernel have none, nor has one that ends.
    pub(crate) has_memory: bool,
}

impl Process {
    /// What names it even after its number was given out again.
    pub(crate) fn identity(&self) -> (u32, u64) {
        (self.pid, self.started)
    }
}

/// All processes that run, without this one.
///
/// # Errors
/// When this process is short of descriptors or memory: a list with gaps would tell of processes
/// that are gone, and are not.
pub(crate) fn processes() -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if pid == std::process::id() {
            continue;
        }
        let stat = present(fs::read(format!("/proc/{pid}/stat")))?;
        found.extend(stat.and_then(|stat| parse(pid, &stat)));
    }
    Ok(found)
}

/// What was read of a process; none where it is gone by now, or not ours to look at.
pub(crate) fn present<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read.map_err(|error| (Errno::from_io_error(&error), error)) {
        Ok(found) => Ok(Some(found)),
        Err((Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM), error)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// A process that runs; none where it is gone, or ended and waits to be reaped.
pub(crate) fn read(pid: u32) -> Option<Process> {
    parse(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Whether execve(2) has put the environment of a process in place, an empty one included. So also
/// of one that is gone, which has none to wait for.
pub(crate) fn has_environment(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| {
            let env_end = *fields(&stat)?.get(51 - 3)?;
            Some(env_end != "0")
        })
        .unwrap_or(true)
}

/// Reads `/proc/PID/stat` (proc_pid_stat(5)): the fields after the last `)`, because the name
/// before it may hold anything.
fn parse(pid: u32, stat: &[u8]) -> Option<Process> {
    let fields = fields(stat)?;
    let field = |number: usize| fields.get(number - 3).copied();
    let threads: u32 = field(20)?.parse().ok()?;
    // A process whose first thread has ended is a zombie to look at and runs on in the others.
    if matches!(field(3)?, "X" | "x") || field(3) == Some("Z") && threads <= 1 {
        return None;
    }
    Some(Process {
        pid,
        parent: field(4)?.parse().ok()?,
        group: field(5)?.parse().ok()?,
        started: field(22)?.parse().ok()?,
        has_memory: field(23) != Some("0"),
    })
}

/// The fields from the third one on, the state.
fn fields(stat: &[u8]) -> Option<Vec<&str>> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[name_end + 1..]).ok()?;
    Some(rest.split_ascii_whitespace().collect())
}

/// Signals a process if it is still the one that was seen.
pub(crate) fn signal(process: &Process, signals: &[Signal]) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_in_place_also_where_it_is_empty() {
        let mut bare = std::process::Command::new("/bin/sleep")
            .arg("600")
            .env_clear()
            .spawn()
            .unwrap();
        // spawn returns while execve(2) still puts it there.
        while !has_environment(bare.id()) {
            std::thread::yield_now();
        }
        assert!(has_environment(std::process::id()));
        bare.kill().unwrap();
        bare.wait().unwrap();
        assert!(has_environment(bare.id()), "gone: nothing to wait for");
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
            has_memory: true,
        };
        assert_eq!(process, expected);
        let state = |state, threads, size| {
            let stat = format!(
                "12 (x) {state} 7 8 9 0 -1 4 1 2 3 4 5 6 7 8 20 0 {threads} 0 4711 {size} 1"
            );
            parse(12, stat.as_bytes())
        };
        assert_eq!(state("Z", 1, 0), None);
        assert_eq!(state("X", 1, 0), None);
        let without_its_first_thread = state("Z", 2, 0).unwrap();
        assert!(!without_its_first_thread.has_memory);
        assert_eq!(parse(12, b""), None);
    }
}
