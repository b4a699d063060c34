//! One attempt on its thread: prepare, have it supervised, conclude.
//!
//! The dispatcher hands a [`Task`] to a thread of the pool and gets a [`Concluded`] back. What
//! always holds: nothing here touches the store, and whatever happens ends in a report, except that
//! an attempt whose lease is lost has none.

mod proving;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use queue_core::attempt::{AgentFacts, Outcome, Report, Started};
use queue_core::job::{JobBody, Worktree};
use queue_core::{Class, Clock, Fence, Timestamp};

use crate::agent::call::Call;
use crate::agent::last_words::LastWords;
use crate::agent::reading::{self, Reading, SharedReading};
use crate::cgroup::{Bounds, Groups, Plan};
use crate::checkpoint_file::CheckpointFile;
use crate::host::{self, End};
use crate::layout::Layout;
use crate::outcome;
use crate::post::Post;
use crate::private_file;
use crate::process::{SpawnClass, SpawnProblem};
use crate::proof::{beginning, check};
use crate::recovery::{self, Traces};
use crate::shims::Shims;
use crate::signals::Stop;
use crate::spares::Spares;
use crate::spec::{self, Identity, NoSpec};
use crate::supervisor::{Control, Ended, Spec, Status, StopCause};
use crate::worktree::{self, Made, Wish};

use proving::Proven;

/// The checkpoint file of a running attempt, once it is made; looked at from two threads.
pub(crate) type SharedCheckpoint = Arc<Mutex<Option<CheckpointFile>>>;

/// An attempt that is ready to run.
pub(crate) struct Task {
    pub(crate) fence: Fence,
    pub(crate) attempt: u32,
    pub(crate) queue: String,
    pub(crate) worker: Arc<str>,
    pub(crate) body: JobBody,
    /// The agent it calls, if it calls one.
    pub(crate) call: Option<Box<Call>>,
    /// The reading of its agent's output.
    pub(crate) reading: SharedReading,
    /// The directory of the user's `agents.toml` and `rules.toml`.
    pub(crate) config: Option<Arc<Path>>,
    /// What said no to the attempt before, with what it printed.
    pub(crate) complaint: Option<String>,
    /// The value that earlier attempts saved.
    pub(crate) saved: Option<Vec<u8>>,
    pub(crate) layout: Arc<Layout>,
    pub(crate) groups: Arc<Groups>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) control: Control,
    pub(crate) checkpoint: SharedCheckpoint,
    pub(crate) stop: Stop,
    pub(crate) manner: Manner,
    pub(crate) shims: Arc<Shims>,
    pub(crate) spares: Arc<Spares>,
}

/// How an attempt is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Under this worker, with which it ends.
    Direct,
    /// In a shim, which outlives the worker.
    Shim,
    /// In a shim that another worker started.
    Adopted,
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
    /// What was read of its agent's output.
    pub(crate) facts: Option<AgentFacts>,
    /// What was there when the job first began, where its terms ask.
    pub(crate) origin: Option<serde_json::Value>,
    /// What the machine lacked to start it.
    pub(crate) shortage: Option<String>,
}

impl Task {
    /// Runs the attempt to its end.
    pub(crate) fn run(self) -> Concluded {
        if let Some(cause) = self.control.snapshot().stop_cause {
            return self.never_started(cause);
        }
        let log = self.layout.log(self.fence.job, self.fence.epoch);
        self.begin_to_read(&log);
        match self.host() {
            Ok(End::Over(status)) => self.conclude(&status, &log),
            Ok(End::Died) => self.clear_away(),
            Ok(End::LetGo) => self.without_process(None),
            Ok(End::TooLate) => self.too_late(),
            Err(problem) => {
                let report = outcome::report_unbuilt(&problem, self.clock.now().wall);
                let shortage = match problem {
                    NoSpec::Spawn(problem) => outcome::shortage(&problem),
                    NoSpec::Payload(_) | NoSpec::Task(_) => None,
                };
                Concluded {
                    shortage,
                    ..self.without_process(Some(report))
                }
            }
        }
    }

    /// Has the attempt supervised until it is over, or goes on without us.
    fn host(&self) -> Result<End, NoSpec> {
        let post = self.post();
        match self.manner {
            Manner::Direct => {
                let spec = self.prepare()?;
                host::direct(&spec, &self.control, &post).map_err(NoSpec::Spawn)
            }
            Manner::Shim => {
                let spec = self.prepare()?;
                host::shim(&spec, &self.control, &post, &self.shims).map_err(NoSpec::Spawn)
            }
            Manner::Adopted => {
                let path = self.layout.checkpoint(self.fence.job, self.fence.epoch);
                *lock(&self.checkpoint) = Some(CheckpointFile::left_at(&path));
                Ok(host::adopted(&self.control, &post))
            }
        }
    }

