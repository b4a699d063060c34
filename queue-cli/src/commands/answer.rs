//! `qcli answer`: answers what a job asks.

use queue_core::State;
use queue_core::question::MAX_ANSWER;
use serde_json::json;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::resolve;
use crate::selector::Selector;
use crate::stdin;

/// Answer what a job asks
///
/// The job goes back to its place in the line, and its next attempt is told: an agent goes on with its session. A job
/// that still runs is told when it ends, or at once where it waits. `qcli list` shows which jobs ask, `qcli show` the
/// whole question.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli answer 42 'the one in docker-compose.yml'
  qcli answer 42 yes
  qcli answer 42 - < answer.txt          keeps it out of the shell's history")]
pub(crate) struct Args {
    /// The job, by number, name, `@` or `@~2`
    #[arg(value_name = "JOB")]
    job: Selector,

    /// The answer; `-` reads it from standard input
    #[arg(value_name = "TEXT", allow_hyphen_values = true)]
    text: String,
}

/// Answers.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let store = context.existing_store()?;
    let job = resolve::job(&*store, &args.job)?;
    let text = match args.text.as_str() {
        "-" => stdin::text("the answer", MAX_ANSWER)?,
        text => text.to_owned(),
    };
    let text = text.trim_end_matches(['\n', '\r']);
    let answered = store.answer(job, text, &context.now())?;
    let (question, state) = (&answered.question, answered.state);
    if !question.choices.is_empty() && !question.choices.iter().any(|choice| choice == text) {
        let choices = question.choices.join(", ");
        context
            .out
            .warn(format!("the answer is none of those it offered: {choices}"));
    }
    if context.out.is_json() {
        context.out.json(&json!({
            "id": job, "did": "answered", "state": state,
            "number": question.number, "question": question.text,
        }))?;
        return Ok(ExitCode::Ok);
    }
    if context.out.view().quiet {
        return Ok(ExitCode::Ok);
    }
    context.out.line(match state {
        State::Pending => format!("answered {job}"),
        State::InProgress => {
            format!("answered {job}: it still runs, and has the answer when it goes on")
        }
        state => format!("answered {job}: it is {state}, `qcli why {job}` says why"),
    })?;
    Ok(ExitCode::Ok)
}
