//! The states of a supervised attempt, one function each.
//!
//! Driven by [`supervise`](super::supervise). What always holds: each function waits in one `poll`
//! for the process, its output, the control and the nearest deadline, and returns the next state.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use queue_core::failpoint;
use queue_core::job::OnLeftover;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

use super::birth;
use super::control::{Control, State, StopCause};
use super::spec::{Spec, StopSignal};
use super::status::{Ended, Leftovers, Status};
use crate::cgroup::Group;
use crate::output::{LogWriter, Output};
use crate::process::{self, Child, Exit, SpawnClass, SpawnProblem, Usage};

/// The most grace that processes get which outlive a leader that ended by itself.
const LEFTOVER_GRACE: Duration = Duration::from_secs(2);
/// How long a group may take to vanish after SIGKILL before what is left is reported as it is.
const KILL_TAKES: Duration = Duration::from_secs(5);
/// How long those who outlive the leader have to end by themselves: the `tee` of a shell's
/// `> >(tee file)` writes its last bytes in this time.
const SETTLE: Duration = Duration::from_millis(250);
/// How often a group without its leader is looked at, as it has no descriptor to wait on: often at
/// first, then less, because each look reads `/proc`.
const GROUP_TICK: RangeInclusive<Duration> = Duration::from_millis(2)..=Duration::from_millis(50);
/// How often a process is looked at where the system has no pidfd.
const REAP_TICK: Duration = Duration::from_millis(20);

/// How long a job runs before its shim gives back the memory that starting it took. Most shims
/// serve job after job and need it again at once.
const LEAN_AFTER: Duration = Duration::from_secs(1);

/// What comes next, with the instant that bounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    Settling { until: Instant },
    Interrupting { press_at: Instant },
    Stopping { kill_at: Instant },
    Killing { give_up_at: Instant },
    Draining { until: Instant },
    Done,
}

impl Phase {
    pub(super) fn state(self) -> State {
        match self {
            Self::Running => State::Running,
            Self::Settling { .. } | Self::Interrupting { .. } | Self::Stopping { .. } => {
                State::Stopping
            }
            Self::Killing { .. } => State::Killing,
            Self::Draining { .. } => State::Draining,
            Self::Done => State::Done,
        }
    }
}

/// A process that was started, and what is known of it.
pub(super) struct Attempt<'a> {
    spec: &'a Spec,
    control: &'a Control,
    child: Child,
    group: Group,
    unenforced: Option<String>,
    output: Output,
    started: Instant,
    started_at: i64,
    last_output: Instant,
    ending: Option<Ending>,
    stopped_by: Option<StopCause>,
    was_killed: bool,
    drain_cut: bool,
    leftovers: Leftovers,
    /// When the memory of the start is given back; only once, and only by a shim.
    lean_after: Option<Duration>,
    reach: Reach,
}

/// Which processes belong to the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The leader's group: all that can be told from outside, beside others in one worker.
    Group,
    /// Everything below this process, which was made for the attempt alone.
    Tree,
}

/// The leader's end.
struct Ending {
    ended: Ended,
    usage: Option<Usage>,
    at: Instant,
    ended_at: i64,
}

impl<'a> Attempt<'a> {
    /// Starting: opens the log, then starts the process. The error is the status of an attempt that never ran.
    pub(super) fn start(
        spec: &'a Spec,
        control: &'a Control,
        reach: Reach,
    ) -> Result<Self, Box<Status>> {
        let started_at = wall_clock();
        let never =
            |ended, stopped_by| Box::new(Status::never_ran(spec, started_at, ended, stopped_by));
        if let Some(cause) = control.snapshot().stop_cause {
            return Err(never(Ended::NeverStarted, Some(cause)));
        }
        let failed = |problem| never(Ended::SpawnFailed { problem }, None);
        let log = open_log(spec).map_err(failed)?;
        let born = birth::start(spec, reach).map_err(failed)?;
        let started = Instant::now();
        control.note_start(born.child.id(), started);
        let mut output = Output::new(born.pipes, log);
        for words in spec.remarks.iter().chain(&born.lacking) {
            output.remark(words);
        }
        Ok(Self {
            spec,
            control,
            child: born.child,
            group: born.group,
            unenforced: (!born.lacking.is_empty()).then(|| born.lacking.join("; ")),
            output,
            started,
            started_at,
            last_output: started,
            ending: None,
            stopped_by: None,
            was_killed: false,
            drain_cut: false,
            leftovers: Leftovers::default(),
            lean_after: (reach != Reach::Group).then_some(LEAN_AFTER),
            reach,
        })
    }

