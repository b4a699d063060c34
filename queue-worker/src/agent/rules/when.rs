//! The conditions of a rule, and whether they hold.
//!
//! Made by the loader, asked by [`judge`](crate::agent::detect::judge). What always holds: conditions
//! that are given must all hold; words are compared in the form of [`folded`], and only in what
//! the program wrote itself.

use std::borrow::Cow;

use chrono::TimeDelta;
use chrono_tz::Tz;
use queue_core::Timestamp;
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::Source;
use crate::agent::detect::{End, Stopped};
use crate::agent::facts::Facts;
use crate::agent::reset_time;
use crate::agent::stream::Format;
use crate::agent::text::folded;

/// What the rules look at.
#[derive(Debug, Clone, Copy)]
pub(in crate::agent) struct Sight<'a> {
    pub(in crate::agent) facts: &'a Facts,
    pub(in crate::agent) end: &'a End,
    pub(in crate::agent) now: Timestamp,
    pub(in crate::agent) zone: Tz,
}

/// Why a rule fits: the words, where it asked for some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent) struct Hit {
    pub(in crate::agent) text: Option<String>,
}

/// Whether and how the program said that it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::agent) enum ResultTest {
    /// It did not say.
    None,
    /// It said that all went well.
    Success,
    /// It said that something went wrong.
    Error,
}

/// An exit code, or a kind of end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::agent) enum ExitTest {
    Code(i32),
    Word(ExitWord),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::agent) enum ExitWord {
    /// A code other than 0.
    Nonzero,
    /// A signal.
    Signal,
}

/// An HTTP status, or `5xx`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::agent) enum StatusTest {
    Code(u16),
    Word(StatusWord),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::agent) enum StatusWord {
    #[serde(rename = "4xx")]
    Request,
    #[serde(rename = "5xx")]
    Server,
}

/// Why we stopped it, or that we did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::agent) enum StopTest {
    Cause(Stopped),
    Word(StopWord),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::agent) enum StopWord {
    Any,
    None,
}

/// The conditions of a rule as the file has them. All that are given must hold; in a list one is enough.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::agent) struct Conditions {
    /// How the program said it ended.
    pub(in crate::agent) result: Vec<ResultTest>,
    /// The program's word for its end.
    pub(in crate::agent) subtype: Vec<String>,
    /// Why it ended.
    pub(in crate::agent) terminal_reason: Vec<String>,
    /// Why the model stopped.
    pub(in crate::agent) stop_reason: Vec<String>,
    /// The HTTP status of the call that failed.
    pub(in crate::agent) status: Vec<StatusTest>,
    /// The code of the last error in place of an answer.
    pub(in crate::agent) error: Vec<String>,
    /// The status of the last limit event.
    pub(in crate::agent) limit_status: Vec<String>,
    /// The error code of the last limit event.
    pub(in crate::agent) limit_error: Vec<String>,
    /// The last limit event says that at least this part is used.
    pub(in crate::agent) utilization: Option<f64>,
    /// The exit code or kind of end.
    pub(in crate::agent) exit: Vec<ExitTest>,
    /// Why we stopped it.
    pub(in crate::agent) stopped: Vec<StopTest>,
    /// Whether it could be started.
    pub(in crate::agent) started: Option<bool>,
    /// Whether tools were denied.
    pub(in crate::agent) denied: Option<bool>,
    /// Whether it asked a person something.
    pub(in crate::agent) asks: Option<bool>,
    /// Whether there is no answer.
    pub(in crate::agent) empty: Option<bool>,
    /// Whether a structured answer was asked for and is missing.
    pub(in crate::agent) structured_missing: Option<bool>,
    /// The type of the last event.
    pub(in crate::agent) last_event: Vec<String>,
    /// Whether any event was seen.
    pub(in crate::agent) events: Option<bool>,
    /// Whether the output is written as JSON, and not as plain text.
    pub(in crate::agent) json: Option<bool>,
    /// The plain output has at most so many lines.
    pub(in crate::agent) max_lines: Option<u64>,
    /// Words are looked for in so many last lines.
    pub(in crate::agent) tail_lines: Option<usize>,
    /// The words name a reset at most so many seconds ahead.
    pub(in crate::agent) resets_within_s: Option<i64>,
    /// The words have one of these in them.
    pub(in crate::agent) contains: Vec<String>,
    /// A line begins with one of these.
    pub(in crate::agent) starts: Vec<String>,
    /// One of these expressions fits; words are in lower case.
    pub(in crate::agent) matches: Vec<String>,
    /// The words have one of these in them, too.
    pub(in crate::agent) also: Vec<String>,
    /// The words have none of these in them.
    pub(in crate::agent) lacks: Vec<String>,
}

