//! `qcli gate report`: somebody met a limit, and everybody who shares the account should know.
//!
//! Called by jobs about themselves, and by the hooks of an agent's interactive sessions. What a hook hands over is judged
//! by the same rules as the output of a job. What is no limit closes nothing and is no error: a hook must not fail.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use chrono::DateTime;
use queue_core::gate::{GateName, GateReason, GateStatus, Met};
use queue_core::{Epoch, JobId, Timestamp};
use queue_worker::agent::detect::{End, Judged, judge};
use queue_worker::agent::facts::{Facts, FinalResult};
use queue_worker::agent::reset_time::{self, machine_zone};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::commands::{agent, checkpoint};
use crate::context::Context;
use crate::error::CliError;
use crate::moment;
use crate::new_job::parse;

/// The most that is read of what a hook hands over.
const MOST_JSON: u64 = 1 << 20;

/// Close gates because a limit was met
///
/// Inside a job it closes the gates of that job; one that then exits with 75 waits for them without losing an attempt. Of
/// two limits the later end counts, so nothing is opened sooner by it. With `--hook` it reads what Claude Code hands
/// to a StopFailure hook or to a status line, so that interactive sessions close the gate too; what is no limit is
/// passed over.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli gate report --until 'resets 3:30am (Europe/Oslo)' && exit 75    inside a job
  qcli gate report claude --for 30m --evidence 'HTTP 429'
  qcli gate report claude --hook                                       as a StopFailure hook")]
pub(super) struct Args {
    /// The gates [default: those of the job this runs in]
    #[arg(value_name = "NAME")]
    names: Vec<GateName>,

    /// When the limit lifts: a moment, or the words that say so [default: not known]
    #[arg(long, value_name = "TIME", conflicts_with_all = ["for_", "hook"])]
    until: Option<String>,

    /// In how long it lifts
    #[arg(long = "for", value_name = "DURATION", value_parser = parse::span, conflicts_with = "hook")]
    for_: Option<Duration>,

    /// What it is: `limit`, `auth` or `billing`; the latter two wait for a person [default: limit]
    #[arg(long, value_name = "CLASS", value_parser = reason, conflicts_with = "hook")]
    class: Option<GateReason>,

    /// What shows it, for whoever asks `qcli why`
    #[arg(long, value_name = "TEXT", conflicts_with = "hook")]
    evidence: Option<String>,

    /// Read the JSON of a hook on standard input
    #[arg(long)]
    hook: bool,
}

fn reason(text: &str) -> Result<GateReason, String> {
    match text.parse() {
        Ok(reason @ (GateReason::Limit | GateReason::Auth | GateReason::Billing)) => Ok(reason),
        _ => Err("write `limit`, `auth` or `billing`".to_owned()),
    }
}

/// What was met.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    reason: GateReason,
    until: Option<Timestamp>,
    evidence: Option<String>,
}

/// Closes the gates and gives how they stand then; none where no limit was met.
pub(super) fn run(args: &Args, context: &mut Context) -> Result<Vec<GateStatus>, CliError> {
    let now = context.now();
    let found = if args.hook {
        let text = stdin()?;
        match of_hook(&text, context, now.wall)? {
            Some(found) => found,
            None => return Ok(Vec::new()),
        }
    } else {
        of_options(args, context, now.wall)?
    };
    let store = context.existing_store()?;
    let attempt = own_attempt(args, context)?;
    let names = match (&args.names[..], attempt) {
        ([], Some((job, _))) => store.job(job)?.passed().cloned().collect(),
        (names, _) => names.to_vec(),
    };
    if names.is_empty() {
        return Err(
            CliError::usage("which gate is not said, and this job passes none").hint(
                "`qcli gate report NAME` names it; `qcli enqueue --gate NAME` lets a job pass it",
            ),
        );
    }
    let met = Met {
        reason: found.reason,
        until: found.until,
        at: now.wall,
        evidence: found.evidence,
        by: attempt.map_or_else(|| "a report".to_owned(), |(job, _)| format!("job {job}")),
        attempt,
    };
    let report = |name: &GateName| Ok(store.report_limit(name, &met, &now)?);
    names.iter().map(report).collect()
}

/// The attempt that this runs in. Elsewhere the gates have to be named.
fn own_attempt(args: &Args, context: &Context) -> Result<Option<(JobId, Epoch)>, CliError> {
    let is_inside = context.around.variable("QUEUE_JOB_ID").is_some();
    if args.names.is_empty() || is_inside {
        return checkpoint::own_attempt(&context.around, "gate report").map(Some);
    }
    Ok(None)
}

fn of_options(args: &Args, context: &Context, now: Timestamp) -> Result<Found, CliError> {
    let until = match (&args.until, args.for_) {
        (Some(text), _) => Some(read_time(text, context, now)?),
        (None, span) => span.map(|span| now.saturating_add(span)),
    };
    Ok(Found {
        reason: args.class.unwrap_or(GateReason::Limit),
        until,
        evidence: args.evidence.clone().or_else(|| args.until.clone()),
    })
}

/// A moment as people or providers write it. One that has passed is what a stale limit says.
fn read_time(text: &str, context: &Context, now: Timestamp) -> Result<Timestamp, CliError> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text.trim()) {
        return Ok(at.to_utc().into());
    }
    match moment::parse(text, now) {
        Ok(at) => Ok(at.into()),
        Err(error) => reset_time::parse(text, now, machine_zone(named_zone(context)))
            .map(|reset| reset.at)
            .ok_or(error),
    }
}

/// The zone that the environment names.
fn named_zone(context: &Context) -> Option<&str> {
    context.around.variable("TZ")?.to_str()
}

