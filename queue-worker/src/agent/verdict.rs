//! From a verdict to what the store is told.
//!
//! Called when an attempt of an agent was judged. What always holds: what we ended on request stays
//! that, whatever the dying process said; a limit of the provider's names the gate that all share
//! who use the account; every report keeps the rule and its evidence.

use std::time::Duration;

use queue_core::Class;
use queue_core::attempt::{Outcome, Report};
use queue_core::gate::GateName;
use queue_core::question::{NewQuestion, first_line};

use super::detect::{Judged, Scope, Verdict};
use super::facts::Facts;
use super::stream::Format;

/// How long a job waits before it asks again for a session that somebody else uses.
const SESSION_BUSY: Duration = Duration::from_secs(30);

/// Who met the limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    /// The agent.
    pub(crate) agent: &'a str,
    /// Its account, where there is more than one.
    pub(crate) account: Option<&'a str>,
    /// Whether it can be told an answer: the command line of a person's own stays as it is.
    pub(crate) can_be_told: bool,
}

/// The gate of an account; none where its name could not be one.
#[must_use]
pub fn gate(agent: &str, account: Option<&str>) -> Option<GateName> {
    match account {
        None => agent.parse().ok(),
        Some(account) => format!("{agent}/{account}").parse().ok(),
    }
}

/// The gate of one model of an account; none where its name could not be one.
#[must_use]
pub fn model_gate(agent: &str, account: Option<&str>, model: &str) -> Option<GateName> {
    let account = account.unwrap_or("default");
    let model = model.to_lowercase().replace([' ', '/', ','], "-");
    format!("{agent}/{account}/{model}").parse().ok()
}

/// What to tell of an attempt whose process alone came to `report`.
pub(crate) fn report(report: Report, found: Verdict, facts: &Facts, names: Names<'_>) -> Report {
    if matches!(report.outcome, Outcome::Cancelled | Outcome::HandedBack) {
        return report;
    }
    let outcome = outcome(&report, &found, facts, names);
    let words = found.evidence.lines().next().unwrap_or_default().trim();
    let message = match (&outcome, found.outcome) {
        (Outcome::Completed { .. }, Judged::Suspect) => Some(format!("suspect: {words}")),
        (Outcome::Completed { .. }, Judged::NeedsInput) => {
            let asked = facts.question.as_deref().map(first_line);
            Some(format!("suspect: it asked: {}", asked.unwrap_or_default()))
        }
        (Outcome::Completed { .. }, _) => report.message,
        _ if words.is_empty() => report.message,
        _ => Some(words.to_owned()),
    };
    Report {
        outcome,
        message,
        rule: Some(found.rule),
        evidence: Some(found.evidence),
        ..report
    }
}

fn outcome(report: &Report, found: &Verdict, facts: &Facts, names: Names<'_>) -> Outcome {
    let failed = |class| Outcome::Failed {
        class,
        retryable: None,
        retry_after: None,
    };
    match found.outcome {
        Judged::Success | Judged::Suspect => Outcome::Completed {
            result: facts
                .result
                .as_ref()
                .and_then(|result| result.structured.clone()),
        },
        Judged::NeedsInput => asked(facts)
            .filter(|_| names.can_be_told)
            .map_or(Outcome::Completed { result: None }, |question| {
                Outcome::NeedsInput { question }
            }),
        Judged::Transient => failed(Class::Unavailable),
        Judged::Limit => limited(Class::Limit, found, names),
        Judged::Billing => limited(Class::Billing, found, names),
        Judged::Auth => limited(Class::Auth, found, names),
        Judged::Refusal => failed(Class::Refusal),
        Judged::MaxTurns => failed(Class::MaxTurns),
        Judged::Budget => failed(Class::OverBudget),
        Judged::ContextFull => failed(Class::ContextFull),
        Judged::SessionMissing => Outcome::Stalled {
            class: Class::SessionMissing,
        },
        Judged::SessionBusy => Outcome::Snoozed {
            until: report.ended_at.saturating_add(SESSION_BUSY),
        },
        Judged::BadRequest => failed(Class::Usage),
        Judged::Hang => failed(Class::IdleTimeout),
        // The process alone says it better: it could not be started, took too long, or is a plain
        // command of which no more is known than its exit code.
        Judged::Setup | Judged::Killed => report.outcome.clone(),
        Judged::Crash if facts.format == Format::Text => report.outcome.clone(),
        Judged::Crash => failed(Class::Crash),
    }
}

/// What the agent wants to know, if it can be asked.
fn asked(facts: &Facts) -> Option<NewQuestion> {
    NewQuestion::new(facts.question.clone()?, facts.choices.clone()).ok()
}

fn limited(class: Class, found: &Verdict, names: Names<'_>) -> Outcome {
    let Names { agent, account, .. } = names;
    let gate = match &found.scope {
        Scope::Model(model) => model_gate(agent, account, model),
        Scope::Job | Scope::Session | Scope::Agent => gate(agent, account),
    };
    match gate {
        Some(gate) => Outcome::Limited {
            gate,
            class,
            until: found.reset.filter(|_| class == Class::Limit),
            evidence: found.evidence.clone(),
        },
        // No name for a gate: then it is this job's matter alone.
        None => Outcome::Failed {
            class,
            retryable: None,
            retry_after: None,
        },
    }
}
