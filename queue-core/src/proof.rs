//! What has to hold before an attempt that ended well counts as a success, and what was found.
//!
//! [`Terms`] are part of a job's options, [`Proof`] is kept with each attempt that was looked at.
//! What always holds: a job without terms is believed; a proof names each term that was looked at,
//! in the order in which that was done, and the first that said no is the last of it.

use crate::{attempt::Attempt, words::spelled_enum};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// The most that is kept of what a check that said no printed, in bytes: its end.
pub const KEPT_OUTPUT: usize = 16 << 10;

/// Something that has to be so once an attempt has ended well.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Expectation {
    /// `commit`: what is checked out has a commit that it had not when the job first began.
    Commit,
    /// `diff`: the files of the repository differ from those when the job first began, whether
    /// that is committed or not.
    Diff,
    /// `clean`: nothing is modified, staged or untracked.
    Clean,
    /// `file:GLOB`: a file of such a name was made or changed since the job first began.
    File(String),
    /// `json:PATH`: the file is there and holds JSON.
    Json(String),
}

impl Expectation {
    /// How they are written.
    pub const KNOWN: &'static str = "commit, diff, clean, file:GLOB, json:PATH";

    /// Whether it is about a git repository.
    pub fn needs_repository(&self) -> bool {
        match self {
            Self::Commit | Self::Diff | Self::Clean => true,
            Self::File(_) | Self::Json(_) => false,
        }
    }

    /// Whether it compares with what was there when the job first began.
    pub fn needs_origin(&self) -> bool {
        match self {
            Self::Commit | Self::Diff | Self::File(_) => true,
            Self::Clean | Self::Json(_) => false,
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit => f.write_str("commit"),
            Self::Diff => f.write_str("diff"),
            Self::Clean => f.write_str("clean"),
            Self::File(glob) => write!(f, "file:{glob}"),
            Self::Json(path) => write!(f, "json:{path}"),
        }
    }
}

/// Text that names no expectation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no expectation; known are {known}", known = Expectation::KNOWN)]
pub struct UnknownExpectation(pub String);

impl FromStr for Expectation {
    type Err = UnknownExpectation;

    fn from_str(text: &str) -> Result<Self, UnknownExpectation> {
        let unknown = || UnknownExpectation(text.to_owned());
        let named = |name: &str| match name {
            "" => Err(unknown()),
            name if name.contains('\0') => Err(unknown()),
            name => Ok(name.to_owned()),
        };
        match text.split_once(':') {
            None if text == "commit" => Ok(Self::Commit),
            None if text == "diff" => Ok(Self::Diff),
            None if text == "clean" => Ok(Self::Clean),
            Some(("file", glob)) => named(glob).map(Self::File),
            Some(("json", path)) => named(path).map(Self::Json),
            _ => Err(unknown()),
        }
    }
}

impl From<Expectation> for String {
    fn from(expectation: Expectation) -> Self {
        expectation.to_string()
    }
}

impl TryFrom<String> for Expectation {
    type Error = UnknownExpectation;

    fn try_from(text: String) -> Result<Self, UnknownExpectation> {
        text.parse()
    }
}

spelled_enum! {
    /// What to make of an agent's success that looks hollow: its answer is empty, tools were
    /// denied, or its exit code says otherwise.
    OnSuspect, "way to treat what is suspect" {
        /// It is a success, and the doubt is kept with it.
        Complete = "complete",
        /// It is a success where its checks and expectations say so.
        Check = "check",
        /// It is no success.
        Fail = "fail",
    }
}

/// What has to hold before an attempt that ended well counts as a success.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// Lines for `sh -c` that have to exit with 0, one after the other, in the job's directory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<String>,
    /// The longest one of them may take, in milliseconds; together with the job, as long as that
    /// may take, where not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_timeout_ms: Option<u64>,
    /// What has to be so before they are run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
    /// What to make of a success that looks hollow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_suspect: Option<OnSuspect>,
}

impl Terms {
    /// Whether a success is believed as it is.
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty() && self.expect.is_empty()
    }

    /// Whether nothing at all is said.
    pub fn is_unsaid(&self) -> bool {
        *self == Self::default()
    }

    /// What to make of a success that looks hollow: where nothing is said it has to be proven, if
    /// there is something to prove it by.
    pub fn on_suspect(&self) -> OnSuspect {
        self.on_suspect.unwrap_or(match self.is_empty() {
            true => OnSuspect::Complete,
            false => OnSuspect::Check,
        })
    }

    /// Whether something is compared with what was there when the job first began.
    pub fn need_origin(&self) -> bool {
        self.expect.iter().any(Expectation::needs_origin)
    }
}

