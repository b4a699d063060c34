//! `qcli queue`: the lines in which jobs wait.

use std::num::NonZeroU32;
use std::time::Duration;

use queue_core::State;
use queue_core::queue::{Queue, QueueChange, QueueStatus};
use queue_core::units::{format_duration, parse_count};
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::new_job::parse;
use crate::output::color::Role;
use crate::output::table::{Cell, Column, Fields, Table};
use crate::output::time::rfc3339;

/// Show and set queues
///
/// A queue is made by the first job that names it. Paused, nothing is started from it; what runs goes on. Its
/// concurrency bounds how many of its jobs run at once over all workers. With ageing, a job counts as one priority higher
/// for each such span that it has waited, so that a low priority is not a life sentence.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli queue list
  qcli queue pause nightly
  qcli queue resume --all
  qcli queue set builds --concurrency 2
  qcli queue set urgent --ageing 0s       strict priorities")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<QueueVerb>,
}

#[derive(Debug, clap::Subcommand)]
enum QueueVerb {
    /// Show all queues with what stands in them
    List,
    /// Show one queue
    Show {
        /// Its name
        #[arg(value_name = "QUEUE")]
        queue: String,
    },
    /// Change a queue, and make it if there is none
    Set(SetArgs),
    /// Start nothing more from a queue; what runs goes on
    Pause(Which),
    /// Start jobs from a queue again
    Resume(Which),
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    /// Its name
    #[arg(value_name = "QUEUE")]
    queue: String,

    /// How many of its jobs may run at once, over all workers
    #[arg(long, value_name = "N", value_parser = parse_count::<NonZeroU32>)]
    concurrency: Option<NonZeroU32>,

    /// Set no bound
    #[arg(long, conflicts_with = "concurrency")]
    no_concurrency: bool,

    /// The wait that counts as one priority, such as 1h; 0s for strict priorities
    #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
    ageing: Option<Duration>,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Their names
    #[arg(value_name = "QUEUE", required_unless_present = "all")]
    queues: Vec<String>,

    /// All queues there are
    #[arg(long, conflicts_with = "queues")]
    all: bool,
}

/// Runs the verb; none means `list`.
pub(crate) fn run(args: Args, context: &mut Context) -> Result<ExitCode, CliError> {
    match args.verb.unwrap_or(QueueVerb::List) {
        QueueVerb::List => list(context)?,
        QueueVerb::Show { queue } => show(context, &queue)?,
        QueueVerb::Set(args) => set(context, &args)?,
        QueueVerb::Pause(which) => pause(context, &which, true)?,
        QueueVerb::Resume(which) => pause(context, &which, false)?,
    }
    Ok(ExitCode::Ok)
}

fn list(context: &mut Context) -> Result<(), CliError> {
    let queues = context.existing_store()?.queues()?;
    if context.out.is_json() {
        return context
            .out
            .json(&json!({ "queues": queues.iter().map(status_json).collect::<Vec<_>>() }));
    }
    if queues.is_empty() {
        context
            .out
            .note("there is no queue yet: the first job makes one, as in `qcli enqueue -- make`");
        return Ok(());
    }
    let table = table(context, &queues);
    context.out.table(&table)
}

fn show(context: &mut Context, name: &str) -> Result<(), CliError> {
    let status = context
        .existing_store()?
        .queues()?
        .into_iter()
        .find(|status| status.queue.name == name)
        .ok_or_else(|| queue_core::Error::QueueNotFound(name.to_owned()))?;
    if context.out.is_json() {
        return context.out.json(&status_json(&status));
    }
    let times = context.out.times();
    let queue = &status.queue;
    let mut fields = Fields::new();
    fields.add("queue", queue.name.as_str());
    fields.add_if(
        "paused",
        queue.paused_at.map(|at| times.moment_and_relative(at)),
    );
    fields.add("concurrency", bound(queue));
    fields.add("ageing", ageing(queue));
    for state in State::ALL {
        fields.add(state.as_str(), status.count(*state));
    }
    fields.add_if(
        "oldest",
        status.oldest_pending.map(|(job, since)| {
            format!(
                "job {job}, pending since {}",
                times.moment_and_relative(since)
            )
        }),
    );
    context.out.fields(&fields)
}