    /// The process that was started.
    pub(super) fn leader(&self) -> u32 {
        self.child.id()
    }

    /// Which bounds are not enforced, and why.
    pub(super) fn unenforced(&self) -> Option<&str> {
        self.unenforced.as_deref()
    }

    /// Running: until the process ends, somebody stops it, or its time is up.
    pub(super) fn run(&mut self) -> Phase {
        let timeout_at = after(self.started, self.spec.timeout);
        let idle_at = self.idle_at();
        let lean_at = after(self.started, self.lean_after);
        self.wait(earliest(earliest(timeout_at, idle_at), lean_at));
        if is_past(lean_at) {
            self.lean_after = None;
            #[cfg(target_os = "linux")]
            process::memory::give_back_code();
        }

        if self.ending.is_some() {
            return Phase::Settling {
                until: Instant::now() + SETTLE,
            };
        }
        if let Some(cause) = self.control.snapshot().stop_cause {
            return self.begin_stop(cause);
        }
        if is_past(timeout_at) {
            return self.begin_stop(StopCause::Timeout);
        }
        // Asked anew: the wait may have read output, or a sign of life.
        if is_past(self.idle_at()) {
            return self.begin_stop(StopCause::IdleTimeout);
        }
        Phase::Running
    }

    /// When it has done nothing for as long as it may.
    fn idle_at(&self) -> Option<Instant> {
        let last_sign = self.control.snapshot().last_sign;
        let last = last_sign.map_or(self.last_output, |sign| sign.max(self.last_output));
        after(last, self.spec.idle_timeout)
    }

    /// Settling: the leader ended by itself; until the group is empty, or has had its moment.
    ///
    /// Whoever is left then was left behind, and is asked to go.
    pub(super) fn settle(&mut self, until: Instant) -> Phase {
        let live = self.live();
        if live == 0 || self.spec.on_leftover == OnLeftover::Keep {
            return self.begin_drain();
        }
        if self.spec.on_leftover == OnLeftover::Wait {
            return self.outwait(until);
        }
        if is_past(Some(until)) || self.control.snapshot().stops > 0 {
            self.leftovers.found = live;
            self.ask_to_stop(Signal::TERM);
            return Phase::Stopping {
                kill_at: Instant::now() + self.spec.grace.min(LEFTOVER_GRACE),
            };
        }
        self.wait(Some(self.group_deadline(until)));
        Phase::Settling { until }
    }

    /// Settling, where what is left behind is waited for: within the time the attempt has.
    fn outwait(&mut self, until: Instant) -> Phase {
        let timeout_at = after(self.started, self.spec.timeout);
        if let Some(cause) = self.control.snapshot().stop_cause {
            return self.begin_stop(cause);
        }
        if is_past(timeout_at) {
            return self.begin_stop(StopCause::Timeout);
        }
        let next_look = self.group_deadline(Instant::now() + *GROUP_TICK.end());
        self.wait(earliest(timeout_at, Some(next_look)));
        Phase::Settling { until }
    }

    /// Interrupting: until the leader ends or the grace of SIGINT is over. Then whoever is left is
    /// asked with SIGTERM: what the leader started need not have heard of SIGINT.
    pub(super) fn interrupt(&mut self, press_at: Instant) -> Phase {
        if self.ending.is_none() && self.control.snapshot().stops >= 2 {
            return self.begin_kill();
        }
        self.wait(Some(press_at));
        if self.ending.is_some() && self.live() == 0 {
            return self.begin_drain();
        }
        if self.ending.is_some() || is_past(Some(press_at)) {
            self.ask_to_stop(Signal::TERM);
            return Phase::Stopping {
                kill_at: deadline(Instant::now(), self.spec.grace),
            };
        }
        Phase::Interrupting { press_at }
    }

    /// Stopping: until the whole group is gone, its grace is over, or a second stop comes.
    ///
    /// The leader's end is not enough: a shell ends at once while the program it started still saves.
    pub(super) fn stop(&mut self, kill_at: Instant) -> Phase {
        // Before the wait too: the second stop may have come with the first, and rings no more.
        if self.ending.is_none() && self.control.snapshot().stops >= 2 {
            return self.begin_kill();
        }
        self.wait(Some(self.group_deadline(kill_at)));
        if self.ending.is_some() && self.live() == 0 {
            return self.begin_drain();
        }
        if is_past(Some(kill_at)) || self.control.snapshot().stops >= 2 {
            return self.begin_kill();
        }
        Phase::Stopping { kill_at }
    }