    /// What the agent writes is read from here on, by the dispatcher's watch.
    fn begin_to_read(&self, log: &Path) {
        if let Some(call) = &self.call {
            let config = self.config.as_deref();
            let mut reading = Reading::begin(call, &self.body, log, config);
            // Its checks may be under way, and print into the same log.
            if self.manner == Manner::Adopted
                && let Ok(Some(status)) = self.post().status()
            {
                reading.end_at(status.log.file_bytes);
            }
            *reading::lock(&self.reading) = Some(reading);
        }
    }

    fn post(&self) -> Post {
        Post::at(&self.layout.run_directory(self.fence.job, self.fence.epoch))
    }

    /// Its shim died: ends what is left, so that the next attempt has the place to itself.
    fn clear_away(self) -> Concluded {
        let post = self.post();
        let started = post.started();
        let traces = Traces {
            job: self.fence.job,
            epoch: self.fence.epoch,
            db: self.layout.db().to_owned(),
            first: started
                .as_ref()
                .and_then(|process| Some((process.pid, process.pid_started?))),
            is_this_boot: true,
            groups: self.post().groups(),
        };
        if recovery::end_all(&traces, || post.is_held(), || self.stop.level()).is_none() {
            // Broken off because we stop: whoever adopts it next begins anew.
            return self.without_process(None);
        }
        let mut report = Report::new(
            Outcome::Stalled {
                class: Class::WorkerDied,
            },
            self.clock.now().wall,
        );
        report.message =
            Some("its supervisor was killed; what it left running was ended".to_owned());
        let now = self.clock.now().wall;
        let words = reading::lock(&self.reading)
            .as_mut()
            .map(|reading| LastWords::of(reading, &self.body.options.proof, now));
        let (facts, said) = words.map(|words| (words.facts, words.report)).unzip();
        let checkpoint = self.last_checkpoint();
        Concluded {
            fence: self.fence,
            report: Some(said.flatten().unwrap_or(report)),
            started,
            checkpoint,
            facts,
            origin: None,
            shortage: None,
        }
    }

    fn last_checkpoint(&self) -> Option<Vec<u8>> {
        lock(&self.checkpoint)
            .as_mut()
            .and_then(CheckpointFile::last_look)
    }

    fn prepare(&self) -> Result<Spec, NoSpec> {
        let Fence { job, epoch, .. } = self.fence;
        self.spares
            .make_run_directory(job, epoch)
            .and_then(|_| {
                CheckpointFile::create(&self.layout.checkpoint(job, epoch), self.saved.clone())
            })
            .map(|file| *lock(&self.checkpoint) = Some(file))
            .map_err(|error| self.no_run_directory(&error))?;
        let identity = Identity {
            attempt: self.attempt,
            epoch,
            queue: &self.queue,
            worker: &self.worker,
        };
        let mut spec = match &self.body.options.worktree {
            None => spec::build(&self.body, identity, &self.layout, self.call.as_deref())?,
            Some(options) => self.build_in_worktree(options, identity)?,
        };
        self.note_beginning(&mut spec)?;
        spec.group = self.plan_groups();
        if let Some(plan) = spec
            .group
            .as_ref()
            .filter(|_| self.manner == Manner::Direct)
        {
            let noted = self.post().note_groups(&plan.directories());
            noted.map_err(|error| self.no_run_directory(&error))?;
        }
        Ok(spec)
    }

    /// Notes what was there before the process starts, and tells it what said no to the one before.
    fn note_beginning(&self, spec: &mut Spec) -> Result<(), SpawnProblem> {
        let post = self.post();
        let terms = &self.body.options.proof;
        let complaint = self.complaint.as_ref().map(|text| {
            let path = post.directory().join("check-output");
            private_file::write(&path, text).map(|()| path)
        });
        let complaint = complaint.transpose();
        let complaint = complaint.map_err(|error| self.no_run_directory(&error))?;
        check::tell(&mut spec.env, complaint.as_deref());
        if terms.is_empty() {
            return Ok(());
        }
        let names = (self.queue.as_str(), &*self.worker);
        let known = self.body.origin.as_ref();
        let spare = self.layout.own_files();
        beginning::note(post.directory(), (&spec.cwd, &spare), terms, known, names)
            .map_err(|error| self.no_run_directory(&error))
    }

    /// The control groups of the attempt's processes.
    fn plan_groups(&self) -> Option<Plan> {
        let Fence { job, epoch, .. } = self.fence;
        let bounds = Bounds {
            memory: self.body.options.memory_bytes,
            cpu_millis: self.body.options.cpu_millis,
        };
        let is_direct = self.manner == Manner::Direct;
        self.groups.plan(job, epoch, bounds, is_direct)
    }

