//! One attempt on its thread: prepare, supervise, conclude.
//!
//! The dispatcher hands a [`Task`] to a thread of the pool and gets a [`Concluded`] back. What
//! always holds: nothing here touches the store, and whatever happens ends in a report, except that
//! an attempt whose lease is lost has none.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use queue_core::attempt::{Outcome, Report, Started};
use queue_core::job::JobBody;
use queue_core::{Clock, Fence, Timestamp};

use crate::checkpoint_file::CheckpointFile;
use crate::layout::Layout;
use crate::outcome;
use crate::process::{SpawnClass, SpawnProblem};
use crate::spec::{self, Identity, NoSpec};
use crate::supervisor::{Control, Spec, Status, StopCause, supervise};

/// The checkpoint file of a running attempt, once it is made; looked at from two threads.
pub(crate) type SharedCheckpoint = Arc<Mutex<Option<CheckpointFile>>>;

/// An attempt that is ready to run.
pub(crate) struct Task {
    pub(crate) fence: Fence,
    pub(crate) attempt: u32,
    pub(crate) queue: String,
    pub(crate) worker: Arc<str>,
    pub(crate) body: JobBody,
    /// The value that earlier attempts saved.
    pub(crate) saved: Option<Vec<u8>>,
    pub(crate) layout: Arc<Layout>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) control: Control,
    pub(crate) checkpoint: SharedCheckpoint,
}

/// An attempt that is over.
#[derive(Debug)]
pub(crate) struct Concluded {
    pub(crate) fence: Fence,
    /// What to tell the store; nothing where the lease is lost.
    pub(crate) report: Option<Report>,
    /// The process there was.
    pub(crate) started: Option<Started>,
    /// The last value the job left.
    pub(crate) checkpoint: Option<Vec<u8>>,
}

impl Task {
    /// Runs the attempt to its end.
    pub(crate) fn run(self) -> Concluded {
        if let Some(cause) = self.control.snapshot().stop_cause {
            return self.never_started(cause);
        }
        match self.prepare() {
            Ok(spec) => {
                let status = supervise(&spec, &self.control);
                self.conclude(&status, &spec.log)
            }
            Err(problem) => {
                let report = outcome::report_unbuilt(&problem, self.clock.now().wall);
                self.without_process(Some(report))
            }
        }
    }

    fn prepare(&self) -> Result<Spec, NoSpec> {
        let Fence { job, epoch, .. } = self.fence;
        self.layout
            .make_run_directory(job, epoch)
            .and_then(|_| CheckpointFile::create(&self.layout.checkpoint(job, epoch), self.saved.clone()))
            .map(|file| *lock(&self.checkpoint) = Some(file))
            .map_err(|error| {
                let directory = self.layout.run_directory(job, epoch);
                let text = format!(
                    "the run directory `{}` cannot be made; make its parent writable and free some disk",
                    directory.display()
                );
                SpawnProblem::from_io(SpawnClass::BadLog, text, &error)
            })?;
        let identity = Identity {
            attempt: self.attempt,
            epoch,
            queue: &self.queue,
            worker: &self.worker,
        };
        spec::build(&self.body, identity, &self.layout)
    }

    fn conclude(self, status: &Status, log: &Path) -> Concluded {
        let started = status.pid.map(|pid| Started {
            pid,
            pid_started: None,
            started_at: Timestamp::from_millis(status.started_at),
            log: log.display().to_string(),
        });
        let checkpoint = lock(&self.checkpoint)
            .as_mut()
            .and_then(CheckpointFile::last_look);
        Concluded {
            fence: self.fence,
            report: outcome::report(status, &self.body.options, log),
            started,
            checkpoint,
        }
    }

    fn never_started(self, cause: StopCause) -> Concluded {
        let at = self.clock.now().wall;
        let report = match cause {
            StopCause::LeaseLost => None,
            StopCause::Cancelled => Some(Report::new(Outcome::Cancelled, at)),
            // The supervisor alone gives the other two, and it was not asked.
            StopCause::Interrupted | StopCause::Timeout | StopCause::IdleTimeout => {
                Some(Report::new(Outcome::HandedBack, at))
            }
        };
        self.without_process(report)
    }

    fn without_process(self, report: Option<Report>) -> Concluded {
        Concluded {
            fence: self.fence,
            report,
            started: None,
            checkpoint: None,
        }
    }
}

/// Locks the checkpoint file; whoever panicked left plain data behind.
pub(crate) fn lock(
    checkpoint: &SharedCheckpoint,
) -> std::sync::MutexGuard<'_, Option<CheckpointFile>> {
    checkpoint.lock().unwrap_or_else(PoisonError::into_inner)
}
