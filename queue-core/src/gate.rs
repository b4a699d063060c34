//! The gate: what all jobs pass that share an account, and what keeps them back while the
//! account has met its limit.
//!
//! Owns [`Gate`], a plain state machine; the engine asks it in the transaction of a claim and
//! tells it in the transaction of an outcome, and keeps one row for each. What always holds: a
//! closed gate lets nothing start; a half-open one lets exactly one job try, the probe; a limit
//! that somebody reports never opens a gate sooner than it would have opened.

mod name;
#[cfg(test)]
mod tests;

pub use name::{BadGateName, GateName};

use crate::{
    clock::Timestamp,
    job::JobId,
    lease::{Epoch, Fence, Holder},
    state::Class,
    words::spelled_enum,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A limit that lifts later than this is not waited for: a person looks and opens the gate.
/// Longer ones are misread or are none that waiting mends (handarbeit/fabrik#1815).
pub const LONGEST_CLOSED: Duration = Duration::from_secs(8 * 24 * 3_600);

/// How long a probe runs before it counts as let through although it has not said so. Limits are
/// met at the first request, in some 450 ms.
pub const PROBE_FOR: Duration = Duration::from_secs(2 * 60);

/// After a probe was let through, starts are at least this far apart for [`RELEASE_FOR`].
pub const RELEASE_GAP: Duration = Duration::from_secs(1);

/// How long the jobs behind a gate that has just opened are let go one by one.
pub const RELEASE_FOR: Duration = Duration::from_secs(60);

/// So many jobs whose provider was not available, one after the other, close a gate.
pub const BREAKER_JOBS: usize = 3;

/// They count while they are no further apart than this.
pub const BREAKER_SPAN: Duration = Duration::from_secs(5 * 60);

/// The exit code by which a program that has reported a limit says that it is to be tried again
/// when the gate opens: `EX_TEMPFAIL` of sysexits(3).
pub const EX_TEMPFAIL: i32 = 75;

/// The most of an evidence that is kept, in bytes.
pub const MOST_EVIDENCE: usize = 2 * 1024;

/// The waits for a limit that does not say when it lifts, in minutes: one for each probe in a
/// row that met it again; the last one stays.
const LADDER: [u64; 3] = [15, 30, 60];

/// The waits for a provider that is not available.
const BREAKER_LADDER: [u64; 3] = [5, 10, 15];

/// From so many probes in a row on that met a limit, its own word is not enough:
const DISTRUSTED_AFTER: u32 = 3;

/// then the next one waits at least so long, whatever the limit says.
const LEAST_WAIT: Duration = Duration::from_secs(5 * 60);

spelled_enum! {
    /// How a gate stands.
    GateState, "state of a gate" {
        /// Jobs start.
        Open = "open",
        /// No job starts.
        Closed = "closed",
        /// One job tries whether it is let through; the others wait for it.
        HalfOpen = "half_open",
    }
}

spelled_enum! {
    /// Why a gate is closed.
    GateReason, "reason to close a gate" {
        /// A rate or usage limit of the provider.
        Limit = "limit",
        /// The provider does not know the account: only a person can mend that.
        Auth = "auth",
        /// The provider wants to be paid: only a person can mend that.
        Billing = "billing",
        /// The provider was not available to several jobs one after the other.
        Breaker = "breaker",
        /// A person closed it.
        Person = "person",
    }
}

impl GateReason {
    /// The reason for a limit of this class; what is neither of credentials nor of money lifts by
    /// itself.
    pub fn of(class: Class) -> Self {
        match class {
            Class::Auth => Self::Auth,
            Class::Billing => Self::Billing,
            _ => Self::Limit,
        }
    }

    /// The class of an attempt that closed a gate for this reason.
    pub fn class(self) -> Class {
        match self {
            Self::Auth => Class::Auth,
            Self::Billing => Class::Billing,
            Self::Breaker => Class::Unavailable,
            Self::Limit | Self::Person => Class::Limit,
        }
    }
}

/// A gate as it stands. The default one is open and lets any number of jobs start at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gate {
    /// Open, closed, or trying.
    pub stand: Stand,
    /// How far apart starts through it are, at least, where somebody has said it: they may have said
    /// that nothing keeps them apart.
    pub stagger: Option<Duration>,
    /// The last start through it, where that matters to the next one.
    pub last_start: Option<Timestamp>,
    /// When a probe was last let through.
    pub passed_at: Option<Timestamp>,
    /// The latest jobs whose provider was not available, and when each ended.
    pub failures: Vec<Failure>,
}

