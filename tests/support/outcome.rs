//! What a command came to: both streams and the exit code.
//!
//! [`crate::TestEnv::qcli`] makes it. Every expectation that is not met fails the test with all one
//! would ask for: the command, both streams, the files, the jobs and their history.

use crate::test_env::TestEnv;
use serde_json::Value;
use std::fmt;

/// The exit code of a command that a signal ended, as a shell says it.
const SIGNALLED: i32 = 128;

/// A command that has ended.
#[derive(Clone)]
pub struct Outcome<'e> {
    pub(crate) env: &'e TestEnv,
    pub(crate) command: String,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// Its exit code; 128 and the number of the signal where one ended it.
    pub code: i32,
}

impl Outcome<'_> {
    /// Expects exit code 0.
    ///
    /// # Panics
    /// On any other.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Expects this exit code.
    ///
    /// # Panics
    /// On any other.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(self.code == code, "expected exit code {code}\n{self:?}");
        self
    }

    /// Expects this text on standard output.
    ///
    /// # Panics
    /// Where it is not there.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text),
            "expected `{text}` on stdout\n{self:?}"
        );
        self
    }

    /// Expects this text on standard error.
    ///
    /// # Panics
    /// Where it is not there.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "expected `{text}` on stderr\n{self:?}"
        );
        self
    }

    /// Reads standard output as one JSON value.
    ///
    /// # Panics
    /// Where it is not one.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("stdout is not JSON: {error}\n{self:?}"),
        }
    }

    /// Reads standard output as one JSON value a line.
    ///
    /// # Panics
    /// Where a line is not one.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        let read = |line: &str| match serde_json::from_str(line) {
            Ok(value) => value,
            Err(error) => panic!("`{line}` is not JSON: {error}\n{self:?}"),
        };
        self.stdout.lines().map(read).collect()
    }

    /// Reads standard output as the number of a job.
    ///
    /// # Panics
    /// Where it is not one.
    #[track_caller]
    pub fn id(&self) -> i64 {
        match self.stdout.trim().parse() {
            Ok(id) => id,
            Err(error) => panic!("stdout is not a job's number: {error}\n{self:?}"),
        }
    }

    pub(crate) fn code_of(stopped: crate::Stopped) -> i32 {
        match stopped {
            crate::Stopped::Exited(code) => code,
            crate::Stopped::Killed(signal) => SIGNALLED + signal,
        }
    }
}

impl fmt::Debug for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "── command: {}", self.command)?;
        writeln!(f, "── exit code: {}", self.code)?;
        writeln!(f, "── stdout:\n{}", self.stdout)?;
        writeln!(f, "── stderr:\n{}", self.stderr)?;
        write!(f, "{}", self.env.scene())
    }
}
