//! Stores that earlier releases wrote: each opens, says the same as then, and is worked to its end.
//!
//! `make-store` wrote the files under `stores/`, one per release. A test that fails here means that
//! people's stores would fail. Only while a version is not released yet may its file be made anew.

#![expect(clippy::unwrap_used, reason = "in a test a failure is the answer")]

mod attempts;

use queue_core::{
    Clock as _, Job, JobId, State, Store, SystemClock,
    store::{
        Filter,
        sqlite::{OpenOptions, SqliteStore},
    },
};
use rusqlite::Connection;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// A copy of every stored file, in a directory of its own.
fn copies() -> Vec<(TempDir, PathBuf)> {
    let stores = Path::new(env!("CARGO_MANIFEST_DIR")).join("compat/stores");
    let copies: Vec<_> = fs::read_dir(stores)
        .unwrap()
        .map(|entry| {
            let dir = tempfile::tempdir().unwrap();
            let copy = dir.path().join("queue.db");
            fs::copy(entry.unwrap().path(), &copy).unwrap();
            (dir, copy)
        })
        .collect();
    assert!(!copies.is_empty());
    copies
}

#[track_caller]
fn open(path: &Path) -> SqliteStore {
    match SqliteStore::open(path, &OpenOptions::default()) {
        Ok(store) => store,
        Err(error) => panic!(
            "a store of an earlier release does not open: {error}\n\
             (were its migrations changed? Only before their release may `make-store` follow)"
        ),
    }
}

#[track_caller]
fn assert_sound(store: &dyn Store) {
    for finding in store.examine(&SystemClock::new().now()).unwrap() {
        assert!(finding.ok, "{}: {}", finding.check, finding.detail);
    }
}

fn by_name(store: &dyn Store) -> BTreeMap<String, Job> {
    let listed = store.list(&Filter::default(), &SystemClock::new().now());
    (listed.unwrap().into_iter())
        .map(|summary| (summary.job.name.clone().unwrap(), summary.job))
        .collect()
}

/// The schema as text, without what SQLite keeps for itself.
fn schema(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection
        .prepare("select sql from sqlite_schema where sql is not null order by type, name")
        .unwrap();
    let lines = statement.query_map([], |row| row.get(0)).unwrap();
    lines.map(Result::unwrap).collect()
}

#[test]
fn an_earlier_store_opens_and_says_what_it_said() {
    for (_dir, path) in copies() {
        let store = open(&path);
        assert_sound(&store);
        let states: BTreeMap<_, _> = (by_name(&store).into_iter())
            .map(|(name, job)| (name, job.state))
            .collect();
        let expected = [
            ("done-0", State::Completed),
            ("done-1", State::Completed),
            ("running-0", State::InProgress),
            ("chain-0", State::Pending),
            ("chain-1", State::Blocked),
            ("chain-2", State::Blocked),
            ("limited-0", State::Pending),
            ("later-0", State::Scheduled),
        ];
        assert_eq!(
            states,
            expected
                .map(|(name, state)| (name.to_owned(), state))
                .into()
        );
        let running = by_name(&store)["running-0"].id;
        let saved = store.checkpoint_value(running, "default").unwrap().unwrap();
        assert_eq!(saved.value, b"half");
        let detail = store.detail(running, &SystemClock::new().now()).unwrap();
        assert_eq!(detail.attempts.len(), 1);
        assert!(detail.body.command.is_ok());
        let limit = store.limits(&SystemClock::new().now()).unwrap().remove(0);
        assert_eq!((limit.name.as_str(), limit.waiting), ("api", 1));
        assert_eq!(limit.quota, support::quota("60/min", 10));
    }
}

#[test]
fn an_earlier_store_is_worked_to_its_end() {
    for (_dir, path) in copies() {
        let output = Command::new(env!("CARGO_BIN_EXE_test-store-user"))
            .arg(&path)
            .args(["drain", "--until", "8"])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let store = open(&path);
        for (name, job) in by_name(&store) {
            assert_eq!(job.state, State::Completed, "{name}");
        }
        assert_eq!(store.limits(&SystemClock::new().now()).unwrap()[0].spent, 2);
        let running = by_name(&store)["running-0"].clone();
        assert_eq!(
            (running.epoch.0, running.stalls <= 1),
            (2, true),
            "it was rescued"
        );
        let new = store.enqueue(support::job("true"), &SystemClock::new().now());
        assert!(new.unwrap().id() > JobId(8));
        assert_sound(&store);
    }
}

#[test]
fn an_earlier_store_has_the_schema_of_a_new_one_once_it_was_opened() {
    let dir = tempfile::tempdir().unwrap();
    let fresh = dir.path().join("queue.db");
    drop(open(&fresh));
    for (_dir, path) in copies() {
        drop(open(&path));
        assert_eq!(schema(&path), schema(&fresh));
    }
}
