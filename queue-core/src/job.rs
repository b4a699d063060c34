//! The job: the work asked for, as it is handed in and as it is kept.
//!
//! [`NewJob`] is what every front door builds; [`Job`] is the narrow row that changes with the
//! state; [`JobBody`] is written once and holds what an attempt needs to run.

use crate::{
    agent::AgentTask,
    budget::Most,
    clock::Timestamp,
    gate::GateName,
    lease::{Epoch, Holder},
    money::Usd,
    proof::Terms,
    question::{OnQuestion, Question},
    raw_text::RawText,
    retry::Backoff,
    state::{Class, State, WaitReason},
    way::Way,
    words::spelled_enum,
    worker::WorkerId,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, num::NonZeroU32, str::FromStr, time::Duration};

/// Names a job; counts up from 1 and is never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub i64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The kind of every job that is a command to run as a process. A program that uses the library
/// for work of its own names kinds of its own; workers claim only the kinds they know.
pub const PROCESS: &str = "process";

/// The queue of jobs that name none.
pub const DEFAULT_QUEUE: &str = "default";

/// What to do. Stored as JSON in the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// A program and its arguments, handed on exactly: no shell looks at them.
    Argv(Vec<RawText>),
    /// One line for `sh -c`.
    Shell(String),
    /// A script, run by the interpreter of its `#!` line, or by `sh`.
    Script(String),
    /// Work for a coding agent.
    Agent(AgentTask),
    /// Work of a kind that a program using the library defines.
    Payload(serde_json::Value),
}

/// The tokens of one named limit that a job needs before it may start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LimitUse {
    /// The limit's name.
    pub name: String,
    /// How many tokens one attempt costs.
    pub cost: NonZeroU32,
}

impl FromStr for LimitUse {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, cost) = match text.split_once('=') {
            None => (text, NonZeroU32::MIN),
            Some((name, cost)) => (
                name,
                cost.parse().map_err(|_| {
                    format!("`{cost}` is not a cost: write `{name}=N` with N from 1 up")
                })?,
            ),
        };
        if name.is_empty() {
            return Err("a limit needs a name: write `api` or `api=2`".to_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            cost,
        })
    }
}

impl fmt::Display for LimitUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cost.get() {
            1 => f.write_str(&self.name),
            cost => write!(f, "{}={cost}", self.name),
        }
    }
}

spelled_enum! {
    /// Which end of a parent job its dependant waits for.
    ParentEnd, "kind of dependency" {
        /// The parent completed.
        Success = "success",
        /// The parent failed or was cancelled.
        Failure = "failure",
        /// The parent ended, in whichever way.
        Any = "any",
    }
}

impl ParentEnd {
    /// Whether a parent that ended in `state` is what was waited for.
    pub fn is_met_by(self, state: State) -> bool {
        match self {
            ParentEnd::Success => state == State::Completed,
            ParentEnd::Failure => matches!(state, State::Failed | State::Cancelled),
            ParentEnd::Any => state.is_ended(),
        }
    }
}

/// A job that has to end first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct After {
    /// Which job.
    pub parent: JobId,
    /// How it has to end.
    pub end: ParentEnd,
}

spelled_enum! {
    /// For how long a unique key keeps other jobs with the same key out.
    UniqueWhile, "span of uniqueness" {
        /// While the job waits; once it runs, the next one may queue up behind it.
        Queued = "queued",
        /// Until the job ended.
        Live = "live",
        /// For as long as the job is kept, ended or not: an idempotency key.
        Kept = "kept",
    }
}

impl UniqueWhile {
    /// Whether a job in `state` keeps others with its key out.
    pub fn holds_in(self, state: State) -> bool {
        match self {
            UniqueWhile::Queued => state.is_waiting(),
            UniqueWhile::Live => !state.is_ended(),
            UniqueWhile::Kept => true,
        }
    }
}

