//! Reads the log of an attempt.
//!
//! Used by `qcli logs`, `qcli failed`, and whoever shows output. What always holds: memory stays
//! constant however long the log is; a torn, damaged or cut file gives what can be read and says
//! what cannot; the bytes of the job's come back exactly, in the order they were read from it.

mod follow;
mod line;
mod reader;
mod tail;

use std::io::{self, Write};

use chrono::{DateTime, Utc};

pub use follow::Follower;
pub(crate) use line::{GAP_LINE, Gap, MAX_TEXT, gap_line, lost_line, push_text, stamp};
pub use line::{MAX_LINE, Stream};
pub use reader::Reader;

/// Whether bytes begin as a log does.
#[must_use]
pub fn is_log(start: &[u8]) -> bool {
    let line = start
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    line::parse(line) != line::Parsed::Garbage
}

/// Reads one line of a log, with or without its line feed.
///
/// For logs that come as a stream; one in a file may have a hole, which only [`Reader`] goes over.
#[must_use]
pub fn entry(line: &[u8]) -> Entry {
    match line::parse(line.strip_suffix(b"\n").unwrap_or(line)) {
        line::Parsed::Text {
            at,
            stream,
            is_full,
            text,
        } => Entry::Line(Line {
            at,
            stream,
            text: text.to_vec(),
            is_full,
        }),
        line::Parsed::Gap(gap) => Entry::Omitted { bytes: gap.bytes },
        line::Parsed::Lost { bytes } => Entry::Omitted { bytes },
        line::Parsed::Garbage => Entry::Damaged {
            bytes: line.len() as u64,
        },
    }
}

/// A line of output, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When its last bytes were read from the process.
    pub at: DateTime<Utc>,
    /// Where the process wrote it.
    pub stream: Stream,
    /// The bytes, without the line feed.
    pub text: Vec<u8>,
    /// Whether a line feed ended it. If not, the next line of the same stream goes on with it.
    pub is_full: bool,
}

impl Line {
    /// Writes the bytes exactly as the process did.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_raw(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.text)?;
        if self.is_full {
            out.write_all(b"\n")
        } else {
            Ok(())
        }
    }
}

/// What a log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Output of the process.
    Line(Line),
    /// Here output is missing: cut out by the cap, or not taken by the disk.
    Omitted {
        /// How much the process wrote here. For a reader that began inside of what is missing: how
        /// much of the log is missing from there on.
        bytes: u64,
    },
    /// Here bytes of the file are no log: a torn line, or what a power cut left.
    Damaged {
        /// How many.
        bytes: u64,
    },
}
