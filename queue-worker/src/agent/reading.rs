//! Reads the log of one attempt of an agent while it grows, and says what came of it at the end.
//!
//! Made on the attempt's thread, looked at by the dispatcher's watch, ended by the attempt's thread.
//! What always holds: facts and the place up to which the log was read are told together, so that
//! whoever adopts the attempt counts nothing twice; an attempt that said that it is done, or took
//! more turns than it may, is stopped once.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use queue_core::attempt::{AgentFacts, Outcome, Report};
use queue_core::budget::Most;
use queue_core::job::JobBody;
use queue_core::ledger::{Bill, Spent};
use queue_core::proof::Terms;
use queue_core::raw_text::RawText;
use queue_core::{Class, Command, Timestamp};

use super::bill::{Earlier, bill};
use super::call::{Call, account, task_of};
use super::detect::{End, Judged, Stopped, judge};
use super::facts::Facts;
use super::reset_time::machine_zone;
use super::rules::Rules;
use super::stream::{self, Format};
use super::verdict;
use crate::log;
use crate::supervisor::{Ended, Status, StopCause};

/// What is not told at once is told after this long: tokens and offsets change with every line.
const TELL_AFTER: Duration = Duration::from_secs(5);

/// The longest silence that an announcement excuses: one beyond it is a hang of its own.
const LONGEST_RETRY: Duration = Duration::from_secs(3_600);

/// An agent may take so many turns more than it was told to: some count the prompt as one.
const TURNS_OVER: u32 = 2;

/// The reading of a running attempt, once it began; looked at from two threads.
pub(crate) type SharedReading = Arc<Mutex<Option<Reading>>>;

/// Locks a reading; whoever panicked left plain data behind.
pub(crate) fn lock(reading: &SharedReading) -> MutexGuard<'_, Option<Reading>> {
    reading.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a look found.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// What is to be told.
    pub(crate) facts: Option<AgentFacts>,
    /// The provider answered, and this is the first look that shows it.
    pub(crate) has_passed: bool,
    /// Why the attempt is to be stopped.
    pub(crate) stop: Option<StopCause>,
    /// It said that it waits before it tries a call again: its silence is no idleness.
    pub(crate) is_waiting: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Reading {
    agent: String,
    account: Option<String>,
    linger: Duration,
    max_turns: Option<u32>,
    most: Most,
    earlier: Earlier,
    /// Whether the arguments are ours: then the next attempt can be told something.
    is_task: bool,
    rules: Option<PathBuf>,
    zone: Option<String>,
    log: PathBuf,
    source: Option<log::Reader>,
    reader: stream::Reader,
    told: Option<(Instant, Facts)>,
    has_passed: bool,
    finished_at: Option<Instant>,
    /// How many announcements were seen that a call is tried again, and until when the last one
    /// excuses silence.
    retries: (u32, Option<Instant>),
    /// Where in the file the log of the agent ends: what stands behind it is not the agent's.
    ends_at: Option<u64>,
}

impl Reading {
    /// Begins to read the log of an attempt that calls an agent, or goes on from saved facts.
    pub(crate) fn begin(call: &Call, body: &JobBody, log: &Path, config: Option<&Path>) -> Self {
        let task = task_of(body);
        let format = match &body.command {
            Ok(Command::Argv(words)) if !call.adapter.streams(words) => Format::Text,
            _ => call
                .adapter
                .format
                .unwrap_or_else(|| Format::of_agent(&call.name)),
        };
        let saved = call.earlier.facts.clone();
        let facts = saved
            .and_then(|saved| serde_json::from_value(saved).ok())
            .unwrap_or_else(|| Facts {
                model: task.and_then(|task| task.model.clone()),
                ..Facts::of(&call.name)
            });
        let zone = body.env.get("TZ").map(RawText::to_lossy);
        let profile = task.and_then(|task| task.profile.as_deref());
        Self {
            agent: call.name.clone(),
            account: account(&call.adapter, profile, &body.env),
            linger: call.adapter.linger,
            max_turns: task.and_then(|task| task.max_turns).map(u32::from),
            most: body.options.most(),
            earlier: Earlier {
                facts: None,
                ..call.earlier.clone()
            },
            is_task: task.is_some(),
            rules: config.map(|directory| directory.join("rules.toml")),
            zone,
            log: log.to_owned(),
            source: None,
            has_passed: facts.first_answer,
            reader: stream::Reader::new(format, facts),
            told: None,
            finished_at: None,
            // Whoever adopts it does not know when the last one came, and gives it its time again.
            retries: (0, None),
            ends_at: None,
        }
    }