spelled_enum! {
    /// What to do when another job holds the unique key.
    OnConflict, "way to settle a conflict" {
        /// Add nothing and give the id of the one that is there.
        Skip = "skip",
        /// Give the waiting job the new command with its gates, the new directory, environment,
        /// options and tags; its queue, name, priority, limits, start, retries and parents stay as
        /// they are. One that
        /// runs is not touched, but refused.
        Replace = "replace",
        /// Refuse the new job.
        Error = "error",
    }
}

/// A key that at most one job may have at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    /// The key.
    pub key: String,
    /// For how long it is held.
    pub while_: UniqueWhile,
    /// What happens when it is taken.
    pub on_conflict: OnConflict,
}

spelled_enum! {
    /// What to do with processes that outlive the one a job started.
    OnLeftover, "way to treat what is left behind" {
        /// End them: the job is over, and so is all it started.
        Kill = "kill",
        /// Wait for them: the job is over when all it started is.
        Wait = "wait",
        /// Leave them running.
        Keep = "keep",
    }
}

/// When a new job may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartAt {
    /// As soon as there is room.
    #[default]
    Now,
    /// Not before this moment. One that has passed is refused: see [`crate::Error::StartInPast`].
    At(Timestamp),
    /// Not before this long after the enqueue.
    After(Duration),
}

/// A tree of its own that a job wants of the git repository its directory lies in. Stored as JSON
/// in the body. All attempts of the job have the same tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Worktree {
    /// The commit to start from, by its full object name.
    pub base: String,
    /// The branch that had that commit as its tip, if one was named or checked out: where the
    /// work is meant to go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onto: Option<String>,
    /// The branch to make; `queue/ID` where not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// A line for `sh -c` that has to succeed in the new tree before the first attempt starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setup: Option<String>,
    /// A line for `sh -c` to run in the tree before it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teardown: Option<String>,
}

/// How an attempt is run. Stored as JSON in the body; what is not set is left to the worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunOptions {
    /// The longest an attempt may take, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The longest an attempt may go without output, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout_ms: Option<u64>,
    /// How long a stopped attempt has before it is killed, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
    /// The file that becomes the standard input; the null device where not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<RawText>,
    /// The most that is kept of the output of one attempt, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_cap: Option<u64>,
    /// The most memory its processes may use together, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The most processor time its processes may use together, in thousandths of one processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u32>,
    /// The most that all attempts together may cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<Usd>,
    /// The most tokens that all attempts together may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// What to do with processes that it leaves behind; they are ended where not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_leftover: Option<OnLeftover>,
    /// Run directly under the worker, which it then does not outlive.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub direct: bool,
    /// Exit codes that are never tried again, beside those of the default policy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub no_retry: Vec<i32>,
    /// Share its directory with others, where it would have had it to itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub share_dir: bool,
    /// What becomes of it when it asks something; it waits for a person where not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_question: Option<OnQuestion>,
    /// Run in a worktree of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worktree: Option<Worktree>,
    /// The agent that a plain command calls, by the name of its profile: what it says is read, and
    /// its arguments stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What has to hold before an attempt that ended well counts as a success.
    #[serde(skip_serializing_if = "Terms::is_unsaid")]
    pub proof: Terms,
}

impl RunOptions {
    /// The most that all attempts together may cost.
    pub fn most(&self) -> Most {
        Most {
            cost: self.max_cost,
            tokens: self.max_tokens,
        }
    }
}

