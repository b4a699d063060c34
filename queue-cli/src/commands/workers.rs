//! `qcli workers`: who works, and on what.

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::probe;
use crate::view::worker::{self, Life, WorkerJson};

/// Show the workers: which are alive, what they serve, how busy they are
///
/// A worker is alive while it writes to the store. One that stopped writing without having said so is shown as dead; the
/// jobs it had are taken over by another worker.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli workers
  qcli workers --all
  qcli workers --json | jq '.[] | select(.alive) | .name'")]
pub(crate) struct Args {
    /// Show those that stopped in order, too
    #[arg(long)]
    all: bool,
}

/// Prints the workers.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let store = context.existing_store()?;
    let mut workers = probe::workers(&*store, context.now().wall)?;
    workers.retain(|(_, life)| args.all || *life != Life::Stopped);
    if context.out.is_json() {
        let mut array = context.out.json_array()?;
        for (worker, life) in &workers {
            array.item(&WorkerJson::new(worker, *life))?;
        }
        array.end()?;
    } else if workers.is_empty() {
        context
            .out
            .note("no worker is alive; start one with `qcli work`");
    } else {
        let table = worker::table(&workers, context.out.times());
        context.out.table(&table)?;
    }
    Ok(ExitCode::Ok)
}
