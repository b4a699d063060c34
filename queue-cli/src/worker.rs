//! The program `queue-worker`: the verb `work` as a program of its own, for service managers and scripts.
//!
//! Owns its help; everything else is that of `qcli work`: the options, the settings that say where the store is, what is
//! told and how it ends. So a worker that a service starts in a project works on the store that `qcli` uses there.

use clap::{CommandFactory, FromArgMatches, Parser};
use queue_worker::args::WorkArgs;

use crate::args::GlobalArgs;
use crate::commands::work;
use crate::exit_code::ExitCode;

/// Runs the jobs of a queue
///
/// The same as `qcli work`, for service managers and scripts. The first INT or TERM lets running jobs end and starts no
/// more. The second ends the worker and leaves them running: the next worker adopts them. Jobs run with `--direct` are
/// stopped then and handed back without costing an attempt; a third signal kills those.
#[derive(Debug, Parser)]
#[command(
    name = "queue-worker",
    version,
    max_term_width = 100,
    after_help = "Examples:
  queue-worker                        work until stopped
  queue-worker --drain                work off what is there and end, for cron
  queue-worker -j 2 --queues builds   two jobs at once, of one queue"
)]
struct Arguments {
    #[command(flatten)]
    work: WorkArgs,

    #[command(flatten)]
    global: GlobalArgs,
}

/// The command line, as help and the reference page show it.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs `queue-worker` with the arguments of this process.
#[must_use]
pub fn main() -> std::process::ExitCode {
    run(&std::env::args_os().collect::<Vec<_>>()).into()
}

fn run(args: &[std::ffi::OsString]) -> ExitCode {
    let parsed = command()
        .try_get_matches_from(args)
        .and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) => return crate::not_parsed(&error, args),
    };
    crate::in_context(arguments.global, |context| {
        work::start_telling(context);
        work::run(&arguments.work, context)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        command().debug_assert();
    }
}
