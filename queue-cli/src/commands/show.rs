//! `qcli show`: all about one job.

use std::path::PathBuf;

use queue_core::store::Detail;
use queue_worker::worktree::Marker;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::selector::Selector;
use crate::view::{json, page};
use crate::{log_text, resolve, worktree};

/// Show all about one job
///
/// What it runs and where, how it stands and what to type about that, when its next attempt starts, every attempt with
/// its end, what it saved, what it comes after, and the last lines it wrote. Values of its environment are not shown
/// unless `--env` asks for them, and those that look secret never are.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli show 42
  qcli show nightly --lines 40
  qcli show @ --env
  qcli show 42 --json | jq .checkpoint")]
pub(crate) struct Args {
    /// The job: number, name, `@` (the last one) or `@~2`
    #[arg(value_name = "JOB", default_value = "@")]
    job: Selector,

    /// Show the values of its environment, except those that look secret
    #[arg(long)]
    env: bool,

    /// Show the last N lines of its last attempt
    #[arg(long, value_name = "N", default_value_t = 10)]
    lines: usize,
}

/// Prints the job.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let store = context.existing_store()?;
    let id = resolve::job(&*store, &args.job)?;
    let now = context.now();
    let detail = store.detail(id, &now)?;
    let tree = worktree::look(context, id);
    if context.out.is_json() {
        context
            .out
            .json(&json::detail(&detail, args.env, now.wall).with_worktree(tree))?;
    } else {
        print(args, context, &detail, tree.as_ref())?;
    }
    Ok(ExitCode::Ok)
}

fn print(
    args: &Args,
    context: &mut Context,
    detail: &Detail,
    tree: Option<&(PathBuf, Marker)>,
) -> Result<(), CliError> {
    let mut page = page::page(detail, args.env, context.out.times());
    if let Some((path, marker)) = tree {
        let place = format!("{} on branch {}", path.display(), marker.branch);
        page.facts.add("worktree", place);
    }
    let out = &mut context.out;
    out.fields(&page.facts)?;
    if let Some(env) = page.env {
        out.heading("Environment")?;
        out.fields(&env)?;
    }
    if let Some(questions) = page.questions {
        out.heading("Questions")?;
        out.fields(&questions)?;
    }
    if let Some(saved) = page.checkpoints {
        out.heading("Checkpoints")?;
        out.fields(&saved)?;
    }
    if let Some(attempts) = page.attempts {
        out.heading("Attempts")?;
        out.table(&attempts)?;
    }
    if let Some(agents) = page.agents {
        out.heading("Agent")?;
        out.table(&agents)?;
    }
    print_last_lines(args, context, detail)
}

fn print_last_lines(args: &Args, context: &mut Context, detail: &Detail) -> Result<(), CliError> {
    let last = detail
        .attempts
        .iter()
        .rev()
        .find_map(|attempt| Some((attempt, log_text::path_of(attempt, context)?)));
    let Some((attempt, path)) = last else {
        return Ok(());
    };
    let number = attempt.number;
    match log_text::last_lines(attempt, &path, args.lines) {
        Ok(lines) if lines.is_empty() => {}
        Ok(lines) => {
            context
                .out
                .heading(&format!("Last lines of attempt {number}"))?;
            for line in lines {
                context.out.document(&format!("{line}\n"))?;
            }
        }
        Err(cause) => context.out.warn(format!(
            "the log {} cannot be read: {}",
            path.display(),
            crate::error::reason_of(&cause)
        )),
    }
    Ok(())
}