/// The conditions of a rule, ready to be asked.
#[derive(Debug, Clone)]
pub(in crate::agent) struct When {
    pub(super) conditions: Conditions,
    pub(super) matches: Vec<Regex>,
}

impl When {
    /// Whether the conditions hold, and by which words.
    pub(in crate::agent) fn test(&self, sources: &[Source], sight: &Sight<'_>) -> Option<Hit> {
        if !(self.ended_so(sight) && self.said_so(sight) && self.wrote_so(sight)) {
            return None;
        }
        if !self.has_words() {
            return Some(Hit { text: None });
        }
        let mut texts = sources.iter().flat_map(|source| self.texts(*source, sight));
        let text = texts.find(|text| self.fits(text, sight))?;
        Some(Hit {
            text: Some(text.into_owned()),
        })
    }

    pub(super) fn has_words(&self) -> bool {
        let it = &self.conditions;
        !(it.contains.is_empty() && it.starts.is_empty() && it.matches.is_empty())
    }

    /// What the system and we know of the end.
    fn ended_so(&self, sight: &Sight<'_>) -> bool {
        let (it, end) = (&self.conditions, sight.end);
        let exit = |test: &ExitTest| match test {
            ExitTest::Code(code) => end.exit_code == Some(*code),
            ExitTest::Word(ExitWord::Nonzero) => end.exit_code.is_some_and(|code| code != 0),
            ExitTest::Word(ExitWord::Signal) => end.signal.is_some(),
        };
        let stopped = |test: &StopTest| match test {
            StopTest::Cause(cause) => end.stopped_by == Some(*cause),
            StopTest::Word(StopWord::Any) => end.stopped_by.is_some(),
            StopTest::Word(StopWord::None) => end.stopped_by.is_none(),
        };
        any_of(&it.exit, exit)
            && any_of(&it.stopped, stopped)
            && it
                .started
                .is_none_or(|started| started == end.not_started.is_none())
    }

    /// What the program said of its end.
    fn said_so(&self, sight: &Sight<'_>) -> bool {
        let (it, facts) = (&self.conditions, sight.facts);
        let said = facts
            .result
            .as_ref()
            .filter(|result| !result.subtype.is_empty());
        let kind = match said {
            None => ResultTest::None,
            Some(result) if result.is_success() => ResultTest::Success,
            Some(_) => ResultTest::Error,
        };
        let text = |field: Option<&String>, list: &[String]| any_of(list, |it| Some(it) == field);
        let status = said.and_then(|result| result.status);
        let status_fits = |test: &StatusTest| match test {
            StatusTest::Code(code) => status == Some(*code),
            StatusTest::Word(StatusWord::Request) => status.is_some_and(|it| it / 100 == 4),
            StatusTest::Word(StatusWord::Server) => status.is_some_and(|it| it / 100 == 5),
        };
        let is_empty = said.is_none_or(|result| !(result.has_text || result.has_structured));
        let is_missing =
            sight.end.wants_structured && !said.is_some_and(|result| result.has_structured);
        any_of(&it.result, |test| *test == kind)
            && text(said.map(|result| &result.subtype), &it.subtype)
            && text(
                said.and_then(|result| result.terminal_reason.as_ref()),
                &it.terminal_reason,
            )
            && text(
                said.and_then(|result| result.stop_reason.as_ref()),
                &it.stop_reason,
            )
            && any_of(&it.status, status_fits)
            && it.empty.is_none_or(|empty| empty == is_empty)
            && it
                .structured_missing
                .is_none_or(|missing| missing == is_missing)
    }

