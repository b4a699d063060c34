//! The command tree: one verb, one file.
//!
//! [`Cli`] is what clap reads; [`run()`] hands each verb to its file, which holds its arguments, its help and its function.
//! Verbs are listed in the order in which help shows them: asking for work, looking, changing, upkeep.

mod accept;
mod agent;
mod answer;
mod ask;
mod backup;
mod budget;
mod cancel;
mod checkpoint;
mod completions;
mod config;
mod cost;
mod diff;
mod discard;
mod doctor;
mod edit;
mod enqueue;
mod explain;
mod export;
mod failed;
mod gate;
mod hold;
mod import;
mod limit;
mod list;
mod logs;
mod r#move;
mod progress;
mod prune;
mod queue;
mod release;
mod requeue;
mod rescue;
mod run;
mod show;
mod stats;
mod status;
mod wait;
mod why;
pub(crate) mod work;
mod workers;

use clap::{Parser, Subcommand};

use crate::args::GlobalArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;

/// A durable queue for long-running background work on this machine
///
/// Jobs are kept in one file and survive crashes, closed terminals and reboots. Workers run them as processes, try them
/// again when they fail, and keep what they wrote.
#[derive(Debug, Parser)]
#[command(
    name = "qcli",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "Examples:
  qcli enqueue -- make test          add a job, print its number
  qcli work                          run what waits, in the foreground
  qcli logs -f @                     follow the job that was added last
  qcli why 42                        why job 42 does not run
  qcli failed                        what failed, and its last lines

A job is named by its number, its name, `@` (the last one) or `@~2` (two before it).
`qcli VERB --help` explains a verb."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,

    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    #[command(visible_alias = "add")]
    Enqueue(Box<enqueue::Args>),
    Run(Box<run::Args>),
    Status(status::Args),
    #[command(visible_alias = "ls")]
    List(list::Args),
    Show(show::Args),
    Logs(logs::Args),
    Wait(wait::Args),
    Why(why::Args),
    Explain(explain::Args),
    Failed(failed::Args),
    Stats(stats::Args),
    Cost(cost::Args),
    Work(work::Args),
    Workers(workers::Args),
    #[command(visible_alias = "retry")]
    Requeue(requeue::Args),
    #[command(visible_alias = "kill")]
    Cancel(cancel::Args),
    Hold(hold::Args),
    Release(release::Args),
    Move(r#move::Args),
    Edit(Box<edit::Args>),
    Answer(answer::Args),
    Diff(diff::Args),
    Accept(accept::Args),
    Discard(discard::Args),
    Rescue(rescue::Args),
    Queue(queue::Args),
    Limit(limit::Args),
    Agent(agent::Args),
    Gate(gate::Args),
    Budget(budget::Args),
    Checkpoint(checkpoint::Args),
    Progress(progress::Args),
    Ask(ask::Args),
    Doctor(doctor::Args),
    Prune(prune::Args),
    Backup(backup::Args),
    Export(export::Args),
    Import(import::Args),
    Config(config::Args),
    Completions(completions::Args),
}

/// Starts the logs that a verb wants: a worker tells what it does, all others only what they are asked to.
pub(crate) fn start_logging(verb: Option<&Verb>, context: &Context) {
    match verb {
        Some(Verb::Work(_)) => work::start_telling(context),
        _ => crate::logging::start(context),
    }
}

/// Runs a verb; none means `status`.
///
/// # Errors
/// Whatever the verb could not do.
pub(crate) fn run(verb: Option<Verb>, context: &mut Context) -> Result<ExitCode, CliError> {
    let verb = verb.unwrap_or_else(|| Verb::Status(status::Args::default()));
    match verb {
        Verb::Enqueue(args) => enqueue::run(&args, context),
        Verb::Run(args) => run::run(&args, context),
        Verb::Status(args) => status::run(&args, context),
        Verb::List(args) => list::run(&args, context),
        Verb::Show(args) => show::run(&args, context),
        Verb::Logs(args) => logs::run(&args, context),
        Verb::Wait(args) => wait::run(&args, context),
        Verb::Why(args) => why::run(&args, context),
        Verb::Explain(args) => explain::run(&args, context),
        Verb::Failed(args) => failed::run(&args, context),
        Verb::Stats(args) => stats::run(&args, context),
        Verb::Cost(args) => cost::run(args, context),
        Verb::Work(args) => work::run(&args.work, context),
        Verb::Workers(args) => workers::run(&args, context),
        Verb::Requeue(args) => requeue::run(args, context),
        Verb::Cancel(args) => cancel::run(&args, context),
        Verb::Hold(args) => hold::run(&args, context),
        Verb::Release(args) => release::run(&args, context),
        Verb::Move(args) => r#move::run(&args, context),
        Verb::Edit(args) => edit::run(&args, context),
        Verb::Answer(args) => answer::run(&args, context),
        Verb::Diff(args) => diff::run(&args, context),
        Verb::Accept(args) => accept::run(&args, context),
        Verb::Discard(args) => discard::run(&args, context),
        Verb::Rescue(args) => rescue::run(&args, context),
        Verb::Queue(args) => queue::run(args, context),
        Verb::Limit(args) => limit::run(args, context),
        Verb::Agent(args) => agent::run(args, context),
        Verb::Gate(args) => gate::run(args, context),
        Verb::Budget(args) => budget::run(args, context),
        Verb::Checkpoint(args) => checkpoint::run(args, context),
        Verb::Progress(args) => progress::run(&args, context),
        Verb::Ask(args) => ask::run(&args, context),
        Verb::Prune(args) => prune::run(&args, context),
        Verb::Backup(args) => backup::run(&args, context),
        Verb::Export(args) => export::run(&args, context),
        Verb::Import(args) => import::run(&args, context),
        Verb::Config(args) => config::run(args, context),
        Verb::Doctor(args) => doctor::run(&args, context),
        Verb::Completions(args) => completions::run(&args, context),
    }
}
