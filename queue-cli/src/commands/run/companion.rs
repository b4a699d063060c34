//! The worker that `qcli run` starts when there is none.
//!
//! It is this program again, in a session of its own, and ends with its job. It is a process and not a thread, so that the
//! job goes on when the command that waits for it is killed, loses its terminal or detaches; nothing of the command's
//! streams is handed to it, because whoever reads them waits for their end.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use queue_core::store::Detail;
use queue_core::{JobId, State, Store};
use queue_worker::{Stop, Until, WorkerOptions};

use crate::context::Context;
use crate::error::{CliError, reason_of};
use crate::exit_code::ExitCode;
use crate::probe;
use crate::view::worker::Life;

/// Between two looks whether somebody works.
const LOOK: Duration = Duration::from_secs(1);

/// The worker in the background, once one was started.
#[derive(Debug, Default)]
pub(super) struct Companion {
    child: Option<Child>,
    looked_at: Option<Instant>,
}

impl Companion {
    /// Starts a worker when the job could be claimed, soon can, or outlived its worker, and nobody
    /// is there who would take it up.
    ///
    /// # Errors
    /// When it cannot be started, or ended because something is wrong (exit code 5).
    pub(super) fn see_that_somebody_works(
        &mut self,
        context: &Context,
        store: &dyn Store,
        detail: &Detail,
    ) -> Result<(), CliError> {
        let job = &detail.summary.job;
        let is_to_be_worked = match job.state {
            State::Pending | State::Scheduled | State::InProgress => true,
            State::Blocked | State::Completed | State::Failed | State::Cancelled => false,
        };
        if !is_to_be_worked || self.looked_at.is_some_and(|at| at.elapsed() < LOOK) {
            return Ok(());
        }
        self.looked_at = Some(Instant::now());
        if self.is_running(job.id)? || is_served(store, &job.queue, context)? {
            return Ok(());
        }
        let child = start(context.config.store.value.path(), job.id).map_err(|cause| {
            CliError::store(format!("cannot start a worker: {}", reason_of(&cause)))
        })?;
        self.child = Some(child);
        Ok(())
    }

    fn is_running(&mut self, job: JobId) -> Result<bool, CliError> {
        let Some(child) = &mut self.child else {
            return Ok(false);
        };
        match child.try_wait() {
            Ok(None) => Ok(true),
            // Killed: the job may well go on, and somebody has to see to its end.
            Ok(Some(status)) if status.success() || status.code().is_none() => Ok(false),
            Ok(Some(status)) => Err(CliError::store(format!(
                "the worker that was started for job {job} ended early ({status})"
            ))
            .hint(format!("`qcli work` shows what is wrong; job {job} waits"))),
            Err(cause) => Err(CliError::store(format!(
                "the worker that was started for job {job} cannot be looked at: {}",
                reason_of(&cause)
            ))),
        }
    }
}

/// Whether a worker is alive that takes jobs of `queue`.
fn is_served(store: &dyn Store, queue: &str, context: &Context) -> Result<bool, CliError> {
    let workers = probe::workers(store, context.now().wall)?;
    Ok(workers.iter().any(|(worker, life)| {
        let queues = &worker.about.queues;
        *life == Life::Alive && (queues.is_empty() || queues.iter().any(|name| name == queue))
    }))
}

fn start(db: &Path, job: JobId) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .arg("run")
        .arg("--work-for")
        .arg(job.to_string())
        .env(crate::config::DB_VARIABLE, db)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// Is that worker.
///
/// # Errors
/// When the store cannot be used (exit code 5).
pub(super) fn work(context: &mut Context, job: JobId) -> Result<ExitCode, CliError> {
    // Fails only where this process leads its group already, so that it has left the terminal's.
    let _ = rustix::process::setsid();
    let store = context.existing_store()?;
    let queue = store.job(job)?.queue;
    let options = WorkerOptions {
        name: format!("run-{job}"),
        queues: vec![queue],
        concurrency: std::num::NonZeroUsize::MIN,
        until: Until::Ended(job),
        config: context.around.config_folder(),
        ..WorkerOptions::default()
    };
    let db = context.config.store.value.path().to_owned();
    queue_worker::run(&store, &db, options, Stop::new())
        .map_err(|error| CliError::store(error.to_string()))?;
    Ok(ExitCode::Ok)
}
