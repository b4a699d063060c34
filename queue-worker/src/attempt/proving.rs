//! What follows when the process of an attempt has ended well: expectations, then checks.
//!
//! Called on the attempt's thread, by the worker that ran the attempt or by one that adopted it.
//! What always holds: nothing is completed whose terms were not looked at; a check runs under the
//! same supervision as the job, so a cancel, a timeout, a stop of the worker and its death do to it
//! what they do to the job; whoever goes on takes up the check that runs and repeats none.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use queue_core::attempt::{Outcome, Report, ResourceUsage};
use queue_core::job::JobBody;
use queue_core::proof::{Expected, OnSuspect, Proof};
use queue_core::{Class, Timestamp, failpoint};

use super::{Manner, Task};
use crate::agent::call::task_of;
use crate::host::{self, End};
use crate::outcome;
use crate::post::{Found, Post};
use crate::proof::{beginning, check, expect};
use crate::spec::{self, Identity, NoSpec};
use crate::supervisor::{Ended, Spec, Status, StopCause};
use crate::worktree;

/// The file in the run directory that holds what came of the expectations.
const EXPECTED: &str = "expected";

/// How often it is tried to read what became of a check.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What came of an attempt whose process ended well.
pub(super) enum Proven {
    /// This is to be told; nothing where the lease is lost.
    Told(Option<Box<Report>>),
    /// The same, and the machine lacked something.
    Short(Box<Report>, String),
    /// The shim of a check died: what is left of the attempt has to be ended.
    Died,
    /// A check goes on without this worker.
    LetGo,
    /// A check was not begun: the lease may have run out meanwhile.
    TooLate,
}

/// An attempt on its way through its checks.
struct Proving<'a> {
    task: &'a Task,
    report: Report,
    /// The job as it stands in its directory.
    body: JobBody,
    log: &'a Path,
    proof: Proof,
    /// How long the job and its checks have run so far.
    spent: Duration,
}

impl Task {
    /// Looks whether an attempt that came to `report` has proven what it says.
    pub(super) fn prove(
        &self,
        report: Report,
        is_suspect: bool,
        status: &Status,
        log: &Path,
    ) -> Proven {
        let terms = &self.body.options.proof;
        if !matches!(report.outcome, Outcome::Completed { .. }) {
            return told(report);
        }
        if is_suspect && terms.on_suspect() == OnSuspect::Fail {
            return told(Report {
                outcome: failed(Class::CheckFailed),
                ..report
            });
        }
        if terms.is_empty() {
            return told(report);
        }
        self.control.forget_finish();
        let body = match self.body_in_place() {
            Ok(body) => body,
            Err(problem) => {
                let at = report.ended_at;
                return told(Report {
                    message: Some(format!("it cannot be checked: {problem}")),
                    ..Report {
                        outcome: outcome::report_unbuilt(&problem, at).outcome,
                        ..report
                    }
                });
            }
        };
        let proving = Proving {
            task: self,
            report,
            body,
            log,
            proof: Proof::default(),
            spent: Duration::from_millis(status.ran_for_ms),
        };
        proving.see_through()
    }

    /// The job as it stands in its directory, which is that of its tree where it has one.
    fn body_in_place(&self) -> Result<JobBody, NoSpec> {
        match &self.body.options.worktree {
            None => Ok(self.body.clone()),
            Some(options) => Ok(worktree::start::body_in(&self.body, &self.tree(options)?)),
        }
    }
}

