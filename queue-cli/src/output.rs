//! The only way to standard output, and the form of everything a command says.
//!
//! Owns both streams: data goes to standard output, words to standard error. Commands call it for each answer and return
//! its errors with `?`. A closed pipe (`qcli list | head -1`) comes back as an error that ends the command quietly with
//! exit code 0; no text that came from a job reaches a terminal with control characters in it, unless it is asked for raw.

pub mod color;
pub mod sanitize;
pub mod table;
pub mod time;

use std::env;
use std::io::{self, BufWriter, IsTerminal, Write};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use crate::error::CliError;
use color::{ColorChoice, Paint, Role};
use sanitize::{sanitize, sanitize_json, sanitize_log_line};
use table::{Fields, Table};
use time::Times;

/// The version of every JSON object that is printed.
pub const SCHEMA: u64 = 1;

/// A terminal whose width is not known has this many cells.
const USUAL_WIDTH: usize = 80;

/// Who reads, and how.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Whether standard output is a terminal.
    pub is_terminal: bool,
    /// Whether standard error is a terminal.
    pub error_is_terminal: bool,
    /// The cells of a line; none where nothing is to be cut.
    pub width: Option<usize>,
    /// The colours of standard output.
    pub paint: Paint,
    /// The colours of standard error.
    pub error_paint: Paint,
    /// Whether JSON is asked for.
    pub json: bool,
    /// Whether only what was asked for is printed.
    pub quiet: bool,
    /// The moment from which times are seen.
    pub now: DateTime<Utc>,
}

impl View {
    /// Looks at the two streams and the environment of this process.
    #[must_use]
    pub fn of_process(choice: ColorChoice, json: bool, quiet: bool) -> Self {
        let variable = |name: &str| env::var_os(name);
        let is_terminal = io::stdout().is_terminal();
        let error_is_terminal = io::stderr().is_terminal();
        Self {
            is_terminal,
            error_is_terminal,
            width: width(is_terminal, env::var("COLUMNS").ok().as_deref()),
            paint: Paint::decide(choice, variable, is_terminal),
            error_paint: Paint::decide(choice, variable, error_is_terminal),
            json,
            quiet,
            now: Utc::now(),
        }
    }

    /// What a program reads through a pipe: no width, no colour, RFC 3339.
    #[must_use]
    pub fn pipe(now: DateTime<Utc>) -> Self {
        Self {
            is_terminal: false,
            error_is_terminal: false,
            width: None,
            paint: Paint::plain(),
            error_paint: Paint::plain(),
            json: false,
            quiet: false,
            now,
        }
    }
}

/// Finds the width to fit: `COLUMNS` where it is a number, else that of the terminal; none in a pipe.
fn width(is_terminal: bool, columns: Option<&str>) -> Option<usize> {
    if !is_terminal {
        return None;
    }
    let asked = columns
        .and_then(|text| text.trim().parse().ok())
        .filter(|&cells| cells > 0);
    let measured = || {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        Some(usize::from(size.ws_col)).filter(|&cells| cells > 0)
    };
    Some(asked.or_else(measured).unwrap_or(USUAL_WIDTH))
}

/// The two streams of a command.
pub struct Output {
    data: Box<dyn Write + Send>,
    words: Box<dyn Write + Send>,
    view: View,
}

impl Output {
    /// Writes to the streams of this process.
    #[must_use]
    pub fn of_process(view: View) -> Self {
        Self::new(
            Box::new(BufWriter::new(io::stdout())),
            Box::new(io::stderr()),
            view,
        )
    }

    /// Writes to given streams.
    #[must_use]
    pub fn new(data: Box<dyn Write + Send>, words: Box<dyn Write + Send>, view: View) -> Self {
        Self { data, words, view }
    }

