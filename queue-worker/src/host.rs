//! Where an attempt is supervised: on a thread of the worker, or in a shim of its own.
//!
//! Called on the attempt's thread, which waits here until it is over. What always holds: a shim
//! is followed in the same way by the worker that started it and by one that adopts it, and a
//! worker that lets go of it leaves it as it is.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use queue_core::failpoint;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::post::Post;
use crate::process::{SpawnClass, SpawnProblem, Wakeup};
use crate::shim;
use crate::supervisor::{Control, Spec, Status, supervise_group};

/// How an attempt left its host.
#[derive(Debug)]
pub(crate) enum End {
    /// It is over, and this is how.
    Over(Box<Status>),
    /// Its shim died and left no status: what is left of it has to be ended.
    Died,
    /// It goes on without this worker.
    LetGo,
    /// It was not started: its lease may have run out meanwhile.
    TooLate,
}

/// How often a shim that does not listen yet is asked again to stop.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// How often it is tried to read a status that is there and cannot be read.
const READ_AGAIN: Duration = Duration::from_millis(500);

/// Supervises on this thread; the attempt ends with the worker.
pub(crate) fn direct(spec: &Spec, control: &Control, post: &Post) -> Result<End, SpawnProblem> {
    let held = post.hold().map_err(|error| no_host(post, &error))?;
    // Asked while it is held: who takes over after this moment waits for the process that is about
    // to start, and ends it.
    if control.is_late() {
        return Ok(End::TooLate);
    }
    failpoint::hit("host.asked");
    let status = supervise_group(spec, control, || drop(held));
    Ok(End::Over(Box::new(status)))
}

/// Starts a shim and follows it.
pub(crate) fn shim(spec: &Spec, control: &Control, post: &Post) -> Result<End, SpawnProblem> {
    let Some(mut child) = start(spec, control, post)? else {
        return Ok(End::TooLate);
    };
    failpoint::hit("host.shim_started");
    let end = watch(child.id());
    let gone = match end {
        Ok(pidfd) => follow(post, control, pidfd.as_fd()),
        // No pidfd here: the lock tells as well.
        Err(_) => attend(post, control),
    };
    if gone {
        // Reaped, or it would stay a zombie for as long as the worker lives.
        let _ = child.wait();
        return Ok(read_end(post, control));
    }
    Ok(End::LetGo)
}

/// Follows a shim that another worker started.
pub(crate) fn adopted(control: &Control, post: &Post) -> End {
    failpoint::hit("adopt.followed");
    if attend(post, control) {
        read_end(post, control)
    } else {
        End::LetGo
    }
}

/// Reads how the attempt ended. A status that is there and cannot be read, for want of a
/// descriptor or by a disk in trouble, is read later: to take the attempt for dead would run a
/// job that has ended once more.
fn read_end(post: &Post, control: &Control) -> End {
    loop {
        match post.status() {
            Ok(Some(status)) => return End::Over(Box::new(status)),
            Ok(None) => return End::Died,
            Err(_) if control.snapshot().is_let_go => return End::LetGo,
            Err(_) => thread::sleep(READ_AGAIN),
        }
    }
}

/// Starts a shim; none where the lease may have run out by now.
fn start(spec: &Spec, control: &Control, post: &Post) -> Result<Option<Child>, SpawnProblem> {
    let lock: File = post.prepare(spec).map_err(|error| no_host(post, &error))?;
    // Asked under the lock: who takes over after this moment sees it held, and follows the shim
    // instead of starting another attempt beside it.
    if control.is_late() {
        return Ok(None);
    }
    failpoint::hit("host.asked");
    Command::new(own_program())
        .arg(shim::ARGUMENT)
        .arg(post.directory())
        .env_clear()
        .envs(failpoint::variables())
        .current_dir("/")
        .stdin(Stdio::from(lock))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(Some)
        .map_err(|error| no_host(post, &error))
}

fn no_host(post: &Post, error: &io::Error) -> SpawnProblem {
    let text = format!(
        "its supervisor cannot be started in `{}`; free some disk and processes",
        post.directory().display()
    );
    SpawnProblem::from_io(SpawnClass::Resources, text, error)
}

/// This program: on Linux the very file that runs, even if an upgrade has replaced it by now.
fn own_program() -> std::path::PathBuf {
    if cfg!(target_os = "linux") {
        return "/proc/self/exe".into();
    }
    std::env::current_exe().unwrap_or_else(|_| "queue-worker".into())
}

#[cfg(target_os = "linux")]
fn watch(pid: u32) -> io::Result<OwnedFd> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // The child is not reaped, so the number still names it.
    Ok(pidfd_open(
        pid.ok_or(io::ErrorKind::InvalidInput)?,
        PidfdFlags::empty(),
    )?)
}

#[cfg(not(target_os = "linux"))]
fn watch(_pid: u32) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Follows by the lock: a thread waits for it, because a lock cannot be polled.
fn attend(post: &Post, control: &Control) -> bool {
    let Ok(free) = Wakeup::new().map(Arc::new) else {
        return post.wait_until_free().is_ok();
    };
    let (bell, place) = (Arc::clone(&free), post.clone());
    let waiter = thread::Builder::new().stack_size(64 << 10).spawn(move || {
        let _ = place.wait_until_free();
        bell.ring();
    });
    match waiter {
        Ok(_) => follow(post, control, free.as_fd()),
        Err(_) => post.wait_until_free().is_ok(),
    }
}

/// Waits until `end` is readable, and passes on what the control is asked meanwhile. False when
/// the worker lets go of the attempt.
fn follow(post: &Post, control: &Control, end: BorrowedFd<'_>) -> bool {
    let mut passed_on = 0;
    loop {
        let asked = control.snapshot();
        if asked.is_let_go {
            return false;
        }
        while passed_on < asked.stops
            && let Some(cause) = asked.stop_cause
            && post.stop(cause)
        {
            passed_on += 1;
        }
        let is_unheard = passed_on < asked.stops;
        if wait(end, control, is_unheard.then_some(ASK_AGAIN)) {
            return true;
        }
        control.hush();
    }
}

/// Whether `end` is readable; returns as well when the control is rung or the time is over.
fn wait(end: BorrowedFd<'_>, control: &Control, at_most: Option<Duration>) -> bool {
    let mut fds = [
        PollFd::from_borrowed_fd(end, PollFlags::IN),
        PollFd::from_borrowed_fd(control.wake_fd(), PollFlags::IN),
    ];
    let timeout = at_most.map(|span| Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    });
    // Interrupted, or short of memory: the caller comes again.
    poll(&mut fds, timeout.as_ref()).is_ok() && !fds[0].revents().is_empty()
}
