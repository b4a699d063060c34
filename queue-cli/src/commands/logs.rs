//! `qcli logs`: what a job wrote.

use std::time::Duration;

use queue_core::attempt::Attempt;
use queue_core::store::Detail;
use queue_core::{JobId, State, Store};
use queue_worker::log::{Entry, Reader, Stream};
use regex::bytes::Regex;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::log_text::{self, Form, Printer};
use crate::resolve;
use crate::selector::Selector;
use crate::stuck::Stuck;
use crate::view::ended;
use crate::watch::{Go, Happening, Step, Wanted, Watch, unreadable};

/// Between two looks at a log that is still written. A log does not wake us, the store does.
const LOOK: Duration = Duration::from_millis(100);

/// The most of a line that `--until` looks at, in bytes.
const LONGEST_MATCHED: usize = 64 * 1024;

/// Print what a job wrote
///
/// The whole output of its last attempt, both streams in the order they were written. On a terminal, control characters
/// are made harmless and colours left out unless `--raw` is given; a pipe gets the very bytes. Of several jobs each line
/// begins with the job's number.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli logs 42
  qcli logs -f @                        follow the job that was added last, retries included
  qcli logs -f web --until 'listening'  wait for a line; 0 when it came, 1 when the job ended without
  qcli logs 42 --attempt 1 --stderr
  qcli logs 42 --tail 20 --timestamps
  qcli logs -f 42 --said                what a coding agent says and does, while it works
  qcli logs 42 --raw > output.bin")]
pub(crate) struct Args {
    /// Jobs, each by number, name, `@` (the last one) or `@~2`
    #[arg(value_name = "JOB", default_value = "@")]
    jobs: Vec<Selector>,

    /// Go on until the job has ended, over all further attempts
    #[arg(short, long)]
    follow: bool,

    /// Follow until a line matches this regular expression; 1 when the job ends without
    #[arg(long, value_name = "REGEX")]
    until: Option<String>,

    /// Print this attempt, counted from 1, instead of the last
    #[arg(long, value_name = "N", conflicts_with_all = ["follow", "until"])]
    attempt: Option<u32>,

    /// Print only what it wrote to standard output
    #[arg(long, conflicts_with = "stderr")]
    stdout: bool,

    /// Print only what it wrote to standard error
    #[arg(long)]
    stderr: bool,

    /// Begin with the last N lines
    #[arg(short = 'n', long, value_name = "N")]
    tail: Option<usize>,

    /// Print the very bytes, on a terminal too; they may change what the terminal does
    #[arg(long, conflicts_with = "timestamps")]
    raw: bool,

    /// Print what an agent said and did in words, in place of its JSON lines
    #[arg(long, conflicts_with = "raw")]
    said: bool,

    /// Begin each line with the time it was written
    #[arg(short, long)]
    timestamps: bool,
}

impl Args {
    fn only(&self) -> Option<Stream> {
        match (self.stdout, self.stderr) {
            (true, _) => Some(Stream::Stdout),
            (_, true) => Some(Stream::Stderr),
            _ => None,
        }
    }

    fn wanted(&self) -> Wanted {
        Wanted {
            only: self.only(),
            tail: self.tail,
        }
    }
}

/// Prints the output.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let until = args.until.as_deref().map(pattern).transpose()?;
    let store = context.existing_store()?;
    let jobs = resolve::jobs(&*store, &args.jobs)?;
    let mut printer = Printer::new(Form {
        raw: args.raw,
        timestamps: args.timestamps,
        prefixed: jobs.len() > 1,
        split: false,
        said: args.said,
    });
    let code = if args.follow || until.is_some() {
        follow(args, context, &*store, &jobs, until.as_ref(), &mut printer)?
    } else {
        for job in jobs {
            print_one(args, context, &*store, job, &mut printer)?;
        }
        ExitCode::Ok
    };
    printer.end(&mut context.out)?;
    Ok(code)
}

