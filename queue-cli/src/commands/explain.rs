//! `qcli explain`: why an attempt was judged as it was, and what follows.

use queue_core::attempt::Attempt;
use queue_core::proof::Proof;
use queue_core::store::Detail;
use queue_core::{Class, JobId, State};
use queue_worker::agent::facts::Facts;
use queue_worker::agent::rules::{Judged, Rule};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output::table::Fields;
use crate::output::time::Times;
use crate::resolve;
use crate::selector::Selector;
use crate::view::ladder::{self, NextBegin};
use crate::view::next::{self, Next};
use crate::view::{agent, line, proof};

/// Say why an attempt was judged as it was, and what follows
///
/// Of the last attempt that has ended, unless `--attempt` names another: what it came to, the rule that decided and why
/// there is one, the words that the rule went by, and the agent with its version and session. Then what follows: when the
/// next attempt starts, which gate it waits for, whether it goes on with the session, and what to type. The rule's own words are those of today's rules.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli explain 42
  qcli explain 42 --attempt 1
  qcli explain @ --json | jq -r '.next[].remedies[]'")]
pub(crate) struct Args {
    /// The job: number, name, `@` (the last one) or `@~2`
    #[arg(value_name = "JOB", default_value = "@")]
    job: Selector,

    /// Explain this attempt, counted from 1, instead of the last
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
}

/// The answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    id: JobId,
    state: State,
    condition: String,
    attempt: u32,
    epoch: i64,
    class: Option<&'static str>,
    /// What the class means.
    meaning: Option<&'static str>,
    exit_code: Option<i32>,
    signal: Option<i32>,
    message: Option<&'a str>,
    rule: Option<&'a str>,
    /// What the rule stands for, and why it is there; nothing where it is no rule of today's.
    rule_outcome: Option<&'static str>,
    rule_note: Option<&'a str>,
    evidence: Option<&'a str>,
    /// What was found when it said that it is done.
    proof: Option<&'a Proof>,
    agent: Option<&'a str>,
    cli_version: Option<&'a str>,
    model: Option<&'a str>,
    session_id: Option<&'a str>,
    rung: Option<&'static str>,
    log: Option<&'a str>,
    next: &'a [Next],
    /// How the next attempt of an agent would begin.
    next_begins: &'a [NextBegin],
}

/// What is known of one attempt.
struct Judgement<'a> {
    attempt: &'a Attempt,
    facts: Option<Facts>,
    /// The rule that decided, as it is today.
    rule: Option<Rule>,
}

/// Prints the explanation.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let store = context.existing_store()?;
    let id = resolve::job(&*store, &args.job)?;
    let detail = store.detail(id, &context.now())?;
    let attempt = chosen(args.attempt, &detail)?;
    let found = Judgement {
        attempt,
        facts: agent::facts(attempt),
        rule: rule(attempt, context)?,
    };
    let is_suspect = found
        .rule
        .as_ref()
        .is_some_and(|rule| rule.outcome == Judged::Suspect);
    // What a program reads has exact times, on a terminal too.
    let times = match context.out.is_json() {
        true => Times::new(context.out.times().now(), false),
        false => context.out.times(),
    };
    let mut next = next::after(&detail, attempt, is_suspect, times);
    let begins = ladder::next(&detail, &context.agents);
    next.extend(begins.iter().map(|begin| Next::new(begin.words(), [])));
    if context.out.is_json() {
        let answer = answer(&detail, &found, (&next, &begins), context);
        context.out.json(&answer)?;
    } else {
        print(&detail, &found, &next, context)?;
    }
    Ok(ExitCode::Ok)
}

/// The newest attempt that has ended, of that number where one is named; one that runs where none has.
fn chosen(number: Option<u32>, detail: &Detail) -> Result<&Attempt, CliError> {
    let job = detail.summary.job.id;
    let named = || {
        let newest_first = detail.attempts.iter().rev();
        newest_first.filter(|attempt| number.is_none_or(|number| attempt.number == number))
    };
    let ended = named().find(|attempt| attempt.ended_at.is_some());
    ended
        .or_else(|| named().next())
        .ok_or_else(|| match (number, detail.attempts.last()) {
            (Some(number), Some(last)) => resolve::no_attempt(job, number, last.number),
            _ => CliError::conflict(format!("job {job} has had no attempt yet"))
                .hint(format!("`qcli why {job}` says what keeps it")),
        })
}

