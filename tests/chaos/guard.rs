//! The guard: a process beside the run that ends whatever the run started, however the run ends.
//!
//! It waits on a pipe whose other end the run holds. What always holds: when the run is gone, by
//! itself, by Ctrl-C or by `kill -9`, nothing of it goes on and its directory is removed.

use crate::processes;
use std::{
    env, fs, io,
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
    /// Starts the guard of the run in `root`.
    pub(crate) fn start(root: &Path) -> io::Result<Self> {
        let guard = Command::new(env::current_exe()?)
            .arg(ARGUMENT)
            .arg(root)
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

/// Is a guard.
pub(crate) fn stand(root: &Path) {
    let _ = io::stdin().read_to_end(&mut Vec::new());
    processes::end_all(root);
    let _ = fs::remove_dir_all(root);
}
