//! What the first process of a container owes the others: to reap those that nobody waits for.
//!
//! Every program of ours calls [`stand_in_if_first`] through [`shim::run_if_asked`]. Orphans of a
//! PID namespace become children of its first process (pid_namespaces(7)), and zombies for ever
//! where that is a worker, which waits for its own children alone. What always holds: the program
//! itself then runs in a child, gets the signals that are meant for it, and its exit code is that
//! of the container; in any other process nothing happens.
//!
//! [`shim::run_if_asked`]: crate::shim::run_if_asked

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};
use tokio::signal::unix::{SignalKind, signal};

/// Added to the number of the signal that ended the program, as a shell does.
const SIGNALLED: i32 = 128;

/// Goes on in a child, as init above it, where this is the first process. Where that cannot be,
/// the process goes on itself.
pub(crate) fn stand_in_if_first() {
    if std::process::id() != 1 {
        return;
    }
    if let Ok(code) = stand_in() {
        std::process::exit(code);
    }
}

/// The exit code of the program, once it has ended.
fn stand_in() -> io::Result<i32> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Listening before there is anybody to lose a signal for.
        let mut ended = signal(SignalKind::child())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let program = start()?;
        loop {
            let passed_on = tokio::select! {
                _ = ended.recv() => None,
                _ = interrupt.recv() => Some(Signal::INT),
                _ = terminate.recv() => Some(Signal::TERM),
                _ = hangup.recv() => Some(Signal::HUP),
            };
            if let Some(signal) = passed_on {
                // It is reaped nowhere but below, so the number still names it.
                let _ = kill_process(program, signal);
            }
            if let Some(status) = reap_all(program) {
                return Ok(exit_code(status));
            }
        }
    })
}

/// Starts this program again, in a group of its own: what a terminal sends to ours is passed on,
/// and must not come twice.
fn start() -> io::Result<Pid> {
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    let child = Command::new(std::env::current_exe()?)
        .arg0(name)
        .args(words)
        .process_group(0)
        .spawn()?;
    Ok(Pid::from_child(&child))
}

/// Reaps everybody who has ended. The status of the program, if it is among them.
fn reap_all(program: Pid) -> Option<WaitStatus> {
    let mut found = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == program => found = Some(status),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return found,
        }
    }
}

fn exit_code(status: WaitStatus) -> i32 {
    let status = ExitStatus::from_raw(status.as_raw());
    let code = status.code();
    code.unwrap_or_else(|| SIGNALLED + status.signal().unwrap_or(0))
}
