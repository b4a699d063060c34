//! `qcli work`: a worker in the foreground.

use std::ffi::OsStr;

use queue_worker::args::WorkArgs;
use queue_worker::console::Console;
use queue_worker::{Stop, Summary, WorkerError, WorkerOptions};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;

/// Run waiting jobs, in the foreground
///
/// Several workers may run on one store, on one machine; each job is run by one of them. The first Ctrl-C (or TERM)
/// lets running jobs end and starts no more. The second ends the worker and leaves them running: the next worker adopts
/// them. Jobs run with `--direct` are stopped then and handed back without costing an attempt; a third signal kills
/// those. What happens to each job is told on standard error: `-q` for trouble only, `-v` for more, `--json` for one
/// JSON event a line.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli work                          one job per processor core, until stopped
  qcli work -j 2 --queues builds     two jobs at once, of one queue
  qcli work --drain                  work off what is there and end, for cron
  qcli work --drain=all --quiet      wait for retries and delayed jobs, too")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) work: WorkArgs,
}

/// Works until it is told to stop, or until nothing is left where so asked.
pub(crate) fn run(args: &WorkArgs, context: &mut Context) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let db = context.config.store.value.path().to_owned();
    let options = WorkerOptions {
        config: context.around.config_folder(),
        ..args.options()
    };
    let summary =
        queue_worker::run(&store, &db, options, Stop::new()).map_err(|error| explain(&error))?;
    if context.out.is_json() {
        context.out.json(&SummaryJson::from(summary))?;
    } else {
        context.out.tell(in_words(summary));
    }
    Ok(ExitCode::Ok)
}

/// Starts to tell what happens to jobs, in place of the logs of other commands.
pub(crate) fn start_telling(context: &Context) {
    let filter = context.around.variable("QUEUE_LOG").and_then(OsStr::to_str);
    Console {
        is_quiet: context.global.quiet,
        verbosity: context.global.verbose,
        is_json: context.global.json,
    }
    .start(filter);
}

fn explain(error: &WorkerError) -> CliError {
    let mut told = CliError::store(error.to_string());
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        told = told.detail(error.to_string());
        cause = error.source();
    }
    told.hint(
        "`qcli doctor` looks at the store; jobs that ran here are taken up by the next worker",
    )
}

/// What the worker did, with the names of its counts as keys.
#[derive(Debug, Serialize)]
struct SummaryJson {
    completed: u64,
    failed: u64,
    retried: u64,
    asking: u64,
    cancelled: u64,
    returned: u64,
    lost: u64,
    left: u64,
}

impl From<Summary> for SummaryJson {
    fn from(summary: Summary) -> Self {
        let Summary {
            completed,
            failed,
            retried,
            asking,
            cancelled,
            returned,
            lost,
            left,
        } = summary;
        Self {
            completed,
            failed,
            retried,
            asking,
            cancelled,
            returned,
            lost,
            left,
        }
    }
}

/// The counts that are not zero, as one line.
fn in_words(summary: Summary) -> String {
    let counts = [
        (summary.completed, "completed"),
        (summary.failed, "failed"),
        (summary.cancelled, "cancelled"),
        (summary.retried, "to be tried again"),
        (summary.asking, "waiting for an answer"),
        (summary.returned, "put back in line"),
        (summary.lost, "lost to other workers"),
        (summary.left, "left running for the next worker"),
    ];
    let parts: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if parts.is_empty() {
        "nothing was to do".to_owned()
    } else {
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_leaves_out_what_did_not_happen() {
        let summary = Summary {
            completed: 3,
            retried: 1,
            ..Summary::default()
        };
        assert_eq!(in_words(summary), "3 completed, 1 to be tried again");
        let summary = Summary {
            left: 2,
            ..Summary::default()
        };
        assert_eq!(in_words(summary), "2 left running for the next worker");
        assert_eq!(in_words(Summary::default()), "nothing was to do");
    }
}
