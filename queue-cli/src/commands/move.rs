//! `qcli move`: changes the place of a waiting job in its line.

use queue_core::Store;
use queue_core::store::Place;
use serde_json::json;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::resolve;
use crate::selector::Selector;

/// Move a waiting job within its queue
///
/// Beside a job of another priority it takes that priority on. To move it to another queue, use `qcli edit --queue`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli move 42 --first
  qcli move 42 --before 17
  qcli edit 42 --queue nightly         to another queue")]
pub(crate) struct Args {
    /// The job, by number, name, `@` or `@~2`
    #[arg(value_name = "JOB")]
    job: Selector,

    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct PlaceArgs {
    /// Before all others of its priority
    #[arg(long)]
    first: bool,

    /// After all others of its priority
    #[arg(long)]
    last: bool,

    /// Right before this job
    #[arg(long, value_name = "JOB")]
    before: Option<Selector>,

    /// Right after this job
    #[arg(long, value_name = "JOB")]
    after: Option<Selector>,
}

/// Moves the job.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let store = context.existing_store()?;
    let job = resolve::job(&*store, &args.job)?;
    let (place, words) = args.place.find(&*store)?;
    store.reposition(job, place, &context.now())?;
    if context.out.is_json() {
        context
            .out
            .json(&json!({ "id": job, "did": "moved", "place": words }))?;
    } else if !context.out.view().quiet {
        context.out.line(format!("moved {job} {words}"))?;
    }
    Ok(ExitCode::Ok)
}

impl PlaceArgs {
    fn find(&self, store: &dyn Store) -> Result<(Place, String), CliError> {
        if let Some(other) = &self.before {
            let other = resolve::job(store, other)?;
            return Ok((Place::Before(other), format!("before {other}")));
        }
        if let Some(other) = &self.after {
            let other = resolve::job(store, other)?;
            return Ok((Place::After(other), format!("after {other}")));
        }
        Ok(match self.first {
            true => (Place::First, "to the front".to_owned()),
            false => (Place::Last, "to the end".to_owned()),
        })
    }
}
