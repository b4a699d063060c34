//! What the agent does, as its file says; `tests/fixtures/agents/README.md` explains the form.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

/// A file of `tests/fixtures/agents`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What is read by tests, not by the program.
    #[serde(default, rename = "source")]
    _source: String,
    #[serde(default, rename = "agent")]
    _agent: String,
    #[serde(default, rename = "args")]
    _args: Vec<String>,
    #[serde(default, rename = "expect")]
    _expect: toml::Table,
    /// Whether standard input is left alone.
    #[serde(default)]
    pub(crate) ignores_stdin: bool,
    /// What it does on SIGINT and SIGTERM.
    #[serde(default)]
    pub(crate) signals: Signals,
    /// The limit that all agents of the folder share.
    pub(crate) limit: Option<Limit>,
    /// What the starts of a job do, in order; the last is repeated.
    pub(crate) run: Vec<Run>,
}

/// One start.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    #[serde(default)]
    pub(crate) steps: Vec<Step>,
    #[serde(default)]
    pub(crate) exit: u8,
}

/// What it does on a signal that asks it to stop.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Signals {
    pub(crate) int: Option<OnSignal>,
    pub(crate) term: Option<OnSignal>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnSignal {
    /// Goes on.
    Ignore,
    /// Ends with that code.
    Exit(u8),
    /// Prints a line and ends with that code.
    Say { line: String, exit: u8 },
}

/// A limit of the account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limit {
    /// The start (counted over all agents of the folder, from 1) that meets it first.
    pub(crate) at_start: u64,
    /// So long after that it lifts.
    pub(crate) lifts_in_ms: i64,
    /// What a limited agent does; `${limit}` is when it lifts, in seconds since 1970.
    pub(crate) steps: Vec<Step>,
    pub(crate) exit: u8,
}

/// One thing it does.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    /// A line on standard output.
    Print(String),
    /// Text on standard output, without a line end.
    Part(String),
    /// Bytes on standard output, in hexadecimal digits.
    Hex(String),
    /// A line on standard error.
    Stderr(String),
    /// A line on standard output with so many `x` in place of `${fill}`.
    Long { line: String, bytes: usize },
    /// Nothing, for so long.
    SleepMs(u64),
    /// Nothing, until this file is in `state`, but no longer than two minutes.
    Await(String),
    /// Nothing, for ever.
    Hang,
    /// Work, that is processor time, for so long.
    WorkMs(u64),
    /// A file, below the current directory.
    Write { path: String, text: String },
    /// A line at the end of a file, so many times.
    Grow {
        path: String,
        every_ms: u64,
        times: u32,
    },
    /// A file, committed.
    Commit {
        path: String,
        text: String,
        message: String,
    },
    /// What it cost, in the ledger and in `${cost}`.
    Cost(f64),
    /// A grandchild; its pid goes into `state`.
    Spawn {
        kind: Kind,
        seconds: u64,
        pid: String,
    },
    /// A look at the account's limit, in the middle of its work.
    MeetLimit,
    /// Every variable of its environment, a line each.
    PrintEnv,
    /// A signal to itself.
    Kill(String),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// With its streams closed.
    Quiet,
    /// With standard output held open.
    Holder,
    /// In a session of its own.
    Setsid,
}

impl Scenario {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("no scenario in {}", path.display()))?;
        toml::from_str(&text)
            .with_context(|| format!("the scenario in {} makes no sense", path.display()))
    }

    /// What the start with that number does.
    pub(crate) fn run(&self, number: u64) -> anyhow::Result<&Run> {
        let place = usize::try_from(number.saturating_sub(1))?;
        let run = self.run.get(place).or(self.run.last());
        run.context("the scenario has no run")
    }
}
