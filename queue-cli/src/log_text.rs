//! Prints what attempts wrote.
//!
//! Owns the way from an entry of a log to a stream of ours: prefixes, times, and where a line ends. `logs` and `run` print
//! with [`Printer`], `show` and `failed` take the last lines with [`last_lines`]. Memory stays constant however long a log
//! or a line is; what a pipe gets of a single stream are the very bytes.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use queue_core::JobId;
use queue_core::attempt::Attempt;
use queue_core::raw_text::RawText;
use queue_core::units::format_bytes;
use queue_worker::agent::stream::said::Said;
use queue_worker::log::{Entry, Line, Reader, Stream};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::output::sanitize::sanitize_log_line;
use crate::output::time::rfc3339;
use crate::output::{Output, Side};

/// The most that is kept of one line where only a glance at it is given, in bytes.
const GLANCE: usize = 2_000;

/// Where the log of an attempt is; none where it wrote none. A relative path starts from the store's directory, so that
/// both can be moved together.
pub(crate) fn path_of(attempt: &Attempt, context: &Context) -> Option<PathBuf> {
    let log = Path::new(&attempt.process.as_ref()?.log);
    let store = context.config.store.value.path();
    Some(match store.parent() {
        Some(directory) => directory.join(log),
        None => log.to_owned(),
    })
}

/// Gives the last lines that an attempt wrote, made harmless for a terminal; of an agent, what it said and did. A log that
/// is not there has none.
///
/// # Errors
/// When the file is there but cannot be read.
pub(crate) fn last_lines(attempt: &Attempt, path: &Path, count: usize) -> io::Result<Vec<String>> {
    match &attempt.agent {
        _ if count == 0 => Ok(Vec::new()),
        Some(_) => last_said(path, count),
        None => last_written(path, count),
    }
}

/// The same of an agent, in words. Most of its lines say nothing to people, so more of them are read.
fn last_said(path: &Path, count: usize) -> io::Result<Vec<String>> {
    const LINES_PER_WORD: usize = 50;
    let reader = match Reader::open_tail(path, count.saturating_mul(LINES_PER_WORD), None) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        reader => reader?,
    };
    let mut said = Said::default();
    let mut lines = Vec::new();
    for entry in reader {
        if let Entry::Line(line) = entry? {
            lines.extend(said.take(&line));
        }
    }
    lines.extend(said.finish());
    let first = lines.len().saturating_sub(count);
    Ok(lines[first..]
        .iter()
        .map(|line| sanitize_log_line(&line.as_bytes()[..line.floor_char_boundary(GLANCE)]))
        .collect())
}

fn last_written(path: &Path, count: usize) -> io::Result<Vec<String>> {
    let reader = match Reader::open_tail(path, count, None) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        reader => reader?,
    };
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut open: Option<Stream> = None;
    for entry in reader {
        let Entry::Line(line) = entry? else { continue };
        if open != Some(line.stream) {
            lines.push(Vec::new());
        }
        if let Some(last) = lines.last_mut() {
            let room = GLANCE.saturating_sub(last.len());
            last.extend(line.text.iter().take(room));
        }
        open = (!line.is_full).then_some(line.stream);
    }
    let first = lines.len().saturating_sub(count);
    Ok(lines[first..]
        .iter()
        .map(|line| sanitize_log_line(line))
        .collect())
}

/// How lines are printed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Form {
    /// The very bytes, on a terminal too.
    pub(crate) raw: bool,
    /// Each line begins with its time.
    pub(crate) timestamps: bool,
    /// Each line begins with the number of its job.
    pub(crate) prefixed: bool,
    /// What the job wrote to its standard error goes to ours.
    pub(crate) split: bool,
    /// What an agent said and did, in place of its events.
    pub(crate) said: bool,
}

/// A piece of a line whose end has not come.
#[derive(Debug)]
struct Open {
    job: JobId,
    stream: Stream,
    side: Side,
    /// The first bytes of a character whose others have not come.
    held: Vec<u8>,
}

/// Prints entries of logs, one after the other.
#[derive(Debug)]
pub(crate) struct Printer {
    form: Form,
    open: Option<Open>,
    /// Who speaks, where words are asked for.
    speakers: BTreeMap<JobId, Speaker>,
}

/// An agent that may have begun to say something.
#[derive(Debug)]
struct Speaker {
    attempt: u32,
    /// When its last line was written.
    at: DateTime<Utc>,
    said: Said,
}

/// A line of a log as JSON.
#[derive(Serialize)]
struct LineJson<'a> {
    job: JobId,
    attempt: u32,
    at: String,
    stream: Stream,
    text: &'a RawText,
    /// Whether a line break ended it; if not, the next line of the stream goes on with it.
    is_full: bool,
}

