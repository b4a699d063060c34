//! `qcli enqueue --from-file`: a job for every line, all of them or none.
//!
//! Reads and orders the file with [`crate::new_job::file`], then adds it: in one transaction, or with `--keep-going` in
//! batches. Numbers are printed in the order of the file, whatever the order of adding; errors name the line.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal as _};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use queue_core::job::After;
use queue_core::{Command, Enqueued, Now, Store};
use serde_json::{Value, json};

use super::{note_idle_queue, word};
use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::new_job::file::{self, Entry, Planned, Problem};
use crate::new_job::{JobArgs, Site, agent, line};
use crate::resolve;

/// Jobs of one transaction under `--keep-going`.
const BATCH: usize = 1_000;

/// Problems that are told one by one when nothing is added.
const TOLD: usize = 20;

/// What became of one line.
struct Added {
    line: usize,
    enqueued: Enqueued,
}

/// Adds the jobs of a file.
pub(super) fn run(
    args: &JobArgs,
    path: &Path,
    keep_going: bool,
    context: &mut Context,
) -> Result<ExitCode, CliError> {
    check(args)?;
    let now = context.now();
    let bar = Bar::new(context);
    let (entries, mut problems) = read(args, path, context, &now, &bar)?;
    let store = context.store()?;
    let defaults = args.parents(&*store)?;
    let (planned, more) = file::plan(entries, &defaults, |job| resolve::job(&*store, job));
    let jobs = planned.iter().map(|planned| &planned.job);
    agent::keep_apart(&*store, jobs, &context.agents, &now)?;
    problems.extend(more);
    let shown = path.display().to_string();
    let added = if keep_going {
        bar.adding(planned.len());
        let (added, more) = add_what_can_be(&*store, planned, &now, &bar)?;
        problems.extend(more);
        added
    } else {
        refuse_problems(&shown, &mut problems)?;
        bar.adding(planned.len());
        add_all(&*store, planned, &now, &shown)?
    };
    bar.end();
    problems.sort_by_key(|problem| problem.line);
    if added.is_empty() && problems.is_empty() {
        context.out.note(format!("there is no job in {shown}"));
    }
    report(context, added, &shown, &problems)?;
    note_idle_queue(context, &*store, &now);
    Ok(problems
        .first()
        .map_or(ExitCode::Ok, |problem| problem.error.exit_code()))
}

/// Refuses options that would make every line the same job.
fn check(args: &JobArgs) -> Result<(), CliError> {
    let clash = if args.names_a_command() {
        "a command"
    } else if args.name.is_some() {
        "--name"
    } else if args.unique.is_some() {
        "--unique"
    } else {
        return Ok(());
    };
    Err(CliError::usage(format!(
        "{clash} and --from-file do not go together: every line has its own"
    )))
}

fn read(
    args: &JobArgs,
    path: &Path,
    context: &Context,
    now: &Now,
    bar: &Bar,
) -> Result<(Vec<Entry>, Vec<Problem>), CliError> {
    let site = Site::of(context, now.wall);
    // What a line does not say of its agent, the options do.
    let command = match args.agent.is_given() {
        true => Command::Agent(args.agent.over(None, Vec::new(), &site.around.cwd)?),
        false => Command::Shell(String::new()),
    };
    let base = args.build_with(command, &site)?;
    let understand = |text: &[u8]| line::read(text, &base, &site);
    let look = |bytes| bar.read(bytes);
    let refuse = |cause: &io::Error| CliError::file("read the jobs in", path, cause);
    if path == Path::new("-") {
        return file::read(io::stdin().lock(), understand, look).map_err(|cause| refuse(&cause));
    }
    let source = File::open(path).map_err(|cause| refuse(&cause))?;
    bar.reading(source.metadata().map_or(0, |about| about.len()));
    file::read(BufReader::new(source), understand, look).map_err(|cause| refuse(&cause))
}

/// Nothing is added when a line cannot be used; the first of them are told.
fn refuse_problems(shown: &str, problems: &mut Vec<Problem>) -> Result<(), CliError> {
    if problems.is_empty() {
        return Ok(());
    }
    problems.sort_by_key(|problem| problem.line);
    if let [only] = problems.as_slice() {
        return Err(one_problem(shown, only.line, &only.error));
    }
    let count = problems.len();
    let mut error = CliError::new(
        problems[0].error.kind(),
        format!("{count} lines of {shown} cannot be used: nothing was added"),
    );
    let mut are_listed = false;
    for problem in problems.iter().take(TOLD) {
        let told = problem.error.to_string();
        let is_field = told.starts_with("unknown field");
        // The names of all fields, in each of many lines, would hide the rest.
        let told = match told.split_once(", expected one of ") {
            Some((what, _)) if is_field && are_listed => what,
            _ => &told,
        };
        are_listed |= is_field;
        error = error.detail(format!("{shown} line {}: {told}", problem.line));
    }
    if count > TOLD {
        error = error.detail(format!("and {} more", count - TOLD));
    }
    Err(error.hint("mend them, or add the others with `--keep-going`"))
}

fn one_problem(shown: &str, line: usize, error: &CliError) -> CliError {
    CliError::new(error.kind(), format!("{shown} line {line}: {error}"))
        .detail("nothing was added")
        .hint("mend it, or add the other lines with `--keep-going`")
}

