//! What to run and within which bounds.
//!
//! Built by the worker from a job, or read from a file by a process made for the attempt. What
//! always holds: it names everything the process gets; nothing is inherited beside it. Its bytes
//! survive JSON exactly, whatever they are.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use queue_core::job::OnLeftover;
use serde::{Deserialize, Serialize};

use super::wire::Wire;
use crate::cgroup::Plan;

/// The signal that asks a process to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopSignal {
    /// SIGTERM.
    #[default]
    Term,
    /// SIGINT, for programs that save their work on Ctrl-C only.
    Int,
    /// SIGINT, after the grace SIGTERM, after another SIGKILL: for agents, which end their turn on
    /// the first and clear away on the second.
    IntThenTerm,
}

/// One attempt, ready to start.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Wire", from = "Wire")]
pub struct Spec {
    /// The job.
    pub job: i64,
    /// Its epoch, which names this one run.
    pub epoch: i64,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// Absolute path of the program; see [`resolve_program`](crate::process::resolve_program).
    pub program: PathBuf,
    /// The arguments, without the program's own name.
    pub args: Vec<OsString>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory.
    pub cwd: PathBuf,
    /// The file that is standard input; the null device when `None`.
    pub stdin: Option<PathBuf>,
    /// Where the log goes; created with mode 0600, appended to if it is there.
    pub log: PathBuf,
    /// Bytes of disk the log may take: the first half is kept, and the end up to the other half.
    pub log_cap: u64,
    /// The longest the process may run.
    pub timeout: Option<Duration>,
    /// The longest it may go without writing anything.
    pub idle_timeout: Option<Duration>,
    /// The time between the stop signal and SIGKILL.
    pub grace: Duration,
    /// The signal that asks it to stop.
    pub stop_signal: StopSignal,
    /// What to do with processes that outlive the first one.
    pub on_leftover: OnLeftover,
    /// How long the pipes are read after the process and its group are gone.
    pub drain: Duration,
    /// What its log says of it in front of all else, a line each.
    pub remarks: Vec<String>,
    /// The control groups that are made for it.
    pub(crate) group: Option<Plan>,
}

impl Spec {
    /// 64 MiB.
    pub const LOG_CAP: u64 = 64 << 20;
    /// 10 seconds.
    pub const GRACE: Duration = Duration::from_secs(10);
    /// Half a second: only a process outside the group can still hold a pipe by then.
    pub const DRAIN: Duration = Duration::from_millis(500);

    /// A spec with no arguments, an empty environment, null input, no time limits, and the defaults above.
    pub fn new(
        job: i64,
        epoch: i64,
        attempt: u32,
        program: impl Into<PathBuf>,
        cwd: impl Into<PathBuf>,
        log: impl Into<PathBuf>,
    ) -> Self {
        Self {
            job,
            epoch,
            attempt,
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: cwd.into(),
            stdin: None,
            log: log.into(),
            log_cap: Self::LOG_CAP,
            timeout: None,
            idle_timeout: None,
            grace: Self::GRACE,
            stop_signal: StopSignal::Term,
            on_leftover: OnLeftover::Kill,
            drain: Self::DRAIN,
            remarks: Vec::new(),
            group: None,
        }
    }
}

/// Hides the values of variables: they hold secrets.
impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("Spec")
            .field("job", &self.job)
            .field("epoch", &self.epoch)
            .field("attempt", &self.attempt)
            .field("program", &self.program)
            .field("args", &self.args)
            .field("env", &names)
            .field("cwd", &self.cwd)
            .field("stdin", &self.stdin)
            .field("log", &self.log)
            .field("timeout", &self.timeout)
            .field("idle_timeout", &self.idle_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn a_spec_survives_json_whatever_its_bytes() {
        let odd = OsString::from_vec(vec![b'a', 0xff, b'\n', 0x80]);
        let mut spec = Spec::new(41, 7, 2, "/bin/sh", "/tmp", "/tmp/log");
        spec.args = vec!["-c".into(), odd.clone(), "".into(), "ä\u{1f600}\"".into()];
        spec.env = vec![("A".into(), odd.clone()), (odd.clone(), "x=y".into())];
        spec.stdin = Some(PathBuf::from(odd));
        spec.timeout = Some(Duration::from_millis(1500));
        spec.stop_signal = StopSignal::Int;
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), spec);
    }

    #[test]
    fn debug_shows_names_of_variables_and_not_their_values() {
        let mut spec = Spec::new(1, 1, 1, "/bin/true", "/", "/tmp/log");
        spec.env = vec![("API_KEY".into(), "hunter2".into())];
        let shown = format!("{spec:?}");
        assert!(
            shown.contains("API_KEY") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