    /// Killing: until the whole group is gone; for ever for the leader, a while for the others.
    ///
    /// A leader that SIGKILL does not end is stuck in the kernel. It still runs, so saying otherwise
    /// would let a second one start beside it.
    pub(super) fn kill(&mut self, give_up_at: Instant) -> Phase {
        self.wait(Some(self.group_deadline(give_up_at)));
        if self.ending.is_none() {
            return Phase::Killing {
                give_up_at: give_up_at.max(Instant::now() + *GROUP_TICK.end()),
            };
        }
        let live = self.live();
        if live == 0 {
            return self.begin_drain();
        }
        if is_past(Some(give_up_at)) {
            self.leftovers.survived = live;
            return self.begin_drain();
        }
        // Once more: for one that was joining the group as the first signal went out.
        self.signal(Signal::KILL);
        Phase::Killing { give_up_at }
    }

    /// Draining: until both pipes are at their end, or the time for it is over.
    pub(super) fn drain(&mut self, until: Instant) -> Phase {
        if self.output.is_closed() {
            return Phase::Done;
        }
        self.wait(Some(until));
        self.drain_cut = !self.output.is_closed() && is_past(Some(until));
        if self.drain_cut {
            Phase::Done
        } else {
            Phase::Draining { until }
        }
    }

    /// Done: closes the log and sums up.
    pub(super) fn finish(self) -> Status {
        let ending = self
            .ending
            .expect("draining begins after the process ended");
        let ran_for = ending.at.duration_since(self.started);
        let log = self.output.finish();
        failpoint::hit("supervisor.drained");
        let memory = self.group.readings();
        self.group.hold().remove();
        self.control.note_output(log.output_bytes, self.last_output);
        Status {
            job: self.spec.job,
            epoch: self.spec.epoch,
            attempt: self.spec.attempt,
            pid: Some(self.child.id()),
            started_at: self.started_at,
            ended_at: ending.ended_at,
            ran_for_ms: u64::try_from(ran_for.as_millis()).unwrap_or(u64::MAX),
            ended: ending.ended,
            stopped_by: self.stopped_by,
            was_killed: self.was_killed,
            usage: ending.usage,
            memory,
            unenforced: self.unenforced,
            log,
            drain_cut: self.drain_cut,
            leftovers: self.leftovers,
        }
    }

    fn begin_stop(&mut self, cause: StopCause) -> Phase {
        self.stopped_by = Some(cause);
        let until = deadline(Instant::now(), self.spec.grace);
        match self.spec.stop_signal {
            StopSignal::Term => {
                self.ask_to_stop(Signal::TERM);
                Phase::Stopping { kill_at: until }
            }
            StopSignal::Int => {
                self.ask_to_stop(Signal::INT);
                Phase::Stopping { kill_at: until }
            }
            StopSignal::IntThenTerm => {
                self.ask_to_stop(Signal::INT);
                Phase::Interrupting { press_at: until }
            }
        }
    }

    fn ask_to_stop(&self, signal: Signal) {
        self.signal(signal);
        // A stopped process (Ctrl-Z, a read from a terminal) hears it only when it goes on.
        self.signal(Signal::CONT);
    }

    fn begin_kill(&mut self) -> Phase {
        self.was_killed = true;
        self.signal(Signal::KILL);
        Phase::Killing {
            give_up_at: Instant::now() + KILL_TAKES,
        }
    }

    fn begin_drain(&mut self) -> Phase {
        failpoint::hit("supervisor.swept");
        Phase::Draining {
            until: deadline(Instant::now(), self.spec.drain),
        }
    }

