//! The small process that is made for one attempt and outlives its worker.
//!
//! The worker starts its own program again with [`ARGUMENT`] and the attempt's run directory; the
//! lock that proves the attempt alive is this process's standard input. It supervises the attempt
//! as the worker would, keeps everything below it in sight, writes the log and the status, and
//! ends. What always holds: it never touches the store, and nothing of the attempt runs when its
//! lock is free and its status in place.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use queue_core::attempt::Started;
use queue_core::{Timestamp, failpoint};

use crate::post::{self, Post};
use crate::recovery;
use crate::supervisor::{Control, Spec, Status, supervise_tree};

/// The argument that makes a program of ours a shim.
pub(crate) const ARGUMENT: &str = "--supervise-attempt";

/// The exit code of a shim that could not do its work.
const FAILED: i32 = 70;

/// How often it is tried to put the status in place.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Whether this program can become a shim.
static IS_AVAILABLE: AtomicBool = AtomicBool::new(false);

/// Whether a worker in this process can give attempts a shim: its program begins with
/// [`run_if_asked`]. In any other program attempts run directly under the worker.
pub(crate) fn is_available() -> bool {
    IS_AVAILABLE.load(Ordering::Relaxed)
}

/// Becomes a shim and ends with it, if this process was started as one. Must be the first thing a
/// program does: before it reads arguments or starts threads.
pub fn run_if_asked() {
    IS_AVAILABLE.store(true, Ordering::Relaxed);
    let mut words = std::env::args_os().skip(1);
    if words.next().as_deref() != Some(ARGUMENT.as_ref()) {
        return;
    }
    let code = match words
        .next()
        .ok_or_else(missing)
        .and_then(|directory| run(&directory))
    {
        Ok(()) => 0,
        // Without a status the attempt counts as dead; the worker says so.
        Err(_) => FAILED,
    };
    std::process::exit(code);
}

fn missing() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "no run directory is named")
}

fn run(directory: &OsString) -> io::Result<()> {
    let post = Post::at(Path::new(directory));
    // A group and a terminal of its own: nothing that is meant for the worker reaches it.
    rustix::process::setsid()?;
    failpoint::hit("shim.begun");
    #[cfg(target_os = "linux")]
    crate::process::tree::adopt_orphans()?;
    let mut lock = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let spec = Post::take_spec(&mut lock)?;
    failpoint::hit("shim.spec_taken");
    let listening = listen(&post);
    failpoint::hit("shim.listens");
    let status = match listening {
        Ok(control) => supervise_tree(&spec, &control, |pid, unenforced| {
            note_start(&post, &spec, pid, unenforced);
        }),
        Err(error) => Status::unsupervised(&spec, &error),
    };
    leave(&post, &status)
}

/// Puts the status in place, as soon as that can be done: without it the attempt counts as dead,
/// and a job that has ended would run again. A disk may be full or read-only for hours. Where the
/// directory is gone nobody will ever look, and it is let be.
fn leave(post: &Post, status: &Status) -> io::Result<()> {
    loop {
        match post.write_status(status) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => thread::sleep(TRY_AGAIN),
            written => return written,
        }
    }
}

/// The handle by which workers stop the attempt.
fn listen(post: &Post) -> io::Result<Control> {
    let control = Control::new()?;
    obey(post.listen()?, control.clone())?;
    Ok(control)
}

/// Passes on what workers send through the pipe.
fn obey(mut pipe: File, control: Control) -> io::Result<()> {
    let listen = move || {
        let mut letter = [0];
        while pipe.read_exact(&mut letter).is_ok() {
            if let Some(cause) = post::cause(letter[0]) {
                control.stop(cause);
            }
        }
    };
    thread::Builder::new()
        .stack_size(64 << 10)
        .spawn(listen)
        .map(drop)
}

/// Leaves the process's name for whoever has to end it should this shim die. An attempt whose
/// name cannot be written goes on: its environment still names it.
fn note_start(post: &Post, spec: &Spec, pid: u32, unenforced: Option<&str>) {
    failpoint::hit("shim.process_started");
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let _ = post.write_started(&Started {
        pid,
        pid_started: recovery::start_of_child(pid),
        started_at: Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
        log: spec.log.display().to_string(),
        unenforced: unenforced.map(str::to_owned),
    });
}
