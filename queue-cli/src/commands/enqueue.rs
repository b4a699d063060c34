//! `qcli enqueue`: adds a job and prints its number, or a whole file of jobs.
//!
//! The number goes to standard output and nothing else does, so `id=$(qcli enqueue -- make)` works; whatever there is to
//! say about it (another job holds the key, the program is not there, nobody works) goes to standard error.

mod from_file;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use queue_core::{Enqueued, Now, Store};
use serde_json::json;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::new_job::{JobArgs, Site, agent, warnings};
use crate::probe;
use crate::view::worker::Life;

/// Add a job and print its number
///
/// Everything after `--` is the program and its arguments, handed on exactly: no shell looks at them. Once the number is
/// printed, the job is safe on disk. It runs in the current directory, with the part of this environment that programs
/// need (PATH, HOME, locale, toolchains, proxies, agents and their providers); --env, --env-pass, --env-all and
/// --env-file widen it.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "qcli enqueue [OPTIONS] -- COMMAND [ARG]...
       qcli enqueue [OPTIONS] --shell LINE
       qcli enqueue [OPTIONS] --script FILE
       qcli enqueue [OPTIONS] - < SCRIPT
       qcli enqueue [OPTIONS] --agent AGENT --prompt TEXT [-- ARG...]
       qcli enqueue [OPTIONS] --from-file FILE [--keep-going]",
    after_help = "Examples:
  qcli enqueue -- make -j8 test
  qcli enqueue --shell 'make test | tee report.txt'
  qcli enqueue -n nightly -t team=web --at 02:00 --timeout 2h -- ./scan --full
  id=$(qcli enqueue -- make); qcli enqueue --after $id -- ./deploy
  qcli enqueue --max-attempts 5 --backoff fixed:30s --no-retry-on 2 -- ./fetch
  qcli enqueue --unique sync --limit api -- ./sync
  qcli enqueue --worktree --setup 'npm ci' -- ./refactor
  qcli enqueue - < script.sh
  qcli enqueue --agent claude --prompt-file TASK.md --allowed-tools Edit,Bash
  qcli enqueue --from-file jobs.jsonl

A line of --from-file is one JSON object with the options as fields in snake_case:
  {\"argv\": [\"make\", \"test\"], \"queue\": \"builds\", \"tags\": {\"team\": \"web\"}, \"after\": [41, \"fetch\"]}
`argv` (an array), `shell`, `script`, or `agent` with `prompt` say what to run. `after` takes numbers
and names, also those of other lines, wherever they stand. --queue and the like are the defaults of
every line."
)]
pub(crate) struct Args {
    #[command(flatten)]
    job: JobArgs,

    /// Add a job for every line of a file of JSON objects; `-` reads standard input
    ///
    /// All of them or, when a line cannot be used, none.
    #[arg(long, value_name = "FILE", help_heading = "What to run")]
    from_file: Option<PathBuf>,

    /// Add the lines that can be used and tell the others
    #[arg(long, requires = "from_file", help_heading = "What to run")]
    keep_going: bool,
}

/// Adds the job, or the file of jobs.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    match &args.from_file {
        Some(file) => from_file::run(&args.job, file, args.keep_going, context),
        None => one(&args.job, context),
    }
}

fn one(args: &JobArgs, context: &mut Context) -> Result<ExitCode, CliError> {
    let now = context.now();
    let mut job = args.build(&Site::of(context, now.wall))?;
    let warnings = warnings(&job, &context.agents);
    let store = context.store()?;
    job.after = args.parents(&*store)?;
    let unique = job.unique.as_ref().map(|unique| unique.key.clone());
    agent::keep_apart(&*store, std::iter::once(&job), &context.agents, &now)?;
    let enqueued = store.enqueue(job, &now)?;
    say(context, enqueued)?;
    if let Some(key) = unique {
        note_conflict(context, &key, enqueued);
    }
    for warning in warnings {
        context.out.warn(warning);
    }
    note_idle_queue(context, &*store, &now);
    Ok(ExitCode::Ok)
}

fn say(context: &mut Context, enqueued: Enqueued) -> Result<(), CliError> {
    if context.out.is_json() {
        return context
            .out
            .json(&json!({ "id": enqueued.id(), "result": word(enqueued) }));
    }
    context.out.line(enqueued.id().to_string())
}

/// What an enqueue did, as JSON says it.
fn word(enqueued: Enqueued) -> &'static str {
    match enqueued {
        Enqueued::Added(_) => "added",
        Enqueued::Existing(_) => "existing",
        Enqueued::Replaced(_) => "replaced",
    }
}

fn note_conflict(context: &mut Context, key: &str, enqueued: Enqueued) {
    match enqueued {
        Enqueued::Added(_) => {}
        Enqueued::Existing(id) => context.out.note(format!(
            "nothing was added: job {id} holds the unique key `{key}`"
        )),
        Enqueued::Replaced(id) => context.out.note(format!(
            "job {id}, which holds the unique key `{key}`, has the new contents"
        )),
    }
}

/// Tells a person at a terminal that nobody will run it.
fn note_idle_queue(context: &mut Context, store: &dyn Store, now: &Now) {
    if context.out.view().quiet || !std::io::stderr().is_terminal() {
        return;
    }
    // Not worth an error: the job is added.
    let Ok(workers) = probe::workers(store, now.wall) else {
        return;
    };
    let is_alive = workers.iter().any(|(_, life)| *life == Life::Alive);
    if !is_alive {
        context
            .out
            .note("no worker is alive: start one with `qcli work`");
    }
}
