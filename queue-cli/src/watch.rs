//! Reads the output of a job as it comes, attempt after attempt.
//!
//! Owns the order of the looks: first where the job stands, then its log to the end, so that a job that is seen ended has
//! no line left. `logs -f` and `run` call [`Watch::step`] until it says that the job has ended, and wait for a change of
//! the store in between. What a job wrote comes once, and no attempt is left out.

use std::path::Path;

use queue_core::attempt::Attempt;
use queue_core::store::Detail;
use queue_core::{Epoch, JobId, Now, Store};
use queue_worker::log::{Entry, Follower, Reader, Stream};

use crate::context::Context;
use crate::error::CliError;
use crate::log_text;

/// What of the output is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    /// Only this stream.
    pub(crate) only: Option<Stream>,
    /// Of the first attempt only so many lines from its end; all, where not set.
    pub(crate) tail: Option<usize>,
}

/// One job whose output is read.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The job.
    pub(crate) job: JobId,
    wanted: Wanted,
    /// Attempts up to this one are read.
    read: Epoch,
    open: Option<Open>,
    /// Whether an attempt was opened before.
    has_begun: bool,
}

/// An attempt whose log is read now.
#[derive(Debug)]
struct Open {
    number: u32,
    epoch: Epoch,
    follower: Follower,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// All that is there was read; the job goes on.
    Waits,
    /// The job has ended and all was read.
    Ended,
    /// The caller asked to stop.
    Stopped,
}

/// What happens while a job is read.
#[derive(Debug)]
pub(crate) enum Happening {
    /// Another attempt begins, after one that was read.
    Attempt(u32),
    /// Output came.
    Output(u32, Entry),
}

/// Whether to go on reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Go {
    /// Go on.
    On,
    /// Stop here.
    Stop,
}

impl Watch {
    /// Reads the output of a job from the attempt after `read`.
    pub(crate) fn after(job: JobId, read: Epoch, wanted: Wanted) -> Self {
        Self {
            job,
            wanted,
            read,
            open: None,
            has_begun: false,
        }
    }

    /// Reads the output of a job from its last attempt on.
    pub(crate) fn from_last_attempt(detail: &Detail, wanted: Wanted) -> Self {
        let last = detail
            .attempts
            .iter()
            .rev()
            .find(|attempt| attempt.process.is_some());
        let read = last.map_or(Epoch(0), |last| Epoch(last.epoch.0 - 1));
        Self::after(detail.summary.job.id, read, wanted)
    }

    /// Reads what came since the last step and hands it to `each`. Gives how the job stood before.
    ///
    /// # Errors
    /// When the store or the log cannot be read, or `each` fails.
    pub(crate) fn step(
        &mut self,
        store: &dyn Store,
        context: &mut Context,
        now: &Now,
        mut each: impl FnMut(&mut Context, Happening) -> Result<Go, CliError>,
    ) -> Result<(Step, Detail), CliError> {
        // Before the log: a job that is seen ended wrote everything before.
        let detail = store.detail(self.job, now)?;
        let step = self.read_on(&detail, context, &mut each)?;
        Ok((step, detail))
    }

    fn read_on(
        &mut self,
        detail: &Detail,
        context: &mut Context,
        each: &mut impl FnMut(&mut Context, Happening) -> Result<Go, CliError>,
    ) -> Result<Step, CliError> {
        loop {
            if self.open.is_none() && !self.open_next(detail, context, each)? {
                let has_ended = detail.summary.job.state.is_ended();
                return Ok(if has_ended { Step::Ended } else { Step::Waits });
            }
            let Some(open) = &mut self.open else {
                return Ok(Step::Waits);
            };
            while let Some(entry) = open
                .follower
                .next_entry()
                .map_err(|cause| unreadable(self.job, &cause))?
            {
                if each(context, Happening::Output(open.number, entry))? == Go::Stop {
                    return Ok(Step::Stopped);
                }
            }
            if is_running(detail, open.epoch) {
                return Ok(Step::Waits);
            }
            self.read = open.epoch;
            self.open = None;
        }
    }

    /// Opens the log of the next attempt that has one; attempts that ended without are gone over.
    fn open_next(
        &mut self,
        detail: &Detail,
        context: &mut Context,
        each: &mut impl FnMut(&mut Context, Happening) -> Result<Go, CliError>,
    ) -> Result<bool, CliError> {
        let read = self.read;
        for attempt in detail
            .attempts
            .iter()
            .filter(|attempt| attempt.epoch > read)
        {
            let Some(path) = log_text::path_of(attempt, context) else {
                if attempt.ended_at.is_none() {
                    return Ok(false); // Claimed, and not started yet.
                }
                self.read = attempt.epoch;
                continue;
            };
            if self.has_begun {
                each(context, Happening::Attempt(attempt.number))?;
            }
            self.has_begun = true;
            let follower = self
                .follow(&path)
                .map_err(|cause| unreadable(self.job, &cause))?;
            self.open = Some(Open {
                number: attempt.number,
                epoch: attempt.epoch,
                follower,
            });
            return Ok(true);
        }
        Ok(false)
    }

    /// The tail is asked for once, of the first attempt that is read.
    fn follow(&mut self, path: &Path) -> std::io::Result<Follower> {
        let only = self.wanted.only;
        let Some(lines) = self.wanted.tail.take() else {
            return Ok(Follower::new(path, only));
        };
        match Reader::open_tail(path, lines, only) {
            Ok(reader) => Ok(Follower::after(path, reader, only)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Follower::new(path, only))
            }
            Err(error) => Err(error),
        }
    }
}

fn is_running(detail: &Detail, epoch: Epoch) -> bool {
    let attempt: Option<&Attempt> = detail
        .attempts
        .iter()
        .find(|attempt| attempt.epoch == epoch);
    attempt.is_some_and(|attempt| attempt.ended_at.is_none())
}

/// Says that a log cannot be read.
pub(crate) fn unreadable(job: JobId, cause: &std::io::Error) -> CliError {
    CliError::store(format!(
        "the log of job {job} cannot be read: {}",
        crate::error::reason_of(cause)
    ))
    .hint(format!(
        "`qcli show {job} --json | jq '.attempts[].log'` names the file"
    ))
}
