//! What shims of earlier releases left in run directories: a worker of this one reads it.
//!
//! The files under `attempts/` are those of one release each, as its shim wrote them for a job that
//! wrote two lines and ended with 7. A shim keeps the release that its worker had, so an upgrade in
//! the midst of a long job ends with such a file.

use queue_core::WorkerId;
use queue_worker::layout::Layout;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use support::{test_env, wait_until};

fn releases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("compat/attempts");
    let entries = fs::read_dir(folder).unwrap();
    let releases: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(!releases.is_empty());
    releases
}

/// Lets a worker find these files in the run directory of an attempt whose worker was killed.
fn is_taken_from(change: impl Fn(Value) -> Value) {
    for release in releases() {
        let env = test_env!();
        let job = env.enqueue(&[
            "--max-attempts",
            "1",
            "--shell",
            "echo > runs; exec sleep 600",
        ]);
        let mut worker = env.spawn_worker(&["--name", "earlier"]);
        wait_until("the job runs", || !env.read("runs").is_empty());
        worker.kill();
        env.kill_shims();
        let runs = Layout::of(&env.db()).worker_lock(WorkerId(1));
        let directory = runs.with_file_name("1-1");
        for name in ["lock", "status"] {
            let text = fs::read_to_string(release.join(name)).unwrap();
            let value = change(serde_json::from_str(&text).unwrap());
            fs::write(directory.join(name), value.to_string()).unwrap();
        }
        env.drain();
        let shown = env.show(job);
        let attempts = shown["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 1, "{shown:#}");
        assert_eq!(shown["state"], "failed", "{shown:#}");
        assert_eq!(attempts[0]["exit_code"], 7, "{shown:#}");
        assert_eq!(attempts[0]["class"], "exit_code", "{shown:#}");
        assert_eq!(attempts[0]["rusage"]["max_rss_kib"], 2340, "{shown:#}");
    }
}

#[test]
fn an_attempt_that_ended_under_the_shim_of_an_earlier_release_is_taken_from_its_status() {
    is_taken_from(|value| value);
}

#[test]
fn what_a_later_release_says_beside_it_does_no_harm() {
    is_taken_from(|mut value| {
        value["of_a_later_release"] = json!({"more": [1, 2]});
        value
    });
}
