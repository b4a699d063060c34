//! The ordered rules by which an attempt of an agent is judged, as data.
//!
//! Owns the built-in `rules.toml` and the merging of a user's file into it; [`judge`](super::detect::judge)
//! runs them. What always holds: the first rule that fits decides; ids are unique; every text and
//! expression was checked when it was loaded, so that judging cannot fail.

mod file;
mod when;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

pub use file::{Problem, RulesError};
pub(super) use when::{Hit, Sight, When};

/// The rules that come with the program.
const BUILT_IN: &str = include_str!("rules.toml");

/// Which rules apply to an agent whose rule names it `any`: all but this one, a plain command.
pub const SHELL: &str = "shell";

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    /// It did what it says it did.
    Success,
    /// It says it succeeded, and something speaks against it.
    Suspect,
    /// It failed for a reason that passes: try again later.
    Transient,
    /// It asks a person something.
    NeedsInput,
    /// The account's limit is reached; it lifts by itself, at the reset time where one is known.
    Limit,
    /// Money, credits or a seat are missing: only a person can change that.
    Billing,
    /// It is not logged in: only a person can change that.
    Auth,
    /// The model refuses; the same conversation would be refused again.
    Refusal,
    /// The most turns it may take are used up.
    MaxTurns,
    /// What it may cost is used up.
    Budget,
    /// The conversation is full or damaged: go on in a fresh session.
    ContextFull,
    /// The session to resume does not exist.
    SessionMissing,
    /// The session is in use, or its id is taken.
    SessionBusy,
    /// What was asked for cannot be done, however often it is tried.
    BadRequest,
    /// We ended it.
    Killed,
    /// It did nothing for so long that we ended it.
    Hang,
    /// It ended without a word about how.
    Crash,
    /// It could not be started.
    Setup,
}

impl Judged {
    /// Every outcome.
    pub const ALL: [Self; 18] = [
        Self::Success,
        Self::Suspect,
        Self::NeedsInput,
        Self::Transient,
        Self::Limit,
        Self::Billing,
        Self::Auth,
        Self::Refusal,
        Self::MaxTurns,
        Self::Budget,
        Self::ContextFull,
        Self::SessionMissing,
        Self::SessionBusy,
        Self::BadRequest,
        Self::Killed,
        Self::Hang,
        Self::Crash,
        Self::Setup,
    ];

    /// The one spelling, in TOML, JSON and help.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Suspect => "suspect",
            Self::NeedsInput => "needs_input",
            Self::Transient => "transient",
            Self::Limit => "limit",
            Self::Billing => "billing",
            Self::Auth => "auth",
            Self::Refusal => "refusal",
            Self::MaxTurns => "max_turns",
            Self::Budget => "budget",
            Self::ContextFull => "context_full",
            Self::SessionMissing => "session_missing",
            Self::SessionBusy => "session_busy",
            Self::BadRequest => "bad_request",
            Self::Killed => "killed",
            Self::Hang => "hang",
            Self::Crash => "crash",
            Self::Setup => "setup",
        }
    }
}

impl std::fmt::Display for Judged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where the words stand that a rule compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The program's last word, where it is an error; of a success it is the model's prose and not read.
    Result,
    /// Errors that the program wrote as events.
    Event,
    /// The end of standard error.
    Stderr,
    /// The end of the plain lines on standard output. Of an agent that writes plain text only with a
    /// guard: the whole output is short (`max_lines`), or the words stand in the last lines (`tail_lines`).
    Stdout,
    /// No words: the exit code or signal.
    Exit,
    /// No words: why we stopped it.
    Watchdog,
}

/// From what the time is read at which a limit lifts, first found first taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetFrom {
    /// The last limit event.
    Event,
    /// The words that fitted.
    Text,
    /// The next midnight in California, where some daily quotas renew.
    PacificMidnight,
}

