//! `qcli run`: a job that is looked at while it runs.

mod companion;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use queue_core::job::Enqueued;
use queue_core::store::{Detail, Summary};
use queue_core::why::Cause;
use queue_core::{Epoch, JobId, State, Store, WaitReason};

use crate::context::Context;
use crate::error::{CliError, ErrorKind};
use crate::exit_code::ExitCode;
use crate::interrupt::Interrupts;
use crate::log_text::{Form, Printer};
use crate::new_job::{JobArgs, Site, agent, parse, warnings};
use crate::output::time::{Times, span};
use crate::stuck::{Stuck, waits_for_a_person};
use crate::view::{ended, json, line};
use crate::watch::{Go, Happening, Step, Wanted, Watch};
use companion::Companion;

/// Between two looks at the job and its log. The store wakes us before.
const LOOK: Duration = Duration::from_millis(50);

/// Run a job here and now: add it, show what it writes, leave with its exit code
///
/// The job is safe on disk like any other. A worker that is alive runs it; where there is none, one is started in the
/// background for this job alone. What the job writes to standard output and standard error comes out here on the same
/// two streams. Unless --max-attempts says otherwise it is tried once.
///
/// Ctrl-C cancels the job and leaves with 130 when it has ended; a second Ctrl-C leaves at once. If this command is
/// killed in another way, or `--detach-after` is over, the job goes on: `qcli wait` and `qcli logs -f` go on watching.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli run -- echo 'hello from the queue'
  qcli run --timeout 10m -- make test
  qcli run --detach-after 90s -- ./long        75 when it takes longer; the job goes on
  qcli run --limit api --shell 'fetch | sort'

Exit codes: the job's own, 128 + N when signal N ended it, 1 failed without one, 4 can never start,
75 still going after --detach-after, 130 cancelled with Ctrl-C")]
pub(crate) struct Args {
    #[command(flatten)]
    job: JobArgs,

    /// Leave with 75 after this long; the job goes on
    #[arg(long, value_name = "DURATION", value_parser = parse::span)]
    detach_after: Option<Duration>,

    /// Work until this job has ended; how the worker in the background is started
    #[arg(long, value_name = "ID", hide = true, exclusive = true)]
    work_for: Option<i64>,
}

/// Runs the job.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    if let Some(job) = args.work_for {
        return companion::work(context, JobId(job));
    }
    let detach_at = args
        .detach_after
        .and_then(|after| Instant::now().checked_add(after));
    let interrupts = Interrupts::listen()?;
    let enqueued = add(args, context)?;
    let watched = Watched {
        enqueued,
        detach_at,
        interrupts,
    };
    watched.until_it_ended(context)
}

/// Adds the job, or finds the one that holds its key.
fn add(args: &Args, context: &mut Context) -> Result<Enqueued, CliError> {
    let now = context.now();
    let mut job = args.job.build(&Site::of(context, now.wall))?;
    job.max_attempts = args.job.max_attempts.unwrap_or(NonZeroU32::MIN);
    let warnings = warnings(&job, &context.agents);
    let store = context.store()?;
    job.after = args.job.parents(&*store)?;
    agent::keep_apart(&*store, std::iter::once(&job), &context.agents, &now)?;
    let enqueued = store.enqueue(job, &now)?;
    let id = enqueued.id();
    match enqueued {
        Enqueued::Added(_) => context.out.tell(format!("job {id}")),
        Enqueued::Existing(_) => context.out.note(format!(
            "nothing was added: job {id} holds the unique key, and is shown here"
        )),
        Enqueued::Replaced(_) => context.out.note(format!(
            "job {id}, which holds the unique key, has the new contents"
        )),
    }
    for warning in warnings {
        context.out.warn(warning);
    }
    Ok(enqueued)
}

/// A job that is watched.
struct Watched {
    enqueued: Enqueued,
    detach_at: Option<Instant>,
    interrupts: Interrupts,
}

impl Watched {
    fn until_it_ended(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let store = context.store()?;
        let mut companion = Companion::default();
        let mut printer = Printer::new(Form {
            split: true,
            ..Form::default()
        });
        let job = self.enqueued.id();
        let mut watch = match self.enqueued {
            Enqueued::Added(_) => Watch::after(job, Epoch(0), Wanted::default()),
            Enqueued::Existing(_) | Enqueued::Replaced(_) => {
                Watch::from_last_attempt(&store.detail(job, &context.now())?, Wanted::default())
            }
        };
        let mut told = Told::default();
        let mut is_cancelled = false;
        loop {
            let generation = store.generation();
            let now = context.now();
            let (step, detail) = watch.step(&*store, context, &now, |context, happening| {
                show(context, &mut printer, job, happening)
            })?;
            context.out.flush()?;
            if step == Step::Ended {
                printer.end(&mut context.out)?;
                return conclude(context, &detail.summary, is_cancelled);
            }
            self.heed_interrupts(context, &*store, &mut is_cancelled)?;
            // Before a detach: nobody else would.
            companion.see_that_somebody_works(context, &*store, &detail)?;
            if self.detach_at.is_some_and(|at| Instant::now() >= at) {
                printer.end(&mut context.out)?;
                return detach(context, &detail.summary);
            }
            tell_of_waiting(context, &*store, &detail, &mut told)?;
            store.wait_for_change(generation, LOOK);
        }
    }

