//! `qcli discard`: removes the worktree of a job whose work is not wanted, and keeps the work all the same.

use serde_json::json;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::selector::Selector;
use crate::worktree;

/// Remove the worktree and branch of a job
///
/// Nothing is lost: what is on no other branch, committed or not, staged or untracked, is saved first under
/// `refs/queue/rescue/JOB/ATTEMPT` in the repository. Files that git ignores are not. A tree in which processes still
/// work, or that another repository lies in, is left alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli discard 42
  qcli discard 42 43 44
  qcli rescue restore 42          brings it back as a branch")]
pub(crate) struct Args {
    /// Jobs, each by number, name, `@` or `@~2`
    #[arg(value_name = "JOB", required = true)]
    jobs: Vec<Selector>,

    /// Do not run the tear-down command of the tree
    #[arg(long)]
    no_teardown: bool,
}

/// Removes the trees.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let store = context.existing_store()?;
    let mut worst = ExitCode::Ok;
    let mut all = Vec::new();
    for selector in &args.jobs {
        let removed = worktree::ended_job(&*store, selector).and_then(|job| {
            let place = worktree::place(context, job.id);
            let removed = worktree::take_away(&place, job.attempt, !args.no_teardown)?;
            Ok((job.id, removed))
        });
        match removed {
            Ok((id, removed)) if context.out.is_json() => {
                all.push(worktree::fields(id, &removed));
            }
            Ok((id, removed)) => {
                for line in worktree::lines(id, &removed) {
                    context.out.line(line)?;
                }
            }
            Err(error) if args.jobs.len() == 1 => return Err(error),
            Err(error) => {
                worst = error.exit_code();
                context.out.error(&error);
            }
        }
    }
    if context.out.is_json() {
        context.out.json(&json!(all))?;
    }
    Ok(worst)
}
