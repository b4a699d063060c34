//! Writes the log of one attempt.
//!
//! Owned by the supervisor's output. What always holds: the file has mode 0600; whole lines are
//! written in batches at the place we remember, so a write that was cut short goes on where it
//! stopped; beyond the cap the middle becomes a hole in the file, and at the end the file is written
//! anew without it. Where the disk takes nothing, the log waits, then counts what it had to drop.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::LogSummary;
use super::cap::{Cap, Cut, Place};
use super::frame::Framer;
use crate::log::{GAP_LINE, Gap, Stream, gap_line, lost_line, push_text, stamp};

/// How much waits in memory while the disk takes nothing.
const WAITING_ROOM: usize = 1 << 20;
/// A multiple of the block size of any file system.
const BLOCK: u64 = 64 * 1024;
/// Where a file with holes is written anew although the job goes on: file systems end at 16 TiB.
const LONGEST_FILE: u64 = 1 << 40;

/// The log of one attempt, open for writing.
#[derive(Debug)]
pub struct LogWriter {
    path: PathBuf,
    file: File,
    framers: [Framer; 2],
    sheet: Sheet,
    /// Offset in the uncut log minus place in the file, behind the cut.
    shift: u64,
    /// What is cut out of the file.
    cut: Option<Cut>,
    /// Where the hole in the file ends; where the log goes on, if there is no hole.
    hole_end: u64,
    can_punch: bool,
    is_failing: bool,
    output_bytes: u64,
    dropped: Dropped,
    trouble: Option<String>,
}

/// Bytes the disk did not take: in all, and those the log does not tell of yet.
#[derive(Debug, Default)]
struct Dropped {
    bytes: u64,
    untold: u64,
}

/// Lines that are not in the file yet.
#[derive(Debug)]
struct Sheet {
    buffer: Vec<u8>,
    /// Offset of the buffer's first byte in the uncut log.
    start: u64,
    /// Bytes of the job's in all lines so far.
    framed_bytes: u64,
    /// The same, when the buffer was last empty.
    written_bytes: u64,
    cap: Cap,
}

impl Sheet {
    fn push(&mut self, time: &str, stream: Stream, text: &[u8], is_full: bool) {
        let before = self.buffer.len();
        let offset = self.start + before as u64;
        push_text(&mut self.buffer, time, stream, is_full, text);
        let place = Place {
            offset,
            bytes_before: self.framed_bytes,
        };
        self.cap
            .note_line(place, (self.buffer.len() - before) as u64);
        self.framed_bytes += text.len() as u64 + u64::from(is_full);
    }

    fn push_lost(&mut self, bytes: u64) {
        self.buffer
            .extend_from_slice(lost_line(&stamp(Utc::now()), bytes).as_bytes());
    }
}

