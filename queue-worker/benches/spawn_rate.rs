//! How many `true` jobs a second go through `supervise`, beside bare `spawn` and `wait` in the same run.
//!
//! `cargo bench -p queue-worker --bench spawn_rate [-- THREADS]`. Compare the ratio; the rates are
//! those of the machine and of what else it does.

#![expect(clippy::print_stdout, reason = "a benchmark reports")]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run is of no use"
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use queue_worker::supervisor::{Control, Spec, supervise};

const ROUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 3;
const PROGRAM: &str = "/bin/true";

fn main() {
    let threads = std::env::args()
        .skip(1)
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(4);
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=ROUNDS {
        let bare = rate(threads, |_, _| bare());
        let ours = rate(threads, |thread, number| {
            supervised(dir.path(), thread, number);
        });
        println!(
            "round {round}: bare {bare:.0}/s, supervised {ours:.0}/s, ratio {:.2} ({threads} threads)",
            ours / bare
        );
    }
}

fn rate(threads: usize, job: impl Fn(usize, u64) + Sync) -> f64 {
    let start = Instant::now();
    let done: u64 = thread::scope(|scope| {
        let job = &job;
        let work = move |thread| {
            let mut done = 0;
            while start.elapsed() < ROUND {
                job(thread, done);
                done += 1;
            }
            done
        };
        let workers: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || work(thread)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    });
    done as f64 / start.elapsed().as_secs_f64()
}

fn bare() {
    let status = Command::new(PROGRAM)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

fn supervised(dir: &Path, thread: usize, number: u64) {
    let log = dir.join(format!("{thread}-{number}"));
    let spec = Spec::new(1, 1, 1, PROGRAM, "/", &log);
    let status = supervise(&spec, &Control::new().unwrap());
    assert!(status.is_success());
    std::fs::remove_file(log).unwrap();
}
