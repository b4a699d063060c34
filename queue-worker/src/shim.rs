//! The small process that supervises an attempt and outlives its worker.
//!
//! The worker starts its own program again with [`ARGUMENT`], and hands it an attempt by handing
//! over the lock that proves the attempt alive (see `handover`). The shim supervises the attempt as
//! the worker would, keeps everything below it in sight, writes the log and the status, lets go of
//! the lock, and is given the next one; without a worker it ends. What always holds: it never
//! touches the store, it has one attempt at a time, and nothing of that runs any more when its lock
//! is free and its status in place, unless the job asked for that: then the shim ends with it.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use queue_core::attempt::Started;
use queue_core::{Timestamp, failpoint};
use rustix::stdio::dup2_stdin;

use crate::handover::{self, Word};
use crate::post::{Named, Post, Untaken};
use crate::recovery;
use crate::supervisor::{Spec, Status, supervise_tree};

/// The argument that makes a program of ours a shim.
pub(crate) const ARGUMENT: &str = "--supervise-attempts";

/// The exit code of a shim that could not do its work.
const FAILED: i32 = 70;

/// How often it is tried to put the status in place.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// How long a worker may take to commit how an attempt ended before the status is synced.
const TAKEN_WITHIN: Duration = Duration::from_secs(1);

/// Whether this program can become a shim.
static IS_AVAILABLE: AtomicBool = AtomicBool::new(false);

/// Whether a worker in this process can give attempts a shim: its program begins with
/// [`run_if_asked`]. In any other program attempts run directly under the worker.
pub(crate) fn is_available() -> bool {
    IS_AVAILABLE.load(Ordering::Relaxed)
}

/// Becomes a shim and ends with it, if this process was started as one. Must be the first thing a
/// program does: before it reads arguments or starts threads.
///
/// As the first process of a container it stays behind to reap orphans, and the program goes on in
/// a child.
pub fn run_if_asked() {
    IS_AVAILABLE.store(true, Ordering::Relaxed);
    // Its second argument, the folder of the attempts, is for whoever looks at the processes.
    if std::env::args_os().nth(1).as_deref() != Some(ARGUMENT.as_ref()) {
        crate::init::stand_in_if_first();
        return;
    }
    let code = match run() {
        Ok(()) => 0,
        // Without a status the attempt counts as dead; the worker says so.
        Err(_) => FAILED,
    };
    std::process::exit(code);
}

/// Serves one attempt after the other, until the worker has no more or is gone.
fn run() -> io::Result<()> {
    // A group and a terminal of its own: nothing that is meant for the worker reaches it.
    rustix::process::setsid()?;
    failpoint::hit("shim.begun");
    #[cfg(target_os = "linux")]
    crate::process::tree::adopt_orphans()?;
    let line = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let nothing = File::open("/dev/null")?;
    dup2_stdin(&nothing)?;
    let mut last = None;
    loop {
        handover::wait(&line, last.as_ref().map(|_| TAKEN_WITHIN));
        // The worker has told how the last attempt ended, or else takes its time.
        drop(last.take());
        let Some(lock) = handover::receive(&line)? else {
            return Ok(());
        };
        // Seen from outside, the lock tells whose shim this is.
        dup2_stdin(&lock)?;
        handover::say(&line, Word::Taken);
        last = Some(serve(lock, &line)?);
        // The last copy: now the lock is free.
        dup2_stdin(&nothing)?;
        if has_children() {
            // They belong to this attempt, and are to fall to nobody else's.
            return Ok(());
        }
        handover::say(&line, Word::Over);
    }
}

/// Sees one attempt through to its status.
fn serve(lock: File, line: &UnixStream) -> io::Result<Untaken> {
    let (post, lock, spec) = Post::take_spec(lock)?;
    failpoint::hit("shim.spec_taken");
    let listening = post.listen();
    failpoint::hit("shim.listens");
    let status = match listening {
        Ok(control) => {
            // What was asked before we listened.
            control.hush();
            supervise_tree(&spec, &control, |pid, unenforced| {
                note_start(&lock, &spec, pid, unenforced);
            })
        }
        Err(error) => Status::unsupervised(&spec, &error),
    };
    leave(&post, &status, line)
}

#[cfg(target_os = "linux")]
fn has_children() -> bool {
    !crate::process::tree::is_childless()
}

/// Elsewhere orphans do not fall to us.
#[cfg(not(target_os = "linux"))]
fn has_children() -> bool {
    false
}

/// Puts the status in place, as soon as that can be done: without it the attempt counts as dead,
/// and a job that has ended would run again. A disk may be full or read-only for hours. Where the
/// directory is gone nobody will ever look, and it is let be.
fn leave(post: &Post, status: &Status, line: &UnixStream) -> io::Result<Untaken> {
    loop {
        // A worker says nothing while its shim has an attempt, but for its end.
        let is_taken = !handover::wait(line, Some(Duration::ZERO));
        match post.write_status(status, is_taken) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => thread::sleep(TRY_AGAIN),
            written => return written,
        }
    }
}

/// Leaves the process's name for whoever has to end it should this shim die. An attempt whose
/// name cannot be written goes on: its environment still names it.
fn note_start(lock: &Named, spec: &Spec, pid: u32, unenforced: Option<&str>) {
    failpoint::hit("shim.process_started");
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let started = Started {
        pid,
        pid_started: recovery::start_of_child(pid),
        started_at: Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
        log: spec.log.display().to_string(),
        unenforced: unenforced.map(str::to_owned),
    };
    let _ = lock.write_started(&started);
}
