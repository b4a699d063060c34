//! One store in a directory of its own, and the processes that use it.

use queue_core::{
    Clock as _, JobId, State, Store, StoreError, SystemClock,
    attempt::Attempt,
    store::{
        Filter,
        sqlite::{OpenOptions, SqliteStore},
    },
};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};
use support::PATIENCE;
use tempfile::TempDir;

pub(crate) struct Scene {
    dir: TempDir,
    streams: Cell<u32>,
}

/// A process that was started; killed when it is dropped before its end.
pub(crate) struct User {
    child: Child,
    words: String,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// A process that ended, with all it said.
pub(crate) struct Ended {
    words: String,
    status: ExitStatus,
    pub(crate) lines: Vec<String>,
    pub(crate) stderr: String,
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            words,
            status,
            lines,
            stderr,
        } = self;
        write!(f, "{words}: {status}\n{}\n{stderr}", lines.join("\n"))
    }
}

impl Scene {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("queue-faults-")
            .tempdir()
            .unwrap();
        Self {
            dir,
            streams: Cell::new(0),
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.dir().join("queue.db")
    }

    pub(crate) fn effects(&self) -> PathBuf {
        self.dir().join("effects")
    }

    pub(crate) fn try_open(&self) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(&self.db(), &OpenOptions::default())
    }

    #[track_caller]
    pub(crate) fn open(&self) -> SqliteStore {
        match self.try_open() {
            Ok(store) => store,
            Err(error) => panic!("the store does not open: {error}"),
        }
    }

    /// The command `store-user DB WORDS…`.
    pub(crate) fn user(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_test-store-user"));
        command.arg(self.db()).args(words.split_whitespace());
        command.env_remove("QUEUE_FAILPOINT");
        command
    }

    /// The command `store-user DB drain`, with its marks in the common file.
    pub(crate) fn drainer(&self, words: &str) -> Command {
        let mut command = self.user("drain");
        command
            .arg("--effects")
            .arg(self.effects())
            .args(words.split_whitespace());
        command
    }

    pub(crate) fn start(&self, mut command: Command) -> User {
        let number = self.streams.replace(self.streams.get() + 1);
        let stream = |which| self.dir().join(format!("{number}.{which}"));
        let (stdout, stderr) = (stream("stdout"), stream("stderr"));
        let child = command
            .stdin(Stdio::null())
            .stdout(fs::File::create(&stdout).unwrap())
            .stderr(fs::File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        User {
            child,
            words: format!("{command:?}"),
            stdout,
            stderr,
        }
    }

    /// Runs `store-user DB WORDS…` to its end, which has to be a good one.
    #[track_caller]
    pub(crate) fn run(&self, words: &str) -> Ended {
        self.start(self.user(words)).ended().well()
    }

    /// The jobs that left a mark, with the epochs under which they did.
    pub(crate) fn marks(&self) -> BTreeMap<JobId, Vec<i64>> {
        let mut marks: BTreeMap<JobId, Vec<i64>> = BTreeMap::new();
        for line in fs::read_to_string(self.effects())
            .unwrap_or_default()
            .lines()
        {
            let (job, epoch) = line.split_once(' ').unwrap();
            let job = JobId(job.parse().unwrap());
            marks.entry(job).or_default().push(epoch.parse().unwrap());
        }
        marks
    }
}

impl User {
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// How many lines it has said so far.
    pub(crate) fn said(&self) -> usize {
        let said = fs::read_to_string(&self.stdout).unwrap();
        said.matches('\n').count()
    }

    #[track_caller]
    pub(crate) fn ended(self) -> Ended {
        self.ended_among(1)
    }

    /// Waits for its end as one of so many that share the machine: as much longer.
    #[track_caller]
    pub(crate) fn ended_among(mut self, processes: u32) -> Ended {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                began.elapsed() < PATIENCE * processes,
                "waited in vain for the end of {}",
                self.words
            );
            thread::sleep(Duration::from_millis(5));
        };
        Ended {
            words: self.words.clone(),
            status,
            lines: fs::read_to_string(&self.stdout)
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect(),
            stderr: fs::read_to_string(&self.stderr).unwrap(),
        }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn well(self) -> Self {
        assert!(self.status.success(), "it did not go well: {self:?}");
        self
    }

    pub(crate) fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }

    /// The jobs whose numbers it printed.
    pub(crate) fn jobs(&self) -> Vec<JobId> {
        (self.lines.iter())
            .map(|line| JobId(line.split(' ').next().unwrap().parse().unwrap()))
            .collect()
    }
}

/// Asserts that the store is whole and agrees with itself.
#[track_caller]
pub(crate) fn assert_sound(store: &dyn Store) {
    for finding in store.examine(&SystemClock::new().now()).unwrap() {
        assert!(finding.ok, "{}: {}", finding.check, finding.detail);
    }
}

pub(crate) fn all_jobs(store: &dyn Store) -> BTreeSet<JobId> {
    let ids = store.ids(&Filter::default()).unwrap();
    let set: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(set.len(), ids.len(), "an id was given out twice");
    set
}

pub(crate) fn attempts(store: &dyn Store, job: JobId) -> Vec<Attempt> {
    let now = SystemClock::new().now();
    store.detail(job, &now).unwrap().attempts
}

/// Asserts that every job completed, by one attempt.
#[track_caller]
pub(crate) fn assert_completed_once(store: &dyn Store) {
    for job in all_jobs(store) {
        assert_eq!(store.job(job).unwrap().state, State::Completed, "job {job}");
        let attempts = attempts(store, job);
        let good = attempts
            .iter()
            .filter(|attempt| attempt.ended_at.is_some() && attempt.class.is_none());
        assert_eq!(good.count(), 1, "job {job}: {attempts:#?}");
    }
}
