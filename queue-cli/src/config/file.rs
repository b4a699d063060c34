//! The configuration files: `.queue.toml` of a project and `config.toml` of a user.
//!
//! Owns their keys and the errors about them; [`super::Config`] reads both with it. An unknown key is refused, so that a
//! misspelt one is not silently without effect.

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::error::CliError;
use crate::output::color::ColorChoice;

/// Every key a file may have, in the order of the reference.
pub const KEYS: [&str; 3] = ["db", "queue", "color"];

/// Renders the table of `docs/reference/config.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from("| key | value | without it |\n|---|---|---|\n");
    for key in KEYS {
        let (value, otherwise) = match key {
            "db" => (
                "the store: a path, or a URL `sqlite:PATH`. A relative path starts from the directory of the file",
                "`qcli/queue.db` in the platform's data directory, usually `~/.local/share`",
            ),
            "queue" => ("the queue that new jobs go to", "`default`"),
            "color" => ("`auto`, `always` or `never`", "`auto`"),
            _ => unreachable!("every key of KEYS has a row"),
        };
        page.push_str(&format!("| `{key}` | {value} | {otherwise} |\n"));
    }
    page
}

/// The content of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// The directory that relative paths in it start from.
    pub base: PathBuf,
    /// The store: a path or a URL, a leading `~/` replaced.
    pub db: Option<String>,
    /// The queue that new jobs go to.
    pub queue: Option<String>,
    /// When to use colour.
    pub color: Option<ColorChoice>,
}

impl ConfigFile {
    /// Reads a file. `home` is what a leading `~/` stands for.
    ///
    /// # Errors
    /// When it cannot be read, is not TOML, or has a key or value it must not have (exit code 2); names file and key.
    pub fn read(path: &Path, base: &Path, home: Option<&Path>) -> Result<Self, CliError> {
        let text = fs::read_to_string(path)
            .map_err(|cause| CliError::file("read the configuration", path, &cause))?;
        let table: Table = toml::from_str(&text).map_err(|error| not_toml(path, &text, &error))?;
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(
                CliError::usage(format!("unknown key `{key}` in {}", path.display()))
                    .hint(format!("the keys are {}", KEYS.join(", "))),
            );
        }
        Ok(Self {
            base: base.to_owned(),
            db: text_of(&table, "db", path)?.map(|db| expand_home(db, home)),
            queue: text_of(&table, "queue", path)?.map(str::to_owned),
            color: color_of(&table, path)?,
        })
    }
}

fn not_toml(path: &Path, text: &str, error: &toml::de::Error) -> CliError {
    let start = error.span().map_or(0, |span| span.start).min(text.len());
    let line = 1 + text.as_bytes()[..start]
        .iter()
        .filter(|&&byte| byte == b'\n')
        .count();
    let what = error.message();
    CliError::usage(format!(
        "{} line {line} is not TOML: {what}",
        path.display()
    ))
}

fn text_of<'a>(table: &'a Table, key: &str, path: &Path) -> Result<Option<&'a str>, CliError> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(bad_value(key, path, "a text in quotes that is not empty")),
    }
}

fn color_of(table: &Table, path: &Path) -> Result<Option<ColorChoice>, CliError> {
    let text = text_of(table, "color", path)?;
    text.map(|text| {
        text.parse()
            .map_err(|()| bad_value("color", path, "\"auto\", \"always\" or \"never\""))
    })
    .transpose()
}

fn bad_value(key: &str, path: &Path, expected: &str) -> CliError {
    CliError::usage(format!("`{key}` in {} must be {expected}", path.display()))
}

/// A shell replaces `~/` on a command line, but nobody does so in a file.
fn expand_home(db: &str, home: Option<&Path>) -> String {
    match (db.strip_prefix("~/"), home.and_then(Path::to_str)) {
        (Some(rest), Some(home)) => format!("{home}/{rest}"),
        _ => db.to_owned(),
    }
}