/// Whether a gate lets jobs start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stand {
    /// It does.
    #[default]
    Open,
    /// It does not, until its time has come; then the next claim sends a probe.
    Closed(Closing),
    /// Its time has come, and a probe is under way.
    Probing(Closing, Probe),
}

/// That a gate was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// Why.
    pub reason: GateReason,
    /// Until when; where not set, until a person opens it.
    pub until: Option<Timestamp>,
    /// Since when: when `until` was set.
    pub since: Timestamp,
    /// What shows it, in the words of whoever met the limit.
    pub evidence: Option<String>,
    /// Who closed it, in words: `job 42`.
    pub set_by: String,
    /// Probes in a row that met the limit again.
    pub tries: u32,
}

/// The job that tries whether a gate lets it through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Which job.
    pub job: JobId,
    /// Which attempt of it.
    pub epoch: Epoch,
    /// Under which tenure of its lease it was last seen.
    pub holder: Holder,
    /// Since when it has run under that.
    pub since: Timestamp,
}

/// A job whose provider was not available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which job.
    pub job: JobId,
    /// When its attempt ended.
    pub at: Timestamp,
}

/// A limit that somebody met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// Of which kind it is: limit, auth or billing.
    pub reason: GateReason,
    /// When it lifts, where it says so.
    pub until: Option<Timestamp>,
    /// When it was met.
    pub at: Timestamp,
    /// What shows it.
    pub evidence: Option<String>,
    /// Who met it, in words.
    pub by: String,
    /// The attempt that met it, where it was one.
    pub attempt: Option<(JobId, Epoch)>,
}

/// How a person closes a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseGate {
    /// Until when; where not set, until a person opens it.
    pub until: Option<Timestamp>,
    /// Why, in their words.
    pub why: Option<String>,
    /// Who, in words.
    pub by: String,
}

/// Whether one more job may start through a gate now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Granted,
    /// Not before this moment.
    Wait(Timestamp),
    /// Not before a person opens the gate.
    Never,
}

/// What is known of a job that was sent as a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeLook {
    /// Its attempt has ended.
    Gone,
    /// It runs under this tenure of its lease, which stands.
    Runs(Holder),
    /// It runs, or died unseen: its lease ran out.
    Unknown,
}

impl Gate {
    /// The state that people see: a closed gate whose time has come is half open.
    pub fn state(&self, now: Timestamp) -> GateState {
        match &self.stand {
            Stand::Open => GateState::Open,
            Stand::Closed(closing) if closing.is_due(now) => GateState::HalfOpen,
            Stand::Closed(_) => GateState::Closed,
            Stand::Probing(..) => GateState::HalfOpen,
        }
    }

    /// Why it is closed, and until when, where it is.
    pub fn closing(&self) -> Option<&Closing> {
        match &self.stand {
            Stand::Open => None,
            Stand::Closed(closing) | Stand::Probing(closing, _) => Some(closing),
        }
    }

    /// Whether only a person will open it.
    pub fn awaits_person(&self) -> bool {
        matches!(&self.stand, Stand::Closed(Closing { until: None, .. }))
    }

    /// How far apart starts through it are, at least.
    pub fn stagger(&self) -> Duration {
        self.stagger.unwrap_or_default()
    }

    // ── Starts ──────────────────────────────────────────────────────────────────────────────

    /// Whether one more job may start through it.
    pub fn admit(&self, now: Timestamp) -> Admission {
        match &self.stand {
            Stand::Open => match self.last_start {
                Some(last) if last <= now && last.saturating_add(self.gap(now)) > now => {
                    Admission::Wait(last.saturating_add(self.gap(now)))
                }
                _ => Admission::Granted,
            },
            Stand::Closed(closing) => match closing.until {
                None => Admission::Never,
                Some(until) if until > now => Admission::Wait(until),
                Some(_) => Admission::Granted,
            },
            // Should it not have passed by then, it is looked at again.
            Stand::Probing(_, probe) => {
                let next = now.saturating_add(Duration::from_secs(1));
                Admission::Wait(probe.since.saturating_add(PROBE_FOR).max(next))
            }
        }
    }

    /// Notes that a job starts that was admitted: the first one after a closing is the probe.
    pub fn start(&mut self, fence: Fence, now: Timestamp) {
        match std::mem::take(&mut self.stand) {
            Stand::Open => {
                self.last_start = (!self.gap(now).is_zero()).then_some(now);
            }
            Stand::Closed(closing) => {
                let probe = Probe {
                    job: fence.job,
                    epoch: fence.epoch,
                    holder: fence.holder,
                    since: now,
                };
                self.stand = Stand::Probing(closing, probe);
            }
            probing @ Stand::Probing(..) => self.stand = probing,
        }
    }

