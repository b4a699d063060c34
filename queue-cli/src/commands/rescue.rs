//! `qcli rescue`: the work that was saved when worktrees were removed.

use std::path::PathBuf;

use queue_core::Timestamp;
use queue_worker::worktree::rescue::{self, Rescue};
use queue_worker::worktree::{Repository, WorktreeError};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output::table::{Cell, Column, Table};
use crate::output::time::rfc3339;

/// List and restore work that was saved before its worktree was removed
///
/// Each rescue is a commit under `refs/queue/rescue/` in the repository that the job worked in. It stays until you delete
/// it with `git update-ref -d REF`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli rescue list
  qcli rescue restore 42
  qcli rescue restore refs/queue/rescue/42/2 --branch second-look
  git show refs/queue/rescue/42/2 --stat")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: RescueVerb,
}

#[derive(Debug, clap::Subcommand)]
enum RescueVerb {
    /// Show what was saved in a repository, the newest first
    List {
        /// The repository [default: the one of the current directory]
        #[arg(long, value_name = "DIR")]
        repo: Option<PathBuf>,
    },
    /// Make a branch of what was saved
    Restore {
        /// The number of the job, for its newest rescue, or the ref
        #[arg(value_name = "JOB|REF")]
        which: String,
        /// The branch to make [default: `rescue/JOB-ATTEMPT`]
        #[arg(long, value_name = "NAME")]
        branch: Option<String>,
        /// The repository [default: the one of the current directory]
        #[arg(long, value_name = "DIR")]
        repo: Option<PathBuf>,
    },
}

/// Runs the verb.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    match &args.verb {
        RescueVerb::List { repo } => list(context, &repository(context, repo.as_ref())?)?,
        RescueVerb::Restore {
            which,
            branch,
            repo,
        } => {
            let repository = repository(context, repo.as_ref())?;
            restore(context, &repository, which, branch.as_deref())?;
        }
    }
    Ok(ExitCode::Ok)
}

fn repository(context: &Context, named: Option<&PathBuf>) -> Result<Repository, CliError> {
    let here = &context.around.cwd;
    let directory = named.map_or_else(|| here.clone(), |named| here.join(named));
    Repository::containing(&directory).map_err(|error| match error {
        WorktreeError::NoRepository(path) => {
            CliError::usage(format!("{} is in no git repository", path.display()))
                .hint("name the one that the job worked in, as in `--repo ~/src/shop`")
        }
        other => other.into(),
    })
}

fn rescues(repository: &Repository) -> Result<Vec<Rescue>, CliError> {
    rescue::list(repository, None).map_err(|error| WorktreeError::Git(error).into())
}

fn list(context: &mut Context, repository: &Repository) -> Result<(), CliError> {
    let rescues = rescues(repository)?;
    if context.out.is_json() {
        let listed: Vec<Value> = rescues.iter().map(fields).collect();
        return context.out.json(&json!(listed));
    }
    if rescues.is_empty() {
        context.out.note(format!(
            "nothing was rescued in {}",
            repository.checkout.display()
        ));
        return Ok(());
    }
    let times = context.out.times();
    let mut table = Table::new([
        Column::right("JOB"),
        Column::left("SAVED"),
        Column::left("REF"),
        Column::flexible("WHAT"),
    ]);
    for rescue in &rescues {
        table.row([
            Cell::from(rescue.job.to_string()),
            Cell::from(times.relative(saved_at(rescue))),
            Cell::from(rescue.name.clone()),
            Cell::from(rescue.subject.clone()),
        ]);
    }
    context.out.table(&table)
}

fn fields(rescue: &Rescue) -> Value {
    json!({
        "job": rescue.job,
        "ref": rescue.name,
        "commit": rescue.commit,
        "saved_at": rfc3339(saved_at(rescue)),
        "subject": rescue.subject,
    })
}

fn saved_at(rescue: &Rescue) -> Timestamp {
    Timestamp::from_millis(rescue.at.saturating_mul(1_000))
}

fn restore(
    context: &mut Context,
    repository: &Repository,
    which: &str,
    branch: Option<&str>,
) -> Result<(), CliError> {
    let all = rescues(repository)?;
    let is_meant = |rescue: &&Rescue| rescue.name == which || rescue.job.to_string() == which;
    let rescue = all.iter().find(is_meant).ok_or_else(|| {
        CliError::not_found(format!(
            "nothing was rescued of `{which}` in {}",
            repository.checkout.display()
        ))
        .hint("`qcli rescue list` shows what was")
    })?;
    let default = rescue
        .name
        .trim_start_matches("refs/queue/")
        .replacen('/', "\0", 1);
    let default = default.replace('/', "-").replace('\0', "/");
    let branch = branch.unwrap_or(&default);
    rescue::restore(repository, rescue, branch)?;
    if context.out.is_json() {
        let restored = json!({ "branch": branch, "ref": rescue.name, "commit": rescue.commit });
        return context.out.json(&restored);
    }
    context.out.line(format!(
        "branch {branch} has {}: `git switch {branch}`",
        rescue.subject
    ))
}