impl Proving<'_> {
    fn see_through(mut self) -> Proven {
        self.proof.expected = self.expected();
        if !self.proof.holds() {
            return self.refused(Class::CheckFailed);
        }
        for (number, line) in self.body.options.proof.checks.clone().iter().enumerate() {
            let ended = match self.run(number, line) {
                Ok(End::Over(status)) => self.take(number, line, &status),
                Ok(End::Died) => Some(Proven::Died),
                Ok(End::LetGo) => Some(Proven::LetGo),
                Ok(End::TooLate) => Some(Proven::TooLate),
                Err(stop) => Some(self.stopped(stop)),
            };
            if let Some(ended) = ended {
                return ended;
            }
        }
        self.report.proof = Some(std::mem::take(&mut self.proof));
        told(self.report)
    }

    /// What came of the expectations. They are looked at once, before the first check: that may
    /// leave files of its own behind.
    fn expected(&self) -> Vec<Expected> {
        let post = self.task.post();
        let place = post.directory().join(EXPECTED);
        let known = fs::read(&place).ok();
        if let Some(known) = known.and_then(|text| serde_json::from_slice(&text).ok()) {
            return known;
        }
        let beginning = beginning::noted(post.directory());
        let expected = expect::look(
            &self.body.options.proof.expect,
            expect::Place {
                cwd: Path::new(self.body.cwd.as_os_str()),
                spare: &self.task.layout.own_files(),
                scratch: post.directory(),
                origin: beginning.as_ref().and_then(|it| it.origin.as_ref()),
            },
        );
        failpoint::hit("check.expected");
        // Where it cannot be kept, whoever adopts the attempt looks again.
        let staged = place.with_extension("tmp");
        let _ = serde_json::to_vec(&expected)
            .map_err(Into::into)
            .and_then(|text| fs::write(&staged, text))
            .and_then(|()| fs::rename(&staged, &place));
        failpoint::hit("check.kept");
        expected
    }

    /// Runs a check to its end, or follows the one that runs.
    fn run(&self, number: usize, line: &str) -> Result<End, Stop> {
        let task = self.task;
        let post = task.post().check(number);
        if task.manner != Manner::Direct {
            match self.look(&post) {
                None => return Ok(End::LetGo),
                Some(Found::Alive) => return Ok(host::adopted(&task.control, &post)),
                Some(Found::Ended(status)) => return Ok(End::Over(status)),
                // Begun, and neither there nor ended.
                Some(Found::Nothing) if post.directory().exists() => return Ok(self.gone()),
                Some(Found::Nothing) => {}
            }
        }
        if let Some(cause) = task.control.snapshot().stop_cause {
            return Err(Stop::Asked(cause));
        }
        if task.control.is_late() {
            return Ok(End::TooLate);
        }
        let spec = self.spec(line)?;
        match check::begin(&post, line, &spec) {
            Ok(true) => {}
            Ok(false) => return Ok(self.gone()),
            Err(error) => return Err(Stop::Unbuilt(task.no_run_directory(&error).into())),
        }
        let hosted = match task.manner {
            Manner::Direct => host::direct(&spec, &task.control, &task.post()),
            Manner::Shim | Manner::Adopted => host::shim(&spec, &task.control, &post, &task.shims),
        };
        hosted.map_err(|problem| Stop::Unbuilt(problem.into()))
    }

    /// What to make of a check that somebody began and that is not there: it died, and what is left of
    /// it has to be ended. Where the lease may be over it is another worker's, which is just
    /// beginning it: that one is not to be disturbed.
    fn gone(&self) -> End {
        match self.task.control.is_late() {
            true => End::TooLate,
            false => End::Died,
        }
    }

    /// Looks what became of a check, until that can be read; none where the worker lets go.
    fn look(&self, post: &Post) -> Option<Found> {
        loop {
            match post.look() {
                Ok(found) => return Some(found),
                Err(_) if self.task.control.snapshot().is_let_go => return None,
                Err(_) => thread::sleep(LOOK_AGAIN),
            }
        }
    }

    /// What a check is run with: all that the job had, and the time that is left.
    fn spec(&self, line: &str) -> Result<Spec, Stop> {
        let task = self.task;
        let options = &self.body.options;
        let noted = beginning::noted(task.post().directory());
        let (queue, worker) = match &noted {
            Some(noted) => (noted.queue.as_str(), noted.worker.as_str()),
            None => (task.queue.as_str(), &*task.worker),
        };
        let identity = Identity {
            attempt: task.attempt,
            epoch: task.fence.epoch,
            queue,
            worker,
        };
        let body = check::body(&self.body, line);
        let mut spec = spec::build(&body, identity, &task.layout, None).map_err(Stop::Unbuilt)?;
        if let Some(call) = &task.call {
            call.adjust(&mut spec.env, task_of(&self.body));
        }
        check::tell(&mut spec.env, None);
        let own = options.proof.check_timeout_ms.map(Duration::from_millis);
        let whole = options.timeout_ms.map(Duration::from_millis);
        spec.timeout = match (own, whole) {
            (Some(own), _) => Some(own),
            (None, Some(whole)) => match whole.checked_sub(self.spent) {
                None | Some(Duration::ZERO) => return Err(Stop::Asked(StopCause::Timeout)),
                left => left,
            },
            (None, None) => None,
        };
        spec.group = task.plan_groups();
        Ok(spec)
    }

    /// Takes in how a check ended. None where the next one is to be run.
    fn take(&mut self, number: usize, line: &str, status: &Status) -> Option<Proven> {
        self.report.ended_at = Timestamp::from_millis(status.ended_at);
        self.report.usage = sum(self.report.usage, outcome::usage(status));
        self.spent += Duration::from_millis(status.ran_for_ms);
        let proof = &self.body.options.proof;
        let own = proof.check_timeout_ms.map(Duration::from_millis);
        match status.stopped_by {
            Some(StopCause::Timeout) => {}
            Some(cause) => return Some(self.stopped(Stop::Asked(cause))),
            None => {}
        }
        if let Ended::SpawnFailed { problem } = &status.ended
            && problem.class.is_shortage()
        {
            return Some(self.stopped(Stop::Unbuilt(problem.clone().into())));
        }
        failpoint::hit("check.ended");
        let post = self.task.post().check(number);
        let whole = self.body.options.timeout_ms.map(Duration::from_millis);
        let found = check::found(&post, line, status, self.log, own.or(whole));
        if found.passed {
            // Said by the next line alone: the next check may be writing already.
            self.proof.checks.push(found);
            return None;
        }
        self.proof.checks.push(found);
        // The time of the job is over, whoever used it up.
        let is_jobs = status.stopped_by == Some(StopCause::Timeout) && own.is_none();
        Some(self.refused(if is_jobs {
            Class::Timeout
        } else {
            Class::CheckFailed
        }))
    }

    /// The report where something kept a check from being run to its end.
    fn stopped(&mut self, stop: Stop) -> Proven {
        let cause = match stop {
            Stop::Asked(cause) => cause,
            Stop::Unbuilt(problem) => return self.unbuilt(&problem),
        };
        match cause {
            StopCause::LeaseLost => Proven::Told(None),
            StopCause::Cancelled => self.reported(Outcome::Cancelled),
            StopCause::Timeout => {
                self.report.message =
                    Some("its time was over before all its checks were run".to_owned());
                self.reported(failed(Class::Timeout))
            }
            // The others are given to the job itself, or hand it back.
            _ => self.reported(Outcome::HandedBack),
        }
    }

    fn unbuilt(&mut self, problem: &NoSpec) -> Proven {
        let lack = match problem {
            NoSpec::Spawn(problem) => outcome::shortage(problem),
            NoSpec::Payload(_) | NoSpec::Task(_) => None,
        };
        let words = format!("a check could not be started: {problem}");
        self.report.message = Some(words);
        match lack {
            // For want of anything the attempt is put off, as it would have been at its start.
            Some(lack) => {
                let at = self.report.ended_at;
                let outcome = outcome::report_unbuilt(problem, at).outcome;
                match self.reported(outcome) {
                    Proven::Told(Some(report)) => Proven::Short(report, lack),
                    other => other,
                }
            }
            None => self.reported(failed(Class::CheckFailed)),
        }
    }

    /// The report where something said no.
    fn refused(&mut self, class: Class) -> Proven {
        self.report.message = self.proof.refusal();
        if let Some(refusal) = &self.report.message {
            let cap = self.body.options.log_cap.unwrap_or(Spec::LOG_CAP);
            check::remark(self.log, cap, refusal);
        }
        self.report.proof = Some(std::mem::take(&mut self.proof));
        self.reported(failed(class))
    }

    /// The report with another outcome.
    fn reported(&self, outcome: Outcome) -> Proven {
        told(Report {
            outcome,
            ..self.report.clone()
        })
    }
}

