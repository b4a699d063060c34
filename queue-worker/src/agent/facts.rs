//! What was read of one attempt's output so far.
//!
//! Filled by [`Reader`](super::stream::Reader), judged by [`judge`](super::detect::judge), stored with
//! the attempt as JSON so that an adopter goes on from there. What always holds: its size is bounded
//! however long the output is; what an agent did not say stays `None`, so an unknown price is never 0.

use std::collections::BTreeMap;

use queue_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::stream::Format;
use super::text::{push_tail, truncated};

/// The longest final answer that is kept, in bytes; the log has all of it.
pub const MAX_ANSWER: usize = 32 * 1024;
/// The longest text of one error, in bytes.
pub const MAX_ERROR: usize = 4 * 1024;
/// How many errors are kept: the last ones, since an agent that goes on after an error says more later.
pub const MAX_ERRORS: usize = 8;
/// How many names of denied tools are kept; all are counted.
pub const MAX_DENIALS: usize = 16;
/// The longest structured answer that is kept, in bytes of JSON.
pub const MAX_STRUCTURED: usize = 64 * 1024;
/// How much of the end of each stream's plain text is kept, in bytes.
pub const MAX_TAIL: usize = 16 * 1024;

/// Everything the rules may look at, and what the queue books: session, usage, cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The agent as its profile names it: `claude`, `codex` … It says which rules apply.
    pub agent: String,
    /// How the output is written.
    pub format: Format,
    /// The version the program gave for itself.
    pub cli_version: Option<String>,
    /// The session by which the conversation can be resumed.
    pub session_id: Option<String>,
    /// The model the program said it uses; before that, the one it was asked to use.
    pub model: Option<String>,
    /// Answers of the model so far, counted by us, or the program's own number where that is higher.
    pub turns: u32,
    /// Tokens and cost, by model.
    pub usage: BTreeMap<String, Usage>,
    /// What this process cost in US dollars, as the program said; `None` while it has not said.
    pub cost_usd: Option<f64>,
    /// The names of tools that were denied, at most [`MAX_DENIALS`].
    pub denials: Vec<String>,
    /// How often a tool was denied.
    pub denied: u32,
    /// The last word of the provider about the account's limits.
    pub limit_event: Option<LimitEvent>,
    /// The program's last announcement that it tries a call again.
    pub retry: Option<Retry>,
    /// How many such announcements came.
    pub retries: u32,
    /// The code of the last error the program wrote in place of an answer, such as `rate_limit`.
    pub error_code: Option<String>,
    /// Texts of errors that the program itself wrote, at most [`MAX_ERRORS`].
    pub errors: Vec<String>,
    /// How the program said it ended.
    pub result: Option<FinalResult>,
    /// Whether the provider answered: the attempt passed its gates.
    pub first_answer: bool,
    /// Whether the final event was seen: a process that lives on from here lingers.
    pub finished: bool,
    /// What the agent wants to know from a person.
    pub question: Option<String>,
    /// What it offers to choose from, where it asks one thing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// Pieces of the model's text that were seen.
    pub answers: u64,
    /// The type of the last event that was understood.
    pub last_event: Option<String>,
    /// Events that were understood.
    pub events: u64,
    /// Lines of the output that are no known event; they are passed over.
    pub unknown_lines: u64,
    /// Lines of plain text on standard output.
    pub plain_lines: u64,
    /// The end of the plain text on standard output. Where the format is JSON, only the program itself
    /// writes such lines; where it is text, this is the model's prose too.
    pub plain_tail: String,
    /// The end of standard error.
    pub stderr_tail: String,
    /// How far the log was read.
    pub offset: Offset,
    /// What the last messages added to the usage, since a program repeats a message as it grows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) counted: Vec<Counted>,
}

/// Tokens and cost of one model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens read by the model, without those from a cache.
    pub input: u64,
    /// Tokens written by the model.
    pub output: u64,
    /// Tokens that came from a cache.
    pub cache_read: u64,
    /// Tokens that were put into a cache.
    pub cache_write: u64,
    /// US dollars as the program said; `None` is "unpriced".
    pub cost_usd: Option<f64>,
}