fn pattern(text: &str) -> Result<Regex, CliError> {
    Regex::new(text).map_err(|error| {
        CliError::usage(format!("`{text}` is not a regular expression\n{error}")).hint(
            "the syntax is that of https://docs.rs/regex; `\\.` means a dot, `(?i)` ignores case",
        )
    })
}

/// Prints what there is of one attempt.
fn print_one(
    args: &Args,
    context: &mut Context,
    store: &dyn Store,
    job: JobId,
    printer: &mut Printer,
) -> Result<(), CliError> {
    let detail = store.detail(job, &context.now())?;
    let Some(attempt) = chosen(args, &detail)? else {
        context.out.note(never_started(&detail));
        return Ok(());
    };
    let Some(path) = log_text::path_of(attempt, context) else {
        context.out.note(no_output(job, attempt));
        return Ok(());
    };
    let reader = match args.tail {
        Some(lines) => Reader::open_tail(&path, lines, args.only()),
        None => Reader::open(&path).map(|reader| reader.only(args.only())),
    };
    let reader = match reader {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            context.out.note(format!(
                "job {job} attempt {}: there is no log at {}",
                attempt.number,
                path.display()
            ));
            return Ok(());
        }
        reader => reader.map_err(|cause| unreadable(job, &cause))?,
    };
    let mut is_silent = args.tail != Some(0);
    for entry in reader {
        let entry = entry.map_err(|cause| unreadable(job, &cause))?;
        printer.entry(&mut context.out, job, attempt.number, entry)?;
        is_silent = false;
    }
    if is_silent {
        context.out.note(silence(args, job, attempt));
    }
    Ok(())
}

/// An empty answer looks like a mistake: says that there is nothing to print.
fn silence(args: &Args, job: JobId, attempt: &Attempt) -> String {
    let where_to = match args.only() {
        Some(Stream::Stdout) => " to standard output",
        Some(Stream::Stderr) => " to standard error",
        None => "",
    };
    let number = attempt.number;
    match attempt.ended_at {
        Some(_) => format!("job {job} attempt {number} wrote nothing{where_to}"),
        None => format!("job {job} attempt {number} has written nothing{where_to} yet"),
    }
}

/// The attempt that was asked for: the newest of that number, or the last that has a log, or the last.
fn chosen<'a>(args: &Args, detail: &'a Detail) -> Result<Option<&'a Attempt>, CliError> {
    let mut newest_first = detail.attempts.iter().rev();
    let Some(number) = args.attempt else {
        return Ok(newest_first
            .find(|attempt| attempt.process.is_some())
            .or(detail.attempts.last()));
    };
    let found = newest_first.find(|attempt| attempt.number == number);
    found.map(Some).ok_or_else(|| {
        let job = detail.summary.job.id;
        let last = detail.attempts.last().map_or(0, |last| last.number);
        resolve::no_attempt(job, number, last)
    })
}

fn never_started(detail: &Detail) -> String {
    let job = &detail.summary.job;
    match job.state {
        State::InProgress => format!("job {} is being started", job.id),
        state if state.is_ended() => {
            format!(
                "job {} never started: it {}",
                job.id,
                ended::words(job, None)
            )
        }
        state => format!(
            "job {} has not started yet: it is {state}; `qcli why {}` says why",
            job.id, job.id
        ),
    }
}

fn no_output(job: JobId, attempt: &Attempt) -> String {
    let why = match (&attempt.message, attempt.class) {
        (Some(message), _) => message.clone(),
        (None, Some(class)) => ended::reason(Some(class), Some(attempt)),
        (None, None) => "it is being started".to_owned(),
    };
    format!("job {job} attempt {} wrote nothing: {why}", attempt.number)
}

