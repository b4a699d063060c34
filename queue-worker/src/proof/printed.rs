//! The end of what a check printed, as text that does no harm.
//!
//! Read from the attempt's log once the check has ended. What always holds: memory is bounded
//! however much was printed; what is returned has no control characters but line feeds and tabs, no
//! escape sequences, and nothing that a reader cannot see; so it can stand in a prompt, a file and a
//! table.

use std::collections::VecDeque;
use std::path::Path;

use queue_core::proof::KEPT_OUTPUT;

use crate::agent::text::without_ansi;
use crate::log::{Entry, Reader};

/// What is put before an end that is not the whole.
const CUT: &str = "… (the beginning is in the log)\n";

/// What stands in the log between two places: the end of it. A log that cannot be read says nothing.
pub(crate) fn end_of(log: &Path, from: u64, to: u64) -> String {
    let Ok(mut reader) = Reader::open_at_place(log, from) else {
        return String::new();
    };
    // Cleaned it becomes shorter: twice as much is enough for the end of most.
    let most = 2 * KEPT_OUTPUT;
    let mut bytes: VecDeque<u8> = VecDeque::new();
    let mut is_cut = false;
    while reader.place() < to
        && let Ok(Some(entry)) = reader.next_whole()
    {
        match entry {
            Entry::Line(line) => {
                bytes.extend(&line.text);
                if line.is_full {
                    bytes.push_back(b'\n');
                }
            }
            Entry::Omitted { .. } | Entry::Damaged { .. } => is_cut = true,
        }
        if bytes.len() > most {
            bytes.drain(..bytes.len() - most);
            is_cut = true;
        }
    }
    let text = String::from_utf8_lossy(bytes.make_contiguous()).into_owned();
    bounded(clean(&text), is_cut)
}

fn bounded(text: String, is_cut: bool) -> String {
    if text.len() <= KEPT_OUTPUT && !is_cut {
        return text;
    }
    let from = text.len().saturating_sub(KEPT_OUTPUT - CUT.len());
    let from = (from..text.len()).find(|at| text.is_char_boundary(*at));
    let rest = &text[from.unwrap_or(text.len())..];
    // Half a line says less than none, where there are others.
    let rest = match rest.split_once('\n') {
        Some((_, whole)) if !whole.is_empty() => whole,
        _ => rest,
    };
    format!("{CUT}{rest}")
}

/// Makes text of a program's harmless.
fn clean(text: &str) -> String {
    let plain = without_ansi(text);
    let mut clean = String::with_capacity(plain.len());
    for line in plain.split_inclusive('\n') {
        let (line, end) = match line.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (line, ""),
        };
        // A progress bar writes over itself: what stood there last is what was seen.
        let line = line.trim_end_matches('\r');
        let seen = line.rsplit('\r').next().unwrap_or_default();
        clean.extend(seen.chars().filter(|c| !is_harmful(*c)));
        clean.push_str(end);
    }
    clean
}

/// Makes a message one harmless line.
pub(crate) fn one_line(text: &str) -> String {
    let cleaned = clean(text);
    let lines = cleaned
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("; ")
}

/// Control characters, marks that turn the direction of writing, and what cannot be seen: a
/// reader, and a model, would take it for something else than is shown.
fn is_harmful(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c,
            '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Stream, push_text};

    fn log(dir: &tempfile::TempDir, lines: &[&[u8]]) -> std::path::PathBuf {
        let path = dir.path().join("log");
        let mut text = Vec::new();
        for line in lines {
            push_text(
                &mut text,
                "2026-01-02T03:04:05.000000000Z",
                Stream::Stderr,
                true,
                line,
            );
        }
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn what_is_kept_is_plain_text() {
        let dir = tempfile::tempdir().unwrap();
        let path = log(
            &dir,
            &[
                b"\x1b[31mred\x1b[0m \x07bell",
                b"10 %\r50 %\r100 %",
                "a\u{202e}b\u{200b}c\u{e0041}".as_bytes(),
                b"bad \xff\xfe bytes\r",
            ],
        );
        assert_eq!(
            end_of(&path, 0, u64::MAX),
            "red bell\n100 %\nabc\nbad \u{fffd}\u{fffd} bytes\n"
        );
        assert_eq!(end_of(dir.path().join("none").as_path(), 0, u64::MAX), "");
    }

    #[test]
    fn of_much_the_end_is_kept_in_whole_lines() {
        let dir = tempfile::tempdir().unwrap();
        let lines: Vec<String> = (0..100_000).map(|n| format!("line ä {n}")).collect();
        let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
        let path = log(&dir, &lines);
        let text = end_of(&path, 0, u64::MAX);
        assert!(text.len() <= KEPT_OUTPUT && text.len() > KEPT_OUTPUT / 2);
        assert!(text.starts_with(CUT) && text.ends_with("line ä 99999\n"));
        assert!(text.lines().nth(1).unwrap().starts_with("line ä"), "{text}");
        let cut = end_of(&path, 0, 200);
        assert!(
            cut.starts_with("line ä 0\n") && cut.lines().count() < 5,
            "{cut}"
        );
        let place = std::fs::metadata(&path).unwrap().len();
        assert_eq!(end_of(&path, place, u64::MAX), "");
    }

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(one_line("fatal: a\n\n  b\x1b[2J\n"), "fatal: a; b");
    }
}
