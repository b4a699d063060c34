//! The guard: a process beside the run that ends whatever the run started, however the run ends.
//!
//! It waits on a pipe whose other end the run holds. What always holds: when the run is gone, by
//! itself, by Ctrl-C or by `kill -9`, nothing of it goes on and its directory is removed.

use crate::processes;
use std::{
    env,
    ffi::OsString,
    fs, io,
    io::Read as _,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

/// The argument that makes this program a guard.
pub(crate) const ARGUMENT: &str = "--guard-of-chaos";

/// The guard of a run, which does its work when this is dropped, or with the end of this process.
pub(crate) struct Guard(Child);

impl Guard {
    /// Starts the guard of the run that has these directories.
    pub(crate) fn start(directories: &[&Path]) -> io::Result<Self> {
        let guard = Command::new(env::current_exe()?)
            .arg(ARGUMENT)
            .args(directories)
            // A group of its own: Ctrl-C is for the run.
            .process_group(0)
            .stdin(Stdio::piped())
            .spawn()?;
        Ok(Self(guard))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Is the guard of these directories.
pub(crate) fn stand(directories: impl Iterator<Item = OsString>) {
    let _ = io::stdin().read_to_end(&mut Vec::new());
    for directory in directories {
        processes::end_all(directory.as_ref());
        let _ = fs::remove_dir_all(directory);
    }
}