/// Prints what comes until every job has ended, or a line matches.
fn follow(
    args: &Args,
    context: &mut Context,
    store: &dyn Store,
    jobs: &[JobId],
    until: Option<&Regex>,
    printer: &mut Printer,
) -> Result<ExitCode, CliError> {
    let now = context.now();
    let mut watches = Vec::new();
    for job in jobs {
        let detail = store.detail(*job, &now)?;
        if detail.attempts.is_empty() {
            context.out.note(never_started(&detail));
        }
        watches.push((
            Watch::from_last_attempt(&detail, args.wanted()),
            until.cloned().map(Matcher::new),
        ));
    }
    while !watches.is_empty() {
        let generation = store.generation();
        let mut left = Vec::new();
        for (mut watch, mut matcher) in watches {
            let now = context.now();
            let job = watch.job;
            let (step, detail) = watch.step(store, context, &now, |context, happening| {
                show(context, printer, matcher.as_mut(), job, happening)
            })?;
            if step == Step::Waits
                && let Some(stuck) = Stuck::find(store, &detail, &now, context.out.times())?
            {
                return Err(stuck.error());
            }
            match step {
                Step::Waits => left.push((watch, matcher)),
                Step::Ended => {}
                Step::Stopped => return Ok(ExitCode::Ok),
            }
        }
        watches = left;
        context.out.flush()?;
        if !watches.is_empty() {
            store.wait_for_change(generation, LOOK);
        }
    }
    match args.until {
        None => Ok(ExitCode::Ok),
        Some(_) => {
            context.out.note("the job ended, and no line matched");
            Ok(ExitCode::JobFailed)
        }
    }
}

fn show(
    context: &mut Context,
    printer: &mut Printer,
    matcher: Option<&mut Matcher>,
    job: JobId,
    happening: Happening,
) -> Result<Go, CliError> {
    match happening {
        Happening::Attempt(number) => {
            printer.end(&mut context.out)?;
            context
                .out
                .note(format!("job {job}: attempt {number} begins"));
            Ok(Go::On)
        }
        Happening::Output(attempt, entry) => {
            let is_met = matcher.is_some_and(|matcher| matcher.sees(&entry));
            printer.entry(&mut context.out, job, attempt, entry)?;
            Ok(if is_met { Go::Stop } else { Go::On })
        }
    }
}

/// Looks for a pattern in lines that come in parts.
#[derive(Debug)]
struct Matcher {
    pattern: Regex,
    /// What came of the line so far, for each stream.
    open: [Vec<u8>; 2],
}

impl Matcher {
    fn new(pattern: Regex) -> Self {
        Self {
            pattern,
            open: Default::default(),
        }
    }

    /// Whether the line that this entry belongs to matches, as far as it is known.
    fn sees(&mut self, entry: &Entry) -> bool {
        let Entry::Line(line) = entry else {
            return false;
        };
        let open = &mut self.open[usize::from(line.stream == Stream::Stderr)];
        let room = LONGEST_MATCHED.saturating_sub(open.len());
        open.extend(line.text.iter().take(room));
        let is_met = self.pattern.is_match(open);
        if line.is_full {
            open.clear();
        }
        is_met
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue_worker::log::Line;

    fn part(stream: Stream, text: &str, is_full: bool) -> Entry {
        Entry::Line(Line {
            at: chrono::Utc::now(),
            stream,
            text: text.into(),
            is_full,
        })
    }

    #[test]
    fn a_pattern_is_found_across_the_parts_of_a_line_and_not_across_lines() {
        let mut matcher = Matcher::new(Regex::new("listening on").unwrap());
        assert!(!matcher.sees(&part(Stream::Stdout, "listen", false)));
        assert!(!matcher.sees(&part(Stream::Stderr, "ing on", true)));
        assert!(matcher.sees(&part(Stream::Stdout, "ing on 80", true)));
        assert!(!matcher.sees(&part(Stream::Stdout, "listening", true)));
        assert!(!matcher.sees(&part(Stream::Stdout, " on", true)));
    }

    #[test]
    fn a_bad_pattern_is_a_usage_error_that_shows_it() {
        let error = pattern("a(").unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Usage);
        assert!(
            error
                .message()
                .starts_with("`a(` is not a regular expression"),
            "{error}"
        );
    }
}