impl Usage {
    /// All tokens together.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.input
            .saturating_add(self.output)
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
    }

    pub(super) fn add(&mut self, more: &Self) {
        self.input = self.input.saturating_add(more.input);
        self.output = self.output.saturating_add(more.output);
        self.cache_read = self.cache_read.saturating_add(more.cache_read);
        self.cache_write = self.cache_write.saturating_add(more.cache_write);
        self.cost_usd = add_cost(self.cost_usd, more.cost_usd);
    }

    fn take_back(&mut self, less: &Self) {
        self.input = self.input.saturating_sub(less.input);
        self.output = self.output.saturating_sub(less.output);
        self.cache_read = self.cache_read.saturating_sub(less.cache_read);
        self.cache_write = self.cache_write.saturating_sub(less.cache_write);
    }
}

/// Adds what is known; unknown and unknown stays unknown.
pub(super) fn add_cost(sum: Option<f64>, more: Option<f64>) -> Option<f64> {
    match (sum, more) {
        (None, None) => None,
        (sum, more) => Some(sum.unwrap_or_default() + more.unwrap_or_default()),
    }
}

/// What a message added to the usage of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Counted {
    pub(super) message: String,
    pub(super) model: String,
    pub(super) usage: Usage,
}

/// How many messages may grow at once: the main loop and its subagents.
const MAX_COUNTED: usize = 16;

/// The provider's word about a limit of the account (`rate_limit_event` of Claude Code, `rate_limits` of codex).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitEvent {
    /// `allowed`, `allowed_warning` or `rejected`. The only field that says whether calls are refused.
    pub status: String,
    /// When the limit lifts, in seconds since 1970.
    pub resets_at: Option<i64>,
    /// Which window: `five_hour`, `seven_day_opus` …
    pub window: Option<String>,
    /// How full it is; 1 is full.
    pub utilization: Option<f64>,
    /// What became of extra usage. `rejected` here with `allowed` above is a normal state, no limit.
    pub overage_status: Option<String>,
    /// Such as `credits_required`.
    pub error_code: Option<String>,
    /// Every window that was named.
    pub windows: BTreeMap<String, Window>,
}

/// One window of an account's limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Window {
    /// How full it is; 1 is full.
    pub utilization: Option<f64>,
    /// When it lifts, in seconds since 1970.
    pub resets_at: Option<i64>,
}

impl LimitEvent {
    /// When all exhausted windows have lifted: the latest reset of those that are full, else the one
    /// that the event names itself.
    #[must_use]
    pub fn reset(&self) -> Option<Timestamp> {
        let full = |window: &&Window| window.utilization.is_some_and(|part| part >= 1.0);
        let windows = self.windows.values().filter(full);
        let latest = windows.filter_map(|window| window.resets_at).max();
        latest.or(self.resets_at).and_then(of_epoch)
    }
}

/// Seconds since 1970, or milliseconds where the number has 13 digits; `None` where it is no time of this age.
pub(super) fn of_epoch(number: i64) -> Option<Timestamp> {
    match number {
        1_000_000_000..=9_999_999_999 => Some(Timestamp::from_millis(number * 1000)),
        1_000_000_000_000..=9_999_999_999_999 => Some(Timestamp::from_millis(number)),
        _ => None,
    }
}

/// An announcement that a call is tried again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retry {
    /// Which try follows.
    pub attempt: u32,
    /// How long the program waits before it, in milliseconds: so long silence is no hang.
    pub delay_ms: u64,
    /// The HTTP status that is the reason.
    pub status: Option<u16>,
    /// The error that is the reason.
    pub error: Option<String>,
}

/// How the program said it ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FinalResult {
    /// The program's word for it, in lower case: `success`, `error_max_turns`, `canceled` …
    pub subtype: String,
    /// Whether it is an error. To be trusted before `subtype`, which says `success` for a plan limit.
    pub is_error: bool,
    /// Why it ended, in more detail.
    pub terminal_reason: Option<String>,
    /// The HTTP status of the call that failed.
    pub status: Option<u16>,
    /// Why the model stopped.
    pub stop_reason: Option<String>,
    /// The answer, or where `is_error` the program's own words; at most [`MAX_ANSWER`] bytes.
    pub text: String,
    /// Whether there is an answer other than white space.
    pub has_text: bool,
    /// The structured answer, unless it is longer than [`MAX_STRUCTURED`].
    pub structured: Option<Value>,
    /// Whether there is a structured answer.
    pub has_structured: bool,
}

