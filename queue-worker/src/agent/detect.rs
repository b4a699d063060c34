//! Judges how an attempt of an agent ended.
//!
//! Called by the worker when the process is gone, and by `qcli agent classify`. What always holds: the
//! same facts give the same verdict; the first rule that fits decides and all that fit are named; a
//! limit that lifts too late to be waited for is a matter for a person.

use chrono_tz::Tz;
use queue_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::reset_time::{self, Reset, Standing};
pub use super::rules::Judged;
use super::rules::{Hit, ResetFrom, Rule, Rules, ScopeKind, Sight};
use super::text::{folded, truncated};

/// How much of what decided is kept, in bytes.
pub const MAX_EVIDENCE: usize = 2048;

/// The rule that is named where none fits.
pub const NO_RULE: &str = "no-rule";

/// Where some daily quotas renew at midnight.
const PACIFIC: Tz = Tz::America__Los_Angeles;

/// What stands before the word "limit" in a text without being a model.
const NO_MODEL: [&str; 13] = [
    "session",
    "weekly",
    "daily",
    "hourly",
    "monthly",
    "usage",
    "rate",
    "plan",
    "spend",
    "5-hour",
    "five-hour",
    "account",
    "opusplan",
];

/// How the process ended, as far as the system and we know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct End {
    /// Its exit code, if it exited.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why we stopped it, if we did.
    pub stopped_by: Option<Stopped>,
    /// Why it could not be started, if it was not.
    pub not_started: Option<String>,
    /// Whether a structured answer was asked for.
    pub wants_structured: bool,
}

impl End {
    /// It exited with a code.
    #[must_use]
    pub fn exited(code: i32) -> Self {
        Self {
            exit_code: Some(code),
            ..Self::default()
        }
    }

    /// A signal ended it.
    #[must_use]
    pub fn signalled(signal: i32) -> Self {
        Self {
            signal: Some(signal),
            ..Self::default()
        }
    }

    /// The same end, at which we had a hand in it.
    #[must_use]
    pub fn stopped(self, by: Stopped) -> Self {
        Self {
            stopped_by: Some(by),
            ..self
        }
    }
}

/// Why we stopped an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// A person cancelled the job.
    Cancelled,
    /// It ran longer than it may.
    Timeout,
    /// It did nothing for longer than it may.
    IdleTimeout,
    /// The worker handed it back.
    Interrupted,
    /// Another worker has its lease.
    LeaseLost,
    /// Its final event was seen, but it did not end.
    Linger,
    /// It took more turns than it may.
    TurnCap,
    /// It cost more than it may.
    Budget,
}

/// Whom an outcome concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The job alone.
    Job,
    /// The session it would resume.
    Session,
    /// Everybody who uses the same account of the agent.
    Agent,
    /// Everybody who uses this model of the same account; in lower case, as the words name it.
    Model(String),
}

/// What an attempt came to, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The outcome.
    pub outcome: Judged,
    /// The rule that decided.
    pub rule: String,
    /// What it decided by: the program's words as they were written, or the facts in short; at most
    /// [`MAX_EVIDENCE`] bytes.
    pub evidence: String,
    /// When a limit lifts, where that is known and still ahead; for a matter of billing, when it would
    /// lift by itself.
    pub reset: Option<Timestamp>,
    /// Whom it concerns.
    pub scope: Scope,
    /// Every rule that fits, in order.
    pub matched: Vec<String>,
    /// The version of the program.
    pub cli_version: Option<String>,
    /// The name of a zone in the words that is not known; the machine's was taken.
    pub unknown_zone: Option<String>,
}

/// Runs the rules over what was read of an attempt. `zone` is that of the machine.
#[must_use]
pub fn judge(rules: &Rules, facts: &Facts, end: &End, now: Timestamp, zone: Tz) -> Verdict {
    let sight = Sight {
        facts,
        end,
        now,
        zone,
    };
    let version = facts.cli_version.as_deref();
    let own = rules
        .iter()
        .filter(|rule| rule.is_for(&facts.agent, version));
    let hits: Vec<_> = own
        .filter_map(|rule| Some((rule, fits(rule, &sight)?)))
        .collect();
    let matched = hits.iter().map(|(rule, _)| rule.id.clone()).collect();
    let verdict = match hits.into_iter().next() {
        Some((rule, hit)) => decided(rule, &hit, &sight),
        None => undecided(&sight),
    };
    Verdict { matched, ..verdict }
}

fn fits(rule: &Rule, sight: &Sight<'_>) -> Option<Hit> {
    rule.when
        .iter()
        .find_map(|when| when.test(&rule.sources, sight))
}

fn decided(rule: &Rule, hit: &Hit, sight: &Sight<'_>) -> Verdict {
    let evidence = match &hit.text {
        Some(text) => text.trim().to_owned(),
        None => in_short(sight),
    };
    let reset = rule
        .reset
        .iter()
        .find_map(|from| reset(*from, &evidence, sight));
    let standing = reset.as_ref().map(|reset| reset.standing);
    let outcome = match (rule.outcome, standing) {
        (Judged::Limit, Some(Standing::TooFar)) => Judged::Billing,
        (outcome, _) => outcome,
    };
    let is_told = matches!(standing, Some(Standing::Ahead | Standing::TooFar));
    Verdict {
        outcome,
        rule: rule.id.clone(),
        reset: reset.as_ref().filter(|_| is_told).map(|reset| reset.at),
        scope: scope(rule, &evidence, sight),
        matched: Vec::new(),
        cli_version: sight.facts.cli_version.clone(),
        unknown_zone: reset.and_then(|reset| reset.unknown_zone),
        evidence: truncated(&evidence, MAX_EVIDENCE).to_owned(),
    }
}

