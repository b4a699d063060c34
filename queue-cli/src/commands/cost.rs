//! `qcli cost`: what agents cost.

use queue_core::budget::Scope;
use queue_core::cost::{By, CostQuery, Costs, Sum};
use queue_core::money::Usd;
use queue_core::units::about_tokens;
use serde_json::{Value, json};

use super::budget::zone_of;
use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::filter;
use crate::output::table::{Cell, Column, Table};
use crate::output::time::rfc3339;
use crate::since;

/// Show what agents cost: by day, model, agent, queue, label or job
///
/// Every attempt counts, also those that met a limit, were stopped or are forgotten, and those of jobs that were pruned;
/// each on the day on which it began. What agents name no price for has none: those tokens stand in a column of their own.
/// With `--by tag` a job with several labels counts under each of them, and once in the total.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli cost
  qcli cost --by model --since 7d
  qcli cost --by job --queue nightly --since 18:00
  qcli cost --by queue --tag team=web --json | jq .total.cost_usd")]
pub(crate) struct Args {
    /// By what to sum up: day, model, agent, queue, tag or job
    #[arg(long, value_name = "WHAT", default_value = "day")]
    by: By,

    /// Since when: a span such as 2h, a date, a time of day, or RFC 3339
    #[arg(long, value_name = "WHEN", default_value = "30d")]
    since: String,

    /// Only jobs of this queue
    #[arg(long, value_name = "QUEUE")]
    queue: Option<String>,

    /// Only jobs with this label, whatever its value or with just this one
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = filter::tag)]
    tag: Option<(String, Option<String>)>,

    /// Print a JSON object for each line of the table, one a line
    #[arg(long)]
    jsonl: bool,
}

/// Prints the sums.
pub(crate) fn run(args: Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let since = since::parse(&args.since, context.now().wall)?;
    let query = CostQuery {
        since: Some(since),
        scope: Scope {
            queue: args.queue,
            tag: args.tag,
        },
        by: args.by,
        zone: zone_of(context),
    };
    let costs = context.existing_store()?.costs(&query)?;
    if args.jsonl {
        for (key, sum) in &costs.rows {
            context
                .out
                .json_line(&row_json(&query, key.as_deref(), sum))?;
        }
    } else if context.out.is_json() {
        let row = |(key, sum): &(Option<String>, Sum)| row_json(&query, key.as_deref(), sum);
        context.out.json(&json!({
            "since": rfc3339(since),
            "by": query.by.as_str(),
            "zone": query.zone.name(),
            "rows": costs.rows.iter().map(row).collect::<Vec<_>>(),
            "total": sum_json(&costs.total),
        }))?;
    } else {
        print(context, &query, &costs)?;
    }
    Ok(ExitCode::Ok)
}

fn print(context: &mut Context, query: &CostQuery, costs: &Costs) -> Result<(), CliError> {
    if costs.rows.is_empty() {
        context
            .out
            .note("no agent has cost anything in that time; `--since 52w` looks further back");
        return Ok(());
    }
    let head = query.by.as_str().to_uppercase();
    let mut table = Table::new([
        Column::flexible(&head),
        Column::right("ATTEMPTS"),
        Column::right("INPUT").spare(2),
        Column::right("OUTPUT").spare(2),
        Column::right("CACHED").spare(3),
        Column::right("UNPRICED"),
        Column::right("COST"),
    ]);
    for (key, sum) in &costs.rows {
        table.row(cells(key.as_deref().unwrap_or("no label"), sum));
    }
    table.row(cells("total", &costs.total));
    context.out.table(&table)?;
    if query.by == By::Day {
        context
            .out
            .note(format!("days are those of {}", query.zone));
    }
    Ok(())
}

fn cells(key: &str, sum: &Sum) -> [Cell; 7] {
    let cached = sum.cache_read.saturating_add(sum.cache_write);
    [
        Cell::new(key),
        sum.attempts.into(),
        Cell::new(about_tokens(sum.input)),
        Cell::new(about_tokens(sum.output)),
        Cell::new(about_tokens(cached)),
        Cell::new(match sum.unpriced {
            0 => String::new(),
            tokens => about_tokens(tokens),
        }),
        Cell::new(match is_priced(sum) {
            true => sum.cost.words(),
            false => "unpriced".to_owned(),
        }),
    ]
}

/// Whether anything has a price: a price that nobody named is no zero.
fn is_priced(sum: &Sum) -> bool {
    sum.unpriced == 0 || sum.cost > Usd::ZERO
}

fn row_json(query: &CostQuery, key: Option<&str>, sum: &Sum) -> Value {
    let mut row = sum_json(sum);
    let key = match (query.by, key.and_then(|key| key.parse::<i64>().ok())) {
        (By::Job, Some(job)) => json!(job),
        _ => json!(key),
    };
    row[query.by.as_str()] = key;
    row
}

fn sum_json(sum: &Sum) -> Value {
    json!({
        "attempts": sum.attempts,
        "input_tokens": sum.input,
        "output_tokens": sum.output,
        "cache_read_tokens": sum.cache_read,
        "cache_write_tokens": sum.cache_write,
        "unpriced_tokens": sum.unpriced,
        "cost_usd": is_priced(sum).then(|| sum.cost.dollars()),
    })
}
