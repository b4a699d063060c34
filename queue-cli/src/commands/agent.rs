//! `qcli agent`: what the queue knows of coding agents.

mod classify;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;

/// Look into what coding agents print
///
/// Headless agents (claude, codex, gemini, opencode, aider, qwen, cursor, goose, agy) tell by their output how they ended,
/// and hardly by their exit code. Ordered rules read it; `rules.toml` in your configuration directory changes them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli agent classify saved.jsonl --exit-code 1
  claude -p hello --output-format json | qcli agent classify -")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: AgentVerb,
}

#[derive(Debug, clap::Subcommand)]
enum AgentVerb {
    Classify(classify::Args),
}

/// Runs the verb.
pub(crate) fn run(args: Args, context: &mut Context) -> Result<ExitCode, CliError> {
    match args.verb {
        AgentVerb::Classify(args) => classify::run(&args, context),
    }
}
