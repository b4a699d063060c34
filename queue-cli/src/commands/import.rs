//! `qcli import`: adds what `qcli export` wrote.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use queue_core::store::{Archived, Import, Imported, ImportedSettings, SettingsResult, Shared};
use queue_core::{Now, Store};
use serde_json::{Value, json};

use super::export::id_of;
use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output::json_problem;

/// Add the jobs that `qcli export` printed
///
/// Jobs come with their history, under their own number where that is free. A job that is here already is left as it is,
/// so importing a file twice adds nothing. The queues, limits, gates and concurrency keys that the jobs use come along where
/// this store has none of that name; what is set here is never changed. Every line is read before the first job is added.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli import jobs.jsonl
  qcli --db old.db export | qcli import -")]
pub(crate) struct Args {
    /// The file; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Adds the jobs.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let jobs = read(&args.file)?;
    let was: Vec<_> = jobs.iter().map(id_of).collect();
    let now = context.now();
    let Import {
        jobs: imported,
        settings,
    } = add(&*context.store()?, jobs, &now)?;
    let added = imported
        .iter()
        .filter(|one| matches!(one, Imported::Added(_)))
        .count();
    let existing = imported.len() - added;
    if context.out.is_json() {
        let jobs: Vec<_> = was
            .iter()
            .zip(&imported)
            .map(|(was, one)| match one {
                Imported::Added(id) => json!({ "was": was, "id": id, "result": "added" }),
                Imported::Existing(id) => json!({ "was": was, "id": id, "result": "existing" }),
            })
            .collect();
        let settings: Vec<_> = settings.iter().map(settings_json).collect();
        context.out.json(
            &json!({ "added": added, "existing": existing, "jobs": jobs, "settings": settings }),
        )?;
        return Ok(ExitCode::Ok);
    }
    let jobs = if added == 1 { "job" } else { "jobs" };
    context
        .out
        .line(format!("added {added} {jobs}, {existing} existed already"))?;
    for one in &settings {
        tell(context, one);
    }
    Ok(ExitCode::Ok)
}

/// Says what is set anew, and what stays although the jobs knew it otherwise.
fn tell(context: &mut Context, settings: &ImportedSettings) {
    let (what, look) = match settings.of {
        Shared::Queue => ("queue", "qcli queue list"),
        Shared::Limit => ("limit", "qcli limit list"),
        Shared::Gate => ("gate", "qcli gate list"),
        Shared::ConcurrencyKey => ("concurrency key", "qcli limit list"),
        Shared::Budget => ("budget", "qcli budget list"),
    };
    let name = &settings.name;
    match settings.result {
        SettingsResult::Same => {}
        SettingsResult::Added => context.out.tell(format!("added {what} {name}")),
        SettingsResult::Kept => context.out.note(format!(
            "{what} {name} stays as it is set here, which is not as it came along; `{look}` shows it"
        )),
    }
}

fn settings_json(settings: &ImportedSettings) -> Value {
    let of = match settings.of {
        Shared::Queue => "queue",
        Shared::Limit => "limit",
        Shared::Gate => "gate",
        Shared::ConcurrencyKey => "concurrency_key",
        Shared::Budget => "budget",
    };
    let result = match settings.result {
        SettingsResult::Same => "same",
        SettingsResult::Added => "added",
        SettingsResult::Kept => "kept",
    };
    json!({ "of": of, "name": settings.name, "result": result })
}

/// All in one call: what comes after another job of the file has to find it.
fn add(store: &dyn Store, jobs: Vec<Archived>, now: &Now) -> Result<Import, CliError> {
    if jobs.is_empty() {
        return Ok(Import::default());
    }
    Ok(store.import(jobs, now)?)
}

fn read(path: &Path) -> Result<Vec<Archived>, CliError> {
    let refuse = |cause: &io::Error| CliError::file("read the jobs in", path, cause);
    if path == Path::new("-") {
        return read_lines(io::stdin().lock(), "standard input")
            .map_err(|error| error.told(refuse));
    }
    let file = File::open(path).map_err(|cause| refuse(&cause))?;
    read_lines(BufReader::new(file), &path.display().to_string())
        .map_err(|error| error.told(refuse))
}

/// Why a file cannot be used as a whole.
enum Unread {
    Io(io::Error),
    Line(CliError),
}

impl Unread {
    fn told(self, refuse: impl Fn(&io::Error) -> CliError) -> CliError {
        match self {
            Self::Io(cause) => refuse(&cause),
            Self::Line(error) => error,
        }
    }
}

fn read_lines(mut source: impl BufRead, shown: &str) -> Result<Vec<Archived>, Unread> {
    let mut jobs = Vec::new();
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        if source.read_until(b'\n', &mut text).map_err(Unread::Io)? == 0 {
            break;
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let job = serde_json::from_slice(&text).map_err(|error| {
            let what = json_problem(&error);
            Unread::Line(
                CliError::usage(format!("{shown} line {line}: {what}"))
                    .detail("nothing was added")
                    .hint("it takes what `qcli export` prints; `qcli enqueue --from-file` takes new jobs"),
            )
        })?;
        jobs.push(job);
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_job_is_named() {
        let good = r#"{"schema":1,"rows":{"job":[{"id":7}]}}"#;
        let jobs = match read_lines(format!("{good}\n\n{good}\n").as_bytes(), "f") {
            Ok(jobs) => jobs,
            Err(_) => panic!("both lines can be used"),
        };
        assert_eq!(jobs.len(), 2);
        assert_eq!(id_of(&jobs[0]).map(|id| id.0), Some(7));
        match read_lines(format!("{good}\n{{\"argv\":[]}}\n").as_bytes(), "f") {
            Err(Unread::Line(error)) => {
                assert!(error.message().starts_with("f line 2:"), "{error}");
            }
            _ => panic!("the second line is no exported job"),
        }
    }
}