    /// The agent has ended: what stands in the log behind this place is not its own.
    pub(crate) fn end_at(&mut self, place: u64) {
        self.ends_at = Some(place);
    }

    /// Reads what was written since the last look.
    pub(crate) fn look(&mut self) -> Seen {
        self.read();
        let now = Instant::now();
        let facts = self.reader.facts();
        let has_passed = facts.first_answer && !self.has_passed;
        self.has_passed |= has_passed;
        let over = |most: u32| facts.turns > most.saturating_add(TURNS_OVER);
        let stop = if self.ends_at.is_some() {
            None
        } else if facts.finished {
            let since = *self.finished_at.get_or_insert(now);
            (now.duration_since(since) >= self.linger).then_some(StopCause::Finished)
        } else {
            let is_over = self.max_turns.is_some_and(over);
            let is_over_budget = self.most.is_passed(&self.spent());
            is_over
                .then_some(StopCause::MaxTurns)
                .or(is_over_budget.then_some(StopCause::Budget))
        };
        let is_due = match &self.told {
            None => facts.events > 0,
            Some((at, told)) => {
                is_news(told, facts) || (told != facts && now.duration_since(*at) >= TELL_AFTER)
            }
        };
        let is_waiting = self.waits_for_retry(now);
        Seen {
            is_waiting,
            facts: is_due.then(|| self.tell(now)),
            has_passed,
            stop,
        }
    }

    /// Whether it has said that it waits until then before it tries a call again.
    fn waits_for_retry(&mut self, now: Instant) -> bool {
        let facts = self.reader.facts();
        let (seen, until) = &mut self.retries;
        if facts.retries != *seen {
            *seen = facts.retries;
            let delay = facts.retry.as_ref().map_or(0, |retry| retry.delay_ms);
            let delay = Duration::from_millis(delay).min(LONGEST_RETRY);
            *until = now.checked_add(delay);
        }
        until.is_some_and(|until| now < until)
    }

    fn tell(&mut self, now: Instant) -> AgentFacts {
        self.told = Some((now, self.reader.facts().clone()));
        self.all()
    }

    fn all(&self) -> AgentFacts {
        let facts = self.reader.facts();
        AgentFacts {
            session_id: facts.session_id.clone(),
            cost_usd: facts.cost_usd,
            bill: self.bill(),
            facts: serde_json::to_value(facts).unwrap_or_default(),
        }
    }

    fn bill(&self) -> Bill {
        bill(self.reader.facts(), self.account.as_deref(), &self.earlier)
    }

    /// What the job used so far, this attempt included.
    fn spent(&self) -> Spent {
        if self.most.is_unbounded() {
            return Spent::default();
        }
        self.earlier.spent.and(Spent::of(&self.bill().lines))
    }

    /// Reads to the end of the log.
    pub(crate) fn rest(&mut self) -> AgentFacts {
        self.read();
        self.reader.finish();
        self.all()
    }

    /// Judges an attempt whose process is gone, after its rest was read. `report` is what the
    /// process alone came to. Says also whether it is a success that looks hollow.
    pub(crate) fn judge(&self, report: Report, status: &Status, now: Timestamp) -> (Report, bool) {
        self.judge_by(report, &end(status), now)
    }

