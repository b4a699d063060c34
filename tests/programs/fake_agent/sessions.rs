//! The sessions of an agent, as its real programs treat them.
//!
//! A session is a file in `state/sessions`. As with the real ones its id may be resumed by two at
//! once: nobody is refused, and the call says that it overlaps.

use std::fs::{self, File, OpenOptions};
use std::io;

use rustix::fs::FlockOperation;

use crate::caller::{Caller, now_ms};

/// What became of the session that was asked for.
pub(crate) enum Session {
    /// It is there.
    Open {
        id: String,
        is_resumed: bool,
        overlaps: bool,
        /// Held while the agent lives.
        _lock: Option<File>,
    },
    /// It cannot be had: what the agent says then, where, and its exit code.
    Refused {
        id: String,
        says: Vec<String>,
        exit: u8,
    },
}

impl Session {
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Open { id, .. } | Self::Refused { id, .. } => id,
        }
    }

    pub(crate) fn is_resumed(&self) -> bool {
        matches!(
            self,
            Self::Open {
                is_resumed: true,
                ..
            }
        )
    }

    pub(crate) fn overlaps(&self) -> bool {
        matches!(self, Self::Open { overlaps: true, .. })
    }
}

/// Opens the session that the arguments name, or makes one.
pub(crate) fn open(caller: &Caller) -> Session {
    let wanted = resumed(caller);
    if let Some(id) = wanted {
        return match exists(caller, &id) {
            true => opened(caller, id, true),
            false => missing(caller, id),
        };
    }
    let minted = caller.flag(&["--session-id"]).map(str::to_owned);
    match minted {
        Some(id) if exists(caller, &id) => Session::Refused {
            says: vec![format!("Error: Session ID {id} is already in use.")],
            id,
            exit: 1,
        },
        Some(id) => opened(caller, id, false),
        None => opened(caller, fresh(caller), false),
    }
}

/// The session that is to be resumed.
fn resumed(caller: &Caller) -> Option<String> {
    let by_flag = match caller.name.as_str() {
        "opencode" => caller.flag(&["-s", "--session"]),
        "goose" if caller.args.iter().any(|arg| arg == "--resume") => {
            caller.flag(&["--name", "-n"])
        }
        "goose" => None,
        _ => caller.flag(&["--resume", "-r"]),
    };
    let mut args = caller.args.iter().skip_while(|arg| *arg != "resume");
    let by_verb = (caller.name == "codex").then(|| args.nth(1)).flatten();
    by_flag.map(str::to_owned).or(by_verb.cloned())
}

/// What each program says of a session it does not know.
fn missing(caller: &Caller, id: String) -> Session {
    let (says, exit) = match caller.name.as_str() {
        // anomalyco/opencode#27559
        "opencode" => ("Session not found".to_owned(), 0),
        "qwen" => (format!("No saved session found with ID {id}"), 1),
        _ => (format!("No conversation found with session ID: {id}"), 1),
    };
    Session::Refused {
        id,
        says: vec![says],
        exit,
    }
}

fn exists(caller: &Caller, id: &str) -> bool {
    caller.state.join("sessions").join(id).is_file()
}

fn opened(caller: &Caller, id: String, is_resumed: bool) -> Session {
    let lock = locked(caller, &id).ok();
    Session::Open {
        id,
        is_resumed,
        overlaps: matches!(lock, Some((_, true))),
        _lock: lock.map(|(file, _)| file),
    }
}

/// Takes the lock of a session, and says whether somebody else has it.
fn locked(caller: &Caller, id: &str) -> io::Result<(File, bool)> {
    let folder = caller.state.join("sessions");
    fs::create_dir_all(&folder)?;
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join(id))?;
    let is_taken = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err();
    Ok((file, is_taken))
}

/// An id of the form that the program gives.
fn fresh(caller: &Caller) -> String {
    let (time, pid) = (now_ms(), std::process::id());
    match caller.name.as_str() {
        "opencode" => format!("ses_{time:x}{pid:x}"),
        _ => format!("{:08x}-{:04x}-4000-8000-{time:012x}", pid, pid & 0xffff),
    }
}