impl FinalResult {
    /// Whether the program says that all went well.
    #[must_use]
    pub fn is_success(&self) -> bool {
        !self.is_error && self.subtype == "success"
    }

    pub(super) fn set_text(&mut self, text: &str) {
        self.has_text = !text.trim().is_empty();
        self.text = truncated(text, MAX_ANSWER).to_owned();
    }

    pub(super) fn set_structured(&mut self, value: &Value) {
        self.has_structured = !value.is_null();
        let is_small = value.to_string().len() <= MAX_STRUCTURED;
        self.structured = (self.has_structured && is_small).then(|| value.clone());
    }
}

/// How far the log of the attempt was read, each stream for itself.
///
/// A line of one stream may be whole while one of the other is not: whoever goes on starts at
/// [`Offset::start`] and passes over what a stream already gave. Both are offsets of
/// [`log::Reader`](crate::log::Reader).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Offset {
    /// Behind the last line of standard output that was understood.
    pub stdout: u64,
    /// Behind the last line of standard error that was understood.
    pub stderr: u64,
}

impl Offset {
    /// Where reading starts again.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.stdout.min(self.stderr)
    }
}

impl Facts {
    /// Nothing read yet of an agent's output.
    #[must_use]
    pub fn of(agent: &str) -> Self {
        Self {
            agent: agent.to_owned(),
            ..Self::default()
        }
    }

    /// All tokens of all models.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.usage.values().map(Usage::tokens).sum()
    }

    /// Whether tokens were used whose price nobody said.
    #[must_use]
    pub fn is_unpriced(&self) -> bool {
        self.cost_usd.is_none() && self.tokens() > 0
    }

    /// The name under which usage is booked that comes without one.
    pub(super) fn model_name(&self) -> String {
        self.model.clone().unwrap_or_else(|| "unknown".to_owned())
    }

    pub(super) fn push_error(&mut self, text: &str) {
        if text.trim().is_empty() || self.errors.last().is_some_and(|last| last == text) {
            return;
        }
        self.errors.push(truncated(text, MAX_ERROR).to_owned());
        if self.errors.len() > MAX_ERRORS {
            self.errors.remove(0);
        }
    }

    pub(super) fn push_denial(&mut self, tool: &str) {
        self.denied = self.denied.saturating_add(1);
        if self.denials.len() < MAX_DENIALS {
            self.denials.push(truncated(tool, 256).to_owned());
        }
    }

    pub(super) fn push_plain(&mut self, line: &str) {
        self.plain_lines = self.plain_lines.saturating_add(1);
        push_tail(&mut self.plain_tail, line, MAX_TAIL);
    }

    pub(super) fn push_stderr(&mut self, line: &str) {
        push_tail(&mut self.stderr_tail, line, MAX_TAIL);
    }

    /// Books the usage of a message, in place of what an earlier form of it had.
    /// Returns whether the message is new. One without an id always is.
    pub(super) fn count_message(&mut self, message: &str, model: &str, usage: Usage) -> bool {
        if message.is_empty() {
            if usage.tokens() > 0 {
                self.usage.entry(model.to_owned()).or_default().add(&usage);
            }
            return true;
        }
        let earlier = self.counted.iter().position(|it| it.message == message);
        if let Some(place) = earlier {
            let earlier = self.counted.remove(place);
            if let Some(sum) = self.usage.get_mut(&earlier.model) {
                sum.take_back(&earlier.usage);
            }
        }
        if usage.tokens() > 0 {
            self.usage.entry(model.to_owned()).or_default().add(&usage);
        }
        self.counted.push(Counted {
            message: message.to_owned(),
            model: model.to_owned(),
            usage,
        });
        if self.counted.len() > MAX_COUNTED {
            self.counted.remove(0);
        }
        earlier.is_none()
    }
}
