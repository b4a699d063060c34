//! Reads a log forwards.
//!
//! Used directly and by the follower. What always holds: no more than one line and one block are in
//! memory; an offset names the same line for as long as the log exists, also after the middle was
//! cut out and the file was written anew.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::line::{GAP_LINE, Gap, MAX_LINE, Parsed, parse};
use super::{Entry, Line, Stream};

/// Bytes read from the file at once.
const BLOCK: usize = 64 * 1024;

/// Reads the entries of a log, from the beginning, an offset, or so many lines before the end.
///
/// As an iterator it ends at the end of the file, with what there is of a torn last line.
#[derive(Debug)]
pub struct Reader {
    pub(super) file: File,
    /// Bytes of the file that are not given out yet; they begin at `place`.
    buffer: Vec<u8>,
    used: usize,
    /// Where in the file the next entry begins.
    pub(super) place: u64,
    /// Offset minus place; `None` where it was not needed so far.
    shift: Option<u64>,
    /// Bytes of the log that are gone before the next entry, still to be told.
    missing: u64,
    only: Option<Stream>,
}

impl Reader {
    /// Opens the log at `path`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut reader = Self::new(File::open(path)?, 0);
        reader.shift = Some(0);
        Ok(reader)
    }

    /// Opens the log at `path` at an offset that [`Reader::offset`] gave.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub fn open_at(path: &Path, offset: u64) -> io::Result<Self> {
        Self::at_offset(File::open(path)?, offset)
    }

    /// Opens the log at `path` at a place in the file that was its end at some time.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(crate) fn open_at_place(path: &Path, place: u64) -> io::Result<Self> {
        Ok(Self::new(File::open(path)?, place))
    }

    /// Opens the log at `path` at the last `lines` lines (of `only` that stream, if given).
    ///
    /// A line that was written in parts, with lines of the other stream between them, may come
    /// without its first parts.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub fn open_tail(path: &Path, lines: usize, only: Option<Stream>) -> io::Result<Self> {
        let file = File::open(path)?;
        let place = super::tail::place_of_last(&file, lines, only)?;
        Ok(Self::new(file, place).only(only))
    }

    /// Leaves out the lines of the other stream.
    #[must_use]
    pub fn only(mut self, stream: Option<Stream>) -> Self {
        self.only = stream;
        self
    }

    /// The offset of the next entry, good for [`Reader::open_at`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn offset(&mut self) -> io::Result<u64> {
        let shift = match self.shift {
            Some(shift) => shift,
            None => match find_gap(&self.file, self.place)? {
                Some((_, gap)) if self.place >= gap.at => gap.resume - gap.at,
                _ => 0,
            },
        };
        self.shift = Some(shift);
        Ok(self.place + shift)
    }

    /// Where in the file the next entry begins.
    pub(crate) fn place(&self) -> u64 {
        self.place
    }

    fn new(file: File, place: u64) -> Self {
        Self {
            file,
            buffer: Vec::new(),
            used: 0,
            place,
            shift: None,
            missing: 0,
            only: None,
        }
    }

    pub(super) fn at_offset(file: File, offset: u64) -> io::Result<Self> {
        let (place, shift, missing) = match find_gap(&file, offset)? {
            Some((line, gap)) if offset > line => {
                let missing = gap.resume.saturating_sub(offset);
                let shift = gap.resume.saturating_sub(gap.at);
                ((offset + missing).saturating_sub(shift), shift, missing)
            }
            _ => (offset, 0, 0),
        };
        let mut reader = Self::new(file, place);
        reader.shift = Some(shift);
        reader.missing = missing;
        Ok(reader)
    }

    /// The next entry that is whole; `None` at the end of the file or before a line that is not
    /// whole yet. May be called again when the file has grown.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_whole(&mut self) -> io::Result<Option<Entry>> {
        if self.missing > 0 {
            return Ok(Some(Entry::Omitted {
                bytes: std::mem::take(&mut self.missing),
            }));
        }
        loop {
            let Some(length) = self.line_length()? else {
                return Ok(None);
            };
            let Some(entry) = self.take_line(length)? else {
                continue;
            };
            return Ok(Some(entry));
        }
    }

    /// What is left behind the last whole entry.
    fn torn_end(&mut self) -> Option<Entry> {
        let rest = self.buffer.split_off(self.used);
        self.place += rest.len() as u64;
        self.buffer.clear();
        self.used = 0;
        match parse(&rest) {
            _ if rest.is_empty() => None,
            Parsed::Text {
                at, stream, text, ..
            } => {
                let is_shown = self.only.is_none_or(|only| only == stream);
                let line = Line {
                    at,
                    stream,
                    text: text.to_vec(),
                    is_full: false,
                };
                is_shown.then_some(Entry::Line(line))
            }
            Parsed::Gap(_) | Parsed::Lost { .. } | Parsed::Garbage => Some(Entry::Damaged {
                bytes: rest.len() as u64,
            }),
        }
    }

    /// Gives out the first `length` bytes of the buffer, or goes over them.
    fn take_line(&mut self, length: usize) -> io::Result<Option<Entry>> {
        let line = &self.buffer[self.used..self.used + length];
        if line[0] == 0 {
            return self.skip_hole().map(Some);
        }
        // No line is so long: the rest of it was cut out between two looks at the file.
        let is_torn = length > MAX_LINE;
        if is_torn
            && line.contains(&0)
            && let Some(entry) = self.pass_cut()?
        {
            return Ok(Some(entry));
        }
        let line = &self.buffer[self.used..self.used + length];
        let entry = match parse(line.strip_suffix(b"\n").unwrap_or(line)) {
            _ if is_torn => Some(Entry::Damaged {
                bytes: length as u64,
            }),
            Parsed::Text {
                at,
                stream,
                is_full,
                text,
            } => {
                let is_shown = self.only.is_none_or(|only| only == stream);
                let line = Line {
                    at,
                    stream,
                    text: text.to_vec(),
                    is_full,
                };
                is_shown.then_some(Entry::Line(line))
            }
            Parsed::Gap(gap) if gap.at > self.place => {
                self.pass_gap(gap);
                return Ok(Some(Entry::Omitted { bytes: gap.bytes }));
            }
            Parsed::Lost { bytes } => Some(Entry::Omitted { bytes }),
            // A gap that leads back is damage too.
            Parsed::Gap(_) | Parsed::Garbage => Some(Entry::Damaged {
                bytes: length as u64,
            }),
        };
        self.used += length;
        self.place += length as u64;
        Ok(entry)
    }

    /// The length of the next line with its line feed; of what can be no line, the part to go over.
    fn line_length(&mut self) -> io::Result<Option<usize>> {
        let mut searched = 0;
        loop {
            let waiting = &self.buffer[self.used..];
            if waiting.first() == Some(&0) {
                return Ok(Some(1));
            }
            if let Some(found) = waiting[searched..].iter().position(|byte| *byte == b'\n') {
                return Ok(Some(searched + found + 1));
            }
            searched = waiting.len();
            if searched > MAX_LINE {
                return Ok(Some(searched));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Reads one more block; `false` at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let kept = self.buffer.len();
        self.buffer.resize(kept + BLOCK, 0);
        let answer = read_at(
            &self.file,
            &mut self.buffer[kept..],
            self.place + kept as u64,
        );
        self.buffer.truncate(kept + *answer.as_ref().unwrap_or(&0));
        Ok(answer? > 0)
    }

    fn go_to(&mut self, place: u64) {
        self.buffer.clear();
        self.used = 0;
        self.place = place;
    }

    /// Goes over the middle that is cut out.
    fn pass_gap(&mut self, gap: Gap) {
        self.go_to(gap.at);
        self.shift = Some(gap.resume.saturating_sub(gap.at));
    }

    /// Goes over a hole met without warning: it was cut while we were in it, or power was.
    fn skip_hole(&mut self) -> io::Result<Entry> {
        if let Some(entry) = self.pass_cut()? {
            return Ok(entry);
        }
        let start = self.place;
        let end = end_of_zeros(&self.file, start)?;
        self.go_to(end);
        Ok(Entry::Damaged { bytes: end - start })
    }

    /// Goes to where the log goes on, if the middle was cut out from under us.
    fn pass_cut(&mut self) -> io::Result<Option<Entry>> {
        let start = self.place;
        match find_gap(&self.file, start)? {
            Some((_, gap)) if gap.at > start => {
                self.pass_gap(gap);
                Ok(Some(Entry::Omitted {
                    bytes: gap.at - start,
                }))
            }
            _ => Ok(None),
        }
    }
}

impl Iterator for Reader {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_whole() {
            Ok(Some(entry)) => Some(Ok(entry)),
            Ok(None) => self.torn_end().map(Ok),
            Err(error) => Some(Err(error)),
        }
    }
}

