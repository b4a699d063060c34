//! `qcli`: how people and programs reach the queue.
//!
//! Each command translates between a person and `queue-core` and holds no rules of its own. What a command may say goes
//! through three doors: [`output`] is the only one to standard output, [`error`] the only form of an error, and
//! [`exit_code`] the only list of exit codes. Where the store is and who said so is [`config`]; how people write jobs,
//! moments and environment files is [`selector`], [`moment`] and [`env_file`]. One command is one file below
//! `commands/`; [`run`] is the way through it: parse, open, run, render, exit code. [`worker`] is the verb `work` as the
//! program `queue-worker`.

mod agents;
pub mod args;
mod bulk;
mod commands;
pub mod config;
mod context;
pub mod env_file;
pub mod environment;
pub mod error;
pub mod exit_code;
mod filter;
mod interrupt;
mod log_text;
mod logging;
pub mod moment;
mod nearest;
mod new_job;
mod open;
pub mod output;
mod paging;
mod probe;
mod resolve;
pub mod selector;
mod since;
mod stdin;
mod stuck;
pub mod view;
mod watch;
pub mod worker;
mod worktree;

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches};

use crate::args::GlobalArgs;
use crate::commands::Cli;
use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output::color::ColorChoice;
use crate::output::{Output, View};

/// Runs `qcli` with the arguments of this process.
#[must_use]
pub fn main() -> std::process::ExitCode {
    run(std::env::args_os()).into()
}

/// Runs `qcli` with given arguments, the first of which is the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let parsed = command()
        .try_get_matches_from(&args)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return not_parsed(&error, &args),
    };
    in_context(cli.global, |context| {
        commands::start_logging(cli.verb.as_ref(), context);
        commands::run(cli.verb, context)
    })
}

/// Settles what every command works with, runs it, and tells how it ended.
fn in_context(
    global: GlobalArgs,
    command: impl FnOnce(&mut Context) -> Result<ExitCode, CliError>,
) -> ExitCode {
    let json = global.json;
    let mut context = match context::of_process(global) {
        Ok(context) => context,
        Err(error) => {
            Output::of_process(View::of_process(ColorChoice::Auto, json, false)).error(&error);
            return error.exit_code();
        }
    };
    let ended = command(&mut context).and_then(|code| context.out.flush().map(|()| code));
    ended.unwrap_or_else(|error| {
        context.out.error(&error);
        error.exit_code()
    })
}

/// The whole command tree, as help, completions and the reference page see it.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command().name("qcli").bin_name("qcli")
}

/// Answers a command line that names no command: help and version go to standard output, what cannot be understood to
/// standard error, as JSON where that was asked for.
fn not_parsed(error: &clap::Error, args: &[OsString]) -> ExitCode {
    let asks_for_json = args
        .iter()
        .take_while(|arg| *arg != "--")
        .any(|arg| arg == "--json");
    if error.use_stderr() && asks_for_json {
        let view = View::of_process(ColorChoice::Auto, true, false);
        Output::of_process(view).error(&as_cli_error(error));
        return ExitCode::Usage;
    }
    // Nobody can be told that a stream does not work; the exit code still says how it ended.
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::Usage
    } else {
        ExitCode::Ok
    }
}

/// The first paragraph of what clap says, and the rest as details.
fn as_cli_error(error: &clap::Error) -> CliError {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines
        .next()
        .unwrap_or("the command line cannot be understood");
    let message = first.strip_prefix("error: ").unwrap_or(first);
    lines.fold(CliError::usage(message), CliError::detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn what_clap_refuses_becomes_an_error_of_ours() {
        let error = command()
            .try_get_matches_from(["qcli", "hold", "--nonsense"])
            .unwrap_err();
        let error = as_cli_error(&error);
        assert_eq!(error.exit_code(), ExitCode::Usage);
        assert!(error.message().contains("--nonsense"), "{error}");
    }
}