impl Printer {
    /// Prints in this form.
    pub(crate) fn new(form: Form) -> Self {
        Self {
            form,
            open: None,
            speakers: BTreeMap::new(),
        }
    }

    /// Prints one entry of the log of an attempt.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn entry(
        &mut self,
        out: &mut Output,
        job: JobId,
        attempt: u32,
        entry: Entry,
    ) -> Result<(), CliError> {
        match entry {
            Entry::Line(line) if self.form.said => {
                let speaker = self.speakers.entry(job).or_insert_with(|| Speaker {
                    attempt,
                    at: line.at,
                    said: Said::default(),
                });
                speaker.at = line.at;
                let words = speaker.said.take(&line);
                self.tell(out, job, attempt, (line.at, line.stream), words)
            }
            entry => self.written(out, job, attempt, entry),
        }
    }

    /// Prints what an agent said as if it had written that.
    fn tell(
        &mut self,
        out: &mut Output,
        job: JobId,
        attempt: u32,
        (at, stream): (DateTime<Utc>, Stream),
        words: Vec<String>,
    ) -> Result<(), CliError> {
        for text in words {
            let line = Line {
                at,
                stream,
                text: text.into_bytes(),
                is_full: true,
            };
            self.written(out, job, attempt, Entry::Line(line))?;
        }
        Ok(())
    }

    fn written(
        &mut self,
        out: &mut Output,
        job: JobId,
        attempt: u32,
        entry: Entry,
    ) -> Result<(), CliError> {
        match entry {
            Entry::Line(line) if out.is_json() => print_json(out, job, attempt, line),
            Entry::Line(line) if self.form.raw => self.print_raw(out, &line),
            Entry::Line(line) => self.print(out, job, &line),
            Entry::Omitted { bytes } => {
                self.end_line(out)?;
                out.note(format!(
                    "job {job}: {} of output left out here",
                    format_bytes(bytes)
                ));
                Ok(())
            }
            Entry::Damaged { bytes } => {
                self.end_line(out)?;
                out.warn(format!(
                    "job {job}: {} of the log are damaged here",
                    format_bytes(bytes)
                ));
                Ok(())
            }
        }
    }

    /// Ends what is printed: on a terminal the next words begin on a line of their own.
    ///
    /// # Errors
    /// As [`Printer::entry`].
    pub(crate) fn end(&mut self, out: &mut Output) -> Result<(), CliError> {
        for (job, mut speaker) in std::mem::take(&mut self.speakers) {
            let rest = speaker.said.finish();
            let when = (speaker.at, Stream::Stdout);
            self.tell(out, job, speaker.attempt, when, rest)?;
        }
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        out.log_piece(open.side, &open.held, self.form.raw)?;
        if out.shows_on_terminal(open.side) && !self.form.raw {
            out.log_break(open.side)?;
        }
        Ok(())
    }

    fn print_raw(&self, out: &mut Output, line: &Line) -> Result<(), CliError> {
        let side = self.side(line.stream);
        out.log_piece(side, &line.text, true)?;
        if line.is_full {
            out.log_break(side)
        } else {
            Ok(())
        }
    }

    fn print(&mut self, out: &mut Output, job: JobId, line: &Line) -> Result<(), CliError> {
        let side = self.side(line.stream);
        let mut text = match self.open.take() {
            Some(open) if (open.job, open.stream) == (job, line.stream) => open.held,
            other => {
                self.open = other;
                self.end_line(out)?;
                self.begin_line(out, side, job, line)?;
                Vec::new()
            }
        };
        text.extend_from_slice(&line.text);
        if line.is_full {
            out.log_piece(side, &text, false)?;
            return out.log_break(side);
        }
        // L6: a character that is cut by the end of a piece waits for its rest.
        let held = text.split_off(whole_characters(&text));
        out.log_piece(side, &text, false)?;
        self.open = Some(Open {
            job,
            stream: line.stream,
            side,
            held,
        });
        Ok(())
    }

    fn begin_line(
        &self,
        out: &mut Output,
        side: Side,
        job: JobId,
        line: &Line,
    ) -> Result<(), CliError> {
        let mut prefix = String::new();
        if self.form.prefixed {
            prefix.push_str(&format!("{job} | "));
        }
        if self.form.timestamps {
            prefix.push_str(&rfc3339(line.at));
            prefix.push(' ');
        }
        out.log_piece(side, prefix.as_bytes(), false)
    }

    /// Ends a line that others interrupt.
    fn end_line(&mut self, out: &mut Output) -> Result<(), CliError> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        out.log_piece(open.side, &open.held, false)?;
        out.log_break(open.side)
    }

    fn side(&self, stream: Stream) -> Side {
        match stream {
            Stream::Stderr if self.form.split => Side::Words,
            Stream::Stdout | Stream::Stderr => Side::Data,
        }
    }
}