    /// The worktree of the job, made or found.
    fn tree(&self, options: &Worktree) -> Result<Made, NoSpec> {
        let wish = Wish {
            root: &self.layout.worktrees(),
            job: self.fence.job,
            cwd: Path::new(self.body.cwd.as_os_str()),
            options,
        };
        worktree::make(wish).map_err(|error| worktree::start::problem(&error))
    }

    /// Builds the spec of a job that runs in a worktree of its own, which is made or found first.
    fn build_in_worktree(
        &self,
        options: &Worktree,
        identity: Identity<'_>,
    ) -> Result<Spec, NoSpec> {
        let made = self.tree(options)?;
        let body = worktree::start::body_in(&self.body, &made);
        let mut spec = spec::build(&body, identity, &self.layout, self.call.as_deref())?;
        if let Some(line) = &options.setup {
            worktree::start::set_up_first(&mut spec, line, &made);
        }
        Ok(spec)
    }

    fn no_run_directory(&self, error: &io::Error) -> SpawnProblem {
        let Fence { job, epoch, .. } = self.fence;
        let directory = self.layout.run_directory(job, epoch);
        let text = format!(
            "the run directory `{}` cannot be made; make its parent writable and free some disk",
            directory.display()
        );
        SpawnProblem::from_io(SpawnClass::BadLog, text, error)
    }

    fn conclude(self, status: &Status, log: &Path) -> Concluded {
        let started = status.pid.map(|pid| Started {
            pid,
            pid_started: None,
            started_at: Timestamp::from_millis(status.started_at),
            log: log.display().to_string(),
            unenforced: status.unenforced.clone(),
        });
        let shortage = match &status.ended {
            Ended::SpawnFailed { problem } => outcome::shortage(problem),
            _ => None,
        };
        let checkpoint = self.last_checkpoint();
        let mut report = outcome::report(status, &self.body.options, log);
        let (mut facts, mut is_suspect) = (None, false);
        if let Some(reading) = reading::lock(&self.reading).as_mut() {
            // What follows in the log is not the agent's.
            reading.end_at(status.log.file_bytes);
            facts = Some(reading.rest());
            let now = self.clock.now().wall;
            if let Some(of_process) = report {
                let judged = reading.judge(of_process, status, now);
                (report, is_suspect) = (Some(judged.0), judged.1);
            }
        }
        let proven = match report {
            Some(report) => self.prove(report, is_suspect, status, log),
            None => Proven::Told(None),
        };
        let (report, shortage) = match proven {
            Proven::Told(report) => (report.map(|report| *report), shortage),
            Proven::Short(report, lack) => (Some(*report), Some(lack)),
            Proven::Died => {
                return Concluded {
                    facts,
                    started,
                    ..self.clear_away()
                };
            }
            Proven::LetGo => return self.without_process(None),
            Proven::TooLate => return self.too_late(),
        };
        Concluded {
            fence: self.fence,
            report,
            facts,
            started,
            checkpoint,
            origin: self.origin(),
            shortage,
        }
    }

    /// What was there when the job first began, where the store does not know it yet.
    fn origin(&self) -> Option<serde_json::Value> {
        let is_asked = self.body.options.proof.need_origin() && self.body.origin.is_none();
        let post = self.post();
        is_asked
            .then(|| beginning::origin_in(post.directory()))
            .flatten()
    }

    fn never_started(self, cause: StopCause) -> Concluded {
        let at = self.clock.now().wall;
        let report = match cause {
            StopCause::LeaseLost => None,
            StopCause::Cancelled => Some(Report::new(Outcome::Cancelled, at)),
            // The others are given to what runs, and nothing does.
            StopCause::Interrupted
            | StopCause::Timeout
            | StopCause::IdleTimeout
            | StopCause::Finished
            | StopCause::MaxTurns
            | StopCause::Budget => Some(Report::new(Outcome::HandedBack, at)),
        };
        self.without_process(report)
    }

    /// Hands back what stood still between the claim and the start: it counts only if nobody else
    /// has taken it over.
    fn too_late(self) -> Concluded {
        tracing::warn!(
            job = self.fence.job.0,
            "job {} is not started: its lease may have run out while this worker stood still",
            self.fence.job
        );
        let report = Report::new(Outcome::HandedBack, self.clock.now().wall);
        self.without_process(Some(report))
    }

    fn without_process(self, report: Option<Report>) -> Concluded {
        Concluded {
            fence: self.fence,
            report,
            started: None,
            checkpoint: None,
            facts: None,
            origin: None,
            shortage: None,
        }
    }
}

/// Locks the checkpoint file; whoever panicked left plain data behind.
pub(crate) fn lock(
    checkpoint: &SharedCheckpoint,
) -> std::sync::MutexGuard<'_, Option<CheckpointFile>> {
    checkpoint.lock().unwrap_or_else(PoisonError::into_inner)
}
