//! `qcli stats`: what ended in a span, how, and how long it took.

use std::collections::BTreeMap;

use queue_core::State;
use queue_core::store::{Spread, Stats};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output::table::{Cell, Column, Fields, Table};
use crate::output::time::span;
use crate::since;
use crate::view::json::Time;
use crate::view::line;

/// Show what ended lately: how, why, and how long it took
///
/// How long jobs waited until their first attempt and how long the attempts ran that ended them: the median, the longest
/// of nineteen in twenty, and the longest of all.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli stats
  qcli stats --since 7d --queue build
  qcli stats --since 1h --json | jq .ended.failed")]
pub(crate) struct Args {
    /// Since when: a span such as 2h, a date, a time of day, or RFC 3339
    #[arg(long, value_name = "WHEN", default_value = "24h")]
    since: String,

    /// Only jobs of this queue
    #[arg(long, value_name = "QUEUE")]
    queue: Option<String>,
}

/// The same as JSON.
#[derive(Serialize)]
struct StatsJson<'a> {
    since: Time,
    queue: Option<&'a str>,
    ended: BTreeMap<&'static str, u64>,
    classes: BTreeMap<&'static str, u64>,
    attempts: u64,
    retries: u64,
    waited: SpreadJson,
    ran: SpreadJson,
}

#[derive(Serialize)]
struct SpreadJson {
    median_ms: u128,
    p95_ms: u128,
    max_ms: u128,
}

impl From<&Spread> for SpreadJson {
    fn from(spread: &Spread) -> Self {
        Self {
            median_ms: spread.median.as_millis(),
            p95_ms: spread.p95.as_millis(),
            max_ms: spread.max.as_millis(),
        }
    }
}

/// Prints the figures.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let since = since::parse(&args.since, context.now().wall)?;
    let store = context.existing_store()?;
    let stats = store.stats(args.queue.as_deref(), since)?;
    if context.out.is_json() {
        let ended = |state: &State| (state.as_str(), stats.ended.get(state).copied().unwrap_or(0));
        context.out.json(&StatsJson {
            since: Time(since),
            queue: args.queue.as_deref(),
            ended: State::ENDED.iter().map(ended).collect(),
            classes: stats
                .classes
                .iter()
                .map(|(class, count)| (class.as_str(), *count))
                .collect(),
            attempts: stats.attempts,
            retries: stats.retries,
            waited: (&stats.waited).into(),
            ran: (&stats.ran).into(),
        })?;
    } else {
        print(context, &stats)?;
    }
    Ok(ExitCode::Ok)
}

fn print(context: &mut Context, stats: &Stats) -> Result<(), CliError> {
    if stats.attempts == 0 && stats.ended.values().all(|count| *count == 0) {
        context
            .out
            .note("nothing ended in that time; `--since 7d` looks further back");
        return Ok(());
    }
    let mut fields = Fields::new();
    for state in State::ENDED {
        let count = stats.ended.get(state).copied().unwrap_or(0);
        fields.add(
            state.as_str(),
            Cell::colored(count.to_string(), line::role(*state)),
        );
    }
    fields.add(
        "attempts",
        format!(
            "{}, of which {} failed and were tried again",
            stats.attempts, stats.retries
        ),
    );
    context.out.fields(&fields)?;
    if !stats.classes.is_empty() {
        context.out.heading("Why jobs failed or were cancelled")?;
        let mut table = Table::new([Column::left("CLASS"), Column::right("JOBS")]);
        let mut classes: Vec<_> = stats.classes.iter().collect();
        classes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (class, count) in classes {
            table.row([Cell::from(class.as_str()), Cell::from(*count)]);
        }
        context.out.table(&table)?;
    }
    context.out.heading("How long it took")?;
    let mut table = Table::new(["", "MEDIAN", "95 %", "LONGEST"].map(Column::right));
    for (what, spread) in [("waited", &stats.waited), ("ran", &stats.ran)] {
        let [median, p95, max] =
            [spread.median, spread.p95, spread.max].map(|length| Cell::from(span(length)));
        table.row([Cell::from(what), median, p95, max]);
    }
    context.out.table(&table)
}
