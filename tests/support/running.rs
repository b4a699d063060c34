//! A process that a test started and that does not outlive it.
//!
//! [`crate::TestEnv::spawn_worker`] and its likes make it; it leads a process group of its own,
//! and that whole group is killed when the test ends, whichever way. Both its streams go to files, which
//! can be read while it runs.

use crate::wait::{LOOK_EVERY, PATIENCE};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::{
    fs,
    io::{self, Write as _},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Instant,
};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

/// A process with its group and its streams.
#[derive(Debug)]
pub struct Running {
    command: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    ended: Option<Stopped>,
}

impl Running {
    /// Starts `command` with its streams going to the two files and `input` on its standard
    /// input, or the null device there.
    ///
    /// # Errors
    /// Where the files cannot be made or the program cannot be started.
    pub(crate) fn start(
        mut command: Command,
        input: Option<&[u8]>,
        stdout: PathBuf,
        stderr: PathBuf,
    ) -> io::Result<Self> {
        let mut child = command
            .process_group(0)
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(fs::File::create(&stdout)?)
            .stderr(fs::File::create(&stderr)?)
            .spawn()?;
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
            let input = input.to_vec();
            // On a thread of its own: a child that does not read must not hold up the test. Nor is
            // it an error that it does not read.
            thread::spawn(move || drop(pipe.write_all(&input)));
        }
        Ok(Self {
            command: format!("{command:?}"),
            child,
            stdout,
            stderr,
            ended: None,
        })
    }

    /// The process id, which is also the group's.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard output.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it has written to standard error.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Sends a signal to the process alone.
    ///
    /// # Panics
    /// Where it has been waited for already.
    pub fn signal(&self, signal: Signal) {
        assert!(
            self.ended.is_none(),
            "{} has ended: {:?}",
            self.command,
            self.ended
        );
        // A child that was not waited for keeps its pid, so no stranger is hit.
        kill_process(self.process(), signal).expect("a child that was not waited for is there");
    }

    /// Kills the process alone, as `kill -9` does, and waits for its end.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Waits for its end, and gives how it ended.
    ///
    /// # Panics
    /// Where it goes on for longer than [`crate::PATIENCE`], with all it has written.
    #[track_caller]
    pub fn wait(&mut self) -> Stopped {
        let began = Instant::now();
        loop {
            if let Some(ended) = self.try_wait() {
                return ended;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "waited {} s in vain for the end of {}\nstdout:\n{}\nstderr:\n{}",
                PATIENCE.as_secs(),
                self.command,
                self.stdout(),
                self.stderr()
            );
            thread::sleep(LOOK_EVERY);
        }
    }

    /// How it ended, if it has.
    pub fn try_wait(&mut self) -> Option<Stopped> {
        if self.ended.is_none() {
            let status = self
                .child
                .try_wait()
                .expect("a child that was not waited for can be");
            self.ended = status.map(stopped);
        }
        self.ended
    }

    fn process(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The group may be gone with its leader, and that is as good.
        let _ = kill_process_group(self.process(), Signal::KILL);
        let _ = self.child.wait();
    }
}

fn read(path: &PathBuf) -> String {
    fs::read(path).map_or_else(
        |error| format!("({error})"),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    )
}

fn stopped(status: ExitStatus) -> Stopped {
    match (status.code(), status.signal()) {
        (Some(code), _) => Stopped::Exited(code),
        (None, signal) => Stopped::Killed(signal.unwrap_or(0)),
    }
}