impl LogWriter {
    /// Opens the log at `path`, which may take `cap` bytes of disk; goes on behind what is there.
    ///
    /// A cap below 128 KiB counts as that. What is there already counts as the beginning, which is
    /// kept, and may take its own room.
    ///
    /// # Errors
    /// When the file cannot be created or opened.
    pub fn open(path: &Path, cap: u64) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let start = file.metadata()?.len();
        let mut buffer = Vec::new();
        if start > 0 && !ends_with_line_feed(&file, start) {
            // A writer died in the middle of a line: end it, so that ours begins where a line does.
            buffer.push(b'\n');
        }
        let sheet = Sheet {
            buffer,
            start,
            framed_bytes: 0,
            written_bytes: 0,
            cap: Cap::new(cap),
        };
        Ok(Self {
            path: path.to_owned(),
            file,
            framers: Default::default(),
            sheet,
            shift: 0,
            cut: None,
            hole_end: 0,
            can_punch: cfg!(target_os = "linux"),
            is_failing: false,
            output_bytes: 0,
            dropped: Dropped::default(),
            trouble: None,
        })
    }

    /// Takes bytes the process wrote to `stream`, read at the time `at`.
    pub fn take(&mut self, stream: Stream, bytes: &[u8], at: DateTime<Utc>) {
        self.output_bytes += bytes.len() as u64;
        if self.has_no_room() {
            self.write_parts(at);
            self.dropped.bytes += bytes.len() as u64;
            self.dropped.untold += bytes.len() as u64;
            return;
        }
        let time = stamp(at);
        let sheet = &mut self.sheet;
        self.framers[stream as usize].take(bytes, &mut |text, is_full| {
            sheet.push(&time, stream, text, is_full);
        });
    }

    /// Puts the beginnings of lines that wait for their end into the log, as parts.
    pub fn write_parts(&mut self, at: DateTime<Utc>) {
        let time = stamp(at);
        let sheet = &mut self.sheet;
        for (framer, stream) in self
            .framers
            .iter_mut()
            .zip([Stream::Stdout, Stream::Stderr])
        {
            framer.give_part(&mut |text, is_full| sheet.push(&time, stream, text, is_full));
        }
    }

    /// Writes the lines so far in one go and keeps the file within its cap.
    ///
    /// Trouble is remembered for the summary; what could not be written is tried again next time.
    pub fn flush(&mut self) {
        self.write_out();
        if !self.is_failing && self.dropped.untold > 0 {
            self.sheet
                .push_lost(std::mem::take(&mut self.dropped.untold));
            self.write_out();
        }
        self.keep_cap();
    }

    /// Whether lines wait for a disk that took nothing.
    pub(crate) fn is_behind(&self) -> bool {
        self.is_failing || self.is_over_cap()
    }

    /// Whether the beginning of a line waits for its end.
    pub(crate) fn has_parts(&self) -> bool {
        self.framers.iter().any(Framer::has_part)
    }

    /// Bytes taken so far.
    pub(crate) fn output_bytes(&self) -> u64 {
        self.output_bytes
    }

    /// Writes what waits, cuts the file to its cap, takes the hole out of it, and sums up.
    pub fn finish(mut self) -> LogSummary {
        self.write_parts(Utc::now());
        self.flush();
        let last_cut = self.sheet.cap.cut(self.sheet.start, 0);
        if let Some(cut) = last_cut.or(self.cut.filter(|_| self.has_hole()))
            && let Err(error) = self.rewrite(cut)
        {
            self.note_trouble(&error);
        }
        let unwritten = self.sheet.framed_bytes - self.sheet.written_bytes;
        let cut_out = self.cut.map_or(0, |cut| cut.bytes);
        LogSummary {
            output_bytes: self.output_bytes,
            omitted_bytes: cut_out + self.dropped.bytes + unwritten,
            file_bytes: self.place_of(self.sheet.start),
            trouble: self.trouble,
        }
    }

    fn write_out(&mut self) {
        while !self.sheet.buffer.is_empty() {
            let place = self.place_of(self.sheet.start);
            match self.file.write_at(&self.sheet.buffer, place) {
                Ok(0) => return self.fail(&io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.sheet.buffer.drain(..count);
                    self.sheet.start += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.fail(&error),
            }
        }
        self.is_failing = false;
        self.sheet.written_bytes = self.sheet.framed_bytes;
    }

    fn fail(&mut self, error: &io::Error) {
        self.is_failing = true;
        self.note_trouble(error);
    }

    fn note_trouble(&mut self, error: &io::Error) {
        if self.trouble.is_none() {
            let log = self.path.display();
            tracing::warn!(log = %log, %error, "the log cannot be written");
            self.trouble = Some(format!("the log `{log}` could not be written: {error}"));
        }
    }

    fn has_no_room(&self) -> bool {
        (self.is_failing && self.sheet.buffer.len() > WAITING_ROOM) || self.is_over_cap()
    }

    /// Whether the file is far beyond its cap because nothing could be cut out of it.
    fn is_over_cap(&self) -> bool {
        let tail_start = self.cut.map_or(0, |cut| cut.resume.offset);
        self.sheet.start.saturating_sub(tail_start) > 5 * self.sheet.cap.half()
    }

    fn place_of(&self, offset: u64) -> u64 {
        offset - self.shift
    }

    fn has_hole(&self) -> bool {
        self.cut
            .is_some_and(|cut| self.hole_end > cut.head_end + GAP_LINE as u64)
    }

    fn keep_cap(&mut self) {
        let half = self.sheet.cap.half();
        // Writing the file anew copies it, so then it is done half as often as the log fills.
        let slack = match (self.is_over_cap(), self.can_punch) {
            (true, _) => 0,
            (false, true) => half / 4,
            (false, false) => half,
        };
        let Some(cut) = self.sheet.cap.cut(self.sheet.start, slack) else {
            return;
        };
        let is_too_long = self.place_of(self.sheet.start) > LONGEST_FILE;
        if self.can_punch && !is_too_long {
            match self.punch(cut) {
                Ok(()) => return,
                Err(_) => self.can_punch = false,
            }
        }
        if let Err(error) = self.rewrite(cut) {
            self.note_trouble(&error);
        }
    }

    /// Gives the middle of the file back to the disk; places in the file stay as they are.
    fn punch(&mut self, cut: Cut) -> io::Result<()> {
        let resume_at = self.place_of(cut.resume.offset);
        // Once more from the border of a block: the one the last hole ended in was not free then.
        let border = self.hole_end - self.hole_end % BLOCK;
        let hole_start = border.max(cut.head_end + GAP_LINE as u64);
        // First the line that leads readers over the hole, then the hole.
        self.file
            .write_all_at(gap_text(cut, resume_at).as_bytes(), cut.head_end)?;
        punch_hole(&self.file, hole_start, resume_at - hole_start)?;
        self.hole_end = resume_at;
        self.cut = Some(cut);
        Ok(())
    }

    /// Writes the file anew without its middle and puts it in place of the old one.
    fn rewrite(&mut self, cut: Cut) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".compact");
        let new_path = PathBuf::from(name);
        let made = self.copy_without_middle(cut, &new_path).and_then(|file| {
            std::fs::rename(&new_path, &self.path)?;
            Ok(file)
        });
        if made.is_err() {
            let _ = std::fs::remove_file(&new_path);
        }
        self.file = made?;
        self.hole_end = cut.head_end + GAP_LINE as u64;
        self.shift = cut.resume.offset - self.hole_end;
        self.cut = Some(cut);
        Ok(())
    }

    fn copy_without_middle(&self, cut: Cut, new_path: &Path) -> io::Result<File> {
        let mut new = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(new_path)?;
        let mut old = &self.file;
        let resume_at = self.place_of(cut.resume.offset);
        let tail = self.place_of(self.sheet.start) - resume_at;
        old.seek(SeekFrom::Start(0))?;
        io::copy(&mut old.take(cut.head_end), &mut new)?;
        new.write_all(gap_text(cut, cut.head_end + GAP_LINE as u64).as_bytes())?;
        old.seek(SeekFrom::Start(resume_at))?;
        io::copy(&mut old.take(tail), &mut new)?;
        Ok(new)
    }
}

fn gap_text(cut: Cut, at: u64) -> String {
    gap_line(
        &stamp(Utc::now()),
        Gap {
            bytes: cut.bytes,
            resume: cut.resume.offset,
            at,
        },
    )
}

fn ends_with_line_feed(file: &File, length: u64) -> bool {
    let mut last = [0];
    file.read_exact_at(&mut last, length - 1).is_ok() && last == *b"\n"
}

#[cfg(target_os = "linux")]
fn punch_hole(file: &File, start: u64, length: u64) -> io::Result<()> {
    use rustix::fs::FallocateFlags;
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(rustix::fs::fallocate(file, flags, start, length)?)
}

#[cfg(not(target_os = "linux"))]
fn punch_hole(_file: &File, _start: u64, _length: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests;
