//! `qcli why`: what keeps a job from running, and the command that changes it.

use queue_core::store::Summary;
use queue_core::why::Cause;
use queue_core::{JobId, State};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::resolve;
use crate::selector::Selector;
use crate::view::cause::{CauseJson, explain};
use crate::view::next::again;
use crate::view::{ended, json, line};

/// Say why a job does not run, and what changes that
///
/// Every cause is named, the first thing to mend in front, each with the commands that change it. Of a job that runs or
/// has ended it says so. Asking changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli why 42
  qcli why @ --json | jq -r '.causes[].remedies[]'")]
pub(crate) struct Args {
    /// The job: number, name, `@` (the last one) or `@~2`
    #[arg(value_name = "JOB", default_value = "@")]
    job: Selector,
}

/// The answer as JSON.
#[derive(Serialize)]
struct Answer {
    id: JobId,
    state: State,
    condition: String,
    causes: Vec<CauseJson>,
    /// What one may want to do with a job that nothing keeps.
    next: Option<String>,
}

/// Prints the causes.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let store = context.existing_store()?;
    let id = resolve::job(&*store, &args.job)?;
    let now = context.now();
    let detail = store.detail(id, &now)?;
    let (summary, causes) = (&detail.summary, &detail.causes);
    if context.out.is_json() {
        context.out.json(&Answer {
            id,
            state: summary.job.state,
            condition: line::stands(summary, now.wall),
            causes: json::causes(causes, summary, now.wall),
            next: next(summary),
        })?;
    } else {
        print(context, summary, causes)?;
    }
    Ok(ExitCode::Ok)
}

fn print(context: &mut Context, summary: &Summary, causes: &[Cause]) -> Result<(), CliError> {
    let times = context.out.times();
    context.out.line(headline(summary))?;
    if let Some(message) = ended::message(&summary.job, summary.last.as_ref()) {
        context.out.line(format!("  {message}"))?;
    }
    for cause in causes {
        let explained = explain(cause, &summary.job, times);
        context.out.line(format!("  {}", explained.sentence))?;
        for remedy in explained.remedies {
            context.out.line(format!("    {remedy}"))?;
        }
    }
    if let Some(next) = next(summary).filter(|_| causes.is_empty()) {
        context.out.line(format!("    {next}"))?;
    }
    Ok(())
}

/// `job 4 (nightly) is blocked`
fn headline(summary: &Summary) -> String {
    let job = &summary.job;
    let who = match &job.name {
        Some(name) => format!("job {} ({name})", job.id),
        None => format!("job {}", job.id),
    };
    match job.state {
        State::InProgress => format!(
            "{who} runs: attempt {} of {}{}",
            job.attempt,
            job.max_attempts,
            summary
                .last
                .as_ref()
                .map(|last| format!(
                    " on worker {}",
                    last.adopted_by.as_ref().unwrap_or(&last.worker_name)
                ))
                .unwrap_or_default()
        ),
        state if state.is_ended() => {
            format!("{who} {}", ended::words(job, summary.last.as_ref()))
        }
        state => format!("{who} is {state}"),
    }
}

fn next(summary: &Summary) -> Option<String> {
    let id = summary.job.id;
    match summary.job.state {
        State::InProgress => Some(format!("qcli logs -f {id}")),
        State::Failed | State::Cancelled => Some(again(&summary.job)),
        State::Completed | State::Pending | State::Scheduled | State::Blocked => None,
    }
}
