//! `qcli prune`: removes ended jobs and their logs.
//!
//! Jobs go first, in small transactions so that workers are not held up; the logs and worktrees of a batch are removed
//! after its commit, and only those inside the store's own directories. What is cut short leaves files behind, never a
//! job without its log; and no worktree goes before its work is saved in its repository.

mod logs;

use std::time::Duration;

use queue_core::store::{Filter, Prune};
use queue_core::{JobId, State, Store, Timestamp};
use serde_json::json;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::new_job::parse;
use crate::worktree;
use logs::LogDirectory;

/// Jobs removed, or looked at, in one transaction.
const BATCH: usize = 1_000;

/// Remove ended jobs, their history, their logs and their worktrees
///
/// Completed and cancelled jobs, unless --state says otherwise: failed ones are kept until they are asked for. A job that
/// another one still waits for is kept. What a worktree holds that is on no other branch is saved first, as `qcli discard`
/// does. The queue itself never removes anything.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli prune --older-than 7d --dry-run
  qcli prune --older-than 7d
  qcli prune --older-than 30d --state failed
  qcli prune --older-than 0s --queue scratch")]
pub(crate) struct Args {
    /// Those that ended longer ago than this, such as 7d
    #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
    older_than: Duration,

    /// In these states: completed, failed, cancelled
    #[arg(
        long,
        value_name = "STATE",
        value_delimiter = ',',
        default_value = "completed,cancelled"
    )]
    state: Vec<State>,

    /// Only those of this queue
    #[arg(long, value_name = "QUEUE")]
    queue: Option<String>,

    /// Count them and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// What was removed.
#[derive(Debug, Default)]
struct Removed {
    jobs: u64,
    logs: u64,
    /// Worktrees removed.
    trees: u64,
    /// Logs and trees that were not removed, and why.
    kept: Vec<String>,
}

/// Removes the jobs.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    if let Some(state) = args.state.iter().find(|state| !state.is_ended()) {
        return Err(CliError::usage(format!(
            "jobs that are {state} have not ended and are not removed"
        ))
        .hint("cancel them first, as in `qcli cancel --state pending`"));
    }
    let store = context.existing_store()?;
    let prune = Prune {
        states: args.state.clone(),
        ended_before: context.now().wall.saturating_sub(args.older_than),
        queue: args.queue.clone(),
    };
    if args.dry_run {
        let jobs = count(&*store, &prune, context)?;
        return report(
            context,
            &Removed {
                jobs,
                ..Removed::default()
            },
            true,
        );
    }
    let directory = LogDirectory::of(context.config.store.value.path());
    let mut removed = Removed::default();
    loop {
        let batch = store.prune(&prune, BATCH, &context.now())?;
        for job in &batch {
            removed.jobs += 1;
            for log in &job.logs {
                match directory.delete(log) {
                    Ok(deleted) => removed.logs += u64::from(deleted),
                    Err(why) => removed.kept.push(format!("the log {log}: {why}")),
                }
            }
            match remove_tree(context, job.job, job.attempt) {
                Ok(gone) => removed.trees += u64::from(gone),
                Err(error) => removed.kept.push(error.message().to_owned()),
            }
        }
        if batch.is_empty() {
            break;
        }
    }
    report(context, &removed, false)
}

fn report(context: &mut Context, removed: &Removed, dry_run: bool) -> Result<ExitCode, CliError> {
    for kept in &removed.kept {
        context.out.warn(format!("not removed: {kept}"));
    }
    if context.out.is_json() {
        context.out.json(&json!({
            "jobs": removed.jobs,
            "logs": removed.logs,
            "worktrees": removed.trees,
            "kept": removed.kept.len(),
            "dry_run": dry_run,
        }))?;
        return Ok(ExitCode::Ok);
    }
    let jobs = match removed.jobs {
        1 => "1 job".to_owned(),
        count => format!("{count} jobs"),
    };
    let words = match dry_run {
        true => format!("would remove {jobs}, less those that another job still waits for"),
        false => match removed.trees {
            0 => format!("removed {jobs} and {} logs", removed.logs),
            trees => format!(
                "removed {jobs}, {} logs and {trees} worktrees; `qcli rescue list` shows what was saved of these",
                removed.logs
            ),
        },
    };
    context.out.line(words)?;
    Ok(ExitCode::Ok)
}

/// Removes the tree of a job that is gone, once its work is saved. Says whether there was one.
fn remove_tree(context: &Context, id: JobId, attempt: u32) -> Result<bool, CliError> {
    let place = worktree::place(context, id);
    match place.read()? {
        None => Ok(false),
        Some(_) => worktree::take_away(&place, attempt, true).map(|_| true),
    }
}

/// Counts what a prune would look at, page by page.
fn count(store: &dyn Store, prune: &Prune, context: &Context) -> Result<u64, CliError> {
    let now = context.now();
    let ended_before = |at: Option<Timestamp>| at.is_some_and(|at| at < prune.ended_before);
    let mut before: Option<JobId> = None;
    let mut jobs = 0;
    loop {
        let filter = Filter {
            states: prune.states.clone(),
            queues: prune.queue.iter().cloned().collect(),
            before,
            most: Some(BATCH),
            ..Filter::default()
        };
        let page = store.list(&filter, &now)?;
        jobs += page
            .iter()
            .filter(|summary| ended_before(summary.job.finished_at))
            .count() as u64;
        match page.last() {
            Some(last) if page.len() == BATCH => before = Some(last.job.id),
            _ => return Ok(jobs),
        }
    }
}