    /// How far apart starts are at this moment.
    fn gap(&self, now: Timestamp) -> Duration {
        let is_fresh = self
            .passed_at
            .is_some_and(|at| at <= now && now.since(at) < RELEASE_FOR);
        if is_fresh {
            self.stagger().max(RELEASE_GAP)
        } else {
            self.stagger()
        }
    }

    // ── The probe ───────────────────────────────────────────────────────────────────────────

    /// Looks after the probe. One that has run for [`PROBE_FOR`] under one worker is through; one
    /// that is gone leaves its place to the next.
    pub fn watch(&mut self, look: ProbeLook, now: Timestamp) {
        let Stand::Probing(closing, probe) = &mut self.stand else {
            return;
        };
        match look {
            ProbeLook::Gone => self.stand = Stand::Closed(closing.clone()),
            // Another worker took it over: how long nobody looked at it says nothing.
            ProbeLook::Runs(holder) if holder != probe.holder => {
                (probe.holder, probe.since) = (holder, now);
            }
            ProbeLook::Runs(_) if now.since(probe.since) >= PROBE_FOR => self.let_go(now),
            ProbeLook::Runs(_) | ProbeLook::Unknown => {}
        }
    }

    /// An attempt was let through. Opens the gate if it is the probe; any other started before
    /// the gate closed and says nothing about it.
    pub fn passed(&mut self, job: JobId, epoch: Epoch, now: Timestamp) {
        if self.is_probe(job, epoch) {
            self.let_go(now);
        } else if self.stand == Stand::Open {
            self.failures.clear();
        }
    }

    /// An attempt ended without having tried: it was cancelled, or its worker died or stopped.
    pub fn left(&mut self, job: JobId, epoch: Epoch) {
        if let Stand::Probing(closing, probe) = &self.stand
            && (probe.job, probe.epoch) == (job, epoch)
        {
            self.stand = Stand::Closed(closing.clone());
        }
    }

    /// The job that tries, where one does.
    pub fn probe(&self) -> Option<&Probe> {
        match &self.stand {
            Stand::Probing(_, probe) => Some(probe),
            Stand::Open | Stand::Closed(_) => None,
        }
    }

    fn is_probe(&self, job: JobId, epoch: Epoch) -> bool {
        self.probe()
            .is_some_and(|probe| (probe.job, probe.epoch) == (job, epoch))
    }

    fn let_go(&mut self, now: Timestamp) {
        self.stand = Stand::Open;
        self.passed_at = Some(now);
        self.last_start = Some(now);
        self.failures.clear();
    }

    // ── Closing ─────────────────────────────────────────────────────────────────────────────

    /// Somebody met a limit. The later end wins; whoever cannot name one adds nothing to a gate
    /// that is closed already.
    pub fn limited(&mut self, met: &Met, now: Timestamp) {
        let at = met.at.min(now);
        let tries = self.tries_after(met);
        let (until, is_told) = match met.reason {
            GateReason::Limit => end_of(met.until, at, tries),
            GateReason::Breaker => (Some(at.saturating_add(step(BREAKER_LADDER, tries))), false),
            GateReason::Auth | GateReason::Billing | GateReason::Person => (None, true),
        };
        if let Stand::Closed(closing) = &self.stand
            && !closing.is_due(now)
            && !(is_told && is_later(until, closing.until))
        {
            return;
        }
        self.stand = Stand::Closed(Closing {
            reason: met.reason,
            until,
            since: now,
            evidence: met.evidence.as_deref().map(cut),
            set_by: met.by.clone(),
            tries,
        });
        self.failures.clear();
    }

    /// How many probes in a row have met the limit, this one included.
    fn tries_after(&self, met: &Met) -> u32 {
        match &self.stand {
            Stand::Open => 0,
            Stand::Closed(closing) => closing.tries,
            Stand::Probing(closing, probe) => {
                let is_probe = met.attempt == Some((probe.job, probe.epoch));
                closing.tries.saturating_add(u32::from(is_probe))
            }
        }
    }