    fn heed_interrupts(
        &self,
        context: &mut Context,
        store: &dyn Store,
        is_cancelled: &mut bool,
    ) -> Result<(), CliError> {
        let (pressed, job) = (self.interrupts.count(), self.enqueued.id());
        if pressed > 1 {
            return Err(CliError::new(
                ErrorKind::Interrupted,
                format!("job {job} was asked to stop and has not ended yet"),
            )
            .hint(format!("`qcli wait {job}` waits for its end")));
        }
        if pressed == 1 && !*is_cancelled {
            *is_cancelled = true;
            let now = context.now();
            for cancelled in store.cancel(&[job], &now)? {
                cancelled?;
            }
            context.out.tell(format!(
                "cancelling job {job}; Ctrl-C again leaves it to itself"
            ));
        }
        Ok(())
    }
}

fn show(
    context: &mut Context,
    printer: &mut Printer,
    job: JobId,
    happening: Happening,
) -> Result<Go, CliError> {
    match happening {
        Happening::Attempt(number) => {
            printer.end(&mut context.out)?;
            context
                .out
                .tell(format!("job {job}: attempt {number} begins"));
        }
        Happening::Output(attempt, entry) => {
            printer.entry(&mut context.out, job, attempt, entry)?;
        }
    }
    Ok(Go::On)
}

/// What was said of a job that waits.
#[derive(Debug, Default)]
struct Told {
    /// The attempt of which it was said that another follows.
    retry_of: Option<Epoch>,
    /// The attempt after which it was said that it waits for a person: the next one may ask another thing.
    person: Option<Epoch>,
}

/// Says once what the job waits for, and ends when it can never start.
fn tell_of_waiting(
    context: &mut Context,
    store: &dyn Store,
    detail: &Detail,
    told: &mut Told,
) -> Result<(), CliError> {
    let (now, times) = (context.now(), context.out.times());
    let summary = &detail.summary;
    let job = &summary.job;
    if let Some(stuck) = Stuck::find(store, detail, &now, times)? {
        return Err(stuck.error());
    }
    if job.wait_reason == Some(WaitReason::Retry) && told.retry_of != Some(job.epoch) {
        told.retry_of = Some(job.epoch);
        let why = ended::reason(job.class, summary.last.as_ref());
        let stands = line::stands(summary, now.wall);
        context.out.tell(format!(
            "job {}: attempt {} failed ({why}); {stands}",
            job.id, job.attempt
        ));
    }
    // That nobody works is mended by the companion.
    let is_served = !detail
        .causes
        .iter()
        .any(|cause| matches!(cause, Cause::NoWorker { .. }));
    if told.person != Some(job.epoch)
        && is_served
        && let Some(words) = waits_for_a_person(detail, times)
    {
        told.person = Some(job.epoch);
        context.out.note(words);
    }
    Ok(())
}

fn detach(context: &mut Context, summary: &Summary) -> Result<ExitCode, CliError> {
    let id = summary.job.id;
    if context.out.is_json() {
        context
            .out
            .json_line(&json::job(summary, context.now().wall))?;
    }
    let stands = line::stands(summary, context.now().wall);
    context.out.tell(format!("job {id} goes on ({stands})"));
    context.out.tell(format!(
        "`qcli logs -f {id}` shows what it writes, `qcli wait {id}` waits for its exit code"
    ));
    Ok(ExitCode::StillGoing)
}

fn conclude(
    context: &mut Context,
    summary: &Summary,
    is_cancelled: bool,
) -> Result<ExitCode, CliError> {
    let job = &summary.job;
    if context.out.is_json() {
        context
            .out
            .json_line(&json::job(summary, context.now().wall))?;
    }
    context.out.tell(end_of(summary, context.out.times()));
    if let Some(message) = message(summary) {
        context.out.note(message);
    }
    if is_cancelled && job.state == State::Cancelled {
        return Ok(ExitCode::Interrupted);
    }
    Ok(ended::exit_code(job, summary.last.as_ref()))
}

/// `job 4 failed: exit code 3, took 42s`
fn end_of(summary: &Summary, times: Times) -> String {
    let job = &summary.job;
    let took = job
        .finished_at
        .zip(summary.started_at)
        .map(|(finished, started)| format!(", took {}", span(finished.since(started))));
    format!(
        "job {} {}{}",
        job.id,
        line::stands(summary, times.now()),
        took.unwrap_or_default()
    )
}

/// What the last attempt says of a failure, where it says more than its class.
fn message(summary: &Summary) -> Option<&str> {
    let last = summary
        .last
        .as_ref()
        .filter(|_| summary.job.state == State::Failed)?;
    last.message.as_deref()
}
