//! `qcli requeue`: runs ended jobs again.

use std::time::Duration;

use queue_core::budget::Most;
use queue_core::money::Usd;
use queue_core::store::{Requeue, Requeued};
use queue_core::{JobId, State, Verb};
use serde_json::json;

use crate::bulk::{self, JobsArgs, Said};
use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::new_job::{budget, parse};

/// Run ended jobs again
///
/// The job keeps its number, its checkpoints and the history of its attempts, and gets all its attempts anew. What comes
/// after it stays as it is, unless --with-dependants runs that again too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli requeue 42
  qcli requeue --failed
  qcli requeue --failed --queue nightly --class timeout
  qcli requeue 42 --with-dependants
  qcli requeue --failed --delay 10m
  qcli requeue --failed --class over_budget --max-cost 5")]
pub(crate) struct Args {
    #[command(flatten)]
    jobs: JobsArgs,

    /// All failed jobs, or those of them that the filter lets through
    #[arg(long, conflicts_with_all = ["jobs", "state", "all"], help_heading = "Which jobs")]
    failed: bool,

    /// Run the ended jobs that come after them again too
    #[arg(long)]
    with_dependants: bool,

    /// Not before this long from now
    #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
    delay: Option<Duration>,

    /// Let its agent cost so much at the most from now on, with all that it has cost so far
    #[arg(long, value_name = "USD", value_parser = budget::cost)]
    max_cost: Option<Usd>,

    /// Let its agent use so many tokens at the most from now on, with all that it has used so far
    #[arg(long, value_name = "N", value_parser = budget::tokens)]
    max_tokens: Option<u64>,
}

/// Requeues the jobs.
pub(crate) fn run(mut args: Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let store = context.existing_store()?;
    let now = context.now();
    if args.failed {
        args.jobs.filter.state = vec![State::Failed];
    }
    let meant = args.jobs.find(&*store, Verb::Requeue)?;
    if meant.ids.is_empty() && meant.missing.is_empty() {
        context.out.note("no job to requeue");
    }
    let requeue = Requeue {
        with_dependants: args.with_dependants,
        delay: args.delay,
        most: Most {
            cost: args.max_cost,
            tokens: args.max_tokens,
        },
    };
    bulk::change(
        context,
        &meant,
        |ids| store.requeue(ids, &requeue, &now),
        |id, done| say(id, &done),
    )
}

fn say(id: JobId, done: &Requeued) -> Said {
    let mut words = match done.state {
        State::Pending => format!("requeued {id}"),
        state => format!("requeued {id}: it is {state}, `qcli why {id}` says why"),
    };
    if !done.dependants.is_empty() {
        let numbers: Vec<_> = done.dependants.iter().map(ToString::to_string).collect();
        words.push_str(&format!(", and after it {}", numbers.join(" ")));
    }
    Said {
        words,
        fields: json!({ "did": "requeued", "state": done.state, "dependants": done.dependants }),
    }
}