// ── Hooks ───────────────────────────────────────────────────────────────────────────────────

/// What Claude Code hands to a StopFailure hook (`error` and its words), or to a status line
/// (`rate_limits`): code.claude.com/docs, hooks and statusline.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Hook {
    error: Option<String>,
    error_details: Option<Value>,
    last_assistant_message: Option<Value>,
    rate_limits: Option<BTreeMap<String, Window>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Window {
    used_percentage: Option<f64>,
    resets_at: Option<i64>,
}

fn stdin() -> Result<Vec<u8>, CliError> {
    let mut text = Vec::new();
    std::io::stdin()
        .lock()
        .take(MOST_JSON)
        .read_to_end(&mut text)
        .map_err(|cause| {
            CliError::file(
                "read the hook's JSON on",
                Path::new("standard input"),
                &cause,
            )
        })?;
    Ok(text)
}

fn of_hook(text: &[u8], context: &Context, now: Timestamp) -> Result<Option<Found>, CliError> {
    let hook: Hook = serde_json::from_slice(text).map_err(|error| {
        CliError::usage(format!("standard input holds no hook's JSON: {error}"))
            .hint("without `--hook` it is said by options: `qcli gate report NAME --for 30m`")
    })?;
    match (&hook.error, &hook.rate_limits) {
        (Some(error), _) => of_failure(error, &hook, context, now),
        (None, Some(windows)) => Ok(of_windows(windows, now)),
        (None, None) => Err(CliError::usage(
            "standard input holds no hook's JSON: neither `error` nor `rate_limits` is in it",
        )
        .hint("StopFailure hooks and status lines of Claude Code have them")),
    }
}

/// Judges a failure as if a job had ended with it.
fn of_failure(
    error: &str,
    hook: &Hook,
    context: &Context,
    now: Timestamp,
) -> Result<Option<Found>, CliError> {
    let words = |value: &Option<Value>| match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let (details, message) = (
        words(&hook.error_details),
        words(&hook.last_assistant_message),
    );
    let rules = agent::rules(context)?;
    let judged = |text: &str| {
        let facts = failed(error, text);
        judge(
            &rules,
            &facts,
            &End::exited(1),
            now,
            machine_zone(named_zone(context)),
        )
    };
    // The message is what the person saw; the details may hold the time where that does not.
    let (told, detailed) = (judged(&message), judged(&details));
    let is_limit = |judged: Judged| reason_of(judged).is_some();
    let verdict = if is_limit(told.outcome) || !is_limit(detailed.outcome) {
        told
    } else {
        detailed.clone()
    };
    Ok(reason_of(verdict.outcome).map(|reason| Found {
        reason,
        until: verdict.reset.or(detailed.reset),
        evidence: Some(verdict.evidence),
    }))
}

/// The facts of a run that ended with this error.
fn failed(error: &str, text: &str) -> Facts {
    let status = match error {
        "rate_limit" => Some(429),
        "authentication_failed" | "oauth_org_not_allowed" => Some(401),
        "overloaded" => Some(529),
        "server_error" => Some(500),
        _ => None,
    };
    let mut facts = Facts::default();
    facts.agent = "claude".to_owned();
    facts.error_code = Some(error.to_owned());
    facts.finished = true;
    facts.result = Some(FinalResult {
        subtype: "success".to_owned(),
        is_error: true,
        status,
        text: text.to_owned(),
        has_text: !text.trim().is_empty(),
        ..FinalResult::default()
    });
    facts
}

fn reason_of(judged: Judged) -> Option<GateReason> {
    match judged {
        Judged::Limit => Some(GateReason::Limit),
        Judged::Auth => Some(GateReason::Auth),
        Judged::Billing => Some(GateReason::Billing),
        _ => None,
    }
}

/// The latest end among the windows that are used up.
fn of_windows(windows: &BTreeMap<String, Window>, now: Timestamp) -> Option<Found> {
    let used_up = windows
        .iter()
        .filter(|(_, window)| window.used_percentage.is_some_and(|used| used >= 100.0))
        .filter_map(|(name, window)| {
            let at = Timestamp::from_millis(window.resets_at?.checked_mul(1_000)?);
            (at > now).then_some((at, name))
        });
    used_up.max().map(|(at, name)| Found {
        reason: GateReason::Limit,
        until: Some(at),
        evidence: Some(format!("the status line says that `{name}` is used up")),
    })
}

/// What was done, as JSON.
pub(super) fn answer(gates: &[Value]) -> Value {
    json!({ "reported": !gates.is_empty(), "gates": gates })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_end_of_the_windows_that_are_used_up_counts() {
        let now = Timestamp::from_millis(1_000_000);
        let window = |used, resets_at| Window {
            used_percentage: Some(used),
            resets_at: Some(resets_at),
        };
        let windows = |five, seven| {
            BTreeMap::from([
                ("five_hour".to_owned(), five),
                ("seven_day".to_owned(), seven),
            ])
        };
        let until = |five, seven| of_windows(&windows(five, seven), now).and_then(|met| met.until);
        assert_eq!(until(window(99.9, 5_000), window(40.0, 9_000)), None);
        let seconds = |at: i64| Some(Timestamp::from_millis(at * 1_000));
        assert_eq!(
            until(window(100.0, 5_000), window(40.0, 9_000)),
            seconds(5_000)
        );
        assert_eq!(
            until(window(100.0, 5_000), window(101.0, 9_000)),
            seconds(9_000)
        );
        assert_eq!(until(window(100.0, 999), window(1.0, 9_000)), None);
    }
}