    /// How many processes of the attempt still run.
    fn live(&self) -> u32 {
        let count = match self.reach {
            #[cfg(target_os = "linux")]
            Reach::Tree => process::tree::live(self.child.id()).len(),
            #[cfg(target_os = "linux")]
            Reach::Group => self.strays().count() + count(self.child.live_members()),
            #[cfg(not(target_os = "linux"))]
            _ => count(self.child.live_members()),
        };
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Processes of the attempt that have left its process group, as its control group knows them.
    #[cfg(target_os = "linux")]
    fn strays(&self) -> impl Iterator<Item = process::proc::Process> + use<> {
        let group = self.child.id();
        let members = self.group.hold().members().into_iter();
        members
            .filter_map(process::proc::read)
            .filter(move |process| process.group != group)
    }

    /// Signals every process of the attempt.
    fn signal(&self, signal: Signal) {
        if signal == Signal::KILL {
            // All at once, those included that somebody is just starting.
            self.group.hold().kill();
        }
        self.child.signal_group(signal);
        self.signal_strays(signal);
    }

    /// Signals those that have left the process group.
    #[cfg(target_os = "linux")]
    fn signal_strays(&self, signal: Signal) {
        let group = self.child.id();
        let strays: Vec<_> = match self.reach {
            Reach::Tree => process::tree::live(group),
            Reach::Group => self.strays().collect(),
        };
        for process in strays.iter().filter(|process| process.group != group) {
            process::proc::signal(process, &[signal]);
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn signal_strays(&self, _signal: Signal) {}

    /// While the leader lives its descriptor tells; afterwards the group has to be looked at.
    fn group_deadline(&self, bound: Instant) -> Instant {
        let Some(ending) = &self.ending else {
            return bound;
        };
        let tick = (ending.at.elapsed() / 8).clamp(*GROUP_TICK.start(), *GROUP_TICK.end());
        bound.min(Instant::now() + tick)
    }

    /// Waits for the first event or for `until`, and takes in what has come: output, the end, a stop.
    fn wait(&mut self, until: Option<Instant>) {
        let until = earliest(until, self.output.due_at());
        let until = earliest(until, self.reap_at());
        let ready = self.poll(until);
        if ready.control {
            self.control.hush();
        }
        if self.output.pump(ready.stdout, ready.stderr) {
            self.last_output = Instant::now();
            self.control
                .note_output(self.output.output_bytes(), self.last_output);
        }
        if self.ending.is_none() && (ready.exit || self.child.exit_fd().is_none()) {
            self.reap();
        }
    }

    /// Makes the attempt one on a system without pidfd.
    #[cfg(test)]
    pub(super) fn forget_pidfd(&mut self) {
        self.child.forget_pidfd();
    }

    fn reap_at(&self) -> Option<Instant> {
        let must_look = self.ending.is_none() && self.child.exit_fd().is_none();
        must_look.then(|| Instant::now() + REAP_TICK)
    }

    fn poll(&self, until: Option<Instant>) -> Ready {
        let exit = self.child.exit_fd().filter(|_| self.ending.is_none());
        let [stdout, stderr] = self.output.fds();
        let slots = [exit, stdout, stderr, Some(self.control.wake_fd())];
        let mut fds: Vec<PollFd<'_>> = slots
            .iter()
            .flatten()
            .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
            .collect();
        let timeout = until.map(|until| timespec(until.saturating_duration_since(Instant::now())));
        if poll(&mut fds, timeout.as_ref()).is_err() {
            // Interrupted, or short of memory: the caller comes again.
            return Ready::default();
        }
        let mut events = fds.iter().map(|fd| !fd.revents().is_empty());
        let [exit, stdout, stderr, control] =
            slots.map(|slot| slot.is_some() && events.next().unwrap_or(false));
        Ready {
            exit,
            stdout,
            stderr,
            control,
        }
    }

    fn reap(&mut self) {
        let (ended, usage) = match self.child.try_reap() {
            Ok(None) => return,
            Ok(Some((Exit::Code(code), usage))) => (Ended::Exited { code }, Some(usage)),
            Ok(Some((Exit::Signal(signal), usage))) => (Ended::Signalled { signal }, Some(usage)),
            Err(error) => (
                Ended::Lost {
                    text: error.to_string(),
                },
                None,
            ),
        };
        self.ending = Some(Ending {
            ended,
            usage,
            at: Instant::now(),
            ended_at: wall_clock(),
        });
        failpoint::hit("supervisor.reaped");
    }
}

/// Which descriptors have something to tell.
#[derive(Default)]
struct Ready {
    exit: bool,
    stdout: bool,
    stderr: bool,
    control: bool,
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn open_log(spec: &Spec) -> Result<LogWriter, SpawnProblem> {
    LogWriter::open(&spec.log, spec.log_cap).map_err(|error| {
        let log = spec.log.display();
        let text = format!(
            "the log `{log}` cannot be written; make its directory writable and free some disk"
        );
        SpawnProblem::from_io(SpawnClass::BadLog, text, &error)
    })
}

pub(super) fn wall_clock() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// `from + span`; a span too long for the clock counts as 30 years.
fn deadline(from: Instant, span: Duration) -> Instant {
    from.checked_add(span)
        .unwrap_or(from + Duration::from_secs(30 * 365 * 86_400))
}

fn after(from: Instant, span: Option<Duration>) -> Option<Instant> {
    span.map(|span| deadline(from, span))
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

fn is_past(instant: Option<Instant>) -> bool {
    instant.is_some_and(|instant| Instant::now() >= instant)
}

fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    }
}