    /// An attempt ended because its provider was not available. Says whether that was a probe:
    /// then the queue asked on behalf of all, and the gate closes again. Otherwise the gate
    /// closes after [`BREAKER_JOBS`] different jobs.
    pub fn unavailable(&mut self, met: &Met, now: Timestamp) -> bool {
        let Some((job, epoch)) = met.attempt else {
            return false;
        };
        if self.is_probe(job, epoch) {
            self.limited(met, now);
            return true;
        }
        if self.stand == Stand::Open {
            let at = met.at.min(now);
            self.failures.retain(|failure| {
                failure.job != job && failure.at <= now && at.since(failure.at) <= BREAKER_SPAN
            });
            self.failures.push(Failure { job, at });
            if self.failures.len() >= BREAKER_JOBS {
                self.limited(met, now);
            }
        }
        false
    }

    /// A person closes it: their word counts, whatever stood before.
    pub fn close(&mut self, close: &CloseGate, now: Timestamp) {
        self.stand = Stand::Closed(Closing {
            reason: GateReason::Person,
            until: close.until,
            since: now,
            evidence: close.why.as_deref().map(cut),
            set_by: close.by.clone(),
            tries: 0,
        });
    }

    /// A person opens it: all that was known is forgotten, but not what was set.
    pub fn open(&mut self) {
        self.stand = Stand::Open;
        self.last_start = None;
        self.passed_at = None;
        self.failures.clear();
    }

    // ── The clock ───────────────────────────────────────────────────────────────────────────

    /// Notices that the wall clock was set back behind what is noted here: then no wait gets
    /// longer than it was meant to be. At worst a probe goes too early. A moment just ahead is one
    /// that another worker has noted while this one waited its turn to write.
    pub fn mend_clock(&mut self, now: Timestamp) {
        if let Stand::Closed(closing) | Stand::Probing(closing, _) = &mut self.stand
            && closing.since > now
        {
            closing.until = closing
                .until
                .map(|until| until.min(now.saturating_add(until.since(closing.since))));
            closing.since = now;
        }
        if let Stand::Probing(_, probe) = &mut self.stand {
            probe.since = probe.since.min(now);
        }
        self.last_start = self.last_start.map(|at| at.min(now));
        self.passed_at = self.passed_at.map(|at| at.min(now));
    }
}

impl Closing {
    /// Whether its time has come.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// Until when a limit that was met at `at` closes a gate, and whether the limit itself said so.
///
/// A moment that had passed when the limit was met is stale: providers show limits that have
/// lifted (agent-clis.md 1.7). Then, as where none is named, the ladder decides.
fn end_of(told: Option<Timestamp>, at: Timestamp, tries: u32) -> (Option<Timestamp>, bool) {
    let Some(told) = told.filter(|told| *told > at) else {
        return (Some(at.saturating_add(step(LADDER, tries))), false);
    };
    let wait = told.since(at);
    if wait > LONGEST_CLOSED {
        return (None, true);
    }
    let least = if tries >= DISTRUSTED_AFTER {
        LEAST_WAIT
    } else {
        Duration::ZERO
    };
    (
        Some(at.saturating_add((wait + margin(wait)).max(least))),
        true,
    )
}

/// What is waited beyond the moment that a limit names: that is told in whole minutes or seconds
/// by another clock, and a probe that comes too early would have to wait for the ladder.
fn margin(wait: Duration) -> Duration {
    (wait / 20).clamp(Duration::from_millis(100), Duration::from_secs(30))
}

fn step(ladder: [u64; 3], tries: u32) -> Duration {
    let place = usize::try_from(tries).unwrap_or(usize::MAX);
    Duration::from_secs(60 * ladder[place.min(ladder.len() - 1)])
}

/// Whether the end `new` lies after `old`; where not set, it never comes.
fn is_later(new: Option<Timestamp>, old: Option<Timestamp>) -> bool {
    match (new, old) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(new), Some(old)) => new > old,
    }
}

/// The first part of an evidence, cut between two characters.
fn cut(evidence: &str) -> String {
    let mut end = evidence.len().min(MOST_EVIDENCE);
    while !evidence.is_char_boundary(end) {
        end -= 1;
    }
    evidence[..end].to_owned()
}

/// A gate with its name, and what waits behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateStatus {
    /// Its name.
    pub name: GateName,
    /// How it stands.
    pub gate: Gate,
    /// How many jobs wait that pass it.
    pub waiting: u64,
}

impl GateStatus {
    /// A gate of which nothing is known and that no job passes: it is open.
    pub fn unknown(name: GateName) -> Self {
        Self {
            name,
            gate: Gate::default(),
            waiting: 0,
        }
    }
}