/// One expectation, looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// What was expected.
    pub expect: Expectation,
    /// Whether it is so.
    pub met: bool,
    /// What was found, for people.
    pub found: String,
}

/// One check, run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The line that was run.
    pub check: String,
    /// Whether it said yes.
    pub passed: bool,
    /// Its exit code, where it had one.
    pub exit_code: Option<i32>,
    /// How it ended, for people.
    pub how: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The end of what it printed, as plain text; kept where it said no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// What was found when an attempt said that it is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Proof {
    /// The expectations, all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<Expected>,
    /// The checks up to the first that said no; none where an expectation was not met.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Checked>,
}

impl Proof {
    /// Whether nothing said no.
    pub fn holds(&self) -> bool {
        self.expected.iter().all(|one| one.met) && self.checks.iter().all(|one| one.passed)
    }

    /// What said no, in a line for people.
    pub fn refusal(&self) -> Option<String> {
        let unmet = self.expected.iter().filter(|one| !one.met);
        let unmet: Vec<String> = unmet
            .map(|one| format!("expected `{}`: {}", one.expect, one.found))
            .collect();
        if !unmet.is_empty() {
            return Some(unmet.join("; "));
        }
        let failed = self.checks.iter().find(|one| !one.passed)?;
        Some(format!("check `{}` failed: {}", failed.check, failed.how))
    }

    /// All that said no, with what the check printed: what the next attempt is given.
    pub fn complaint(&self) -> Option<String> {
        let mut text = self.refusal()?;
        let failed = self.checks.iter().find(|one| !one.passed);
        if let Some(output) = failed.and_then(|one| one.output.as_deref()) {
            text.push('\n');
            text.push_str(output.trim_end());
        }
        text.push('\n');
        Some(text)
    }

    /// How long its checks took together.
    pub fn took(&self) -> Duration {
        Duration::from_millis(self.checks.iter().map(|one| one.took_ms).sum())
    }
}

/// What said no to the attempts of a job so far, oldest first: that of the newest one that was
/// looked at, unless it held.
pub fn unproven(attempts: &[Attempt]) -> Option<&Proof> {
    let looked_at = attempts.iter().rev().find_map(|one| one.proof.as_ref());
    looked_at.filter(|proof| !proof.holds())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expectation_reads_back_as_it_is_written() {
        for text in ["commit", "diff", "clean", "file:out/**/*.html", "json:a:b"] {
            let expectation: Expectation = text.parse().unwrap();
            assert_eq!(expectation.to_string(), text);
            let json = serde_json::to_string(&expectation).unwrap();
            assert_eq!(
                serde_json::from_str::<Expectation>(&json).unwrap(),
                expectation
            );
        }
        for text in [
            "",
            "commits",
            "file",
            "file:",
            "json:",
            "commit:x",
            "file:a\0b",
        ] {
            let error = text.parse::<Expectation>().unwrap_err().to_string();
            assert!(error.contains("file:GLOB"), "{error}");
        }
    }

    fn checked(passed: bool) -> Checked {
        Checked {
            check: "make test".into(),
            passed,
            exit_code: Some(i32::from(!passed)),
            how: format!("exit code {}", i32::from(!passed)),
            took_ms: 40,
            output: (!passed).then(|| "1 of 3 tests failed\n".into()),
        }
    }

    #[test]
    fn a_proof_says_who_said_no_and_what_it_printed() {
        let mut proof = Proof {
            expected: Vec::new(),
            checks: vec![checked(true), checked(false)],
        };
        assert_eq!(proof.took(), Duration::from_millis(80));
        assert_eq!(
            proof.complaint().unwrap(),
            "check `make test` failed: exit code 1\n1 of 3 tests failed\n"
        );
        proof.checks.clear();
        proof.expected.push(Expected {
            expect: Expectation::Diff,
            met: false,
            found: "nothing differs".into(),
        });
        assert!(!proof.holds());
        assert_eq!(
            proof.refusal().as_deref(),
            Some("expected `diff`: nothing differs")
        );
        assert_eq!(Proof::default().complaint(), None);
    }

    #[test]
    fn what_is_suspect_has_to_be_proven_where_it_can_be() {
        let mut terms = Terms::default();
        assert!(terms.is_unsaid());
        assert_eq!(terms.on_suspect(), OnSuspect::Complete);
        terms.expect.push(Expectation::Clean);
        assert_eq!(terms.on_suspect(), OnSuspect::Check);
        assert!(!terms.need_origin());
        terms.on_suspect = Some(OnSuspect::Fail);
        assert_eq!(terms.on_suspect(), OnSuspect::Fail);
    }
}
