//! How it was started: under which name, with which arguments, and where its files are.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use serde_json::Value;

/// The start of the program.
pub(crate) struct Caller {
    /// The agent it acts as.
    pub(crate) name: String,
    /// Its arguments, without the name of the program.
    pub(crate) args: Vec<String>,
    /// The folder in which its link lies.
    pub(crate) home: PathBuf,
    /// What agents of this folder share.
    pub(crate) state: PathBuf,
}

impl Caller {
    /// Reads name and folder from how it was called: by a path, or by a name that is looked up.
    pub(crate) fn new(args: &[String]) -> anyhow::Result<Self> {
        let called = Path::new(args.first().context("a program has a name")?);
        let name = called.file_name().context("a program has a name")?;
        let home = match called
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            Some(parent) => parent.to_owned(),
            None => looked_up(called)?,
        };
        let state = home.join("state");
        fs::create_dir_all(&state)?;
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            args: args[1..].to_vec(),
            home,
            state,
        })
    }

    pub(crate) fn scenario_file(&self) -> PathBuf {
        self.home.join(format!("{}.toml", self.name))
    }

    /// The job it runs for, so that each job has runs of its own; outside of a job all share them.
    pub(crate) fn job(&self) -> String {
        env::var("QUEUE_JOB_ID").unwrap_or_else(|_| "none".to_owned())
    }

    /// The value of a flag, given as `--flag value` or `--flag=value`.
    pub(crate) fn flag(&self, names: &[&str]) -> Option<&str> {
        let mut args = self.args.iter();
        while let Some(arg) = args.next() {
            for name in names {
                if arg == name {
                    return args.next().map(String::as_str);
                }
                if let Some(value) = arg
                    .strip_prefix(name)
                    .and_then(|rest| rest.strip_prefix('='))
                {
                    return Some(value);
                }
            }
        }
        None
    }

    /// Appends a line to `state/calls.jsonl`, whole even where many write.
    pub(crate) fn note(&self, event: &Value) -> io::Result<()> {
        append(&self.state.join("calls.jsonl"), &event.to_string())
    }
}

/// The folder of `PATH` in which the program was found.
fn looked_up(name: &Path) -> anyhow::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).find(|folder| folder.join(name).is_file());
    match found {
        Some(folder) => Ok(folder),
        None => bail!("{} is in no folder of PATH", name.display()),
    }
}

/// Appends a line in one write.
pub(crate) fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())
}

pub(crate) fn write_line(out: &mut impl Write, line: &str) -> io::Result<()> {
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
