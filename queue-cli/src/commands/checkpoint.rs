//! `qcli checkpoint`: what an attempt saves for the next one.
//!
//! Inside a job the worker has set `QUEUE_JOB_ID` and `QUEUE_EPOCH`, and writing is fenced by that epoch: an attempt that
//! was replaced saves nothing. Anywhere a checkpoint can be read.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use queue_core::checkpoint::{DEFAULT, MAX_BYTES};
use queue_core::{Epoch, JobId, Store};
use serde::Serialize;
use serde_json::json;

use crate::config::Surroundings;
use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output::table::{Cell, Column, Table};
use crate::resolve;
use crate::selector::Selector;
use crate::view::json::CheckpointJson;

/// Save and read what an attempt leaves for the next one
///
/// A job saves how far it came, and its next attempt goes on from there. Inside a job no number is needed. Without
/// `--name` it is the checkpoint called `default`, which is also what the file $QUEUE_CHECKPOINT holds.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli checkpoint set page=17            inside a job
  qcli checkpoint set --name index - < index.json
  last=$(qcli checkpoint get)            inside a job
  qcli checkpoint get 42 --name index    anywhere
  qcli checkpoint list 42")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: CheckpointVerb,
}

#[derive(Debug, clap::Subcommand)]
enum CheckpointVerb {
    /// Save a value, from inside a job
    Set {
        /// The value; `-` reads it from standard input
        #[arg(value_name = "VALUE", allow_hyphen_values = true)]
        value: OsString,
        /// The step it belongs to
        #[arg(long, value_name = "STEP", default_value = DEFAULT)]
        name: String,
    },
    /// Print a value, byte for byte
    Get {
        /// The job [default: the one this runs in]
        #[arg(value_name = "JOB")]
        job: Option<Selector>,
        /// The step it belongs to
        #[arg(long, value_name = "STEP", default_value = DEFAULT)]
        name: String,
    },
    /// Show all values of a job
    List {
        /// The job [default: the one this runs in]
        #[arg(value_name = "JOB")]
        job: Option<Selector>,
    },
}

/// Runs the verb.
pub(crate) fn run(args: Args, context: &mut Context) -> Result<ExitCode, CliError> {
    match args.verb {
        CheckpointVerb::Set { value, name } => set(context, &value, &name)?,
        CheckpointVerb::Get { job, name } => get(context, job.as_ref(), &name)?,
        CheckpointVerb::List { job } => list(context, job.as_ref())?,
    }
    Ok(ExitCode::Ok)
}

/// The attempt that this process runs in, by the variables that its worker set.
///
/// # Errors
/// When it runs in none (exit code 2).
pub(super) fn own_attempt(around: &Surroundings, verb: &str) -> Result<(JobId, Epoch), CliError> {
    let number = |name: &str| -> Result<i64, CliError> {
        let value = around.variable(name).ok_or_else(|| outside(verb))?;
        value
            .to_str()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| {
                CliError::usage(format!("${name} is `{}`, not a number", value.display()))
            })
    };
    Ok((
        JobId(number("QUEUE_JOB_ID")?),
        Epoch(number("QUEUE_EPOCH")?),
    ))
}

fn outside(verb: &str) -> CliError {
    CliError::usage(format!(
        "`qcli {verb}` writes for the attempt it runs in, and this is none"
    ))
    .detail("a worker sets $QUEUE_JOB_ID and $QUEUE_EPOCH for what it runs")
    .hint(format!(
        "call it from the job: `qcli enqueue --shell 'qcli {verb} …'`"
    ))
}

fn set(context: &mut Context, value: &OsString, name: &str) -> Result<(), CliError> {
    let (job, epoch) = own_attempt(&context.around, "checkpoint set")?;
    let value = if value == "-" {
        stdin()?
    } else {
        value.clone().into_vec()
    };
    context
        .existing_store()?
        .checkpoint(job, epoch, name, &value, &context.now())?;
    if context.out.is_json() {
        return context
            .out
            .json(&json!({ "job": job, "name": name, "bytes": value.len() }));
    }
    Ok(())
}

