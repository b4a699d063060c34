//! What can go wrong, with the data of the answer.
//!
//! Texts are lower-case fragments that fit after "could not …:"; causes are `#[source]`. The
//! front doors turn each into a message, a hint and an exit code.

use crate::{
    budget::Most,
    clock::Timestamp,
    gate::GateName,
    job::JobId,
    lease::Epoch,
    ledger::Spent,
    question::NotAsking,
    state::{State, Verb},
};
use std::{path::PathBuf, time::Duration};

/// The result of a verb.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a verb did nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No job has this number.
    #[error("there is no job {0}")]
    JobNotFound(JobId),

    /// The transition table has no such move.
    #[error("job {job} is {state}, which does not allow {verb}")]
    Refused {
        /// The job.
        job: JobId,
        /// Where it stands.
        state: State,
        /// What was asked for.
        verb: Verb,
    },

    /// The lease is not this worker's any more: it must stop, and write nothing.
    #[error("the lease of job {job}, epoch {epoch}, is lost: the job is {state}")]
    LeaseLost {
        /// The job.
        job: JobId,
        /// The process tree that wanted to write.
        epoch: Epoch,
        /// Where the job stands now.
        state: State,
        /// The worker that has it now, by name.
        taken_by: Option<String>,
    },

    /// A job needs something to run.
    #[error("the command is empty")]
    EmptyCommand,

    /// A NUL byte cannot be handed to a program.
    #[error("{0} contains a NUL byte, which no program can be given")]
    NulByte(&'static str),

    /// The job asks nothing now that could be answered.
    #[error("job {} asks nothing: it is {}", .0.job, .0.state)]
    NotAsking(Box<NotAsking>),

    /// A job asks one thing at a time.
    #[error("job {job} asks already, and has no answer yet: {text}")]
    AsksAlready {
        /// The job.
        job: JobId,
        /// What it asked first.
        text: String,
    },

    /// The start lies behind.
    #[error("the start {at} has passed: it is {now}")]
    StartInPast {
        /// The start that was asked for.
        at: Timestamp,
        /// The time it was asked at.
        now: Timestamp,
    },

    /// Outside of what a field allows.
    #[error("{field} is {value}; it must be {allowed}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        allowed: String,
    },

    /// A dependency names a job that is not there.
    #[error("it comes after job {0}, which does not exist")]
    ParentNotFound(JobId),

    /// A dependency names a job of the same batch that does not stand before it, or was refused.
    #[error("it comes after job {} of its batch, which was not added before it", .0 + 1)]
    ParentNotInBatch(usize),

    /// Dependencies must not lead back to the job.
    #[error("job {job} would wait for itself: {}", chain(path))]
    DependencyCycle {
        /// The job.
        job: JobId,
        /// The way back to it, from parent to parent.
        path: Vec<JobId>,
    },

    /// Another job holds the unique key.
    #[error("job {job} ({state}) holds the unique key `{key}`")]
    UniqueTaken {
        /// The key.
        key: String,
        /// Who holds it.
        job: JobId,
        /// Where that job stands.
        state: State,
    },

    /// The job names a limit that nobody has set.
    #[error("there is no limit `{0}`")]
    LimitNotFound(String),

    /// Nothing is known of a gate of this name, and no job passes it.
    #[error("there is no gate `{0}`")]
    GateNotFound(GateName),

    /// Nobody has set a budget of this name.
    #[error("there is no budget `{0}`")]
    BudgetNotFound(String),

    /// More tokens than the bucket ever holds: the job would wait for ever.
    #[error("limit `{limit}` holds {burst} at most, so {cost} can never be granted")]
    NeverFits {
        /// The limit.
        limit: String,
        /// What one attempt would cost.
        cost: u32,
        /// What the bucket holds when it is full.
        burst: u32,
    },

    /// What a job may cost from now on is used up already: it would not start.
    #[error("job {} would have nothing left to spend: it has used {}", .0.job, .0.most.words(&.0.spent))]
    NothingLeft(Box<NothingLeft>),

    /// Waiting jobs still name the limit.
    #[error("{count} waiting jobs need limit `{limit}`, the first is job {first}")]
    LimitInUse {
        /// The limit.
        limit: String,
        /// How many jobs.
        count: u64,
        /// One of them.
        first: JobId,
    },

    /// Nothing was ever put into this queue.
    #[error("there is no queue `{0}`")]
    QueueNotFound(String),

    /// No worker has this id.
    #[error("worker {0} is not registered")]
    WorkerNotFound(crate::worker::WorkerId),

    /// A checkpoint says where to go on; data belongs into files.
    #[error(
        "the checkpoint `{name}` has {bytes} bytes; {} is the most",
        crate::checkpoint::MAX_BYTES
    )]
    CheckpointTooLarge {
        /// Which one.
        name: String,
        /// Its size.
        bytes: usize,
    },

    /// A move is relative to a job that does not wait in the same line.
    #[error("job {job} cannot be placed relative to job {other}: {why}")]
    NoSuchPlace {
        /// The job to move.
        job: JobId,
        /// The job it was to stand beside.
        other: JobId,
        /// What is wrong.
        why: &'static str,
    },

    /// The store itself failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A job, what it was to cost at the most, and what it has cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NothingLeft {
    /// The job.
    pub job: JobId,
    /// Which verb was to bound it so: `requeue` or `edit`.
    pub verb: Verb,
    /// The bounds it would have, those that were not named among them.
    pub most: Most,
    /// What all its attempts have used.
    pub spent: Spent,
}

