//! `qcli failed`: what failed, why, and the last lines it wrote.

use queue_core::store::{Filter, Summary};
use queue_core::{Class, Now, State};
use serde::Serialize;

use crate::context::Context;
use crate::error::{CliError, reason_of};
use crate::exit_code::ExitCode;
use crate::filter::FilterArgs;
use crate::output::color::Role;
use crate::output::sanitize::sanitize;
use crate::output::table::{Cell, Column, Table};
use crate::paging::{AmountArgs, each_job};
use crate::view::json::JobJson;
use crate::view::{ended, json, line};
use crate::{log_text, since};

/// Show what failed: why, when, and the last lines it wrote
///
/// Jobs that are out of attempts, or that no further attempt would have mended, newest first. They stay until
/// `qcli requeue` runs them again or `qcli prune` removes them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli failed
  qcli failed --since 12h --lines 10
  qcli failed --class timeout --queue build
  qcli requeue --failed            run them again, once the cause is mended")]
pub(crate) struct Args {
    #[command(flatten)]
    jobs: FilterArgs,

    /// Jobs that failed since: a span such as 2h, a date, a time of day, or RFC 3339
    #[arg(long, value_name = "WHEN", help_heading = "Which jobs")]
    since: Option<String>,

    #[command(flatten)]
    amount: AmountArgs,

    /// Show the last N lines of the last attempt
    #[arg(long, value_name = "N", default_value_t = 3)]
    lines: usize,

    /// Print a job per line, each a JSON object
    #[arg(long)]
    jsonl: bool,
}

/// A failed job as JSON.
#[derive(Serialize)]
struct FailedJson<'a> {
    #[serde(flatten)]
    job: JobJson<'a>,
    last_lines: Vec<String>,
}

/// Prints the failed jobs.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let now = context.now();
    let mut filter = args.jobs.to_filter();
    if !filter.states.is_empty() {
        return Err(CliError::usage(
            "`qcli failed` shows failed jobs, so `--state` has no place here",
        )
        .hint("`qcli list --state cancelled` shows jobs in other states"));
    }
    filter.states = vec![State::Failed];
    filter.finished_since = args
        .since
        .as_deref()
        .map(|text| since::parse(text, now.wall))
        .transpose()?;
    let jobs = read(args, context, filter, &now)?;
    if args.jsonl {
        for (job, last_lines) in jobs {
            context.out.json_line(&FailedJson {
                job: json::job(&job, now.wall),
                last_lines,
            })?;
        }
    } else if context.out.is_json() {
        let mut array = context.out.json_array()?;
        for (job, last_lines) in jobs {
            array.item(&FailedJson {
                job: json::job(&job, now.wall),
                last_lines,
            })?;
        }
        array.end()?;
    } else {
        print(context, &jobs)?;
    }
    Ok(ExitCode::Ok)
}

fn read(
    args: &Args,
    context: &mut Context,
    filter: Filter,
    now: &Now,
) -> Result<Vec<(Summary, Vec<String>)>, CliError> {
    let store = context.existing_store()?;
    let most = args.amount.most(context.out.view());
    let mut jobs = Vec::new();
    let are_more = each_job(&*store, filter, most, now, |job| {
        jobs.push(job);
        Ok(())
    })?;
    if are_more {
        context.out.note(format!(
            "there are more: these are the newest {}, `--all` shows all",
            jobs.len()
        ));
    }
    Ok(jobs
        .into_iter()
        .map(|job| {
            let lines = last_lines(args, context, &job);
            (job, lines)
        })
        .collect())
}

/// The last lines, or in their place the reason why they cannot be had.
fn last_lines(args: &Args, context: &Context, job: &Summary) -> Vec<String> {
    let last = job
        .last
        .as_ref()
        .and_then(|last| Some((last, log_text::path_of(last, context)?)));
    let Some((attempt, path)) = last else {
        return Vec::new();
    };
    log_text::last_lines(attempt, &path, args.lines).unwrap_or_else(|cause| {
        vec![format!(
            "(the log {} cannot be read: {})",
            path.display(),
            reason_of(&cause)
        )]
    })
}

/// Prints one line a job, its last lines below it.
fn print(context: &mut Context, jobs: &[(Summary, Vec<String>)]) -> Result<(), CliError> {
    if jobs.is_empty() {
        context.out.note("nothing failed");
        return Ok(());
    }
    let view = *context.out.view();
    let table = table(context, jobs);
    let text = table.render(view.width, view.paint, !view.quiet);
    let headings = usize::from(!view.quiet);
    let mut rows = text.lines();
    for heading in rows.by_ref().take(headings) {
        context.out.document(&format!("{heading}\n"))?;
    }
    for (row, (summary, lines)) in rows.zip(jobs) {
        context.out.document(&format!("{row}\n"))?;
        // Where a job wrote nothing, what the worker has to say is all there is to read; what ran out of memory had
        // no time to say so itself.
        let is_worth_it = lines.is_empty() || summary.job.class == Some(Class::Oom);
        let message = summary
            .last
            .as_ref()
            .and_then(|last| last.message.as_deref());
        let message = message.filter(|_| is_worth_it).map(sanitize);
        for line in lines.iter().map(String::as_str).chain(message.as_deref()) {
            context.out.document(&format!("      {line}\n"))?;
        }
    }
    Ok(())
}

fn table(context: &Context, jobs: &[(Summary, Vec<String>)]) -> Table {
    let times = context.out.times();
    let mut table = Table::new([
        Column::right("ID"),
        Column::left("WHY"),
        Column::left("WHEN").spare(2),
        Column::left("QUEUE").spare(1),
        Column::flexible("JOB"),
    ]);
    for (summary, _) in jobs {
        let job = &summary.job;
        let last = summary.last.as_ref().filter(|_| ended::ran(job));
        table.row([
            Cell::from(job.id.0),
            Cell::colored(ended::reason(job.class, last), Role::Bad),
            Cell::from(
                job.finished_at
                    .map(|at| times.relative(at))
                    .unwrap_or_default(),
            ),
            Cell::from(job.queue.as_str()),
            Cell::from(line::what(summary)),
        ]);
    }
    table
}
