//! Reads the output of an agent as it grows.
//!
//! Fed by the worker from the attempt's log (also by one that adopted the attempt) and by
//! `qcli agent classify`. What always holds: however the bytes are cut, the same output gives the
//! same [`Facts`]; no line is too long, too broken or too strange to be read past, and those that
//! are not understood are counted; memory is bounded by [`MAX_LINE`].

mod agy;
mod claude;
mod codex;
mod gemini;
mod goose;
mod json;
mod lines;
mod opencode;
mod plain;
pub mod said;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::facts::Facts;
use crate::log::{Entry, Stream};
use json::Event;
use lines::Lines;

/// The longest line that is understood, in bytes, and the longest document of several lines.
pub const MAX_LINE: usize = 8 * 1024 * 1024;

/// How an agent writes its output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Claude Code and those that write as it does (qwen, cursor-agent): JSON lines, or one document.
    Claude,
    /// `codex exec --json`: JSON lines.
    Codex,
    /// gemini-cli: JSON lines, or one document.
    Gemini,
    /// `opencode run --format json`: JSON lines.
    Opencode,
    /// goose: JSON lines.
    Goose,
    /// agy: JSON lines, or one document.
    Agy,
    /// Plain text: aider, Claude Code without `--output-format`, any other program.
    #[default]
    Text,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 7] = [
        Self::Claude,
        Self::Codex,
        Self::Gemini,
        Self::Opencode,
        Self::Goose,
        Self::Agy,
        Self::Text,
    ];

    /// The name, as it stands in TOML and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Opencode => "opencode",
            Self::Goose => "goose",
            Self::Agy => "agy",
            Self::Text => "text",
        }
    }

    /// The format in which an agent of this name writes when it is asked for JSON.
    #[must_use]
    pub fn of_agent(agent: &str) -> Self {
        match agent {
            "claude" | "qwen" | "cursor-agent" => Self::Claude,
            other => other.parse().unwrap_or(Self::Text),
        }
    }

    /// Takes an event into the facts; `false` where its type is not known.
    fn take(self, facts: &mut Facts, event: &Event<'_>) -> bool {
        match self {
            Self::Claude => claude::take(facts, event),
            Self::Codex => codex::take(facts, event),
            Self::Gemini => gemini::take(facts, event),
            Self::Opencode => opencode::take(facts, event),
            Self::Goose => goose::take(facts, event),
            Self::Agy => agy::take(facts, event),
            Self::Text => false,
        }
    }

    /// Whether an event of this type says nothing to us, so that it need not be looked into.
    fn passes_over(self, kind: &str) -> bool {
        match self {
            Self::Claude => claude::passes_over(kind),
            Self::Codex | Self::Gemini | Self::Opencode | Self::Goose | Self::Agy => false,
            Self::Text => true,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|it| it.as_str() == word);
        known.ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            format!("`{word}` is not an output format; known are: {all}")
        })
    }
}

/// Gathers facts from an agent's output, piece by piece.
#[derive(Debug)]
pub struct Reader {
    facts: Facts,
    stdout: Lines,
    stderr: Lines,
    /// The lines of a JSON document that is not whole yet.
    document: String,
}

impl Reader {
    /// Reads output of that format, and goes on from what `facts` holds already.
    #[must_use]
    pub fn new(format: Format, facts: Facts) -> Self {
        Self {
            facts: Facts { format, ..facts },
            stdout: Lines::default(),
            stderr: Lines::default(),
            document: String::new(),
        }
    }

    /// What is known so far.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Takes bytes of a stream, cut wherever they happen to be.
    pub fn feed(&mut self, stream: Stream, mut bytes: &[u8]) {
        while let Some((line, rest)) = self.lines(stream).take(bytes) {
            bytes = rest;
            self.line(stream, line.as_deref());
        }
    }

    /// Takes an entry of the attempt's log; `end` is the offset behind it, as
    /// [`log::Reader::offset`](crate::log::Reader::offset) gives it after the entry.
    ///
    /// What the facts hold already is passed over, so that whoever goes on from saved facts starts at
    /// [`Offset::start`](super::facts::Offset::start). What is missing or damaged ends the lines before it.
    pub fn feed_entry(&mut self, entry: &Entry, end: u64) {
        match entry {
            Entry::Line(line) => {
                let read = match line.stream {
                    Stream::Stdout => self.facts.offset.stdout,
                    Stream::Stderr => self.facts.offset.stderr,
                };
                if end <= read {
                    return;
                }
                self.feed(line.stream, &line.text);
                if line.is_full {
                    self.feed(line.stream, b"\n");
                }
            }
            Entry::Omitted { .. } | Entry::Damaged { .. } => self.tear(),
        }
        self.note_offset(end);
    }

