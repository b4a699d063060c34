//! A home of its own for tests that start processes: directory, store, environment.
//!
//! The suites `cli`, `lifecycle` and `faults` make one per test with [`crate::test_env!`]. Nothing of the
//! machine's own set-up gets in but the PATH, and no process that was started here, or by
//! something started here, is left when it is dropped.

use crate::{outcome::Outcome, running::Running, wait::wait_until};
use rustix::process::{Pid, Signal, getpid, kill_process};
use serde_json::Value;
use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};
use tempfile::TempDir;

/// Makes a [`TestEnv`] with the products that were built beside the test.
///
/// A macro, because only the test's own crate is told where they are.
#[macro_export]
macro_rules! test_env {
    () => {
        $crate::TestEnv::new(
            env!("CARGO_BIN_EXE_test-qcli"),
            env!("CARGO_BIN_EXE_test-queue-worker"),
        )
    };
}

/// A home of its own. See the module.
pub struct TestEnv {
    dir: TempDir,
    qcli: PathBuf,
    queue_worker: PathBuf,
    variables: Vec<(String, String)>,
    streams: AtomicU32,
}

impl TestEnv {
    /// Makes the directories; [`crate::test_env!`] knows the arguments.
    pub fn new(qcli: &str, queue_worker: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("qcli-test-")
            .tempdir()
            .expect("the system's directory for temporary files can be written");
        for folder in ["home", "store", "work", "tmp", "streams"] {
            fs::create_dir(dir.path().join(folder)).expect("a fresh directory is empty");
        }
        Self {
            dir,
            qcli: qcli.into(),
            queue_worker: queue_worker.into(),
            variables: Vec::new(),
            streams: AtomicU32::new(0),
        }
    }

    /// Sets a variable for everything that is started from now on.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    // ── Where things are ────────────────────────────────────────────────────────────────────

    /// The directory that holds all of it.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// The directory commands are run in.
    pub fn work(&self) -> PathBuf {
        self.root().join("work")
    }

    /// The store.
    pub fn db(&self) -> PathBuf {
        self.root().join("store").join("queue.db")
    }