/// A job as it is handed in. `NewJob::new(command)` fills in the defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// What to do.
    pub command: Command,
    /// The line it waits in; created on first use.
    pub queue: String,
    /// [`PROCESS`], or a kind of the calling program's own.
    pub kind: String,
    /// A name it can be addressed by; not necessarily unique.
    pub name: Option<String>,
    /// Higher goes first; from [`NewJob::PRIORITIES`].
    pub priority: i32,
    /// When it may start.
    pub start: StartAt,
    /// Held back until a person releases it.
    pub hold: bool,
    /// Jobs that have to end first.
    pub after: Vec<After>,
    /// Jobs handed in together with it, and before it, that have to end first: by their place in
    /// the batch, counted from 0.
    pub after_in_batch: Vec<(usize, ParentEnd)>,
    /// The most attempts that count.
    pub max_attempts: NonZeroU32,
    /// How often it may stall before it fails: its worker died under it, or the session of its agent was gone.
    pub max_stalls: u32,
    /// The wait before another attempt.
    pub backoff: Backoff,
    /// Cancelled when it has not started this long after the enqueue.
    pub max_wait: Option<Duration>,
    /// A key that keeps other jobs out.
    pub unique: Option<Unique>,
    /// Tokens it needs to start.
    pub limits: Vec<LimitUse>,
    /// Gates it passes to start: while one is closed, it waits.
    pub gates: Vec<GateName>,
    /// The ways in which it may be done, the best one first; none where there is but one.
    pub ways: Vec<Way>,
    /// Jobs with the same key share its places: one, unless set otherwise.
    pub concurrency_key: Option<String>,
    /// A directory that it has to itself while it runs: no two jobs that name the same one run at
    /// a time. The path says which one; nothing is looked up.
    pub directory: Option<RawText>,
    /// Labels to find it by.
    pub tags: BTreeMap<String, String>,
    /// The directory it runs in.
    pub cwd: RawText,
    /// Its environment.
    pub env: BTreeMap<String, RawText>,
    /// How an attempt is run.
    pub options: RunOptions,
}

impl NewJob {
    /// The priorities a job may have.
    pub const PRIORITIES: std::ops::RangeInclusive<i32> = -1_000..=1_000;

    /// The attempts a job has when nothing is said.
    pub const MAX_ATTEMPTS: NonZeroU32 = NonZeroU32::new(3).expect("three is not zero");

    /// How often a worker may die under a job when nothing is said.
    pub const MAX_STALLS: u32 = 3;

    /// A job with the defaults: queue `default`, priority 0, three attempts, exponential backoff,
    /// run in `/` with an empty environment.
    pub fn new(command: Command) -> Self {
        Self {
            command,
            queue: DEFAULT_QUEUE.to_owned(),
            kind: PROCESS.to_owned(),
            name: None,
            priority: 0,
            start: StartAt::Now,
            hold: false,
            after: Vec::new(),
            after_in_batch: Vec::new(),
            max_attempts: Self::MAX_ATTEMPTS,
            max_stalls: Self::MAX_STALLS,
            backoff: Backoff::default(),
            max_wait: None,
            unique: None,
            limits: Vec::new(),
            gates: Vec::new(),
            ways: Vec::new(),
            concurrency_key: None,
            directory: None,
            tags: BTreeMap::new(),
            cwd: RawText::from("/"),
            env: BTreeMap::new(),
            options: RunOptions::default(),
        }
    }

    /// A job that runs a program with exactly these arguments.
    pub fn argv<T: Into<RawText>>(words: impl IntoIterator<Item = T>) -> Self {
        Self::new(Command::Argv(words.into_iter().map(Into::into).collect()))
    }
}

/// What an enqueue did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// A new job.
    Added(JobId),
    /// Nothing was added: this job holds the unique key.
    Existing(JobId),
    /// The waiting job that holds the unique key has the new contents.
    Replaced(JobId),
}

impl Enqueued {
    /// The job to look at, new or not.
    pub fn id(self) -> JobId {
        match self {
            Enqueued::Added(id) | Enqueued::Existing(id) | Enqueued::Replaced(id) => id,
        }
    }
}

