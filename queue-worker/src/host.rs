//! Where an attempt is supervised: on a thread of the worker, or in a shim of its own.
//!
//! Called on the attempt's thread, which waits here until it is over. What always holds: a shim
//! is followed in the same way by the worker that started it and by one that adopts it, and a
//! worker that lets go of it leaves it as it is.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use queue_core::failpoint;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::handover::Word;
use crate::post::Post;
use crate::process::{SpawnClass, SpawnProblem, Wakeup};
use crate::shims::{Shim, Shims};
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

/// How many shims may die before they take the attempt.
const TRIES: usize = 5;

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

/// Has a shim run it, and follows that.
pub(crate) fn shim(
    spec: &Spec,
    control: &Control,
    post: &Post,
    shims: &Shims,
) -> Result<End, SpawnProblem> {
    let mut lock = Some(post.prepare(spec).map_err(|error| no_host(post, &error))?);
    for _ in 0..TRIES {
        // Asked under the lock: who takes over after this moment sees it held, and follows the
        // shim instead of starting another attempt beside it.
        if control.is_late() {
            return Ok(End::TooLate);
        }
        failpoint::hit("host.asked");
        let shim = shims.take().map_err(|error| no_host(post, &error))?;
        if let Some(end) = entrust(shim, &mut lock, control, post, shims) {
            return Ok(end);
        }
    }
    let error = io::Error::other("it ends before it takes the attempt");
    Err(no_host(post, &error))
}

/// Hands the lock to a shim and follows the attempt. None when the shim died before it had the
/// attempt: nothing has begun, and the lock is still ours.
fn entrust(
    shim: Shim,
    lock: &mut Option<File>,
    control: &Control,
    post: &Post,
    shims: &Shims,
) -> Option<End> {
    let mut is_there = lock.as_ref().is_some_and(|lock| shim.give(lock));
    failpoint::hit("host.shim_started");
    let mut passed_on = PassedOn::default();
    while is_there {
        if !follow(post, control, shim.as_fd(), &mut passed_on) {
            shims.leave(shim);
            return Some(End::LetGo);
        }
        match shim.hear() {
            Word::Taken => *lock = None,
            Word::Over => {
                shims.give_back(shim);
                return Some(read_end(post, control));
            }
            Word::Gone => is_there = false,
        }
    }
    shim.end();
    if lock.is_some() {
        return None;
    }
    Some(read_end(post, control))
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

fn no_host(post: &Post, error: &io::Error) -> SpawnProblem {
    let text = format!(
        "its supervisor cannot be started in `{}`; free some disk and processes",
        post.directory().display()
    );
    SpawnProblem::from_io(SpawnClass::Resources, text, error)
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
        Ok(_) => follow(post, control, free.as_fd(), &mut PassedOn::default()),
        Err(_) => post.wait_until_free().is_ok(),
    }
}

/// What a shim was told of what its control was told.
#[derive(Debug, Default)]
struct PassedOn {
    stops: u32,
    signs: u32,
}

/// Waits until `end` is readable, and passes on what the control is asked meanwhile. False when the
/// worker lets go of the attempt.
fn follow(post: &Post, control: &Control, end: BorrowedFd<'_>, passed_on: &mut PassedOn) -> bool {
    loop {
        let asked = control.snapshot();
        if asked.is_let_go {
            return false;
        }
        // A sign that is not heard is given again as long as it holds.
        if passed_on.signs != asked.signs && post.is_alive() {
            passed_on.signs = asked.signs;
        }
        while passed_on.stops < asked.stops
            && let Some(cause) = asked.stop_cause
            && post.stop(cause)
        {
            passed_on.stops += 1;
        }
        let is_unheard = passed_on.stops < asked.stops;
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
