//! `qcli cancel`: ends waiting jobs, and asks running ones to stop.

use queue_core::Verb;
use queue_core::store::Cancelled;
use serde_json::json;

use crate::bulk::{self, JobsArgs, Said};
use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;

/// Cancel jobs: end those that wait, stop those that run
///
/// A job that runs is asked to stop: its worker ends the whole process tree, first kindly, then by force. `qcli wait`
/// tells when it is gone. A job that has ended stays as it is. Cancelled jobs are kept and can be requeued.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli cancel 42 43
  qcli cancel @
  qcli cancel --queue nightly --state pending
  qcli cancel --tag team=web
  qcli cancel --all")]
pub(crate) struct Args {
    #[command(flatten)]
    jobs: JobsArgs,
}

/// Cancels the jobs.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let store = context.existing_store()?;
    let now = context.now();
    let meant = args.jobs.find(&*store, Verb::Cancel)?;
    bulk::change(
        context,
        &meant,
        |ids| store.cancel(ids, &now),
        |id, done| match done {
            Cancelled::Now => Said {
                words: format!("cancelled {id}"),
                fields: json!({ "did": "cancelled", "state": "cancelled" }),
            },
            Cancelled::Asked => Said {
                words: format!("asked {id} to stop"),
                fields: json!({ "did": "asked", "state": "in_progress" }),
            },
            Cancelled::Ended(state) => Said {
                words: format!("{id} had ended before: {state}"),
                fields: json!({ "did": "nothing", "state": state }),
            },
        },
    )
}