/// A job as it is kept: the narrow row, without what only an attempt needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// Its name outside this store: a UUID, version 7.
    pub uid: String,
    /// The line it waits in.
    pub queue: String,
    /// What sort of work it is.
    pub kind: String,
    /// A name it can be addressed by.
    pub name: Option<String>,
    /// Where it stands.
    pub state: State,
    /// Why it waits, where it is scheduled or blocked.
    pub wait_reason: Option<WaitReason>,
    /// Why it ended badly, or why its last attempt did.
    pub class: Option<Class>,
    /// Higher goes first.
    pub priority: i32,
    /// Its place among jobs of the same priority; lower goes first.
    pub position: i64,
    /// When it is due, where it is scheduled.
    pub run_at: Option<Timestamp>,
    /// Attempts that count, including the one that runs.
    pub attempt: u32,
    /// The most attempts that count.
    pub max_attempts: u32,
    /// How often it stalled since the last requeue: its worker died under it, or the session of its agent was gone.
    pub stalls: u32,
    /// How often that may happen.
    pub max_stalls: u32,
    /// The wait before another attempt.
    pub backoff: Backoff,
    /// The process tree that ran last; 0 before the first claim.
    pub epoch: Epoch,
    /// The tenure of the lease that was last given.
    pub holder: Holder,
    /// The worker that holds the lease.
    pub worker: Option<WorkerId>,
    /// When the lease runs out, where one is held.
    pub lease_expires_at: Option<Timestamp>,
    /// The key that keeps other jobs out, and for how long.
    pub unique: Option<(String, UniqueWhile)>,
    /// The key whose places it shares.
    pub concurrency_key: Option<String>,
    /// The directory that it has to itself while it runs.
    pub directory: Option<RawText>,
    /// Tokens it needs to start.
    pub limits: Vec<LimitUse>,
    /// Gates it passes to start, by name.
    pub gates: Vec<GateName>,
    /// The ways in which it may be done, the one to take first in front; none where there is but
    /// one.
    pub ways: Vec<Way>,
    /// The way of its last attempt, where it has any.
    pub way: Option<String>,
    /// The budgets that its agent spends from, by name: while one is used up, it does not start.
    pub budgets: Vec<String>,
    /// How many of its dependencies are not met.
    pub waiting_on: u32,
    /// When a person held it.
    pub held_at: Option<Timestamp>,
    /// When it asked what it waits for the answer to; not set while it runs.
    pub asked_at: Option<Timestamp>,
    /// When its cancel was asked for.
    pub cancel_requested_at: Option<Timestamp>,
    /// When it is given up if it has not started.
    pub expires_at: Option<Timestamp>,
    /// When it was handed in.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Job {
    /// Attempts that are left by policy.
    pub fn attempts_left(&self) -> u32 {
        self.max_attempts.saturating_sub(self.attempt)
    }

    /// The names of the ways by which it can go around a gate: all others, where that gate stands in
    /// one of its ways alone.
    pub fn ways_around(&self, gate: &GateName) -> Vec<&str> {
        if self.gates.contains(gate) || !self.ways.iter().any(|way| way.gates.contains(gate)) {
            return Vec::new();
        }
        let others = self.ways.iter().filter(|way| !way.gates.contains(gate));
        others.map(|way| way.name.as_str()).collect()
    }

    /// The gates that its last attempt has passed: its own, and those of the way that it went.
    pub fn passed(&self) -> impl Iterator<Item = &GateName> {
        let way = self
            .ways
            .iter()
            .find(|way| self.way.as_ref() == Some(&way.name));
        self.gates
            .iter()
            .chain(way.into_iter().flat_map(|way| &way.gates))
    }
}

/// What an attempt needs to run. Written once, read on start.
#[derive(Debug, Clone, PartialEq)]
pub struct JobBody {
    /// The job.
    pub id: JobId,
    /// What to do; the error text where what is stored cannot be read.
    pub command: Result<Command, String>,
    /// The directory it runs in.
    pub cwd: RawText,
    /// Its environment.
    pub env: BTreeMap<String, RawText>,
    /// How an attempt is run.
    pub options: RunOptions,
    /// What the job said of its success, where it said something.
    pub result: Option<serde_json::Value>,
    /// What it was told of what it asked since it was last requeued, oldest first.
    pub answers: Vec<Question>,
    /// What was there when the job first began, as a worker noted it; none before that, and where
    /// its terms do not ask.
    pub origin: Option<serde_json::Value>,
}