/// Why a check was not run to its end.
enum Stop {
    /// Somebody asked for it, or the job's time is over.
    Asked(StopCause),
    /// It could not be started.
    Unbuilt(NoSpec),
}

fn told(report: Report) -> Proven {
    Proven::Told(Some(Box::new(report)))
}

fn failed(class: Class) -> Outcome {
    Outcome::Failed {
        class,
        retryable: None,
        retry_after: None,
    }
}

/// What the job and its checks used together.
fn sum(one: Option<ResourceUsage>, other: Option<ResourceUsage>) -> Option<ResourceUsage> {
    let (Some(one), Some(other)) = (one, other) else {
        return one.or(other);
    };
    Some(ResourceUsage {
        user_ms: one.user_ms.saturating_add(other.user_ms),
        system_ms: one.system_ms.saturating_add(other.system_ms),
        max_rss_kib: one.max_rss_kib.max(other.max_rss_kib),
        read_bytes: one.read_bytes.saturating_add(other.read_bytes),
        written_bytes: one.written_bytes.saturating_add(other.written_bytes),
        memory_peak_bytes: one.memory_peak_bytes.max(other.memory_peak_bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_check_used_is_added_to_what_the_job_used() {
        let usage = |millis, rss| {
            Some(ResourceUsage {
                user_ms: millis,
                max_rss_kib: rss,
                ..ResourceUsage::default()
            })
        };
        assert_eq!(sum(usage(5, 10), usage(7, 3)), usage(12, 10));
        assert_eq!(sum(None, usage(7, 3)), usage(7, 3));
        assert_eq!(sum(usage(7, 3), None), usage(7, 3));
    }
}