/// No rule fits: a user's file left out the last ones. Exit code 0 is not taken for success on nothing.
fn undecided(sight: &Sight<'_>) -> Verdict {
    let outcome = match sight.end.exit_code {
        Some(0) => Judged::Suspect,
        _ => Judged::Crash,
    };
    Verdict {
        outcome,
        rule: NO_RULE.to_owned(),
        evidence: truncated(&in_short(sight), MAX_EVIDENCE).to_owned(),
        reset: None,
        scope: Scope::Job,
        matched: Vec::new(),
        cli_version: sight.facts.cli_version.clone(),
        unknown_zone: None,
    }
}

fn reset(from: ResetFrom, evidence: &str, sight: &Sight<'_>) -> Option<Reset> {
    match from {
        ResetFrom::Text => reset_time::parse(evidence, sight.now, sight.zone),
        ResetFrom::PacificMidnight => reset_time::next_midnight(sight.now, PACIFIC),
        ResetFrom::Event => {
            let event = sight.facts.limit_event.as_ref();
            let event = event.filter(|event| event.status == "rejected")?;
            let latest = sight.now.saturating_add(LONGEST_WAIT);
            // No window of a plan is longer: a later time is a mistake of the provider's.
            event
                .reset()
                .map(|at| Reset::new(at.min(latest), sight.now))
        }
    }
}

/// [`reset_time::LONGEST_WAIT`] as a span that cannot be negative.
const LONGEST_WAIT: std::time::Duration =
    std::time::Duration::from_secs(reset_time::LONGEST_WAIT.num_seconds().unsigned_abs());

fn scope(rule: &Rule, evidence: &str, sight: &Sight<'_>) -> Scope {
    match rule.scope {
        ScopeKind::Job => Scope::Job,
        ScopeKind::Session => Scope::Session,
        ScopeKind::Agent => {
            match named_model(rule, evidence).or_else(|| limited_model(rule, sight)) {
                Some(model) => Scope::Model(model),
                None => Scope::Agent,
            }
        }
    }
}

/// The model that the words name.
fn named_model(rule: &Rule, evidence: &str) -> Option<String> {
    let words = folded(evidence);
    let mut found = rule
        .model
        .iter()
        .filter_map(|regex| regex.captures(&words)?.name("model"));
    let model = found.next()?.as_str().trim();
    let is_none = model.is_empty() || model.split(' ').any(|word| NO_MODEL.contains(&word));
    (!is_none).then(|| model.to_owned())
}

/// The model whose own window the last limit event names: `seven_day_opus`.
fn limited_model(rule: &Rule, sight: &Sight<'_>) -> Option<String> {
    if !rule.reset.contains(&ResetFrom::Event) {
        return None;
    }
    let event = sight
        .facts
        .limit_event
        .as_ref()
        .filter(|event| event.status == "rejected")?;
    let model = event.window.as_deref()?.strip_prefix("seven_day_")?;
    (model != "overage_included").then(|| model.to_owned())
}

/// The facts that matter, on one line.
fn in_short(sight: &Sight<'_>) -> String {
    let (facts, end) = (sight.facts, sight.end);
    let mut parts = Vec::new();
    parts.extend(
        end.not_started
            .as_ref()
            .map(|why| format!("not started: {why}")),
    );
    parts.extend(end.exit_code.map(|code| format!("exit code {code}")));
    parts.extend(end.signal.map(|signal| format!("signal {signal}")));
    if let Some(Ok(cause)) = end.stopped_by.map(serde_json::to_value) {
        parts.push(format!(
            "stopped by us: {}",
            cause.as_str().unwrap_or_default()
        ));
    }
    match facts
        .result
        .as_ref()
        .filter(|result| !result.subtype.is_empty())
    {
        None => parts.push("no final event".to_owned()),
        Some(result) => {
            parts.push(format!("final event {}", result.subtype));
            parts.extend(result.is_error.then(|| "is an error".to_owned()));
            parts.extend(
                result
                    .terminal_reason
                    .as_ref()
                    .map(|why| format!("terminal reason {why}")),
            );
            parts.extend(result.status.map(|status| format!("HTTP status {status}")));
            parts.extend(
                result
                    .stop_reason
                    .as_ref()
                    .map(|why| format!("stop reason {why}")),
            );
            parts.extend(result.is_error.then(|| format!("text: {}", result.text)));
        }
    }
    if facts.denied > 0 {
        parts.push(format!(
            "denied {} times: {}",
            facts.denied,
            facts.denials.join(", ")
        ));
    }
    parts.extend(
        facts
            .error_code
            .as_ref()
            .map(|code| format!("error {code}")),
    );
    if let Some(event) = facts
        .limit_event
        .as_ref()
        .filter(|event| event.status != "allowed")
    {
        parts.push(format!("limit event {}", event.status));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests;
