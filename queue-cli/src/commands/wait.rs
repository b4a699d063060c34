//! `qcli wait`: until jobs have ended, and with their exit code.

use std::time::{Duration, Instant};

use queue_core::store::{Detail, Summary};
use queue_core::units::{format_duration, parse_duration};
use queue_core::{Epoch, JobId, Now, State, Store};
use serde::Serialize;

use crate::context::Context;
use crate::error::{CliError, ErrorKind};
use crate::exit_code::ExitCode;
use crate::output::time::span;
use crate::resolve;
use crate::selector::Selector;
use crate::stuck::{Stuck, waits_for_a_person};
use crate::view::json::Time;
use crate::view::{ended, line};

/// The longest sleep between two looks; whoever writes to the store wakes us before.
const LOOK: Duration = Duration::from_millis(250);

/// Wait until jobs have ended, and leave with their exit code
///
/// Leaves with the job's own exit code, 128 + N when signal N ended it, 1 when it failed without one or was cancelled; of
/// several jobs with the highest. One line a job says on standard error how it ended. A job that can never start, because
/// one it comes after failed, is not waited for: that is exit code 4, and the remedy is told. Ctrl-C ends the wait and
/// not the job.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli wait 42 && ./deploy
  qcli wait 42 43 44                      until all have ended
  qcli wait --any 42 43 44                until the first has ended
  qcli wait build --timeout 10m           124 when it takes longer; the job goes on
  id=$(qcli enqueue -- make test); qcli wait \"$id\"

Exit codes: the job's own, 1 failed, 3 not found, 4 can never start, 124 timed out, 130 interrupted")]
pub(crate) struct Args {
    /// Jobs, each by number, name, `@` (the last one) or `@~2`
    #[arg(value_name = "JOB", required = true)]
    jobs: Vec<Selector>,

    /// Until the first of them has ended
    #[arg(long)]
    any: bool,

    /// Wait no longer than this: 30s, 10m, 2h
    #[arg(long, value_name = "SPAN", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

/// Where a job that is waited for stands.
#[derive(Debug, Serialize)]
struct Waited {
    id: JobId,
    name: Option<String>,
    state: State,
    condition: String,
    /// What this job contributes to the exit code; none while it goes on.
    exit: Option<u8>,
    class: Option<&'static str>,
    exit_code: Option<i32>,
    signal: Option<i32>,
    finished_at: Option<Time>,
    /// From its first start to its end, in milliseconds.
    took_ms: Option<u64>,
    #[serde(skip)]
    standing: Standing,
}

/// What waiting for a job comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    Goes,
    Ended(ExitCode),
    /// It can never start.
    Stuck(Stuck),
}

/// Waits for the jobs.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    // Before anything else: the store's opening counts.
    let until = args
        .timeout
        .and_then(|timeout| Instant::now().checked_add(timeout));
    let store = context.existing_store()?;
    let jobs = resolve::jobs(&*store, &args.jobs)?;
    let waited = wait(args, context, &*store, &jobs, until)?;
    if context.out.is_json() {
        let mut array = context.out.json_array()?;
        for job in &waited {
            array.item(job)?;
        }
        array.end()?;
    }
    conclude(args, &waited)
}

/// Looks until enough of them have ended, or the time is over; gives the last look.
fn wait(
    args: &Args,
    context: &mut Context,
    store: &dyn Store,
    jobs: &[JobId],
    until: Option<Instant>,
) -> Result<Vec<Waited>, CliError> {
    let mut told: Vec<JobId> = Vec::new();
    let mut warned = Vec::new();
    let mut waited: Vec<Option<Waited>> = jobs.iter().map(|_| None).collect();
    loop {
        let generation = store.generation();
        for (job, known) in jobs.iter().zip(&mut waited) {
            if let Some(known) = known
                && is_as_before(store, known)?
            {
                continue;
            }
            let now = look(context, store, *job, &mut warned)?;
            let is_told_at_the_end = jobs.len() == 1 && matches!(now.standing, Standing::Stuck(_));
            if now.standing != Standing::Goes && !is_told_at_the_end && !told.contains(job) {
                told.push(*job);
                tell(context, &now);
            }
            *known = Some(now);
        }
        let standings = || waited.iter().flatten().map(|job| &job.standing);
        let goes = standings()
            .filter(|standing| **standing == Standing::Goes)
            .count();
        let ended = standings().any(|standing| matches!(standing, Standing::Ended(_)));
        let time_left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if goes == 0 || (args.any && ended) || time_left.is_some_and(|left| left.is_zero()) {
            return Ok(waited.into_iter().flatten().collect());
        }
        store.wait_for_change(generation, time_left.map_or(LOOK, |left| left.min(LOOK)));
    }
}

