//! The form of a line in an attempt's log; shared by its writer and its reader.
//!
//! `2026-01-02T03:04:05.678901234Z stdout F text` is the form container runtimes use (CRI): time,
//! stream, `F` for a full line or `P` for a part whose rest follows, then the bytes as the job wrote
//! them. Two lines are ours, from the stream `system`: `O` stands where the cap cut the middle out,
//! `L` where bytes were lost because the disk took none. What always holds: a job cannot write a line
//! of ours, because its bytes come after a header; no line is longer than [`MAX_LINE`].

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// One of the two outputs of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    const fn token(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Bytes of `2026-01-02T03:04:05.678901234Z`.
pub(crate) const TIME: usize = 30;
/// Bytes of a header: time, stream, tag, and a space after each.
pub(crate) const HEADER: usize = TIME + 1 + 6 + 1 + 1 + 1;
/// The longest text of one line; a longer line of the job is written in parts.
pub(crate) const MAX_TEXT: usize = 16 * 1024;
/// The longest line of a log, with header and line feed, in bytes.
pub const MAX_LINE: usize = HEADER + MAX_TEXT + 1;
/// Bytes of the line that stands for the middle: its numbers have a fixed width.
pub(crate) const GAP_LINE: usize = HEADER + "bytes= resume= at=\n".len() + 3 * 20;

/// The middle that the cap cut out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    /// Bytes of the job's output that are gone.
    pub(crate) bytes: u64,
    /// The offset in the uncut log at which it goes on.
    pub(crate) resume: u64,
    /// Where in this file that is.
    pub(crate) at: u64,
}

/// What a line of the file says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    Text {
        at: DateTime<Utc>,
        stream: Stream,
        is_full: bool,
        text: &'a [u8],
    },
    Gap(Gap),
    Lost {
        bytes: u64,
    },
    Garbage,
}

/// Writes a time as the log has it.
pub(crate) fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

/// Appends one line of a job's output.
pub(crate) fn push_text(out: &mut Vec<u8>, time: &str, stream: Stream, is_full: bool, text: &[u8]) {
    out.extend_from_slice(time.as_bytes());
    out.push(b' ');
    out.extend_from_slice(stream.token().as_bytes());
    out.extend_from_slice(if is_full { b" F " } else { b" P " });
    out.extend_from_slice(text);
    out.push(b'\n');
}

/// The line that stands for the middle; always [`GAP_LINE`] bytes.
pub(crate) fn gap_line(time: &str, gap: Gap) -> String {
    let Gap { bytes, resume, at } = gap;
    format!("{time} system O bytes={bytes:020} resume={resume:020} at={at:020}\n")
}

/// The line that stands for bytes the disk did not take.
pub(crate) fn lost_line(time: &str, bytes: u64) -> String {
    format!("{time} system L bytes={bytes:020}\n")
}

/// Reads one line, without its line feed.
pub(crate) fn parse(line: &[u8]) -> Parsed<'_> {
    parse_line(line).unwrap_or(Parsed::Garbage)
}

fn parse_line(line: &[u8]) -> Option<Parsed<'_>> {
    let (header, text) = line.split_at_checked(HEADER)?;
    let at = parse_time(&header[..TIME])?;
    let stream = match &header[TIME..] {
        b" stdout F " => (Stream::Stdout, true),
        b" stdout P " => (Stream::Stdout, false),
        b" stderr F " => (Stream::Stderr, true),
        b" stderr P " => (Stream::Stderr, false),
        b" system O " => return parse_gap(text).map(Parsed::Gap),
        b" system L " => {
            let [bytes] = numbers(text, ["bytes"])?;
            return Some(Parsed::Lost { bytes });
        }
        _ => return None,
    };
    let (stream, is_full) = stream;
    Some(Parsed::Text {
        at,
        stream,
        is_full,
        text,
    })
}

fn parse_gap(text: &[u8]) -> Option<Gap> {
    let [bytes, resume, at] = numbers(text, ["bytes", "resume", "at"])?;
    Some(Gap { bytes, resume, at })
}

/// Reads `name=number` pairs, exactly those named.
fn numbers<const N: usize>(text: &[u8], names: [&str; N]) -> Option<[u64; N]> {
    let mut pairs = std::str::from_utf8(text).ok()?.split(' ');
    let mut values = [0; N];
    for (value, name) in values.iter_mut().zip(names) {
        let (found, number) = pairs.next()?.split_once('=')?;
        *value = number.parse().ok().filter(|_| found == name)?;
    }
    pairs.next().is_none().then_some(values)
}

/// Reads a time in the one form we write, which is several times faster than a general parser.
fn parse_time(text: &[u8]) -> Option<DateTime<Utc>> {
    const FORM: &[u8; TIME] = b"dddd-dd-ddTdd:dd:dd.dddddddddZ";
    let fits = text.iter().zip(FORM).all(|(byte, form)| match form {
        b'd' => byte.is_ascii_digit(),
        other => byte == other,
    });
    if !fits {
        return None;
    }
    let number = |from: usize, to: usize| {
        text[from..to]
            .iter()
            .fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'))
    };
    let year = i32::try_from(number(0, 4)).ok()?;
    chrono::NaiveDate::from_ymd_opt(year, number(5, 7), number(8, 10))?
        .and_hms_nano_opt(
            number(11, 13),
            number(14, 16),
            number(17, 19),
            number(20, 29),
        )
        .map(|time| time.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_323_045, 678_901_234).unwrap()
    }

    #[test]
    fn a_line_reads_back_as_it_was_written() {
        let mut line = Vec::new();
        push_text(
            &mut line,
            &stamp(now()),
            Stream::Stderr,
            false,
            b"a \xff\0b",
        );
        assert!(line.starts_with(b"2026-01-02T03:04:05.678901234Z stderr P a \xff\0b\n"));
        let read = parse(&line[..line.len() - 1]);
        let text: &[u8] = b"a \xff\0b";
        assert_eq!(
            read,
            Parsed::Text {
                at: now(),
                stream: Stream::Stderr,
                is_full: false,
                text
            }
        );
    }

    #[test]
    fn lines_of_ours_have_a_fixed_length_and_read_back() {
        let gap = Gap {
            bytes: 5,
            resume: u64::MAX,
            at: 1 << 40,
        };
        let line = gap_line(&stamp(now()), gap);
        assert_eq!(line.len(), GAP_LINE);
        assert_eq!(parse(line.trim_end().as_bytes()), Parsed::Gap(gap));
        let line = lost_line(&stamp(now()), 77);
        assert_eq!(
            parse(line.trim_end().as_bytes()),
            Parsed::Lost { bytes: 77 }
        );
    }

    #[test]
    fn anything_else_is_garbage_and_no_panic() {
        let good = format!("{} stdout F x", stamp(now()));
        assert_ne!(parse(good.as_bytes()), Parsed::Garbage);
        for bad in [
            "",
            "x",
            &good.replace("stdout", "stdin_"),
            &good.replace('T', " "),
            &good.replace("-01-", "-13-"),
        ] {
            assert_eq!(parse(bad.as_bytes()), Parsed::Garbage, "{bad}");
        }
        for cut in 0..HEADER {
            assert_eq!(parse(&good.as_bytes()[..cut]), Parsed::Garbage);
        }
    }
}