/// Whom an outcome concerns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    /// The job alone.
    #[default]
    Job,
    /// The session it would resume.
    Session,
    /// Everybody who uses the same account of the agent; one model of it, where the words name one.
    Agent,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name, stored with every outcome that it decided.
    pub id: String,
    /// To which agents it applies; `any` is every agent but [`SHELL`].
    pub agents: Vec<String>,
    /// Where its words stand.
    pub sources: Vec<Source>,
    /// What it means.
    pub outcome: Judged,
    /// From what a reset time is read.
    pub reset: Vec<ResetFrom>,
    /// Whom it concerns.
    pub scope: ScopeKind,
    /// Why it is there: the program's version, where the words were seen.
    pub note: String,
    /// The first version of the program to which it applies.
    pub since: Option<String>,
    /// The last version of the program to which it applies.
    pub until: Option<String>,
    /// The user's file it is from; none for one that comes with the program.
    pub from: Option<PathBuf>,
    /// Expressions with a group `model`: the name of the model that is limited.
    pub(super) model: Vec<Regex>,
    /// Any of these must fit.
    pub(super) when: Vec<When>,
}

impl Rule {
    pub(super) fn is_for(&self, agent: &str, version: Option<&str>) -> bool {
        let named = |it: &String| it == agent || (it == "any" && agent != SHELL);
        let is_since = match (&self.since, version) {
            (Some(since), Some(version)) => parts(version) >= parts(since),
            _ => true,
        };
        let is_until = match (&self.until, version) {
            (Some(until), Some(version)) => parts(version) <= parts(until),
            _ => true,
        };
        self.agents.iter().any(named) && is_since && is_until
    }
}

/// The numbers of a version such as `2.1.240`, or of `0.20.0-nightly`.
fn parts(version: &str) -> Vec<u64> {
    let numbers = version.split(|c: char| !c.is_ascii_digit());
    numbers.filter_map(|number| number.parse().ok()).collect()
}

/// All rules, in order.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The version of the built-in rules.
    pub version: u32,
    rules: Vec<Rule>,
    /// Lists of words that rules refer to by `@name`.
    texts: BTreeMap<String, Vec<String>>,
}

static BUILT_IN_RULES: LazyLock<Rules> = LazyLock::new(|| {
    let empty = Rules {
        version: 0,
        rules: Vec::new(),
        texts: BTreeMap::new(),
    };
    let rules = file::merge(empty, BUILT_IN, None);
    rules.expect("the rules that come with the program are tested")
});

impl Rules {
    /// The rules that come with the program.
    #[must_use]
    pub fn built_in() -> Self {
        BUILT_IN_RULES.clone()
    }

    /// The built-in rules with a user's file over them; without a file, the built-in ones alone.
    ///
    /// # Errors
    /// When the file cannot be read, or a rule of it makes no sense; the error names file and rule.
    pub fn load(path: &Path) -> Result<Self, RulesError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::built_in().with(&text, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::built_in()),
            Err(error) => Err(RulesError::unreadable(path, error)),
        }
    }

    /// Lays the text of a user's file over these rules: a rule with a known id replaces that one in
    /// its place (or leaves it out, with `enabled = false`), a new one goes in front of those that
    /// look at what the agent wrote, or in front of the one that it names with `before`.
    ///
    /// # Errors
    /// When a rule makes no sense; the error names file and rule.
    pub fn with(self, text: &str, path: &Path) -> Result<Self, RulesError> {
        file::merge(self, text, Some(path))
    }

    /// All rules, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// The table of all rules for the documents.
    #[must_use]
    pub fn reference(&self) -> String {
        let mut table = "| # | rule | agents | outcome | why |\n|---|---|---|---|---|\n".to_owned();
        for (number, rule) in self.iter().enumerate() {
            let (id, outcome, note) = (&rule.id, rule.outcome, &rule.note);
            let agents = rule.agents.join(", ");
            let number = number + 1;
            writeln!(
                table,
                "| {number} | `{id}` | {agents} | `{outcome}` | {note} |"
            )
            .expect("writing to a String cannot fail");
        }
        table
    }
}

#[cfg(test)]
mod tests;
