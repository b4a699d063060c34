//! `qcli accept`: takes the work of a job's worktree over into a branch.

use queue_core::{Job, Store};
use queue_worker::worktree::{Accepted, Conflicts, Manner, Offer, accept};
use serde_json::json;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output::table::truncate;
use crate::selector::Selector;
use crate::view::command;
use crate::worktree;

/// Take the work of a job over into a branch, and remove its worktree
///
/// What the job left uncommitted is committed to its branch first. Whether all fits is found out before anything is
/// changed: with conflicts nothing changes, and the files are named. Where the target branch is checked out, its files
/// follow; what is not committed there is never touched.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli accept 42                         merge into the branch it started from
  qcli accept 42 --squash -m 'Add login'
  qcli accept 42 --onto release --cherry-pick
  qcli accept 42 --keep                  and leave its worktree there")]
pub(crate) struct Args {
    /// The job: number, name, `@` (the last one) or `@~2`
    #[arg(value_name = "JOB")]
    job: Selector,

    /// The branch that takes the work [default: the one it started from]
    #[arg(long, value_name = "BRANCH")]
    onto: Option<String>,

    /// Take it as one new commit
    #[arg(long, conflicts_with = "cherry_pick")]
    squash: bool,

    /// Take its commits one by one, without a merge
    #[arg(long)]
    cherry_pick: bool,

    /// The message of the new commit [default: the job's name or command]
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,

    /// Leave the worktree and its branch there
    #[arg(long)]
    keep: bool,

    /// Do not run the tear-down command of the tree
    #[arg(long)]
    no_teardown: bool,
}

/// Takes the work over.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let store = context.existing_store()?;
    let job = worktree::ended_job(&*store, &args.job)?;
    let place = worktree::place(context, job.id);
    let offer = Offer {
        onto: args.onto.clone(),
        manner: match (args.squash, args.cherry_pick) {
            (true, _) => Manner::Squash,
            (_, true) => Manner::CherryPick,
            _ => Manner::Merge,
        },
        message: match &args.message {
            Some(message) => message.clone(),
            None => default_message(&*store, &job, context)?,
        },
    };
    let accepted = accept(&place, &offer)?;
    let words = match &accepted {
        Accepted::Conflicts(conflicts) => return Err(conflict(&job, conflicts)),
        Accepted::Nothing => format!("job {} changed nothing", job.id),
        Accepted::Into {
            onto,
            commit,
            commits,
        } => {
            let count = match commits {
                1 => "1 commit".to_owned(),
                many => format!("{many} commits"),
            };
            format!("job {} is in {onto} at {}: {count}", job.id, short(commit))
        }
    };
    if !context.out.is_json() {
        context.out.line(words)?;
    }
    let removed = match args.keep {
        true => None,
        false => Some(worktree::take_away(&place, job.attempt, !args.no_teardown)?),
    };
    if context.out.is_json() {
        let (onto, commit, commits) = match accepted {
            Accepted::Into {
                onto,
                commit,
                commits,
            } => (Some(onto), Some(commit), commits),
            _ => (None, None, 0),
        };
        context.out.json(&json!({
            "id": job.id,
            "onto": onto,
            "commit": commit,
            "commits": commits,
            "removed": removed.map(|removed| worktree::fields(job.id, &removed)),
        }))?;
        return Ok(ExitCode::Ok);
    }
    for line in removed
        .iter()
        .flat_map(|removed| worktree::lines(job.id, removed))
    {
        context.out.line(line)?;
    }
    Ok(ExitCode::Ok)
}

fn default_message(store: &dyn Store, job: &Job, context: &Context) -> Result<String, CliError> {
    const SUBJECT: usize = 60;
    let what = match &job.name {
        Some(name) => name.clone(),
        None => command::one_line(&store.detail(job.id, &context.now())?.summary.command),
    };
    Ok(format!("{} (job {})", truncate(&what, SUBJECT), job.id))
}

fn conflict(job: &Job, conflicts: &Conflicts) -> CliError {
    let Conflicts {
        onto,
        branch,
        files,
    } = conflicts;
    let mut error = CliError::conflict(format!(
        "the work of job {} conflicts with {onto}; nothing was changed",
        job.id
    ));
    for file in files {
        error = error.detail(format!("both changed {file}"));
    }
    error.hint(format!(
        "merge it by hand: `git switch {onto} && git merge {branch}`, then `qcli discard {}`",
        job.id
    ))
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}