/// Reads one byte more than is allowed at the most: the store then refuses it by its size.
fn stdin() -> Result<Vec<u8>, CliError> {
    let mut value = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut value)
        .map_err(|cause| {
            CliError::file("read the value on", Path::new("standard input"), &cause)
        })?;
    Ok(value)
}

fn get(context: &mut Context, job: Option<&Selector>, name: &str) -> Result<(), CliError> {
    let store = context.existing_store()?;
    let job = meant(&*store, &context.around, job)?;
    let Some(checkpoint) = store.checkpoint_value(job, name)? else {
        let what = match name {
            DEFAULT => "no checkpoint".to_owned(),
            name => format!("no checkpoint `{name}`"),
        };
        return Err(CliError::not_found(format!("job {job} has saved {what}"))
            .hint(format!("`qcli checkpoint list {job}` shows what it saved")));
    };
    if context.out.is_json() {
        let saved = CheckpointJson::from(&checkpoint);
        return context.out.json(&OfJob { job, saved });
    }
    context.out.raw(&checkpoint.value)
}

fn list(context: &mut Context, job: Option<&Selector>) -> Result<(), CliError> {
    let store = context.existing_store()?;
    let job = meant(&*store, &context.around, job)?;
    let checkpoints = store.detail(job, &context.now())?.checkpoints;
    if context.out.is_json() {
        let checkpoints: Vec<_> = checkpoints.iter().map(CheckpointJson::from).collect();
        return context
            .out
            .json(&json!({ "job": job, "checkpoints": checkpoints }));
    }
    if checkpoints.is_empty() {
        context
            .out
            .note(format!("job {job} has saved no checkpoint"));
        return Ok(());
    }
    let times = context.out.times();
    let mut table = Table::new([
        Column::left("NAME"),
        Column::left("SAVED").spare(2),
        Column::right("BYTES").spare(1),
        Column::flexible("VALUE"),
    ]);
    for checkpoint in &checkpoints {
        table.row([
            Cell::new(&checkpoint.name),
            Cell::new(times.relative(checkpoint.at)),
            Cell::new(checkpoint.value.len().to_string()),
            Cell::new(String::from_utf8_lossy(&checkpoint.value)),
        ]);
    }
    context.out.table(&table)
}

/// The job that is named, else the one this process runs in.
fn meant(
    store: &dyn Store,
    around: &Surroundings,
    job: Option<&Selector>,
) -> Result<JobId, CliError> {
    match job {
        Some(job) => resolve::job(store, job),
        None => match own_attempt(around, "checkpoint get") {
            Ok((job, _)) => Ok(job),
            Err(_) => Err(
                CliError::usage("which job is meant is not said, and this runs in none")
                    .hint("name it, as in `qcli checkpoint get 42`"),
            ),
        },
    }
}

/// One checkpoint alone, which has to say whose it is.
#[derive(Debug, Serialize)]
struct OfJob<'a> {
    job: JobId,
    #[serde(flatten)]
    saved: CheckpointJson<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn around(variables: &[(&str, &str)]) -> Surroundings {
        Surroundings {
            cwd: "/".into(),
            variables: variables
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect::<HashMap<_, _>>(),
            config_home: None,
            data_home: None,
            home: None,
        }
    }

    #[test]
    fn an_attempt_is_known_by_what_its_worker_set() {
        let inside = around(&[("QUEUE_JOB_ID", "42"), ("QUEUE_EPOCH", "3")]);
        assert_eq!(
            own_attempt(&inside, "progress").unwrap(),
            (JobId(42), Epoch(3))
        );
    }

    #[test]
    fn outside_of_a_job_the_refusal_explains_itself() {
        for variables in [
            &[][..],
            &[("QUEUE_JOB_ID", "42")],
            &[("QUEUE_JOB_ID", "x"), ("QUEUE_EPOCH", "3")],
        ] {
            let error = own_attempt(&around(variables), "checkpoint set").unwrap_err();
            assert_eq!(error.exit_code(), ExitCode::Usage);
            assert!(
                error.to_json().to_string().contains("QUEUE_JOB_ID"),
                "{error}"
            );
        }
    }
}