    /// Gives who reads, and how.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Tells whether JSON is asked for.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.view.json
    }

    /// Gives the words for times that fit this reader.
    #[must_use]
    pub fn times(&self) -> Times {
        Times::new(self.view.now, self.view.is_terminal)
    }

    /// Prints one line of data. Control characters in it are shown as escapes.
    ///
    /// # Errors
    /// When standard output cannot be written or its reader went away; so for all that print.
    pub fn line(&mut self, text: impl AsRef<str>) -> Result<(), CliError> {
        let clean = sanitize(text.as_ref());
        self.write(clean.as_bytes())?;
        self.write(b"\n")
    }

    /// Prints a table: fitted to a terminal, whole in a pipe, without headings under `--quiet`.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn table(&mut self, table: &Table) -> Result<(), CliError> {
        let text = table.render(self.view.width, self.view.paint, !self.view.quiet);
        self.write(text.as_bytes())
    }

    /// Prints labelled facts.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn fields(&mut self, fields: &Fields) -> Result<(), CliError> {
        let text = fields.render(self.view.paint);
        self.write(text.as_bytes())
    }

    /// Prints a heading above a table or a list of facts, with an empty line before it.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn heading(&mut self, text: &str) -> Result<(), CliError> {
        let text = self.view.paint.apply(Role::Heading, &sanitize(text));
        self.write(format!("\n{text}\n").as_bytes())
    }

    /// Prints a document of our own, such as a completion script, exactly.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn document(&mut self, text: &str) -> Result<(), CliError> {
        self.write(text.as_bytes())
    }

    /// Prints one line of a job's log, given without its line break. On a terminal it is made harmless; `raw`
    /// and pipes get the very bytes.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn log_line(&mut self, line: &[u8], raw: bool) -> Result<(), CliError> {
        if raw || !self.view.is_terminal {
            self.write(line)?;
        } else {
            self.write(sanitize_log_line(line).as_bytes())?;
        }
        self.write(b"\n")
    }

    /// Prints a piece of what a job wrote, to the stream of ours that `side` names. On a terminal it is made harmless;
    /// `raw` and pipes get the very bytes. A line break is a piece of its own: see [`Output::log_break`].
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn log_piece(&mut self, side: Side, piece: &[u8], raw: bool) -> Result<(), CliError> {
        if raw || !self.shows_on_terminal(side) {
            return self.write_to(side, piece);
        }
        self.write_to(side, sanitize_log_line(piece).as_bytes())
    }

    /// Ends a line of what a job wrote.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn log_break(&mut self, side: Side) -> Result<(), CliError> {
        self.write_to(side, b"\n")
    }

    /// Tells whether a terminal shows what goes to `side`.
    #[must_use]
    pub fn shows_on_terminal(&self, side: Side) -> bool {
        match side {
            Side::Data => self.view.is_terminal,
            Side::Words => self.view.error_is_terminal,
        }
    }

    fn write_to(&mut self, side: Side, bytes: &[u8]) -> Result<(), CliError> {
        match side {
            Side::Data => self.write(bytes),
            Side::Words => {
                self.flush()?;
                // As for our own words: nobody can be told that standard error does not work.
                let _ = self.words.write_all(bytes);
                Ok(())
            }
        }
    }

    /// Prints a job's bytes exactly as they are, for `--raw` and for payloads.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.write(bytes)
    }

    /// Prints one JSON value, over several lines on a terminal and in one line elsewhere. An object gets
    /// `"schema": 1`, so it must not have a field of that name.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        let text = to_json(value, self.view.is_terminal)?;
        self.write_json(&text)
    }

    /// Prints one JSON object as one line (`--jsonl`), with `"schema": 1` in it.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn json_line(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        let text = to_json(value, false)?;
        self.write_json(&text)
    }

    /// Begins a JSON array whose elements are printed one by one, so that a long list needs no memory.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn json_array(&mut self) -> Result<JsonArray<'_>, CliError> {
        self.write(b"[")?;
        Ok(JsonArray {
            out: self,
            is_empty: true,
        })
    }

    /// Tells on standard error what happened, as a line without a label: a job ended. Silent under `--quiet`, and under
    /// `--json`, where the answer holds it.
    pub fn tell(&mut self, text: impl AsRef<str>) {
        if !self.view.quiet && !self.view.json {
            let line = format!("{}\n", sanitize(text.as_ref()));
            self.write_words(&line);
        }
    }

    /// Says something on standard error that is no error: a store was created, nobody works. Silent under `--quiet`, and
    /// like every word on standard error a line of JSON under `--json`.
    pub fn note(&mut self, text: impl AsRef<str>) {
        if !self.view.quiet {
            self.say("note", Role::Hint, text.as_ref());
        }
    }

    /// Warns on standard error, under `--quiet` too.
    pub fn warn(&mut self, text: impl AsRef<str>) {
        self.say("warning", Role::Waiting, text.as_ref());
    }

    /// Says on standard error how the command ended, in JSON under `--json`. A closed pipe is not worth a word.
    pub fn error(&mut self, error: &CliError) {
        if error.is_closed_pipe() {
            return;
        }
        let text = if self.view.json {
            format!("{}\n", sanitize_json(&error.to_json().to_string()))
        } else {
            error.render(self.view.error_paint)
        };
        self.write_words(&text);
    }

    /// Sends what was printed so far on its way: before waiting, and after each line of a log that is followed.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn flush(&mut self) -> Result<(), CliError> {
        self.data.flush().map_err(|cause| CliError::stdout(&cause))
    }

    fn say(&mut self, label: &str, role: Role, text: &str) {
        if self.view.json {
            let line = json!({"schema": SCHEMA, label: text}).to_string();
            self.write_words(&format!("{}\n", sanitize_json(&line)));
            return;
        }
        let label = format!("{label}:");
        let mut lines = text.lines();
        let first = sanitize(lines.next().unwrap_or_default());
        let mut words = format!("{} {first}\n", self.view.error_paint.apply(role, &label));
        for line in lines {
            words.push_str(&format!("  {}\n", sanitize(line)));
        }
        self.write_words(&words);
    }

    /// Nobody can be told that standard error does not work; the exit code still says how it ended.
    fn write_words(&mut self, text: &str) {
        // First what was printed before, so that a terminal shows both in the order they were said.
        let _ = self.data.flush();
        let _ = self.words.write_all(text.as_bytes());
        let _ = self.words.flush();
    }

    fn write_json(&mut self, text: &str) -> Result<(), CliError> {
        self.write(sanitize_json(text).as_bytes())?;
        self.write(b"\n")
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.data
            .write_all(bytes)
            .map_err(|cause| CliError::stdout(&cause))
    }
}