/// Adds everything in one transaction.
fn add_all(
    store: &dyn Store,
    planned: Vec<Planned>,
    now: &Now,
    shown: &str,
) -> Result<Vec<Added>, CliError> {
    let mut lines = Vec::with_capacity(planned.len());
    let mut jobs = Vec::with_capacity(planned.len());
    for Planned {
        line,
        mut job,
        parents,
    } in planned
    {
        job.after_in_batch = parents;
        lines.push(line);
        jobs.push(job);
    }
    match store.enqueue_all(jobs, now) {
        Ok(enqueued) => Ok(lines
            .into_iter()
            .zip(enqueued)
            .map(|(line, enqueued)| Added { line, enqueued })
            .collect()),
        // A failure of the store is nobody's line.
        Err((None, error)) => Err(error.into()),
        Err((Some(place), error)) => Err(one_problem(shown, lines[place], &error.into())),
    }
}

/// Adds what can be added, in batches. A parent is in an earlier batch, or before its child in the same one.
fn add_what_can_be(
    store: &dyn Store,
    planned: Vec<Planned>,
    now: &Now,
    bar: &Bar,
) -> Result<(Vec<Added>, Vec<Problem>), CliError> {
    let (mut added, mut problems) = (Vec::new(), Vec::new());
    // For each place of the plan its line and, once it was added, its job.
    let mut known: Vec<(usize, Option<queue_core::JobId>)> = Vec::with_capacity(planned.len());
    let mut planned = planned.into_iter().peekable();
    while planned.peek().is_some() {
        let begin = known.len();
        let (mut jobs, mut lines) = (Vec::new(), Vec::new());
        for entry in planned.by_ref().take(BATCH) {
            let line = entry.line;
            match with_parents(entry, &known, &lines) {
                Ok(job) => {
                    lines.push(known.len());
                    jobs.push(job);
                }
                Err(problem) => problems.push(problem),
            }
            known.push((line, None));
        }
        let answers = store.enqueue_each(jobs, now)?;
        bar.added(known.len() - begin);
        for (place, answer) in lines.into_iter().zip(answers) {
            let line = known[place].0;
            match answer {
                Ok(enqueued) => {
                    known[place].1 = Some(enqueued.id());
                    added.push(Added { line, enqueued });
                }
                Err(error) => problems.push(Problem {
                    line,
                    error: error.into(),
                }),
            }
        }
    }
    Ok((added, problems))
}

/// Fills in the parents of the same file: those of earlier batches by number, those of this one by place.
fn with_parents(
    entry: Planned,
    known: &[(usize, Option<queue_core::JobId>)],
    batch: &[usize],
) -> Result<queue_core::NewJob, Problem> {
    let mut job = entry.job;
    for (place, end) in entry.parents {
        let (parent_line, id) = known[place];
        let in_batch = batch.iter().position(|&other| other == place);
        match (id, in_batch) {
            (Some(parent), _) => job.after.push(After { parent, end }),
            (None, Some(position)) => job.after_in_batch.push((position, end)),
            (None, _) => {
                return Err(Problem {
                    line: entry.line,
                    error: CliError::usage(format!(
                        "it comes after line {parent_line}, which is refused"
                    )),
                });
            }
        }
    }
    Ok(job)
}

fn report(
    context: &mut Context,
    mut added: Vec<Added>,
    shown: &str,
    problems: &[Problem],
) -> Result<(), CliError> {
    added.sort_by_key(|added| added.line);
    if context.out.is_json() {
        let jobs: Vec<Value> = added
            .iter()
            .map(|added| {
                let enqueued = added.enqueued;
                json!({ "line": added.line, "id": enqueued.id(), "result": word(enqueued) })
            })
            .collect();
        let refused: Vec<Value> = problems
            .iter()
            .map(|problem| json!({ "line": problem.line, "error": problem.error.to_json()["error"] }))
            .collect();
        return context
            .out
            .json(&json!({ "jobs": jobs, "refused": refused }));
    }
    for added in &added {
        context.out.line(added.enqueued.id().to_string())?;
    }
    for problem in problems {
        let text = format!("{shown} line {}: {}", problem.line, problem.error);
        context
            .out
            .error(&CliError::new(problem.error.kind(), text));
    }
    if added.len() > 1 || !problems.is_empty() {
        let words = match (added.len(), problems.len()) {
            (jobs, 0) => format!("added {jobs} jobs"),
            (jobs, lines) => format!("added {jobs}, refused {lines}"),
        };
        context.out.note(words);
    }
    Ok(())
}

/// A progress bar on a terminal's standard error; nothing elsewhere.
struct Bar(ProgressBar);

impl Bar {
    fn new(context: &Context) -> Self {
        let view = context.out.view();
        let is_seen = io::stderr().is_terminal() && !view.quiet && !view.json;
        Self(if is_seen {
            ProgressBar::no_length()
        } else {
            ProgressBar::hidden()
        })
    }

    fn reading(&self, bytes: u64) {
        self.0.set_length(bytes);
        self.style("reading {bar:40} {bytes}/{total_bytes}");
    }

    fn read(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn adding(&self, jobs: usize) {
        self.0.set_position(0);
        self.0.set_length(jobs as u64);
        self.style("{spinner} adding {bar:40} {pos}/{len} jobs");
        self.0.enable_steady_tick(Duration::from_millis(100));
    }

    fn added(&self, jobs: usize) {
        self.0.inc(jobs as u64);
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }

    fn style(&self, template: &str) {
        let style = ProgressStyle::with_template(template);
        self.0
            .set_style(style.expect("the templates of this file are valid"));
    }
}