    /// Writes a file below the working directory and gives its path.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("the working directory can be written");
        }
        fs::write(&path, contents).expect("the working directory can be written");
        path
    }

    /// Reads a file below the working directory; empty where there is none.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.work().join(name)).unwrap_or_default()
    }

    // ── Running things ──────────────────────────────────────────────────────────────────────

    /// Runs `qcli` to its end.
    #[track_caller]
    pub fn qcli(&self, args: &[&str]) -> Outcome<'_> {
        self.finish(self.command_of(&self.qcli, args), None)
    }

    /// Runs `qcli` to its end with this on its standard input.
    #[track_caller]
    pub fn qcli_with_input(&self, args: &[&str], input: impl AsRef<[u8]>) -> Outcome<'_> {
        self.finish(self.command_of(&self.qcli, args), Some(input.as_ref()))
    }

    /// Runs any command to its end, as made by [`TestEnv::command`] and changed to the test's need.
    #[track_caller]
    pub fn run(&self, command: Command) -> Outcome<'_> {
        self.finish(command, None)
    }

    /// Runs `qcli` with `--json`, expects it to go well, and reads what it prints.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<_> = args.iter().copied().chain(["--json"]).collect();
        self.qcli(&args).ok().json()
    }

    /// Enqueues with `qcli enqueue` and these arguments, and gives the job's number.
    #[track_caller]
    pub fn enqueue(&self, args: &[&str]) -> i64 {
        let args: Vec<_> = ["enqueue"].iter().chain(args).copied().collect();
        self.qcli(&args).ok().id()
    }

    /// What `qcli show --json` says of a job.
    #[track_caller]
    pub fn show(&self, job: i64) -> Value {
        self.json(&["show", &job.to_string()])
    }

    /// The state of a job.
    #[track_caller]
    pub fn state(&self, job: i64) -> String {
        let job = self.show(job);
        match job["state"].as_str() {
            Some(state) => state.to_owned(),
            None => panic!("show prints no state: {job:#}\n{}", self.scene()),
        }
    }

    /// Starts `queue-worker`; it is killed with its whole group at the end of the test.
    #[track_caller]
    pub fn spawn_worker(&self, args: &[&str]) -> Running {
        self.spawn(self.command_of(&self.queue_worker, args))
    }

    /// Starts `qcli` and does not wait for it; it is killed with its group at the end of the test.
    #[track_caller]
    pub fn spawn_qcli(&self, args: &[&str]) -> Running {
        self.spawn(self.command_of(&self.qcli, args))
    }

    /// Runs a worker until nothing is left to do.
    #[track_caller]
    pub fn drain(&self) {
        let command = self.command_of(&self.queue_worker, &["--drain"]);
        self.finish(command, None).ok();
    }

    /// The command `qcli ARGS…` in this home, to be changed to the test's need.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_of(&self.qcli, args)
    }

    /// The command `queue-worker ARGS…` in this home, to be changed to the test's need.
    pub fn worker_command(&self, args: &[&str]) -> Command {
        self.command_of(&self.queue_worker, args)
    }

    /// Starts a command and does not wait for it; it is killed with its group at the end.
    #[track_caller]
    pub fn spawn(&self, command: Command) -> Running {
        let (stdout, stderr) = self.fresh_streams();
        start(command, None, stdout, stderr)
    }

    #[track_caller]
    fn finish(&self, command: Command, input: Option<&[u8]>) -> Outcome<'_> {
        let words = format!("{command:?}");
        let (stdout, stderr) = self.fresh_streams();
        let mut running = start(command, input, stdout, stderr);
        let stopped = running.wait();
        Outcome {
            env: self,
            command: words,
            stdout: running.stdout(),
            stderr: running.stderr(),
            code: Outcome::code_of(stopped),
        }
    }

    fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        let home = self.root().join("home");
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.work())
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_STATE_HOME", home.join("state"))
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_RUNTIME_DIR", self.root().join("tmp"))
            .env("TMPDIR", self.root().join("tmp"))
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .env("USER", "tester")
            .env("QUEUE_DB", self.db())
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn fresh_streams(&self) -> (PathBuf, PathBuf) {
        let number = self.streams.fetch_add(1, Ordering::Relaxed);
        let stream = |which| self.root().join(format!("streams/{number}.{which}"));
        (stream("stdout"), stream("stderr"))
    }

    // ── What runs here ──────────────────────────────────────────────────────────────────────

    /// The command lines of all processes that were started here, or by something started here,
    /// and have not ended.
    pub fn processes(&self) -> Vec<String> {
        let all = inhabitants(self.root()).into_iter();
        all.map(|process| process.words).collect()
    }

    /// Kills the shims of all attempts, as `kill -9` does. They are dead when this returns.
    ///
    /// # Panics
    /// Where there is none.
    #[track_caller]
    pub fn kill_shims(&self) {
        let is_shim = |process: &Inhabitant| process.words.contains(" --supervise-attempts ");
        let mut shims = inhabitants(self.root());
        shims.retain(is_shim);
        assert!(!shims.is_empty(), "no attempt runs\n{}", self.scene());
        for shim in &shims {
            // It may have ended in between, and that is as good.
            let _ = kill_process(shim.pid, Signal::KILL);
        }
        wait_until("the shims are dead", || {
            !inhabitants(self.root()).iter().any(is_shim)
        });
    }

    // ── When something went wrong ───────────────────────────────────────────────────────────

    /// Everything one would ask for after a failure: the files, the jobs, their history.
    pub fn scene(&self) -> String {
        let mut files = Vec::new();
        list_files(self.root(), &mut files);
        files.sort();
        format!(
            "── files below {}:\n{}\n── jobs:\n{}",
            self.root().display(),
            files.join("\n"),
            self.history()
        )
    }

    /// The jobs as `qcli export` gives them: rows and attempts, straight from the store.
    fn history(&self) -> String {
        if !self.db().is_file() {
            return "(no store was made)".to_owned();
        }
        match self.command_of(&self.qcli, &["export"]).output() {
            Ok(output) => {
                String::from_utf8_lossy(&output.stdout).into_owned()
                    + &String::from_utf8_lossy(&output.stderr)
            }
            Err(error) => format!("({error})"),
        }
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        for process in inhabitants(self.root()) {
            // It may have ended in between, and that is as good.
            let _ = kill_process(process.pid, Signal::KILL);
        }
    }
}

impl fmt::Debug for TestEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scene())
    }
}

#[track_caller]
fn start(command: Command, input: Option<&[u8]>, stdout: PathBuf, stderr: PathBuf) -> Running {
    let words = format!("{command:?}");
    match Running::start(command, input, stdout, stderr) {
        Ok(running) => running,
        Err(error) => panic!("could not start {words}: {error}"),
    }
}

fn list_files(folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.metadata() {
            Ok(about) if about.is_dir() => list_files(&path, files),
            Ok(about) => files.push(format!("{:>9} {}", about.len(), path.display())),
            Err(error) => files.push(format!("{error} {}", path.display())),
        }
    }
}

/// A process that belongs to a home: its environment or its arguments name it.
struct Inhabitant {
    pid: Pid,
    words: String,
}

/// Every process that names `root` in its environment or its arguments, without this one: a job
/// keeps its variables wherever it goes, also in a session of its own under another parent, and a
/// shim is told its directory.
fn inhabitants(root: &Path) -> Vec<Inhabitant> {
    let marker = root.as_os_str().as_encoded_bytes();
    let names = |text: &[u8]| text.windows(marker.len()).any(|window| window == marker);
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            let read = |name| fs::read(entry.path().join(name)).unwrap_or_default();
            // Both are empty once it has ended.
            let (environment, arguments) = (read("environ"), read("cmdline"));
            let is_one = pid != getpid() && (names(&environment) || names(&arguments));
            is_one.then(|| Inhabitant {
                pid,
                words: String::from_utf8_lossy(&arguments).replace('\0', " "),
            })
        })
        .collect()
}
