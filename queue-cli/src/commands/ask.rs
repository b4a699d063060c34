//! `qcli ask`: asks a person something, from inside a job.
//!
//! The question is in the store before anything is said. Whoever does not wait is told to end: the job then waits without
//! a slot, and its next attempt has the answer.

use std::time::{Duration, Instant};

use queue_core::question::{Asked, NewQuestion, OnQuestion, Question, first_line};
use queue_core::units::format_duration;
use queue_core::{Epoch, JobId, Store};
use serde_json::json;

use super::checkpoint::own_attempt;
use crate::context::Context;
use crate::error::{CliError, ErrorKind};
use crate::exit_code::ExitCode;
use crate::new_job::parse;
use crate::stdin;

/// How long it waits before it looks again, should nobody wake it.
const LOOK: Duration = Duration::from_secs(10);

/// Ask a person something, from inside a job
///
/// The question is noted, and the attempt should end: the job then waits for the answer without a slot, which costs no
/// attempt, and keeps its directory, its session and its checkpoints. Once `qcli answer` has given it, the next attempt
/// is told: an agent in its session, any other command by $QUEUE_ANSWER, beside $QUEUE_QUESTION. With --wait it goes on
/// in the same attempt: the answer is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli ask 'Which database shall the tests use?'
  qcli ask 'Deploy now?' --choice yes --choice no; exit
  answer=$(qcli ask --wait --timeout 1h 'Deploy now?')")]
pub(crate) struct Args {
    /// What to ask; `-` reads it from standard input
    #[arg(value_name = "QUESTION", allow_hyphen_values = true)]
    question: String,

    /// An answer to choose from; may be repeated
    #[arg(long, value_name = "TEXT")]
    choice: Vec<String>,

    /// Wait for the answer and print it; the job keeps its slot meanwhile
    #[arg(long)]
    wait: bool,

    /// Wait no longer than this
    #[arg(long, value_name = "DURATION", value_parser = parse::span, requires = "wait")]
    timeout: Option<Duration>,
}

/// Asks.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let (job, epoch) = own_attempt(&context.around, "ask")?;
    let text = match args.question.as_str() {
        "-" => stdin::text("the question", queue_core::question::MAX_QUESTION)?,
        text => text.to_owned(),
    };
    let asked = NewQuestion::new(text, args.choice.clone())?;
    let store = context.existing_store()?;
    let asked = store.ask(job, epoch, &asked, &context.now())?;
    if let Some(answer) = &asked.question.answer {
        let answer = answer.text.clone();
        return tell_answer(context, job, &asked.question, &answer);
    }
    match (&asked.on_question, args.wait) {
        (OnQuestion::Fail, _) => nobody_answers(context, job, &asked.question),
        (_, false) => tell_to_end(context, job, &asked),
        (_, true) => wait(args, context, &*store, (job, epoch), &asked.question),
    }
}

fn tell_to_end(context: &mut Context, job: JobId, asked: &Asked) -> Result<ExitCode, CliError> {
    if context.out.is_json() {
        context.out.json(&of_question(job, &asked.question, None))?;
    }
    context.out.tell(format!(
        "asked. End now, with whatever exit code: job {job} waits without a slot, and its next attempt has the answer"
    ));
    Ok(ExitCode::Ok)
}

fn nobody_answers(
    context: &mut Context,
    job: JobId,
    question: &Question,
) -> Result<ExitCode, CliError> {
    if context.out.is_json() {
        context.out.json(&of_question(job, question, None))?;
    }
    context.out.tell(format!(
        "nobody answers this job: job {job} was enqueued with `--on-question fail` and fails when this attempt ends. End now"
    ));
    Ok(ExitCode::Ok)
}

/// Waits with the slot.
fn wait(
    args: &Args,
    context: &mut Context,
    store: &dyn Store,
    (job, epoch): (JobId, Epoch),
    question: &Question,
) -> Result<ExitCode, CliError> {
    let asked = first_line(&question.text);
    context.out.tell(format!(
        "job {job} asks: {asked}\n`qcli answer {job} TEXT` answers"
    ));
    let until = args
        .timeout
        .and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let generation = store.generation();
        let now = context.now();
        if let Some(answer) = store.take_answer(job, epoch, question.number, &now)? {
            return tell_answer(context, job, question, &answer);
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            let waited = format_duration(args.timeout.unwrap_or_default());
            return Err(CliError::new(
                ErrorKind::TimedOut,
                format!("nobody has answered within {waited}: {asked}"),
            )
            .hint(
                "the question stays open: end now, and the job waits for the answer without a slot",
            ));
        }
        store.wait_for_change(generation, left.unwrap_or(LOOK).min(LOOK));
    }
}

fn tell_answer(
    context: &mut Context,
    job: JobId,
    question: &Question,
    answer: &str,
) -> Result<ExitCode, CliError> {
    if question.answer.is_some() {
        context
            .out
            .tell("answered by default: the job was enqueued with `--on-question default:…`");
    }
    if context.out.is_json() {
        context
            .out
            .json(&of_question(job, question, Some(answer)))?;
    } else {
        context.out.raw(format!("{answer}\n").as_bytes())?;
    }
    Ok(ExitCode::Ok)
}

fn of_question(job: JobId, question: &Question, answer: Option<&str>) -> serde_json::Value {
    json!({ "job": job, "number": question.number, "question": question.text, "answer": answer })
}
