//! `qcli gate`: what jobs pass that share an account, and what keeps them back while it has met its limit.

mod names;
mod report;

use std::time::Duration;

use queue_core::Timestamp;
use queue_core::gate::{CloseGate, GateName, GateStatus};
use queue_core::units::format_duration;
use serde_json::{Value, json};

use self::names::Names;
use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::moment;
use crate::new_job::parse;
use crate::output::table::{Cell, Column, Table};
use crate::output::time::rfc3339;

/// Show, open and close the gates of accounts
///
/// Jobs enqueued with `--gate claude` pass the gate `claude` when they start. While it is closed they wait, without losing
/// an attempt, and other jobs go on. A job that meets its provider's limit closes the gate until the limit lifts; then
/// one job tries, and when it is let through the others follow one by one. Credentials and money close it until a
/// person opens it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli gate list
  qcli gate close claude --until 07:00 --reason 'quota is for the day'
  qcli gate open claude
  qcli gate set claude --stagger 10s     starts are ten seconds apart
  qcli gate report --until 'resets 3:30am (Europe/Oslo)' && exit 75    inside a job
  qcli enqueue --gate claude -- ./ask-claude")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<GateVerb>,
}

#[derive(Debug, clap::Subcommand)]
enum GateVerb {
    /// Show all gates, how they stand, and how many jobs wait
    List {
        /// Print a gate per line, each a JSON object
        #[arg(long)]
        jsonl: bool,
    },
    /// Let jobs start again, whatever closed the gate
    Open {
        /// Its name
        #[arg(value_name = "NAME")]
        name: GateName,
    },
    /// Let no job start, for a time or until `qcli gate open`
    ///
    /// A gate may be closed before the first job that passes it comes. If nothing has its name yet that is said, so that a
    /// typing error does not go unseen.
    Close(CloseArgs),
    Report(report::Args),
    /// Set how far apart jobs start that pass a gate
    Set {
        /// Its name
        #[arg(value_name = "NAME")]
        name: GateName,
        /// The time between two starts, at least; 0s for none
        #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
        stagger: Duration,
    },
}

#[derive(Debug, clap::Args)]
struct CloseArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: GateName,

    /// Until this moment: `18:30`, `2026-03-01 18:30` or `2026-03-01T18:30:00Z`
    #[arg(long, value_name = "TIME", conflicts_with = "for_")]
    until: Option<String>,

    /// For so long from now, such as 30m or 5h
    #[arg(long = "for", value_name = "DURATION", value_parser = parse::span)]
    for_: Option<Duration>,

    /// Why, for whoever asks `qcli why`
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Runs the verb; none means `list`.
pub(crate) fn run(args: Args, context: &mut Context) -> Result<ExitCode, CliError> {
    match args.verb.unwrap_or(GateVerb::List { jsonl: false }) {
        GateVerb::List { jsonl } => list(context, jsonl)?,
        GateVerb::Open { name } => {
            let status = context.existing_store()?.open_gate(&name, &context.now())?;
            say(context, &status)?;
        }
        GateVerb::Close(args) => close(context, &args)?,
        GateVerb::Report(args) => report(context, &args)?,
        GateVerb::Set { name, stagger } => {
            let status = context.store()?.set_gate(&name, stagger, &context.now())?;
            say(context, &status)?;
        }
    }
    Ok(ExitCode::Ok)
}

fn list(context: &mut Context, jsonl: bool) -> Result<(), CliError> {
    let gates = context.existing_store()?.gates()?;
    let now = context.now().wall;
    if jsonl {
        let mut lines = gates.iter().map(|gate| gate_json(gate, now));
        return lines.try_for_each(|gate| context.out.json_line(&gate));
    }
    if context.out.is_json() {
        let gates: Vec<_> = gates.iter().map(|gate| gate_json(gate, now)).collect();
        return context.out.json(&json!({ "gates": gates }));
    }
    if gates.is_empty() {
        context
            .out
            .note("no job passes a gate: `qcli enqueue --gate NAME -- COMMAND` adds one that does");
        return Ok(());
    }
    let table = table(context, &gates);
    context.out.table(&table)
}