/// Finds the line that stands for the middle, looking at lines that begin before `before`.
pub(super) fn find_gap(file: &File, before: u64) -> io::Result<Option<(u64, Gap)>> {
    let mut buffer = vec![0; BLOCK + MAX_LINE];
    let (mut place, mut kept) = (0_u64, 0_usize);
    while place < before {
        let count = read_at(file, &mut buffer[kept..], place + kept as u64)?;
        if count == 0 {
            return Ok(None);
        }
        let filled = kept + count;
        let mut used = 0;
        while let Some(end) = buffer[used..filled].iter().position(|byte| *byte == b'\n') {
            let line = &buffer[used..used + end];
            if line.first() == Some(&0) {
                return Ok(None);
            }
            if let Parsed::Gap(gap) = parse(line) {
                return Ok(Some((place + used as u64, gap)));
            }
            used += end + 1;
        }
        if filled - used > MAX_LINE {
            used = filled;
        }
        buffer.copy_within(used..filled, 0);
        kept = filled - used;
        place += used as u64;
        if place + (kept as u64) >= before + GAP_LINE as u64 + MAX_LINE as u64 {
            return Ok(None);
        }
    }
    Ok(None)
}

/// Where the zero bytes that begin at `start` end.
fn end_of_zeros(file: &File, start: u64) -> io::Result<u64> {
    let mut place = start;
    let mut buffer = vec![0; BLOCK];
    loop {
        let count = read_at(file, &mut buffer, place)?;
        if count == 0 {
            return Ok(place);
        }
        if let Some(found) = buffer[..count].iter().position(|byte| *byte != 0) {
            return Ok(place + found as u64);
        }
        place = next_data(file, place + count as u64)?;
    }
}

