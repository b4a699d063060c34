//! Takes the output of a process into the attempt's log.
//!
//! Driven by the supervisor: [`Output`] owns our ends of the pipes and the [`LogWriter`]. What
//! always holds: every byte read is in the log, or counted as omitted; a disk in trouble never
//! stops the job; one round of reading costs at most one write.

mod cap;
mod frame;
mod writer;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use chrono::Utc;
use rustix::buffer::spare_capacity;
use serde::{Deserialize, Serialize};

use crate::log::Stream;
use crate::process::Pipes;
pub use writer::LogWriter;

/// Bytes read from one pipe in one round: what a Linux pipe holds.
const READ: usize = 64 * 1024;
/// How long the beginning of a line waits for its end before it is written as a part, so that a
/// prompt can be seen and a killed supervisor loses little.
const PART_AFTER: Duration = Duration::from_millis(200);
/// How long until a disk that took nothing is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What became of the output of an attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSummary {
    /// Bytes the process wrote.
    pub output_bytes: u64,
    /// Of these, the bytes that are not in the log: cut out by the cap, or not taken by the disk.
    pub omitted_bytes: u64,
    /// Bytes of the log file, framing included.
    pub file_bytes: u64,
    /// The first trouble with the disk, if there was any.
    pub trouble: Option<String>,
}

/// The two pipes of a process and the log they run into.
#[derive(Debug)]
pub(crate) struct Output {
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    writer: LogWriter,
    buffer: Vec<u8>,
    due_at: Option<Instant>,
}

impl Output {
    pub(crate) fn new(pipes: Pipes, writer: LogWriter) -> Self {
        let Pipes { stdout, stderr } = pipes;
        Self {
            stdout: Some(stdout),
            stderr: Some(stderr),
            writer,
            buffer: Vec::new(),
            due_at: None,
        }
    }

    /// Puts a line of ours into the log, as if the process had written it to its standard error.
    pub(crate) fn remark(&mut self, words: &str) {
        self.writer.take(
            Stream::Stderr,
            format!("qcli: {words}\n").as_bytes(),
            Utc::now(),
        );
        self.writer.flush();
    }

    /// The pipes to wait on; `None` for one that is at its end.
    pub(crate) fn fds(&self) -> [Option<BorrowedFd<'_>>; 2] {
        [
            self.stdout.as_ref().map(AsFd::as_fd),
            self.stderr.as_ref().map(AsFd::as_fd),
        ]
    }

    /// Whether both pipes are at their end.
    pub(crate) fn is_closed(&self) -> bool {
        self.stdout.is_none() && self.stderr.is_none()
    }

    /// Bytes read so far.
    pub(crate) fn output_bytes(&self) -> u64 {
        self.writer.output_bytes()
    }

    /// When [`Output::pump`] wants to be called even if nothing can be read.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    /// Reads what is there, once per pipe that is ready, and writes it. Says whether anything came.
    pub(crate) fn pump(&mut self, stdout_is_ready: bool, stderr_is_ready: bool) -> bool {
        let mut has_come = false;
        if stdout_is_ready {
            has_come |= read_into(
                &mut self.writer,
                &mut self.buffer,
                &mut self.stdout,
                Stream::Stdout,
            );
        }
        if stderr_is_ready {
            has_come |= read_into(
                &mut self.writer,
                &mut self.buffer,
                &mut self.stderr,
                Stream::Stderr,
            );
        }
        let is_due = self.due_at.is_some_and(|due_at| Instant::now() >= due_at);
        if is_due {
            self.writer.write_parts(Utc::now());
        }
        if has_come || is_due {
            self.writer.flush();
            self.due_at = self.next_due();
        }
        has_come
    }

    fn next_due(&self) -> Option<Instant> {
        if self.writer.is_behind() {
            Some(Instant::now() + RETRY_AFTER)
        } else if self.writer.has_parts() {
            Some(Instant::now() + PART_AFTER)
        } else {
            None
        }
    }

    /// Lets go of the pipes and closes the log.
    pub(crate) fn finish(self) -> LogSummary {
        self.writer.finish()
    }
}

/// Reads one pipe once; closes it at its end.
fn read_into(
    writer: &mut LogWriter,
    buffer: &mut Vec<u8>,
    pipe: &mut Option<OwnedFd>,
    stream: Stream,
) -> bool {
    use rustix::io::Errno;

    let Some(fd) = pipe else {
        return false;
    };
    buffer.clear();
    buffer.reserve_exact(READ);
    // Into memory that is not touched before: most jobs write little, many nothing.
    match rustix::io::read(fd.as_fd(), spare_capacity(buffer)) {
        Ok(0) => {
            *pipe = None;
            false
        }
        Ok(_) => {
            writer.take(stream, buffer, Utc::now());
            true
        }
        Err(Errno::AGAIN | Errno::INTR) => false,
        Err(_) => {
            // A pipe that cannot be read has nothing more for us.
            *pipe = None;
            false
        }
    }
}
