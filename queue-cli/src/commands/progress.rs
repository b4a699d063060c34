//! `qcli progress`: how far an attempt is, told from inside the job.

use std::str::FromStr;

use queue_core::attempt::Progress;
use serde_json::json;

use super::checkpoint::own_attempt;
use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;

/// Tell how far a job is, from inside it
///
/// `qcli show` and `qcli list` show it while the job runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli progress 3/10
  qcli progress 3/10 compiling the tests
  qcli progress 1200                     the number of steps is not known")]
pub(crate) struct Args {
    /// Steps done, of how many
    #[arg(value_name = "N[/M]")]
    steps: Steps,

    /// What it does now
    #[arg(value_name = "TEXT")]
    text: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Steps {
    done: u64,
    total: Option<u64>,
}

impl FromStr for Steps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (done, total) = match text.split_once('/') {
            Some((done, total)) => (done, Some(total)),
            None => (text, None),
        };
        let number = |part: &str| {
            part.trim().parse().map_err(|_| {
                format!("`{text}` is no progress: write `3/10`, or `3` where the end is not known")
            })
        };
        let done = number(done)?;
        let total = total.map(number).transpose()?;
        if total.is_some_and(|total| total < done) {
            return Err(format!("`{text}` has more steps done than there are"));
        }
        Ok(Self { done, total })
    }
}

/// Notes the progress.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let (job, epoch) = own_attempt(&context.around, "progress")?;
    let text = args.text.join(" ");
    let progress = Progress {
        done: args.steps.done,
        total: args.steps.total,
        text: (!text.is_empty()).then_some(text),
    };
    context
        .existing_store()?
        .progress(job, epoch, &progress, &context.now())?;
    if context.out.is_json() {
        context
            .out
            .json(&json!({ "job": job, "progress": progress }))?;
    }
    Ok(ExitCode::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_read_with_and_without_their_end() {
        let steps = |text: &str| text.parse::<Steps>().map(|steps| (steps.done, steps.total));
        assert_eq!(steps("3/10"), Ok((3, Some(10))));
        assert_eq!(steps("3"), Ok((3, None)));
        for text in ["", "a", "3/", "11/10", "-1/2", "1/2/3"] {
            assert!(steps(text).is_err(), "{text}");
        }
    }
}
