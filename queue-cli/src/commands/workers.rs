//! `qcli workers`: who works, and on what.

use queue_core::Timestamp;
use queue_core::worker::Worker;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
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
    let now = context.now().wall;
    let mut workers = store.workers()?;
    workers.retain(|worker| args.all || worker::life(worker, now) != Life::Stopped);
    if context.out.is_json() {
        let mut array = context.out.json_array()?;
        for worker in &workers {
            array.item(&WorkerJson::new(worker, now))?;
        }
        array.end()?;
    } else {
        print(context, &workers, now)?;
    }
    Ok(ExitCode::Ok)
}

fn print(context: &mut Context, workers: &[Worker], now: Timestamp) -> Result<(), CliError> {
    if workers.is_empty() {
        context
            .out
            .note("no worker is alive; start one with `qcli work`");
        return Ok(());
    }
    let table = worker::table(workers, context.out.times(), now);
    context.out.table(&table)
}
