//! SQLite's locks belong to the process: whoever else closes a file of the store drops them all
//! (fcntl(2)), and a committed row may vanish into a log that somebody deleted.

use crate::scene::{Scene, all_jobs, assert_sound};
use queue_core::{Clock as _, JobId, Store, StoreError, SystemClock, store::sqlite::SqliteStore};
use rusqlite::Connection;
use std::{collections::BTreeSet, fs, os::unix::fs::MetadataExt as _};

/// The locks that this process holds on the store's files, as the kernel lists them.
fn locks(scene: &Scene) -> BTreeSet<String> {
    let inodes: Vec<String> = ["queue.db", "queue.db-shm"]
        .map(|name| fs::metadata(scene.dir().join(name)).unwrap().ino())
        .map(|inode| format!(":{inode}"))
        .to_vec();
    let own = std::process::id().to_string();
    fs::read_to_string("/proc/locks")
        .unwrap_or_default()
        .lines()
        .map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>())
        .filter(|words| words.get(3) == Some(&own.as_str()))
        .filter(|words| {
            words
                .get(4)
                .is_some_and(|file| inodes.iter().any(|inode| file.ends_with(inode)))
        })
        .map(|words| words.join(" "))
        .collect()
}

#[test]
fn nothing_the_library_does_drops_a_lock_of_its_process() {
    // T54
    let scene = Scene::new();
    let store = scene.open();
    let now = SystemClock::new().now();
    let job = store.enqueue(support::job("true"), &now).unwrap().id();
    assert_sound(&store);
    let ours = Connection::open(scene.db()).unwrap();
    ours.execute_batch("begin immediate").unwrap();
    let held = locks(&scene);
    assert!(held.len() >= 2, "the file and its log are locked: {held:?}");

    let still_locked = |after: &str| {
        assert_eq!(scene.run("probe").lines, ["locked"], "after {after}");
        assert!(locks(&scene).is_superset(&held), "{after} dropped a lock");
    };
    still_locked("nothing");
    let again: SqliteStore = scene.open();
    still_locked("opening it again");
    assert_eq!(all_jobs(&again).len(), 1);
    assert_sound(&again);
    again.export(JobId(0), 10).unwrap();
    again.detail(job, &now).unwrap();
    again.why(job, &now).unwrap();
    again.queues().unwrap();
    still_locked("looking");
    drop(again);
    still_locked("closing it");
    store.backup(&scene.dir().join("copy.db")).unwrap();
    still_locked("a backup");
    assert!(store.backup(&scene.db()).is_err());
    still_locked("a backup onto itself");
    let missing = scene.dir().join("missing/deep/copy.db");
    assert!(store.backup(&missing).is_err());
    still_locked("a backup that failed");
    let strange = SqliteStore::open(
        scene.dir(),
        &queue_core::store::sqlite::OpenOptions::default(),
    );
    assert!(matches!(strange, Err(StoreError::IsDirectory(_))));
    still_locked("a refusal");

    ours.execute_batch("commit").unwrap();
    assert_eq!(
        scene.run("probe").lines,
        ["free"],
        "the probe tells both apart"
    );
    store.tidy().unwrap();
    assert_sound(&store);
}

#[test]
fn a_store_stays_whole_when_its_last_process_but_one_closes_it() {
    // T54: were the lock on the file gone, the one that closes last would take the log away.
    let scene = Scene::new();
    let store = scene.open();
    let now = SystemClock::new().now();
    let mut jobs = Vec::new();
    for _ in 0..5 {
        drop(scene.open());
        jobs.extend(scene.run("enqueue 2").jobs());
        jobs.push(store.enqueue(support::job("true"), &now).unwrap().id());
        scene.run("probe");
    }
    drop(store);
    assert_eq!(all_jobs(&scene.open()), jobs.into_iter().collect());
}
