//! `qcli list`: jobs, one a line.

use queue_core::Now;
use queue_core::store::Filter;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::filter::FilterArgs;
use crate::paging::{AmountArgs, each_job};
use crate::since;
use crate::view::{json, line};

/// List jobs, newest first
///
/// Each line says how a job stands: that it runs, what it waits for, or how it ended. A terminal gets the newest 50, a
/// pipe and JSON get all. `qcli show JOB` shows one job in full, `qcli why JOB` what keeps it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli list
  qcli list --state pending,in_progress --queue build
  qcli list --tag team=web --since 2h
  qcli list --search pytest --all
  qcli list --json | jq '.[] | select(.class == \"timeout\") | .id'
  qcli list --jsonl --state failed | while read -r job; do …; done")]
pub(crate) struct Args {
    #[command(flatten)]
    jobs: FilterArgs,

    /// Jobs added since: a span such as 2h, a date, a time of day, or RFC 3339
    #[arg(long, value_name = "WHEN", help_heading = "Which jobs")]
    since: Option<String>,

    /// Jobs whose name or command contains this text
    #[arg(long, value_name = "TEXT", help_heading = "Which jobs")]
    search: Option<String>,

    #[command(flatten)]
    amount: AmountArgs,

    /// Print a job per line, each a JSON object
    #[arg(long)]
    jsonl: bool,
}

/// Prints the jobs.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let now = context.now();
    let filter = Filter {
        created_since: args
            .since
            .as_deref()
            .map(|text| since::parse(text, now.wall))
            .transpose()?,
        text: args.search.clone(),
        ..args.jobs.to_filter()
    };
    if args.jsonl || context.out.is_json() {
        print_json(args, context, filter, &now)?;
    } else {
        print_table(args, context, filter, &now)?;
    }
    Ok(ExitCode::Ok)
}

fn print_json(
    args: &Args,
    context: &mut Context,
    filter: Filter,
    now: &Now,
) -> Result<(), CliError> {
    let store = context.existing_store()?;
    let most = args.amount.most(&crate::output::View {
        json: true,
        ..*context.out.view()
    });
    if args.jsonl {
        let out = &mut context.out;
        return each_job(&*store, filter, most, now, |job| {
            out.json_line(&json::job(&job, now.wall))
        })
        .map(|_| ());
    }
    let mut array = context.out.json_array()?;
    each_job(&*store, filter, most, now, |job| {
        array.item(&json::job(&job, now.wall))
    })?;
    array.end()
}

fn print_table(
    args: &Args,
    context: &mut Context,
    filter: Filter,
    now: &Now,
) -> Result<(), CliError> {
    let store = context.existing_store()?;
    let most = args.amount.most(context.out.view());
    let is_narrowed = filter != Filter::default();
    let mut jobs = Vec::new();
    let are_more = each_job(&*store, filter, most, now, |job| {
        jobs.push(job);
        Ok(())
    })?;
    if jobs.is_empty() {
        context.out.note(if is_narrowed {
            "no job is like that"
        } else {
            "there is no job yet; add one with `qcli enqueue -- COMMAND`"
        });
        return Ok(());
    }
    let table = line::table(&jobs, context.out.times(), now.wall);
    context.out.table(&table)?;
    if are_more {
        context.out.note(format!(
            "there are more: these are the newest {}, `--all` shows all",
            jobs.len()
        ));
    }
    Ok(())
}
