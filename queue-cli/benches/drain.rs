//! How many `true` jobs a second one worker drains, four at once: with a shim for each (the
//! default), directly under the worker, and beside both `xargs -P4`, which keeps nothing.
//!
//! `cargo bench -p queue-cli --bench drain [-- JOBS]`. The three run in turn; compare the ratios,
//! the rates are those of the machine and of what else it does.

#![expect(clippy::print_stdout, reason = "a benchmark reports")]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run is of no use"
)]

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
    for round in 1..=ROUNDS {
        let dir = tempfile::tempdir().unwrap();
        let shims = rate(jobs, drain(&dir.path().join("shims.db"), jobs, &[]));
        let direct = rate(
            jobs,
            drain(&dir.path().join("direct.db"), jobs, &["--direct"]),
        );
        let xargs = rate(jobs, xargs(jobs));
        println!(
            "round {round}: shims {shims:.0}/s ({:.2} of xargs), --direct {direct:.0}/s ({:.2}), xargs -P4 {xargs:.0}/s",
            shims / xargs,
            direct / xargs
        );
    }
}

fn rate(jobs: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(jobs).unwrap()) / took.as_secs_f64()
}

fn drain(db: &Path, jobs: usize, more: &[&str]) -> Duration {
    let store = SqliteStore::open(db, &OpenOptions::default()).unwrap();
    let now = SystemClock::new().now();
    let added = (0..jobs).map(|_| NewJob::argv(["/bin/true"])).collect();
    store.enqueue_all(added, &now).unwrap();
    let mut worker = Command::new(env!("CARGO_BIN_EXE_queue-worker"));
    worker.args(["--drain", "--quiet", "-j", AT_ONCE, "--db"]);
    worker.arg(db).args(more);
    let began = Instant::now();
    assert!(worker.status().unwrap().success());
    let took = began.elapsed();
    let completed = store.queues().unwrap()[0].count(State::Completed);
    assert_eq!(usize::try_from(completed).unwrap(), jobs);
    took
}

fn xargs(jobs: usize) -> Duration {
    let mut xargs = Command::new("xargs");
    xargs.args(["-P", AT_ONCE, "-n", "1", "/bin/true"]);
    let mut running = xargs.stdin(Stdio::piped()).spawn().unwrap();
    let words: String = (0..jobs).map(|number| format!("{number}\n")).collect();
    let began = Instant::now();
    std::io::Write::write_all(&mut running.stdin.take().unwrap(), words.as_bytes()).unwrap();
    assert!(running.wait().unwrap().success());
    began.elapsed()
}