    /// What came before its end.
    fn wrote_so(&self, sight: &Sight<'_>) -> bool {
        let (it, facts) = (&self.conditions, sight.facts);
        let limit = facts.limit_event.as_ref();
        let used = limit.and_then(|limit| limit.utilization);
        any_of(&it.error, |code| facts.error_code.as_ref() == Some(code))
            && any_of(&it.limit_status, |status| {
                limit.is_some_and(|it| it.status == *status)
            })
            && any_of(&it.limit_error, |code| {
                limit.is_some_and(|it| it.error_code.as_ref() == Some(code))
            })
            && it
                .utilization
                .is_none_or(|least| used.is_some_and(|used| used >= least))
            && it.denied.is_none_or(|denied| denied == (facts.denied > 0))
            && it.asks.is_none_or(|asks| asks == facts.question.is_some())
            && any_of(&it.last_event, |kind| {
                facts.last_event.as_ref() == Some(kind)
            })
            && it.events.is_none_or(|seen| seen == (facts.events > 0))
            && it
                .json
                .is_none_or(|json| json == (facts.format != Format::Text))
            && it.max_lines.is_none_or(|most| facts.plain_lines <= most)
    }

    /// The texts of a source, as they were written.
    fn texts<'a>(&self, source: Source, sight: &Sight<'a>) -> Vec<Cow<'a, str>> {
        let facts = sight.facts;
        match source {
            Source::Result => {
                let result = facts.result.as_ref().filter(|result| result.is_error);
                result
                    .map(|result| Cow::Borrowed(&*result.text))
                    .into_iter()
                    .collect()
            }
            Source::Event => {
                // The last words first: what was said before may have been got over.
                facts
                    .errors
                    .iter()
                    .rev()
                    .map(|text| Cow::Borrowed(&**text))
                    .collect()
            }
            Source::Stderr => vec![self.tail(&facts.stderr_tail)],
            Source::Stdout if facts.format != Format::Text || self.is_guarded() => {
                vec![self.tail(&facts.plain_tail)]
            }
            Source::Stdout | Source::Exit | Source::Watchdog => Vec::new(),
        }
    }

    fn is_guarded(&self) -> bool {
        self.conditions.max_lines.is_some() || self.conditions.tail_lines.is_some()
    }

    fn tail<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(most) = self.conditions.tail_lines else {
            return Cow::Borrowed(text);
        };
        let lines: Vec<_> = text.lines().collect();
        Cow::Owned(lines[lines.len().saturating_sub(most)..].join("\n"))
    }

    fn fits(&self, text: &str, sight: &Sight<'_>) -> bool {
        let it = &self.conditions;
        let folded = folded(text);
        let has = |list: &[String]| list.iter().any(|words| folded.contains(words.as_str()));
        let words = has(&it.contains)
            || folded.lines().any(|line| begins(line, &it.starts))
            || self.matches.iter().any(|regex| regex.is_match(&folded));
        words
            && (it.also.is_empty() || has(&it.also))
            && !has(&it.lacks)
            && it.resets_within_s.is_none_or(|most| {
                let reset = reset_time::parse(text, sight.now, sight.zone);
                let ahead = reset.map(|it| it.at.as_millis() - sight.now.as_millis());
                ahead.is_some_and(|ahead| ahead <= TimeDelta::seconds(most).num_milliseconds())
            })
    }
}

/// Whether a list is empty, or one of it fits.
fn any_of<T>(list: &[T], fits: impl FnMut(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(fits)
}

/// Whether a line begins with one of these, be it behind the word with which programs mark an error.
fn begins(line: &str, starts: &[String]) -> bool {
    let line = line.trim_start();
    let marks = ["api error: ", "error: ", "claude: ", "codex: "];
    let bare = marks.iter().find_map(|mark| line.strip_prefix(mark));
    let lines = [Some(line), bare];
    let mut lines = lines.into_iter().flatten();
    lines.any(|line| starts.iter().any(|start| line.starts_with(start.as_str())))
}