/// Whether a job that was looked at needs no further look: one row tells that of most, however many are waited for. A
/// blocked job is looked at again, because what it waits for may have failed.
fn is_as_before(store: &dyn Store, known: &Waited) -> Result<bool, CliError> {
    match known.standing {
        Standing::Ended(_) => Ok(true),
        Standing::Goes if known.state != State::Blocked => {
            Ok(store.job(known.id)?.state == known.state)
        }
        Standing::Goes | Standing::Stuck(_) => Ok(false),
    }
}

fn look(
    context: &mut Context,
    store: &dyn Store,
    id: JobId,
    warned: &mut Vec<(JobId, Epoch)>,
) -> Result<Waited, CliError> {
    let now = context.now();
    let detail = store.detail(id, &now)?;
    warn_once(context, &detail, warned);
    let job = &detail.summary.job;
    let last = detail.summary.last.as_ref();
    let standing = standing(context, store, &detail, &now)?;
    let own = last.filter(|_| job.state.is_ended() && ended::ran(job));
    Ok(Waited {
        id,
        name: job.name.clone(),
        state: job.state,
        condition: line::stands(&detail.summary, now.wall),
        exit: match &standing {
            Standing::Goes => None,
            Standing::Ended(code) => Some(code.number()),
            Standing::Stuck(_) => Some(ExitCode::Conflict.number()),
        },
        class: job.class.map(queue_core::Class::as_str),
        exit_code: own.and_then(|last| last.exit_code),
        signal: own.and_then(|last| last.signal),
        finished_at: job.finished_at.map(Time),
        took_ms: took(&detail.summary),
        standing,
    })
}

fn took(summary: &Summary) -> Option<u64> {
    let length = summary.job.finished_at?.since(summary.started_at?);
    u64::try_from(length.as_millis()).ok()
}

fn standing(
    context: &Context,
    store: &dyn Store,
    detail: &Detail,
    now: &Now,
) -> Result<Standing, CliError> {
    let summary = &detail.summary;
    if summary.job.state.is_ended() {
        return Ok(Standing::Ended(ended::exit_code(
            &summary.job,
            summary.last.as_ref(),
        )));
    }
    let stuck = Stuck::find(store, detail, now, context.out.times())?;
    Ok(stuck.map_or(Standing::Goes, Standing::Stuck))
}

/// Says once of each job that the wait will take until somebody does something, and again after an attempt: it may ask
/// another thing.
fn warn_once(context: &mut Context, detail: &Detail, warned: &mut Vec<(JobId, Epoch)>) {
    let now = (detail.summary.job.id, detail.summary.job.epoch);
    if !warned.contains(&now)
        && let Some(words) = waits_for_a_person(detail, context.out.times())
    {
        context.out.note(words);
        warned.push(now);
    }
}

/// Says `job 4 (nightly) failed: exit code 3, took 42s`
fn tell(context: &mut Context, waited: &Waited) {
    let who = match &waited.name {
        Some(name) => format!("job {} ({name})", waited.id),
        None => format!("job {}", waited.id),
    };
    match &waited.standing {
        Standing::Stuck(stuck) => context.out.warn(stuck.words()),
        Standing::Ended(_) | Standing::Goes => {
            let took = waited
                .took_ms
                .map(|millis| format!(", took {}", span(Duration::from_millis(millis))));
            context.out.tell(format!(
                "{who} {}{}",
                waited.condition,
                took.unwrap_or_default()
            ));
        }
    }
}

/// The exit code of the wait, or the error that stands for it.
fn conclude(args: &Args, waited: &[Waited]) -> Result<ExitCode, CliError> {
    let codes = || {
        waited.iter().filter_map(|job| match job.standing {
            Standing::Ended(code) => Some(code),
            Standing::Goes | Standing::Stuck(_) => None,
        })
    };
    if args.any && codes().next().is_some() {
        return Ok(ended::worst(codes()));
    }
    let going: Vec<&Waited> = waited
        .iter()
        .filter(|job| job.standing == Standing::Goes)
        .collect();
    if let Some(first) = going.first() {
        return Err(timed_out(args, &going, first));
    }
    let stuck = waited.iter().find_map(|job| match &job.standing {
        Standing::Stuck(stuck) => Some(stuck),
        Standing::Goes | Standing::Ended(_) => None,
    });
    match stuck {
        Some(stuck) => Err(stuck.error()),
        None => Ok(ended::worst(codes())),
    }
}

fn timed_out(args: &Args, going: &[&Waited], first: &Waited) -> CliError {
    let after = format_duration(args.timeout.unwrap_or_default());
    let what = match going.len() {
        1 => format!("job {} has not ended after {after}", first.id),
        count => format!(
            "{count} jobs have not ended after {after}; the first is job {}",
            first.id
        ),
    };
    CliError::new(ErrorKind::TimedOut, format!("{what}: {}", first.condition)).hint(format!(
        "it goes on; `qcli wait {}` waits again, `qcli why {}` says what it waits for",
        first.id, first.id
    ))
}
