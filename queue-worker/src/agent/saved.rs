//! Reads output that was saved: an attempt's log of ours, or what somebody redirected into a file.
//!
//! Used by `qcli agent classify`. What always holds: a log is told from raw output by its first line;
//! memory stays bounded; which agent wrote is guessed only from forms that no other one has.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use chrono::{DateTime, Utc};

use super::facts::Facts;
use super::stream::{Format, Reader};
use crate::log::{self, Entry, Stream};

/// How much is looked at before the guess is given up, in bytes.
const GUESSED_FROM: usize = 1024 * 1024;
/// Bytes read at once.
const BLOCK: usize = 64 * 1024;

/// What a saved output holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    /// The facts, with the agent that was named or guessed; with none, where neither.
    pub facts: Facts,
    /// When its last line was written; known of a log of ours.
    pub written_at: Option<DateTime<Utc>>,
}

/// Which agent wrote, and how, where that is known.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// The agent's name.
    pub agent: Option<String>,
    /// The form of its output; that of the agent, where none is named.
    pub format: Option<Format>,
}

/// Reads a file.
///
/// # Errors
/// When it cannot be opened or read.
pub fn of_file(path: &Path, named: &Named) -> io::Result<Saved> {
    let mut start = BufReader::with_capacity(BLOCK, File::open(path)?);
    if !log::is_log(start.fill_buf()?) {
        return read(&mut Blocks(start), named);
    }
    let mut log = log::Reader::open(path)?;
    read(
        &mut std::iter::from_fn(|| next_entry(&mut log).transpose()),
        named,
    )
}

/// Reads a stream, such as standard input.
///
/// # Errors
/// When it cannot be read.
pub fn of_stream(stream: impl Read, named: &Named) -> io::Result<Saved> {
    let mut start = BufReader::with_capacity(BLOCK, stream);
    if !log::is_log(start.fill_buf()?) {
        return read(&mut Blocks(start), named);
    }
    read(
        &mut LogLines {
            lines: start,
            end: 0,
        },
        named,
    )
}

/// A piece of what was saved.
enum Piece {
    /// An entry of a log, and the offset behind it.
    Entry(Entry, u64),
    /// Bytes of standard output.
    Bytes(Vec<u8>),
}

impl Piece {
    fn feed(&self, reader: &mut Reader) {
        match self {
            Self::Entry(entry, end) => reader.feed_entry(entry, *end),
            Self::Bytes(bytes) => reader.feed(Stream::Stdout, bytes),
        }
    }

    fn written_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Entry(Entry::Line(line), _) => Some(line.at),
            Self::Entry(..) | Self::Bytes(_) => None,
        }
    }

    fn stdout(&self) -> &[u8] {
        match self {
            Self::Entry(Entry::Line(line), _) if line.stream == Stream::Stdout => &line.text,
            Self::Entry(..) => &[],
            Self::Bytes(bytes) => bytes,
        }
    }
}

fn next_entry(log: &mut log::Reader) -> io::Result<Option<Piece>> {
    let Some(entry) = log.next().transpose()? else {
        return Ok(None);
    };
    Ok(Some(Piece::Entry(entry, log.offset()?)))
}

/// Raw output, block by block.
struct Blocks<R>(BufReader<R>);

impl<R: Read> Iterator for Blocks<R> {
    type Item = io::Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        let block = match self.0.fill_buf() {
            Ok([]) => return None,
            Ok(block) => block.to_vec(),
            Err(error) => return Some(Err(error)),
        };
        self.0.consume(block.len());
        Some(Ok(Piece::Bytes(block)))
    }
}

/// A log that comes as a stream.
struct LogLines<R> {
    lines: BufReader<R>,
    end: u64,
}

