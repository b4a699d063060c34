//! A program that reads from the store and does not come to an end: what it looks at has to stay in
//! the write-ahead log, which grows meanwhile.

use queue_core::{
    Clock as _, NewJob, Store, SystemClock,
    store::sqlite::{Durability, OpenOptions, SqliteStore},
};
use rusqlite::Connection;
use serde_json::Value;
use std::fs;
use support::{TestEnv, test_env, wait_until};

/// What `qcli doctor` calls long.
const LONG: u64 = 64 << 20;
/// What is kept of the log's file once it starts over.
const KEPT: u64 = 16 << 20;

fn told_of_the_log(env: &TestEnv) -> Value {
    let answer = env.json(&["doctor"]);
    let checks = answer["checks"].as_array().unwrap();
    let check = checks
        .iter()
        .find(|check| check["check"] == "its write-ahead log is short");
    check.unwrap_or_else(|| panic!("{answer}")).clone()
}

#[test]
fn a_log_that_somebody_reads_for_long_is_told_of_and_shortened_when_they_are_gone() {
    // T59
    let env = test_env!();
    let options = OpenOptions {
        durability: Durability::Normal,
        ..OpenOptions::default()
    };
    let store = SqliteStore::open(&env.db(), &options).unwrap();
    let clock = SystemClock::new();
    let log = || {
        let name = format!("{}-wal", env.db().display());
        fs::metadata(name).unwrap().len()
    };
    let reader = Connection::open(env.db()).unwrap();
    let count = || -> i64 {
        let found = reader.query_row("select count(*) from job", [], |row| row.get(0));
        found.unwrap()
    };
    reader.execute_batch("begin").unwrap();
    assert_eq!(count(), 0);
    assert_eq!(told_of_the_log(&env)["status"], "ok");

    let large = || NewJob::argv(["true".to_owned(), "x".repeat(100_000)]);
    let mut added = 0;
    while log() < LONG {
        let batch = (0..20).map(|_| large()).collect();
        let ids = store.enqueue_each(batch, &clock.now()).unwrap();
        added += ids.into_iter().filter(Result::is_ok).count();
    }
    assert!(added > 100);
    store.tidy().unwrap();
    assert_eq!(count(), 0, "it sees what it saw");
    let told = told_of_the_log(&env);
    assert_eq!(told["status"], "warning", "{told}");
    let detail = told["detail"].as_str().unwrap();
    assert!(detail.contains("fuser -v "), "{told}");

    reader.execute_batch("commit").unwrap();
    // Whoever writes next starts the log over, without waiting for an idle moment.
    wait_until("the log is short", || {
        store.enqueue(large(), &clock.now()).unwrap();
        added += 1;
        log() <= KEPT
    });
    store.tidy().unwrap();
    assert_eq!(log(), 0);
    assert_eq!(usize::try_from(count()).unwrap(), added);
    assert_eq!(told_of_the_log(&env)["status"], "ok");
}