fn set(context: &mut Context, args: &SetArgs) -> Result<(), CliError> {
    let concurrency = match args.concurrency {
        Some(bound) => Some(Some(bound)),
        None => args.no_concurrency.then_some(None),
    };
    let change = QueueChange {
        paused: None,
        concurrency,
        ageing: args.ageing,
    };
    let queue = context
        .store()?
        .set_queue(&args.queue, &change, &context.now())?;
    if context.out.is_json() {
        return context.out.json(&queue_json(&queue));
    }
    context.out.note(format!(
        "queue {}: concurrency {}, ageing {}",
        queue.name,
        bound(&queue),
        ageing(&queue)
    ));
    Ok(())
}

fn pause(context: &mut Context, which: &Which, paused: bool) -> Result<(), CliError> {
    let store = context.existing_store()?;
    let there: Vec<String> = store
        .queues()?
        .into_iter()
        .map(|status| status.queue.name)
        .collect();
    let names = if which.all { &there } else { &which.queues };
    // All names are looked at first: a wrong letter changes nothing.
    if let Some(missing) = names.iter().find(|name| !there.contains(*name)) {
        return Err(
            CliError::from(queue_core::Error::QueueNotFound(missing.clone())).hint(format!(
                "`qcli queue list` shows the queues there are; `qcli queue set {}` makes it",
                shell_words::quote(missing)
            )),
        );
    }
    let change = QueueChange {
        paused: Some(paused),
        ..QueueChange::default()
    };
    let mut queues = Vec::new();
    for name in names {
        queues.push(store.set_queue(name, &change, &context.now())?);
    }
    if context.out.is_json() {
        return context
            .out
            .json(&json!({ "queues": queues.iter().map(queue_json).collect::<Vec<_>>() }));
    }
    let did = if paused { "paused" } else { "resumed" };
    for queue in &queues {
        context.out.note(format!("{did} queue {}", queue.name));
    }
    Ok(())
}

fn bound(queue: &Queue) -> String {
    queue
        .concurrency
        .map_or_else(|| "no bound".to_owned(), |bound| bound.to_string())
}

fn ageing(queue: &Queue) -> String {
    match queue.ageing {
        Duration::ZERO => "off".to_owned(),
        ageing => format_duration(ageing),
    }
}

fn queue_json(queue: &Queue) -> Value {
    json!({
        "name": queue.name,
        "paused": queue.paused_at.is_some(),
        "paused_at": queue.paused_at.map(rfc3339),
        "concurrency": queue.concurrency,
        "ageing": format_duration(queue.ageing),
    })
}

fn status_json(status: &QueueStatus) -> Value {
    let mut value = queue_json(&status.queue);
    let counts: Map<String, Value> = State::ALL
        .iter()
        .map(|state| (state.to_string(), status.count(*state).into()))
        .collect();
    value["counts"] = counts.into();
    value["oldest_pending"] = match status.oldest_pending {
        Some((job, since)) => json!({ "id": job, "since": rfc3339(since) }),
        None => Value::Null,
    };
    value
}

fn table(context: &Context, queues: &[QueueStatus]) -> Table {
    let times = context.out.times();
    let mut table = Table::new([
        Column::flexible("QUEUE"),
        Column::left(""),
        Column::right("RUNNING"),
        Column::right("PENDING"),
        Column::right("SCHEDULED").spare(3),
        Column::right("BLOCKED").spare(4),
        Column::right("FAILED"),
        Column::right("COMPLETED").spare(1),
        Column::left("OLDEST PENDING").spare(2),
    ]);
    for status in queues {
        let running = status.count(State::InProgress);
        let paused = match status.queue.paused_at {
            Some(_) => Cell::colored("paused", Role::Waiting),
            None => Cell::new(""),
        };
        table.row([
            Cell::new(&status.queue.name),
            paused,
            match status.queue.concurrency {
                Some(bound) => Cell::new(format!("{running}/{bound}")),
                None => running.into(),
            },
            status.count(State::Pending).into(),
            status.count(State::Scheduled).into(),
            status.count(State::Blocked).into(),
            status.count(State::Failed).into(),
            status.count(State::Completed).into(),
            Cell::new(
                status
                    .oldest_pending
                    .map(|(job, since)| format!("{job}, {}", times.relative(since)))
                    .unwrap_or_default(),
            ),
        ]);
    }
    table
}