    /// Judges an attempt whose end nobody saw, by its final event, after its rest was read. None
    /// where there is no such event; nor where it says that all is done and that is not to be
    /// believed as it is.
    pub(crate) fn judge_unseen(&self, terms: &Terms, now: Timestamp) -> Option<Report> {
        if !self.reader.facts().finished {
            return None;
        }
        // What was left of it was ended after it had said so, as one that lingers is.
        let end = End::default().stopped(Stopped::Linger);
        let done = Report::new(Outcome::Completed { result: None }, now);
        let (report, is_suspect) = self.judge_by(done, &end, now);
        let says_done = matches!(report.outcome, Outcome::Completed { .. });
        let is_enough = !says_done || (terms.is_empty() && !is_suspect);
        is_enough.then_some(report)
    }

    fn judge_by(&self, report: Report, end: &End, now: Timestamp) -> (Report, bool) {
        let rules = match self
            .rules
            .as_deref()
            .map_or_else(|| Ok(Rules::built_in()), Rules::load)
        {
            Ok(rules) => rules,
            Err(error) => {
                tracing::warn!(%error, "the built-in rules are used: rules.toml cannot be");
                Rules::built_in()
            }
        };
        let facts = self.reader.facts();
        let zone = machine_zone(self.zone.as_deref());
        let found = judge(&rules, facts, end, now, zone);
        let names = verdict::Names {
            agent: &self.agent,
            account: self.account.as_deref(),
            can_be_told: self.is_task,
        };
        let is_suspect = found.outcome == Judged::Suspect;
        let report = verdict::report(report, found, facts, names);
        (within(report, &self.most, &self.spent()), is_suspect)
    }

    fn read(&mut self) {
        if self.source.is_none() {
            let start = self.reader.facts().offset.start();
            // Not there before the attempt has begun.
            self.source = log::Reader::open_at(&self.log, start).ok();
        }
        let Some(source) = &mut self.source else {
            return;
        };
        while self.ends_at.is_none_or(|end| source.place() < end) {
            match source.next_whole() {
                Ok(Some(entry)) => match source.offset() {
                    Ok(end) => self.reader.feed_entry(&entry, end),
                    Err(error) => {
                        tracing::warn!(%error, "the log of an attempt cannot be read on");
                        return;
                    }
                },
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "the log of an attempt cannot be read");
                    return;
                }
            }
        }
    }
}

/// Whether something is known now that others wait for.
fn is_news(told: &Facts, facts: &Facts) -> bool {
    let key = |facts: &Facts| {
        let session = facts.session_id.clone();
        (session, facts.turns, facts.first_answer, facts.finished)
    };
    key(told) != key(facts)
}

/// Says of an attempt that failed whether its job has used up what it may cost: then no other one
/// follows.
fn within(mut report: Report, most: &Most, spent: &Spent) -> Report {
    if let Outcome::Failed {
        class, retryable, ..
    } = &mut report.outcome
        && most.is_used_up(spent)
    {
        *retryable = Some(false);
        let words = format!("the budget of the job is used up: {}", most.words(spent));
        report.message = Some(match report.message.take() {
            Some(message) if *class != Class::OverBudget => format!("{message}; {words}"),
            _ => words,
        });
    }
    report
}

/// How the process ended, as the rules see it.
fn end(status: &Status) -> End {
    End {
        exit_code: status.exit_code(),
        signal: match status.ended {
            Ended::Signalled { signal } => Some(signal),
            _ => None,
        },
        stopped_by: status.stopped_by.map(|cause| match cause {
            StopCause::Cancelled => Stopped::Cancelled,
            StopCause::LeaseLost => Stopped::LeaseLost,
            StopCause::Interrupted => Stopped::Interrupted,
            StopCause::Timeout => Stopped::Timeout,
            StopCause::IdleTimeout => Stopped::IdleTimeout,
            StopCause::Finished => Stopped::Linger,
            StopCause::MaxTurns => Stopped::TurnCap,
            StopCause::Budget => Stopped::Budget,
        }),
        not_started: match &status.ended {
            Ended::SpawnFailed { problem } => Some(problem.to_string()),
            _ => None,
        },
        wants_structured: false,
    }
}