/// Where data goes on at or behind `place`: holes are gone over without reading them.
fn next_data(file: &File, place: u64) -> io::Result<u64> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(place)) {
        Ok(found) => return Ok(found.max(place)),
        // Nothing but a hole up to the end.
        Err(rustix::io::Errno::NXIO) => return Ok(file.metadata()?.len().max(place)),
        Err(_) => {}
    }
    let _ = file;
    Ok(place)
}

pub(super) fn read_at(file: &File, buffer: &mut [u8], place: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, place) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use chrono::DateTime;

    use super::super::line::{gap_line, push_text, stamp};
    use super::*;

    #[test]
    fn a_line_that_was_cut_out_while_it_was_read_is_neither_text_nor_damage() {
        let time = stamp(DateTime::from_timestamp(1_767_323_045, 0).unwrap());
        let line_of = |text: &[u8]| {
            let mut line = Vec::new();
            push_text(&mut line, &time, Stream::Stdout, true, text);
            line
        };
        let (head, tail) = (line_of(b"head"), line_of(b"tail"));
        let place = (head.len() + GAP_LINE) as u64;
        let at = place + 300_000;
        let gap = gap_line(
            &time,
            Gap {
                bytes: 1_000,
                resume: at,
                at,
            },
        );
        // The reader stands behind the head; of the line there only the beginning was left.
        let mut torn = line_of(b"the beginning of");
        torn.pop();
        let mut file = tempfile::tempfile().unwrap();
        for part in [&head, gap.as_bytes(), &torn] {
            file.write_all(part).unwrap();
        }
        file.write_all_at(&tail, at).unwrap();
        let entries: Vec<Entry> = Reader::new(file, place).map(Result::unwrap).collect();
        assert!(
            matches!(&entries[..], [Entry::Omitted { bytes: 300_000 }, Entry::Line(line)] if line.text == b"tail"),
            "{entries:?}"
        );
    }
}
