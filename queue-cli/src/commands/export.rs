//! `qcli export`: jobs with their history as lines of JSON, for another store to import.

use queue_core::JobId;
use queue_core::store::Archived;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output::sanitize::sanitize_json;
use crate::resolve;
use crate::selector::Selector;

/// Jobs read at once.
const PAGE: usize = 500;

/// Print jobs with their history as JSON, one a line
///
/// Everything there is of them, the values of their environment included: keep the file to yourself. The settings of the
/// queues, limits, gates, concurrency keys and budgets they use go along, and so does what they have cost. `qcli import` reads
/// it into another store. Logs of attempts are not in it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli export > jobs.jsonl
  qcli export 42 43 | qcli --db other.db import -")]
pub(crate) struct Args {
    /// Only these, each by number, name, `@` or `@~2` [default: all]
    #[arg(value_name = "JOB")]
    jobs: Vec<Selector>,
}

/// Prints the jobs, oldest first.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let store = context.existing_store()?;
    if !args.jobs.is_empty() {
        for selector in &args.jobs {
            let id = resolve::job(&*store, selector)?;
            for job in store.export(JobId(id.0 - 1), 1)? {
                print(context, &job)?;
            }
        }
        return Ok(ExitCode::Ok);
    }
    let mut last = JobId(0);
    loop {
        let page = store.export(last, PAGE)?;
        for job in &page {
            print(context, job)?;
        }
        match page.last().and_then(id_of) {
            Some(id) if page.len() == PAGE => last = id,
            _ => return Ok(ExitCode::Ok),
        }
    }
}

/// The archive has a schema of its own, so it does not get that of the other answers.
fn print(context: &mut Context, job: &Archived) -> Result<(), CliError> {
    let line = serde_json::to_string(job)
        .map_err(|cause| CliError::store(format!("a job cannot be written as JSON: {cause}")))?;
    context.out.document(&format!("{}\n", sanitize_json(&line)))
}

/// The number that a job had in its store.
pub(super) fn id_of(job: &Archived) -> Option<JobId> {
    let row = job.rows.get("job")?.first()?;
    row.get("id")?.as_i64().map(JobId)
}