fn print_json(out: &mut Output, job: JobId, attempt: u32, line: Line) -> Result<(), CliError> {
    use std::os::unix::ffi::OsStringExt as _;
    let text = RawText::from(std::ffi::OsString::from_vec(line.text));
    out.json_line(&LineJson {
        job,
        attempt,
        at: rfc3339(line.at),
        stream: line.stream,
        text: &text,
        is_full: line.is_full,
    })
}

/// How many bytes of a text are whole characters, or nothing that could become one.
fn whole_characters(text: &[u8]) -> usize {
    let from = text.len().saturating_sub(3);
    for at in from..text.len() {
        if let Err(error) = std::str::from_utf8(&text[at..])
            && error.error_len().is_none()
            && text[at] >= 0xc0
        {
            return at + error.valid_up_to();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::View;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn at() -> DateTime<Utc> {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn line(stream: Stream, text: &[u8], is_full: bool) -> Entry {
        Entry::Line(Line {
            at: at(),
            stream,
            text: text.to_vec(),
            is_full,
        })
    }

    /// What both streams get of these entries of jobs.
    fn printed(form: Form, is_terminal: bool, entries: Vec<(i64, Entry)>) -> (String, String) {
        let (data, words) = (Written::default(), Written::default());
        let view = View {
            is_terminal,
            error_is_terminal: is_terminal,
            ..View::pipe(at())
        };
        let mut out = Output::new(Box::new(data.clone()), Box::new(words.clone()), view);
        let mut printer = Printer::new(form);
        for (job, entry) in entries {
            printer.entry(&mut out, JobId(job), 1, entry).unwrap();
        }
        printer.end(&mut out).unwrap();
        out.flush().unwrap();
        let text =
            |written: Written| String::from_utf8_lossy(&written.0.lock().unwrap()).into_owned();
        (text(data), text(words))
    }

    #[test]
    fn parts_of_a_line_come_together_and_a_pipe_gets_the_very_bytes() {
        let entries = vec![
            (4, line(Stream::Stdout, b"one", false)),
            (4, line(Stream::Stdout, b" two\x1b[1m", true)),
            (4, line(Stream::Stdout, b"no end", false)),
        ];
        assert_eq!(
            printed(Form::default(), false, entries).0,
            "one two\x1b[1m\nno end"
        );
    }

    #[test]
    fn a_character_cut_at_the_end_of_a_part_is_whole_on_a_terminal() {
        // L6
        let euro = "€".as_bytes();
        for cut in 1..euro.len() {
            let entries = vec![
                (4, line(Stream::Stdout, &euro[..cut], false)),
                (4, line(Stream::Stdout, &euro[cut..], true)),
            ];
            assert_eq!(printed(Form::default(), true, entries).0, "€\n", "{cut}");
        }
    }

    #[test]
    fn a_terminal_is_not_steered_unless_raw() {
        // L4
        let evil = || {
            vec![(
                4,
                line(Stream::Stdout, b"\x1b[2J\x1b]0;owned\x07text", true),
            )]
        };
        assert_eq!(printed(Form::default(), true, evil()).0, "text\n");
        let raw = Form {
            raw: true,
            ..Form::default()
        };
        assert_eq!(
            printed(raw, true, evil()).0,
            "\x1b[2J\x1b]0;owned\x07text\n"
        );
    }

    #[test]
    fn lines_of_several_jobs_have_their_number_in_front_and_do_not_mix() {
        let form = Form {
            prefixed: true,
            timestamps: true,
            ..Form::default()
        };
        let entries = vec![
            (4, line(Stream::Stdout, b"half", false)),
            (5, line(Stream::Stdout, b"whole", true)),
            (4, line(Stream::Stdout, b" rest", true)),
        ];
        let time = "2026-03-01T12:00:00.000Z";
        assert_eq!(
            printed(form, false, entries).0,
            format!("4 | {time} half\n5 | {time} whole\n4 | {time}  rest\n")
        );
    }

    #[test]
    fn split_puts_standard_error_where_it_belongs() {
        let form = Form {
            split: true,
            ..Form::default()
        };
        let entries = vec![
            (4, line(Stream::Stdout, b"out", true)),
            (4, line(Stream::Stderr, b"err", true)),
        ];
        assert_eq!(
            printed(form, false, entries),
            ("out\n".into(), "err\n".into())
        );
    }

    #[test]
    fn what_is_missing_is_told_on_standard_error() {
        let entries = vec![(4, Entry::Omitted { bytes: 2_048 })];
        let (data, words) = printed(Form::default(), false, entries);
        assert_eq!(
            (data.as_str(), words.as_str()),
            ("", "note: job 4: 2KiB of output left out here\n")
        );
    }
}
