//! A home with its store open beside the workers, so that a test can look and meddle.

use queue_core::attempt::Attempt;
use queue_core::job::{Command, Job, JobId, NewJob};
use queue_core::raw_text::RawText;
use queue_core::store::sqlite::{OpenOptions, SqliteStore};
use queue_core::{Clock, Now, State, Store, SystemClock};
use rusqlite::Connection;
use rustix::process::{Pid, Signal, test_kill_process};
use std::{path::Path, sync::Arc, time::Duration};
use support::{Running, TestEnv, wait_for, wait_until};

/// Short enough to wait for, long enough for a busy machine.
pub(crate) const LEASE: &str = "3s";
/// The same for the store.
pub(crate) const LEASE_FOR: Duration = Duration::from_secs(3);

pub(crate) struct Home {
    pub(crate) env: TestEnv,
    pub(crate) store: Arc<SqliteStore>,
}

impl Home {
    pub(crate) fn of(env: TestEnv) -> Self {
        let folder = env.db().parent().map(Path::to_owned).unwrap_or_default();
        std::fs::create_dir_all(folder).expect("the home can be written");
        let store = SqliteStore::open(&env.db(), &OpenOptions::default());
        let store = store.expect("a fresh store can be made");
        Self {
            env,
            store: Arc::new(store),
        }
    }

    pub(crate) fn now(&self) -> Now {
        SystemClock::new().now()
    }

    /// A job that runs this line of shell in the working directory.
    pub(crate) fn shell(&self, line: &str) -> NewJob {
        let mut job = NewJob::new(Command::Shell(line.to_owned()));
        job.cwd = RawText::from(self.env.work().into_os_string());
        job.env.insert(
            "PATH".to_owned(),
            RawText::from(std::env::var_os("PATH").unwrap_or_default()),
        );
        // So that whatever a test leaves running is found at its end.
        job.env.insert(
            "TEST_HOME".to_owned(),
            RawText::from(self.env.root().as_os_str().to_owned()),
        );
        job
    }

    pub(crate) fn add(&self, job: NewJob) -> JobId {
        let added = self.store.enqueue(job, &self.now());
        added.expect("the job can be added").id()
    }

    pub(crate) fn add_shell(&self, line: &str) -> JobId {
        self.add(self.shell(line))
    }

    pub(crate) fn worker(&self, args: &[&str]) -> Running {
        self.env.spawn_worker(args)
    }

    /// A worker with which its jobs end.
    pub(crate) fn direct_worker(&self, args: &[&str]) -> Running {
        self.env.spawn_worker(&[args, &["--direct"]].concat())
    }

    /// Stops these workers, none of them in the midst of a transaction: it would hold the store's
    /// lock, and nobody else could do anything until it goes on.
    pub(crate) fn freeze(&self, workers: &[&Running]) {
        wait_until("the workers stand still and the store does not", || {
            for worker in workers {
                worker.signal(Signal::STOP);
            }
            let is_free = self.is_writable();
            for worker in workers.iter().filter(|_| !is_free) {
                worker.signal(Signal::CONT);
            }
            is_free
        });
    }

    pub(crate) fn is_writable(&self) -> bool {
        let connection = Connection::open(self.env.db()).expect("the store is there");
        let wait = Duration::from_millis(100);
        connection.busy_timeout(wait).expect("a span is a span");
        connection
            .execute_batch("begin immediate; rollback")
            .is_ok()
    }

    pub(crate) fn job(&self, id: JobId) -> Job {
        self.store.job(id).expect("the job is there")
    }

    pub(crate) fn attempts(&self, id: JobId) -> Vec<Attempt> {
        let detail = self.store.detail(id, &self.now());
        detail.expect("the job is there").attempts
    }

    /// Waits for the job's end, and expects this one.
    #[track_caller]
    pub(crate) fn ends(&self, id: JobId, state: State) -> Job {
        let job = wait_for("the end of the job", || {
            Some(self.job(id)).filter(|job| job.state.is_ended())
        });
        assert_eq!(job.state, state, "{job:#?}\n{}", self.env.scene());
        job
    }

    /// Waits until a job wrote a whole line into this file, and reads it as a process id.
    pub(crate) fn pid_in(&self, file: &str) -> Pid {
        wait_for(file, || {
            let text = self.env.read(file);
            let pid = text.strip_suffix('\n')?.trim().parse().ok()?;
            Pid::from_raw(pid)
        })
    }

    pub(crate) fn appears(&self, file: &str) {
        wait_until(file, || self.env.work().join(file).exists());
    }
}

/// Waits until a worker has said this.
#[track_caller]
pub(crate) fn says(worker: &Running, words: &str) {
    let began = std::time::Instant::now();
    while !worker.stderr().contains(words) {
        assert!(
            began.elapsed() < support::PATIENCE,
            "it does not say `{words}`:\n{}",
            worker.stderr()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A line of shell: makes the file `overlap` if one of the processes whose pids are in `files`
/// still runs. One that waits to be reaped does not.
pub(crate) fn tell_overlap(files: &str) -> String {
    format!(
        "for pid in $(cat {files}); do \
             grep -qs '^State:.[RSDTt]' /proc/$pid/status && touch overlap; \
         done; true"
    )
}

/// Whether the process runs; one that waits to be reaped does not.
pub(crate) fn is_alive(pid: Pid) -> bool {
    let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
    let stat = std::fs::read_to_string(Path::new(&stat)).unwrap_or_default();
    let is_zombie = stat
        .rsplit_once(')')
        .is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'));
    test_kill_process(pid).is_ok() && !is_zombie
}

/// A home of its own for one test.
macro_rules! home {
    () => {
        crate::home::Home::of(support::test_env!())
    };
}
pub(crate) use home;