fn close(context: &mut Context, args: &CloseArgs) -> Result<(), CliError> {
    let now = context.now();
    let until = match (&args.until, args.for_) {
        (Some(until), _) => Some(moment::parse(until, now.wall)?.into()),
        (None, span) => span.map(|span| now.wall.saturating_add(span)),
    };
    let close = CloseGate {
        until,
        why: args.reason.clone(),
        by: "a person".to_owned(),
    };
    let doubt = Names::read(context)?.doubt(&args.name);
    let status = context.store()?.close_gate(&args.name, &close, &now)?;
    say(context, &status)?;
    if let Some(doubt) = doubt {
        context.out.warn(doubt);
    }
    Ok(())
}

fn report(context: &mut Context, args: &report::Args) -> Result<(), CliError> {
    let gates = report::run(args, context)?;
    let now = context.now().wall;
    if context.out.is_json() {
        let gates: Vec<_> = gates.iter().map(|gate| gate_json(gate, now)).collect();
        return context.out.json(&report::answer(&gates));
    }
    if gates.is_empty() {
        context
            .out
            .note("that is no limit: no gate is closed for it");
    }
    gates.iter().try_for_each(|gate| say(context, gate))
}

/// Says how a gate stands after it was changed.
fn say(context: &mut Context, status: &GateStatus) -> Result<(), CliError> {
    let now = context.now().wall;
    if context.out.is_json() {
        return context.out.json(&gate_json(status, now));
    }
    let GateStatus { name, gate, .. } = status;
    let words = match gate.closing() {
        Some(closing) => match closing.until {
            Some(until) => format!(
                "gate {name} is closed until {}",
                context.out.times().moment_and_relative(until)
            ),
            None => format!("gate {name} is closed until `qcli gate open {name}`"),
        },
        None if gate.stagger().is_zero() => format!("gate {name} is open"),
        None => format!(
            "gate {name} is open, and jobs start {} apart",
            format_duration(gate.stagger())
        ),
    };
    context.out.note(words);
    Ok(())
}

/// A gate for programs.
pub(super) fn gate_json(status: &GateStatus, now: Timestamp) -> Value {
    let gate = &status.gate;
    let closing = gate.closing();
    json!({
        "name": status.name,
        "state": gate.state(now).as_str(),
        "until": closing.and_then(|closing| closing.until).map(rfc3339),
        "reason": closing.map(|closing| closing.reason.as_str()),
        "evidence": closing.and_then(|closing| closing.evidence.as_deref()),
        "since": closing.map(|closing| rfc3339(closing.since)),
        "set_by": closing.map(|closing| closing.set_by.as_str()),
        "tries": closing.map(|closing| closing.tries),
        "probe": gate.probe().map(|probe| probe.job),
        "stagger_ms": u64::try_from(gate.stagger().as_millis()).unwrap_or(u64::MAX),
        "waiting": status.waiting,
    })
}

/// One line for each gate.
pub(super) fn table(context: &Context, gates: &[GateStatus]) -> Table {
    let times = context.out.times();
    let mut table = Table::new([
        Column::left("GATE"),
        Column::left("STATE"),
        Column::left("UNTIL"),
        Column::right("WAITING"),
        Column::left("REASON"),
        Column::left("SET BY"),
        Column::flexible("EVIDENCE"),
    ]);
    for GateStatus {
        name,
        gate,
        waiting,
    } in gates
    {
        let closing = gate.closing();
        let until = match (closing.map(|closing| closing.until), gate.probe()) {
            (None, _) => String::new(),
            (Some(_), Some(probe)) => format!("job {} tries", probe.job),
            (Some(None), None) => "qcli gate open".to_owned(),
            (Some(Some(until)), None) => times.moment_and_relative(until),
        };
        table.row([
            Cell::new(name.to_string()),
            Cell::new(gate.state(times.now()).as_str()),
            Cell::new(until),
            (*waiting).into(),
            Cell::new(closing.map_or("", |closing| closing.reason.as_str())),
            Cell::new(closing.map_or("", |closing| closing.set_by.as_str())),
            Cell::new(
                closing
                    .and_then(|closing| closing.evidence.as_deref())
                    .unwrap_or_default(),
            ),
        ]);
    }
    table
}
