//! `qcli release`: lets held jobs go, and scheduled ones run now.

use queue_core::{State, Verb};
use serde_json::json;

use crate::bulk::{self, JobsArgs, Said};
use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;

/// Let held jobs go, and scheduled ones run now
///
/// A held job goes back to where it belongs: it may still wait for a time or for another job. A scheduled job, or one
/// that waits for its next attempt, can start at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli release 42
  qcli release --queue nightly --state blocked
  qcli release --all")]
pub(crate) struct Args {
    #[command(flatten)]
    jobs: JobsArgs,
}

/// Releases the jobs.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let store = context.existing_store()?;
    let now = context.now();
    let meant = args.jobs.find(&*store, Verb::Release)?;
    bulk::change(
        context,
        &meant,
        |ids| store.release(ids, &now),
        |id, state| Said {
            words: match state {
                State::Pending => format!("released {id}"),
                state => format!("released {id}: it is {state}, `qcli why {id}` says why"),
            },
            fields: json!({ "did": "released", "state": state }),
        },
    )
}
