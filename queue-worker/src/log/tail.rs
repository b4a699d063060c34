//! Finds the last lines of a log without reading what is before them.
//!
//! Used by [`Reader::open_tail`](super::Reader::open_tail). What always holds: it reads backwards,
//! block by block, and holds no more than one line and one block; a hole in the file is jumped over.

use std::fs::File;
use std::io;

use super::Stream;
use super::line::{MAX_LINE, Parsed, parse};
use super::reader::read_at;

/// Bytes read from the file at once.
const BLOCK: u64 = 64 * 1024;

/// The place in the file where the last `lines` lines begin (of `only` that stream, if given).
pub(super) fn place_of_last(file: &File, lines: usize, only: Option<Stream>) -> io::Result<u64> {
    let mut backwards = Backwards::new(file)?;
    let mut whole = 0;
    let mut start = backwards.end;
    while let Some((place, line)) = backwards.previous()? {
        let Parsed::Text {
            stream, is_full, ..
        } = parse(line)
        else {
            continue;
        };
        if only.is_some_and(|only| only != stream) {
            continue;
        }
        // A full line ends a line, and so does a part at the very end.
        if is_full || whole == 0 {
            if whole == lines {
                return Ok(start);
            }
            whole += 1;
        }
        start = place;
    }
    // There are fewer: begin with the beginning, damage and gaps included.
    Ok(0)
}

/// So many zero bytes before a line are a hole: a line has no room for more than twice as many.
const HOLE: usize = 8 * 1024;

/// The lines of a file, last first.
struct Backwards<'a> {
    file: &'a File,
    end: u64,
    /// The bytes that are not given out, from `start`.
    buffer: Vec<u8>,
    start: u64,
    /// Whether a line begins at `start`, because a hole ends there.
    is_bounded: bool,
    first_hole: u64,
    given: Vec<u8>,
}

impl<'a> Backwards<'a> {
    fn new(file: &'a File) -> io::Result<Self> {
        let end = file.metadata()?.len();
        Ok(Self {
            file,
            end,
            buffer: Vec::new(),
            start: end,
            is_bounded: false,
            first_hole: first_hole(file, end),
            given: Vec::new(),
        })
    }

    /// The line before, without its line feed, and where it begins.
    fn previous(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        loop {
            let waiting = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
            if let Some(found) = waiting.iter().rposition(|byte| *byte == b'\n') {
                return Ok(Some(self.give(found + 1)));
            }
            let is_too_long = waiting.len() > 2 * MAX_LINE;
            let is_whole = self.is_bounded || self.start == 0;
            if !self.buffer.is_empty() && (is_too_long || is_whole) {
                return Ok(Some(self.give(0)));
            }
            if self.start == 0 {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    /// Takes the last line off the buffer, where it begins at `from`.
    fn give(&mut self, from: usize) -> (u64, &[u8]) {
        self.given = self.buffer.split_off(from);
        // Zeros before it are the end of a hole.
        let zeros = self.given.iter().take_while(|byte| **byte == 0).count();
        let line = &self.given[zeros..];
        let place = self.start + (from + zeros) as u64;
        (place, line.strip_suffix(b"\n").unwrap_or(line))
    }

    /// Puts one more block in front of the buffer, or goes over the hole that is there.
    fn fill(&mut self) -> io::Result<()> {
        let length = self.start.min(BLOCK);
        let mut block = vec![0; usize::try_from(length).unwrap_or_default()];
        let from = self.start - length;
        let count = read_at(self.file, &mut block, from)?;
        if count < block.len() {
            // The file became shorter under us: what is gone reads as zeros.
            block[count..].fill(0);
        }
        let zeros = block.iter().rev().take_while(|byte| **byte == 0).count();
        self.is_bounded = zeros >= HOLE.min(block.len());
        if !self.is_bounded {
            block.append(&mut self.buffer);
            self.buffer = block;
            self.start = from;
        } else if self.buffer.is_empty() {
            self.is_bounded = false;
            let is_all_zeros = zeros == block.len();
            block.truncate(block.len() - zeros);
            self.buffer = block;
            self.start = if is_all_zeros {
                from.min(self.first_hole)
            } else {
                from
            };
        }
        Ok(())
    }
}

/// Where the first hole of the file begins; the end of the file where there is none to be found.
fn first_hole(file: &File, end: u64) -> u64 {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    if let Ok(found) = rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(0)) {
        return found;
    }
    let _ = file;
    end
}
