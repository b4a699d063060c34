//! Why a process could not be started, in words a person can act on.
//!
//! Made by [`resolve_program`](super::resolve_program) and [`spawn`](super::spawn). What always
//! holds: the class alone decides whether another try makes sense; the text names the file and
//! says what to do.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The kinds of failure before a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpawnClass {
    /// There is no such program (a shell exits with 127).
    NotFound,
    /// The program is there but cannot be executed (a shell exits with 126).
    NotExecutable,
    /// The working directory is missing or cannot be entered.
    BadCwd,
    /// The file meant as standard input cannot be read.
    BadStdin,
    /// The log file cannot be created.
    BadLog,
    /// An argument or variable the kernel refuses: a NUL byte, or too many bytes in all.
    BadArgument,
    /// The machine is short of processes, memory or file descriptors at the moment.
    Resources,
    /// Anything else; the text has the system's words.
    Other,
}

impl SpawnClass {
    /// The exit code a shell would give, where it has one.
    #[must_use]
    pub fn shell_code(self) -> Option<i32> {
        match self {
            Self::NotFound => Some(127),
            Self::NotExecutable => Some(126),
            Self::BadCwd
            | Self::BadStdin
            | Self::BadLog
            | Self::BadArgument
            | Self::Resources
            | Self::Other => None,
        }
    }

    /// Whether it is this machine that lacks something, whatever the job: room for a process, or a
    /// place for its log.
    #[must_use]
    pub fn is_shortage(self) -> bool {
        matches!(self, Self::Resources | Self::BadLog)
    }

    /// Whether the same start may succeed later without anybody changing the job.
    #[must_use]
    pub fn is_passing(self) -> bool {
        match self {
            Self::Resources | Self::BadLog | Self::Other => true,
            Self::NotFound
            | Self::NotExecutable
            | Self::BadCwd
            | Self::BadStdin
            | Self::BadArgument => false,
        }
    }
}

/// Whether the system is short of something that every start needs, whatever it was asked for.
fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE)
    )
}

/// A start that failed: nothing has run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct SpawnProblem {
    /// What kind of failure.
    pub class: SpawnClass,
    /// The system's error number, if the system was asked.
    pub errno: Option<i32>,
    /// What happened to which file, and what to do.
    pub text: String,
}

impl SpawnProblem {
    pub(crate) fn new(class: SpawnClass, text: impl Into<String>) -> Self {
        Self {
            class,
            errno: None,
            text: text.into(),
        }
    }

    /// A failure that the system reported. One for want of descriptors, processes or memory says
    /// nothing of the file it was met with.
    pub(crate) fn from_io(class: SpawnClass, text: impl Into<String>, error: &io::Error) -> Self {
        let text = format!("{}: {error}", text.into());
        Self {
            class: if is_shortage(error) {
                SpawnClass::Resources
            } else {
                class
            },
            errno: error.raw_os_error(),
            text,
        }
    }

    /// The working directory cannot be used.
    pub(crate) fn bad_cwd(cwd: &Path, error: &io::Error) -> Self {
        Self::from_io(
            SpawnClass::BadCwd,
            format!(
                "the working directory `{}` cannot be entered; create it, or enqueue the job with another `--cwd`",
                cwd.display()
            ),
            error,
        )
    }

    /// Names what is wrong when the system refused to start `program` in `cwd`.
    ///
    /// The system gives one number for several files, so the files are looked at again here; that
    /// costs nothing on the path where all is well.
    pub(crate) fn explain(error: &io::Error, program: &Path, cwd: &Path) -> Self {
        use rustix::io::Errno;

        if let Err(bad) = super::resolve::check_cwd(cwd) {
            return bad;
        }
        let name = program.display();
        let errno = Errno::from_io_error(error);
        let (class, text) = match errno {
            Some(Errno::NOENT) if program.exists() => (
                SpawnClass::NotExecutable,
                format!(
                    "the interpreter that `{name}` names in its first line (or its loader) is missing; install it or correct the line"
                ),
            ),
            Some(Errno::NOENT | Errno::NOTDIR) => (
                SpawnClass::NotFound,
                format!("`{name}` does not exist; install it or correct the path"),
            ),
            Some(Errno::ACCESS | Errno::PERM) => (
                SpawnClass::NotExecutable,
                format!("`{name}` cannot be executed; try `chmod +x`"),
            ),
            Some(Errno::NOEXEC) => (
                SpawnClass::NotExecutable,
                format!(
                    "`{name}` is neither a program for this machine nor a script with a `#!` line"
                ),
            ),
            Some(Errno::ISDIR) => (
                SpawnClass::NotExecutable,
                format!("`{name}` is a directory"),
            ),
            Some(Errno::TOOBIG) => (
                SpawnClass::BadArgument,
                format!(
                    "the arguments and variables of `{name}` are too long for the system; pass them in a file"
                ),
            ),
            Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE) => (
                SpawnClass::Resources,
                format!(
                    "the system has no room to start `{name}`; lower the concurrency or raise `ulimit -n` and `ulimit -u`"
                ),
            ),
            None if error.kind() == io::ErrorKind::InvalidInput => (
                SpawnClass::BadArgument,
                format!("an argument or variable of `{name}` holds a NUL byte"),
            ),
            _ => (SpawnClass::Other, format!("`{name}` could not be started")),
        };
        Self::from_io(class, text, error)
    }
}