/// The rule that decided, if there still is one of that name.
fn rule(attempt: &Attempt, context: &Context) -> Result<Option<Rule>, CliError> {
    let Some(id) = &attempt.rule else {
        return Ok(None);
    };
    let rules = super::agent::rules(context)?;
    Ok(rules.iter().find(|rule| rule.id == *id).cloned())
}

fn answer<'a>(
    detail: &'a Detail,
    found: &'a Judgement<'_>,
    (next, next_begins): (&'a [Next], &'a [NextBegin]),
    context: &Context,
) -> Answer<'a> {
    let Judgement {
        attempt,
        facts,
        rule,
    } = found;
    let facts = facts.as_ref();
    Answer {
        id: detail.summary.job.id,
        state: detail.summary.job.state,
        condition: line::stands(&detail.summary, context.out.times().now()),
        attempt: attempt.number,
        epoch: attempt.epoch.0,
        class: attempt.class.map(Class::as_str),
        meaning: attempt.class.map(Class::meaning),
        exit_code: attempt.exit_code,
        signal: attempt.signal,
        message: attempt.message.as_deref(),
        rule: attempt.rule.as_deref(),
        rule_outcome: rule.as_ref().map(|rule| rule.outcome.as_str()),
        rule_note: rule.as_ref().map(|rule| rule.note.as_str()),
        evidence: attempt.evidence.as_deref(),
        proof: attempt.proof.as_ref(),
        agent: facts.map(|facts| facts.agent.as_str()),
        cli_version: facts.and_then(|facts| facts.cli_version.as_deref()),
        model: facts.and_then(|facts| facts.model.as_deref()),
        session_id: attempt.session_id.as_deref(),
        rung: attempt.rung.map(queue_core::agent::Rung::as_str),
        log: attempt.process.as_ref().map(|it| it.log.as_str()),
        next,
        next_begins,
    }
}

fn print(
    detail: &Detail,
    found: &Judgement<'_>,
    next: &[Next],
    context: &mut Context,
) -> Result<(), CliError> {
    let attempt = found.attempt;
    let mut fields = Fields::new();
    fields.add(
        "job",
        format!("{}, attempt {}", detail.summary.job.id, attempt.number),
    );
    fields.add("outcome", outcome(found));
    fields.add_if("rule", attempt.rule.as_deref().map(|id| decided(id, found)));
    fields.add_if("evidence", attempt.evidence.as_deref());
    let message = attempt.message.as_deref();
    fields.add_if("message", message.filter(|_| attempt.evidence.is_none()));
    if let Some(found) = &attempt.proof {
        proof::put_proof(&mut fields, found);
    }
    fields.add_if("exit code", attempt.exit_code.map(|code| code.to_string()));
    fields.add_if("agent", found.facts.as_ref().map(program));
    fields.add_if("session", attempt.session_id.as_deref());
    fields.add_if("rung", attempt.rung.map(queue_core::agent::Rung::as_str));
    let process = attempt.process.as_ref();
    fields.add_if("log", process.map(|process| process.log.as_str()));
    for Next { text, remedies } in next {
        fields.add("next", text.as_str());
        let commands: Vec<_> = remedies.iter().map(|it| format!("`{it}`")).collect();
        let commands = (!commands.is_empty()).then(|| commands.join(" or "));
        fields.add_if("change it", commands);
    }
    context.out.fields(&fields)
}

/// `limit: A provider's rate or usage limit.`
fn outcome(found: &Judgement<'_>) -> String {
    let ended = next::how_it_ended(found.attempt);
    let rule = found.rule.as_ref();
    match found.attempt.class {
        Some(class) => format!("{ended}: {}", class.meaning()),
        None if rule.is_some_and(|rule| rule.outcome == Judged::Suspect) => {
            format!("{ended}, suspect")
        }
        None => ended,
    }
}

/// The rule and why there is one.
fn decided(id: &str, found: &Judgement<'_>) -> String {
    match &found.rule {
        Some(rule) if rule.note.is_empty() => id.to_owned(),
        Some(rule) => format!("{id}: {}", rule.note),
        None => format!("{id}, which is no rule any more"),
    }
}

/// `claude 2.1.300, model opus`
fn program(facts: &Facts) -> String {
    let version = facts.cli_version.as_deref();
    let mut words = facts.agent.clone();
    if let Some(version) = version {
        words += &format!(" {version}");
    }
    if let Some(model) = &facts.model {
        words += &format!(", model {model}");
    }
    words
}