impl<R: Read> Iterator for LogLines<R> {
    type Item = io::Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        let most = log::MAX_LINE as u64;
        match (&mut self.lines).take(most).read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(length) => {
                self.end += length as u64;
                Some(Ok(Piece::Entry(log::entry(&line), self.end)))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

fn read(pieces: &mut dyn Iterator<Item = io::Result<Piece>>, named: &Named) -> io::Result<Saved> {
    let mut held = Vec::new();
    let mut agent = named.agent.clone();
    let mut looked_at = 0;
    while agent.is_none() && looked_at < GUESSED_FROM {
        let Some(piece) = pieces.next().transpose()? else {
            break;
        };
        agent = guess(piece.stdout()).map(str::to_owned);
        looked_at += piece.stdout().len().max(1);
        held.push(piece);
    }
    let agent = agent.unwrap_or_default();
    let format = named.format.unwrap_or_else(|| Format::of_agent(&agent));
    let mut reader = Reader::new(format, Facts::of(&agent));
    let mut written_at = None;
    for piece in held.into_iter().map(Ok).chain(pieces) {
        let piece = piece?;
        written_at = piece.written_at().or(written_at);
        piece.feed(&mut reader);
    }
    Ok(Saved {
        facts: reader.into_facts(),
        written_at,
    })
}

/// The agent that has such lines, if only one has.
fn guess(bytes: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().find_map(|line| {
        let head: String = line.chars().filter(|c| *c != ' ').take(4096).collect();
        let has = |words: &str| head.contains(words);
        let is_json = head.starts_with(['{', '[']);
        match () {
            () if head.starts_with("stdout:{") => Some("cursor-agent"),
            () if head.starts_with("Aiderv") => Some("aider"),
            () if !is_json => None,
            () if has("\"type\":\"thread.started\"") || has("\"type\":\"turn.") => Some("codex"),
            () if has("\"qwen_code_version\"") => Some("qwen"),
            () if has("\"type\":\"system\"") || has("\"type\":\"rate_limit_event\"") => {
                Some("claude")
            }
            () if has("\"type\":\"result\",\"subtype\"") => Some("claude"),
            () if has("\"sessionID\":\"ses_") => Some("opencode"),
            () if has("\"denied_actions\"") => Some("agy"),
            () if has("\"type\":\"init\"") => Some("gemini"),
            () if has("\"type\":\"message\",\"message\":") => Some("goose"),
            () => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"s\"}\nnoise\n\
                          {\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"done\"}";

    fn as_log(output: &str) -> String {
        let mut log = String::new();
        for line in output.lines() {
            log += &format!("2026-01-02T03:04:05.000000000Z stdout F {line}\n");
        }
        log
    }

    #[test]
    fn a_log_and_raw_output_give_the_same_facts_from_a_file_and_from_a_stream() {
        let dir = tempfile::tempdir().unwrap();
        let raw = of_stream(OUTPUT.as_bytes(), &Named::default()).unwrap();
        assert_eq!(
            (raw.facts.agent.as_str(), raw.facts.session_id.as_deref()),
            ("claude", Some("s"))
        );
        assert_eq!((raw.facts.unknown_lines, raw.written_at), (1, None));
        let log = as_log(OUTPUT);
        for text in [OUTPUT, &log] {
            let path = dir.path().join("saved");
            std::fs::write(&path, text).unwrap();
            for mut saved in [
                of_file(&path, &Named::default()).unwrap(),
                of_stream(text.as_bytes(), &Named::default()).unwrap(),
            ] {
                assert_eq!(saved.written_at.is_some(), text == log);
                saved.facts.offset = raw.facts.offset;
                assert_eq!(saved.facts, raw.facts);
            }
        }
    }

    #[test]
    fn what_is_named_is_not_guessed_and_what_nobody_knows_stays_unknown() {
        let named = Named {
            agent: Some("qwen".to_owned()),
            format: None,
        };
        assert_eq!(
            of_stream(OUTPUT.as_bytes(), &named).unwrap().facts.agent,
            "qwen"
        );
        let plain = of_stream(&b"hello\n"[..], &Named::default()).unwrap().facts;
        assert_eq!(
            (plain.agent.as_str(), plain.plain_tail.as_str()),
            ("", "hello\n")
        );
    }
}