/// Why the store failed. Nothing was changed unless the text says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The path is a directory.
    #[error("{} is a directory, not a store", .0.display())]
    IsDirectory(PathBuf),

    /// The file is something else.
    #[error("{} is not a SQLite database", .0.display())]
    NotADatabase(PathBuf),

    /// The file is a SQLite database of some other program.
    #[error("{} is a SQLite database, but not a store of this queue", .0.display())]
    Foreign(PathBuf),

    /// A later release wrote the file.
    #[error("{} has schema {found}; this release knows {known}", path.display())]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },

    /// A migration that was applied is not the one this program has.
    #[error("{} was changed by another migration {version} than this release has", path.display())]
    ForeignMigration {
        /// The store.
        path: PathBuf,
        /// The migration.
        version: i64,
    },

    /// Pages of the file do not fit together.
    #[error("{} is damaged: {detail}", path.display())]
    Corrupt {
        /// The store.
        path: PathBuf,
        /// What the engine found.
        detail: String,
    },

    /// The file, or its directory, may not be written.
    #[error("{} cannot be written", .0.display())]
    ReadOnly(PathBuf),

    /// The file, or its directory, may not be read.
    #[error("{} cannot be opened: permission denied", .0.display())]
    PermissionDenied(PathBuf),

    /// The directory that should hold it is missing and cannot be made.
    #[error("{} cannot be opened: {detail}", path.display())]
    CannotOpen {
        /// The store.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },

    /// No space is left.
    #[error("the disk with {} is full", .0.display())]
    DiskFull(PathBuf),

    /// Others held the write lock, or all connections that read, for too long.
    #[error("{} was in use by others for {}", path.display(), crate::units::format_duration(*waited))]
    Busy {
        /// The store.
        path: PathBuf,
        /// How long was waited.
        waited: Duration,
    },

    /// A query ran too long and was ended.
    #[error("a query on {} took longer than {} and was ended", path.display(), crate::units::format_duration(*limit))]
    TooSlow {
        /// The store.
        path: PathBuf,
        /// How long it may take.
        limit: Duration,
    },

    /// Reading or writing failed below the engine.
    #[error("{} failed below the database: {detail}", path.display())]
    Io {
        /// The store.
        path: PathBuf,
        /// What the engine said.
        detail: String,
    },

    /// The engine is older than the first one that is safe.
    #[error("SQLite {found} can lose data (its WAL reset bug); {needed} or later is needed")]
    OldEngine {
        /// The version that is linked.
        found: String,
        /// The oldest that is safe.
        needed: &'static str,
    },

    /// A setting did not take.
    #[error("{} does not take {pragma} = {wanted}: it stays {found}", path.display())]
    Setting {
        /// The store.
        path: PathBuf,
        /// The setting.
        pragma: &'static str,
        /// What was asked for.
        wanted: String,
        /// What it is.
        found: String,
    },

    /// A file of the store was removed, or another one took its place, while it was in use. What
    /// was done since may be lost with the file that is gone.
    #[error("{} was {} while it was in use", file.display(), if *is_gone { "removed" } else { "replaced by another file" })]
    Replaced {
        /// The store.
        path: PathBuf,
        /// Which of its files: itself, its log, or the log's index.
        file: PathBuf,
        /// Whether nothing is in its place now.
        is_gone: bool,
    },

    /// The store failed before and takes no more writes in this process.
    #[error("{} takes no more writes after an earlier failure: {detail}", path.display())]
    Stopped {
        /// The store.
        path: PathBuf,
        /// The first failure.
        detail: String,
    },

    /// Anything else the engine said.
    #[error("{}: {detail}", path.display())]
    Engine {
        /// The store.
        path: PathBuf,
        /// What it said.
        detail: String,
    },
}

impl StoreError {
    /// Whether the same may well go through a moment later.
    pub fn is_transient(&self) -> bool {
        matches!(self, StoreError::Busy { .. } | StoreError::TooSlow { .. })
    }
}

impl Error {
    /// Whether the same may well go through a moment later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Error::Store(store) if store.is_transient())
    }
}

fn chain(path: &[JobId]) -> String {
    path.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" after ")
}
