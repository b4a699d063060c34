//! `qcli hold`: keeps waiting jobs from starting until a person releases them.

use queue_core::Verb;
use serde_json::json;

use crate::bulk::{self, JobsArgs, Said};
use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;

/// Hold waiting jobs back until they are released
///
/// A held job keeps its place and its settings and is not started. Holding a job that is held changes nothing. A job
/// that runs cannot be held: stop it with `qcli cancel`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli hold 42
  qcli hold --queue nightly
  qcli hold --tag team=web --state pending")]
pub(crate) struct Args {
    #[command(flatten)]
    jobs: JobsArgs,
}

/// Holds the jobs.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let store = context.existing_store()?;
    let now = context.now();
    let meant = args.jobs.find(&*store, Verb::Hold)?;
    bulk::change(
        context,
        &meant,
        |ids| store.hold(ids, &now),
        |id, state| Said {
            words: format!("held {id}"),
            fields: json!({ "did": "held", "state": state }),
        },
    )
}
