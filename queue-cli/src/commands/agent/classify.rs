//! `qcli agent classify`: runs the rules over output that was saved.

use std::io;
use std::path::{Path, PathBuf};

use chrono::DateTime;
use queue_core::Timestamp;
use queue_worker::agent::detect::{End, Scope, Verdict, judge};
use queue_worker::agent::facts::{Facts, Usage};
use queue_worker::agent::reset_time::machine_zone;
use queue_worker::agent::rollout;
use queue_worker::agent::rules::{Rules, RulesError, SHELL};
use queue_worker::agent::saved::{self, Named, Saved};
use queue_worker::agent::stream::Format;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output::table::Fields;
use crate::output::time::rfc3339;

/// The user's file of rules, in the configuration directory.
const RULES_FILE: &str = "rules.toml";

/// The agents whose output is understood.
const AGENTS: [&str; 10] = [
    "claude",
    "codex",
    "gemini",
    "opencode",
    "aider",
    "qwen",
    "cursor-agent",
    "goose",
    "agy",
    SHELL,
];

/// Judge saved output of an agent by the rules
///
/// Reads the log of an attempt (`qcli show JOB` names it) or an agent's own output, and says how the attempt ended, by
/// which rule and which words, when a limit lifts, and what was used. A reset such as `3:30am` is read as on the day the log
/// was written. It asks no store and changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli agent classify saved.jsonl --exit-code 1
  qcli show 42 --json | jq -r .log | xargs qcli agent classify --json
  codex exec --json 'hello' | qcli agent classify -")]
pub(super) struct Args {
    /// The file; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Who wrote it: claude, codex, gemini, opencode, aider, qwen, cursor-agent, goose, agy or shell [default: told from the output]
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// How it is written, for an agent of your own: claude, codex, gemini, opencode, goose, agy or text
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// The exit code the agent ended with
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    exit_code: i32,
    /// The signal that ended it, in place of an exit code
    #[arg(long, value_name = "N", conflicts_with = "exit_code")]
    signal: Option<i32>,
    /// Whether a structured answer was asked for
    #[arg(long)]
    structured: bool,
    /// The session's own record of codex (`rollout-….jsonl`), which has the exact time a limit lifts
    #[arg(long, value_name = "FILE")]
    rollout: Option<PathBuf>,
    /// When it ended, such as 2026-03-01T09:30:00Z [default: as the log says, else now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
}

/// The answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    outcome: &'static str,
    rule: &'a str,
    matched: &'a [String],
    evidence: &'a str,
    reset_at: Option<String>,
    scope: &'static str,
    model: Option<&'a str>,
    unknown_zone: Option<&'a str>,
    rules_version: u32,
    facts: &'a Facts,
}

/// Reads, judges and prints.
pub(super) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let rules = rules(context)?;
    let mut saved = read(args)?;
    if let Some(path) = &args.rollout {
        let event =
            rollout::limit_event(path).map_err(|error| CliError::file("read", path, &error))?;
        saved.facts.limit_event = event.or(saved.facts.limit_event);
    }
    let written_at = saved.written_at.map(Timestamp::from);
    let now = args.at.or(written_at).unwrap_or(context.now().wall);
    let zone = context.around.variable("TZ").and_then(|name| name.to_str());
    let end = match args.signal {
        Some(signal) => End::signalled(signal),
        None => End::exited(args.exit_code),
    };
    let end = End {
        wants_structured: args.structured,
        ..end
    };
    let verdict = judge(&rules, &saved.facts, &end, now, machine_zone(zone));
    if context.out.is_json() {
        context.out.json(&answer(&verdict, &saved.facts, &rules))?;
    } else {
        print(context, &verdict, &saved.facts)?;
    }
    Ok(ExitCode::Ok)
}

fn time(text: &str) -> Result<Timestamp, String> {
    let time = DateTime::parse_from_rfc3339(text);
    let time = time.map_err(|_| "write it as 2026-03-01T09:30:00Z".to_owned())?;
    Ok(Timestamp::from_millis(time.timestamp_millis()))
}

/// The built-in rules, and the user's over them.
pub(in crate::commands) fn rules(context: &Context) -> Result<Rules, CliError> {
    match context.around.user_file(RULES_FILE) {
        Some(path) => Rules::load(&path).map_err(|error| refused(&error)),
        None => Ok(Rules::built_in()),
    }
}

fn refused(error: &RulesError) -> CliError {
    CliError::usage(error.to_string())
        .detail(error.problem.to_string())
        .hint("correct the file, or move it away to go on with the built-in rules")
}

