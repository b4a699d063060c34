//! How many `true` jobs a second one worker drains, four at once: in shims (the default), directly
//! under the worker, and beside both `xargs -P4`, which keeps nothing.
//!
//! `cargo bench -p queue-cli --bench drain [-- JOBS]`. The three run in turn. Rates are those of
//! the machine and of what else it does; compare the ratios, and the processor time that a job
//! costs with all that was started for it, which others disturb least. At the end it says how
//! large a shim is whose job has just started, and one whose job has run for two seconds. The files
//! are made in `TMPDIR`: on a file system in memory a sync is free. They are removed when all is
//! measured: ext4 without a journal passes over inodes that were freed within the last minute, so
//! that what one round removes the next one has to pay for.

#![expect(clippy::print_stdout, reason = "a benchmark reports")]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run is of no use"
)]

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use queue_core::store::sqlite::{OpenOptions, SqliteStore};
use queue_core::{Clock, NewJob, State, Store, SystemClock};

const ROUNDS: usize = 3;
const AT_ONCE: &str = "4";

fn main() {
    let jobs = std::env::args()
        .skip(1)
        .find_map(|word| word.parse().ok())
        .unwrap_or(1_000);
    let dirs = [(); ROUNDS].map(|()| tempfile::tempdir().unwrap());
    for (round, dir) in (1..).zip(&dirs) {
        let shims = drain(&dir.path().join("shims.db"), jobs, &[]);
        let direct = drain(&dir.path().join("direct.db"), jobs, &["--direct"]);
        let xargs = xargs(jobs);
        println!(
            "round {round}: shims {shims} = {:.2} of xargs, --direct {direct} = {:.2}, xargs -P4 {xargs}",
            shims.rate / xargs.rate,
            direct.rate / xargs.rate
        );
    }
    println!("memory of a shim at its start: {}", memory_of_a_shim(0));
    println!("after two seconds: {}", memory_of_a_shim(2));
}

/// What a run came to.
struct Run {
    /// Jobs a second.
    rate: f64,
    /// Processor time per job, of the worker or of xargs and all below it, in microseconds.
    cost: f64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}/s at {:.0} µs of CPU", self.rate, self.cost)
    }
}

/// Runs a command to its end and counts what it takes for each of so many jobs.
fn measure(jobs: usize, run: impl FnOnce()) -> Run {
    let jobs = f64::from(u32::try_from(jobs).unwrap());
    let (cost_before, began) = (cost_of_children(), Instant::now());
    run();
    let (took, cost) = (began.elapsed(), cost_of_children() - cost_before);
    Run {
        rate: jobs / took.as_secs_f64(),
        cost: cost.as_secs_f64() * 1e6 / jobs,
    }
}

/// Processor time of all children that have ended, and of theirs.
fn cost_of_children() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    #[expect(unsafe_code, reason = "rustix has no getrusage")]
    // SAFETY: the pointer is valid for the call, and all-zero bytes are a valid rusage.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    let span = |time: libc::timeval| {
        Duration::from_secs(u64::try_from(time.tv_sec).unwrap())
            + Duration::from_micros(u64::try_from(time.tv_usec).unwrap())
    };
    span(usage.ru_utime) + span(usage.ru_stime)
}

fn drain(db: &Path, jobs: usize, more: &[&str]) -> Run {
    let store = SqliteStore::open(db, &OpenOptions::default()).unwrap();
    let now = SystemClock::new().now();
    let added = (0..jobs).map(|_| NewJob::argv(["/bin/true"])).collect();
    store.enqueue_all(added, &now).unwrap();
    let mut worker = worker(db);
    worker.args(["-j", AT_ONCE]).args(more);
    let run = measure(jobs, || assert!(worker.status().unwrap().success()));
    let completed = store.queues().unwrap()[0].count(State::Completed);
    assert_eq!(usize::try_from(completed).unwrap(), jobs);
    run
}

fn worker(db: &Path) -> Command {
    let mut worker = Command::new(env!("CARGO_BIN_EXE_queue-worker"));
    worker.args(["--drain", "--quiet", "--db"]).arg(db);
    worker
}

fn xargs(jobs: usize) -> Run {
    let mut xargs = Command::new("xargs");
    xargs.args(["-P", AT_ONCE, "-n", "1", "/bin/true"]);
    let words: String = (0..jobs).map(|number| format!("{number}\n")).collect();
    measure(jobs, || {
        let mut running = xargs.stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut running.stdin.take().unwrap(), words.as_bytes()).unwrap();
        assert!(running.wait().unwrap().success());
    })
}

/// The resident memory of the shim above a job that has run for so many seconds, as the kernel
/// counts it (Linux only).
fn memory_of_a_shim(seconds: u32) -> String {
    let dir = tempfile::tempdir().unwrap();
    let (db, kept) = (dir.path().join("queue.db"), dir.path().join("status"));
    let store = SqliteStore::open(&db, &OpenOptions::default()).unwrap();
    let copy = format!("sleep {seconds}; cat /proc/$PPID/status > \"$1\" || echo none > \"$1\"");
    let mut job = NewJob::argv(["/bin/sh", "-c", &copy, "sh", kept.to_str().unwrap()]);
    job.env.insert("PATH".into(), "/usr/bin:/bin".into());
    store.enqueue(job, &SystemClock::new().now()).unwrap();
    assert!(worker(&db).status().unwrap().success());
    let status = fs::read_to_string(kept).unwrap();
    let of_interest = ["VmRSS:", "RssAnon:", "Threads:"];
    let lines = status
        .lines()
        .filter(|line| of_interest.iter().any(|name| line.starts_with(name)));
    let lines: Vec<_> = lines.map(|line| line.replace('\t', " ")).collect();
    lines.join(", ")
}