    /// The output has ended: takes what has no line end.
    pub fn finish(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if let Some(line) = self.lines(stream).take_rest() {
                self.line(stream, line.as_deref());
            }
        }
        self.close_document();
    }

    /// Ends the reading and gives what is known.
    #[must_use]
    pub fn into_facts(mut self) -> Facts {
        self.finish();
        self.facts
    }

    fn lines(&mut self, stream: Stream) -> &mut Lines {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// Bytes are missing here: what was begun cannot be understood any more.
    fn tear(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.lines(stream).tear();
        }
        if !self.document.is_empty() {
            self.document.clear();
            self.facts.unknown_lines += 1;
        }
    }

    fn note_offset(&mut self, end: u64) {
        if self.stdout.is_between() && self.document.is_empty() {
            self.facts.offset.stdout = self.facts.offset.stdout.max(end);
        }
        if self.stderr.is_between() {
            self.facts.offset.stderr = self.facts.offset.stderr.max(end);
        }
    }

    /// Takes a whole line without its end; `None` where it was torn or too long.
    fn line(&mut self, stream: Stream, line: Option<&[u8]>) {
        let Some(line) = line else {
            self.facts.unknown_lines += 1;
            return;
        };
        let text = String::from_utf8_lossy(line);
        let text = text.strip_suffix('\r').unwrap_or(&text);
        match stream {
            Stream::Stdout => self.stdout_line(text),
            Stream::Stderr => self.facts.push_stderr(text),
        }
    }

    fn stdout_line(&mut self, text: &str) {
        if self.facts.format == Format::Text {
            plain::take(&mut self.facts, text);
            return;
        }
        if !self.document.is_empty() {
            self.document_line(text);
            return;
        }
        // cursor-agent names the stream in front of the line.
        let text = match text.split_once(':') {
            Some(("stdout", rest)) => rest.trim_start(),
            Some(("stderr", rest)) => return self.facts.push_stderr(rest.trim_start()),
            _ => text.trim(),
        };
        if text.is_empty() {
            return;
        }
        if !text.starts_with(['{', '[']) {
            self.facts.unknown_lines += 1;
            self.facts.push_plain(text);
            return;
        }
        if opens_document(text) {
            self.document_line(text);
            return;
        }
        self.json(text);
    }

    /// Collects a document that is printed over several lines, as `JSON.stringify(…, 2)` does: it
    /// ends with a bracket at the beginning of a line.
    fn document_line(&mut self, text: &str) {
        if self.document.len() + text.len() >= MAX_LINE {
            self.document.clear();
            self.facts.unknown_lines += 1;
            return;
        }
        // Another object begins at the beginning of a line: what began before never was a document.
        if self.document.starts_with('{') && text.starts_with('{') {
            self.document.clear();
            self.facts.unknown_lines += 1;
            if !opens_document(text) {
                self.json(text);
                return;
            }
        }
        self.document.push_str(text);
        self.document.push('\n');
        if text.starts_with(['}', ']']) {
            self.close_document();
        }
    }

    fn close_document(&mut self) {
        if !self.document.is_empty() {
            let document = std::mem::take(&mut self.document);
            self.json(&document);
        }
    }

    fn json(&mut self, text: &str) {
        if let Ok(head) = serde_json::from_str::<Head<'_>>(text)
            && let Some(kind) = head.kind
            && self.facts.format.passes_over(&kind)
        {
            self.facts.events += 1;
            return;
        }
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Array(items)) => items.iter().for_each(|item| self.event(item)),
            Ok(value) => self.event(&value),
            // It is not kept as plain text: a torn event may hold a model's words.
            Err(_) => self.facts.unknown_lines += 1,
        }
    }

    fn event(&mut self, value: &Value) {
        let event = Event(value);
        if self.facts.format.take(&mut self.facts, &event) {
            self.facts.events += 1;
            if let Some(kind) = event.text("type") {
                self.facts.last_event = Some(super::text::truncated(kind, 64).to_owned());
            }
        } else {
            self.facts.unknown_lines += 1;
        }
    }
}

/// Whether a line is the first of a document over several lines.
fn opens_document(text: &str) -> bool {
    matches!(text, "{" | "[" | "[{")
}

/// The type of an event, read without building the rest of it.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
}