/// The two streams of a command, as a job's output is split over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Standard output.
    Data,
    /// Standard error.
    Words,
}

/// A JSON array of which the elements are printed as they come. [`JsonArray::end`] closes it.
#[must_use = "an array that is not ended is not JSON"]
pub struct JsonArray<'a> {
    out: &'a mut Output,
    is_empty: bool,
}

impl JsonArray<'_> {
    /// Prints one element.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn item(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        let pretty = self.out.view.is_terminal;
        let text = write_as(value, pretty)?;
        let before = match (self.is_empty, pretty) {
            (true, false) => "",
            (false, false) => ",",
            (true, true) => "\n  ",
            (false, true) => ",\n  ",
        };
        self.is_empty = false;
        self.out.write(before.as_bytes())?;
        // A line break in JSON text never stands inside of a string, so it can be indented.
        let text = if pretty {
            text.replace('\n', "\n  ")
        } else {
            text
        };
        self.out.write(sanitize_json(&text).as_bytes())
    }

    /// Closes the array.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn end(self) -> Result<(), CliError> {
        let last = if self.is_empty || !self.out.view.is_terminal {
            "]\n"
        } else {
            "\n]\n"
        };
        self.out.write(last.as_bytes())
    }
}

/// An object with the schema in front, its own fields in their order behind.
#[derive(Serialize)]
struct WithSchema<'a, T> {
    schema: u64,
    #[serde(flatten)]
    value: &'a T,
}

/// Writes JSON. Objects get the schema; arrays and plain values stay as they are.
fn to_json(value: &impl Serialize, pretty: bool) -> Result<String, CliError> {
    let plain = write_as(value, pretty)?;
    if plain.starts_with('{') {
        return write_as(
            &WithSchema {
                schema: SCHEMA,
                value,
            },
            pretty,
        );
    }
    Ok(plain)
}

fn write_as(value: &impl Serialize, pretty: bool) -> Result<String, CliError> {
    let text = if pretty {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    };
    text.map_err(|cause| not_json(&cause))
}

/// What is wrong with JSON that a person wrote, without the place that serde names. That a text is no JSON at all is
/// said in so many words: `expected ident` helps nobody.
#[must_use]
pub fn json_problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    if error.is_data() {
        what.to_owned()
    } else {
        format!("it is not JSON: {what}")
    }
}

fn not_json(cause: &serde_json::Error) -> CliError {
    CliError::store(format!("the answer cannot be written as JSON: {cause}"))
}

#[cfg(test)]
mod tests;