fn read(args: &Args) -> Result<Saved, CliError> {
    if let (Some(name), None) = (&args.agent, args.format)
        && !AGENTS.contains(&name.as_str())
    {
        let known = AGENTS.join(", ");
        return Err(
            CliError::usage(format!("no agent is called `{name}`; known are: {known}"))
                .hint("for one of your own say how it writes as well, such as `--format text`"),
        );
    }
    let named = Named {
        agent: args.agent.clone(),
        format: args.format,
    };
    let is_stdin = args.file.as_os_str() == "-";
    let saved = match is_stdin {
        true => saved::of_stream(io::stdin().lock(), &named),
        false => saved::of_file(&args.file, &named),
    };
    let name = if is_stdin {
        Path::new("standard input")
    } else {
        &args.file
    };
    let saved = saved.map_err(|error| CliError::file("read", name, &error))?;
    if saved.facts.agent.is_empty() {
        return Err(
            CliError::usage(format!("cannot tell which agent wrote {}", name.display())).hint(
                format!("say `--agent NAME`; known are: {}", AGENTS.join(", ")),
            ),
        );
    }
    Ok(saved)
}

fn answer<'a>(verdict: &'a Verdict, facts: &'a Facts, rules: &Rules) -> Answer<'a> {
    let (scope, model) = match &verdict.scope {
        Scope::Job => ("job", None),
        Scope::Session => ("session", None),
        Scope::Agent => ("agent", None),
        Scope::Model(model) => ("model", Some(model.as_str())),
    };
    Answer {
        outcome: verdict.outcome.as_str(),
        rule: &verdict.rule,
        matched: &verdict.matched,
        evidence: &verdict.evidence,
        reset_at: verdict.reset.map(rfc3339),
        scope,
        model,
        unknown_zone: verdict.unknown_zone.as_deref(),
        rules_version: rules.version,
        facts,
    }
}

fn print(context: &mut Context, verdict: &Verdict, facts: &Facts) -> Result<(), CliError> {
    let times = context.out.times();
    let mut fields = Fields::new();
    fields.add("outcome", verdict.outcome.as_str());
    fields.add("rule", verdict.rule.as_str());
    let others: Vec<_> = verdict.matched.iter().skip(1).map(String::as_str).collect();
    fields.add_if(
        "also fits",
        Some(others.join(", ")).filter(|it| !it.is_empty()),
    );
    fields.add("evidence", verdict.evidence.as_str());
    fields.add_if(
        "resets",
        verdict.reset.map(|at| times.moment_and_relative(at)),
    );
    fields.add("concerns", concerned(&verdict.scope, facts));
    fields.add("agent", agent(facts));
    fields.add_if("session", facts.session_id.as_deref());
    fields.add_if("model", facts.model.as_deref());
    fields.add("turns", u64::from(facts.turns));
    fields.add("used", used(facts));
    fields.add_if(
        "denied",
        (facts.denied > 0).then(|| facts.denials.join(", ")),
    );
    fields.add_if("asks", facts.question.as_deref());
    let passed_over = Some(facts.unknown_lines).filter(|lines| *lines > 0);
    fields.add_if(
        "passed over",
        passed_over.map(|lines| counted(lines, "line")),
    );
    context.out.fields(&fields)?;
    if let Some(zone) = &verdict.unknown_zone {
        context.out.warn(format!(
            "zone `{zone}` is not known; that of this machine was taken"
        ));
    }
    Ok(())
}

fn concerned(scope: &Scope, facts: &Facts) -> String {
    match scope {
        Scope::Job => "this job".to_owned(),
        Scope::Session => "its session".to_owned(),
        Scope::Agent => format!("all that use the same account of {}", facts.agent),
        Scope::Model(model) => format!(
            "all that use {model} on the same account of {}",
            facts.agent
        ),
    }
}

fn agent(facts: &Facts) -> String {
    match &facts.cli_version {
        Some(version) => format!("{} {version}", facts.agent),
        None => facts.agent.clone(),
    }
}

/// `1200 in, 340 out, 90 from cache, $0.1250`
fn used(facts: &Facts) -> String {
    let sum = |part: fn(&Usage) -> u64| facts.usage.values().map(part).sum::<u64>();
    let cached = sum(|usage| usage.cache_read) + sum(|usage| usage.cache_write);
    let mut words = format!(
        "{} in, {} out",
        sum(|usage| usage.input),
        sum(|usage| usage.output)
    );
    if cached > 0 {
        words += &format!(", {cached} cached");
    }
    match facts.cost_usd {
        Some(cost) => words + &format!(", ${cost:.4}"),
        None if facts.is_unpriced() => words + ", unpriced",
        None => words,
    }
}

fn counted(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}
