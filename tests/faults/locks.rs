//! SQLite's locks belong to the process: whoever else closes a file of the store drops them all
//! (fcntl(2)), and a committed row may vanish into a log that somebody deleted.

use crate::scene::{Scene, all_jobs, assert_sound};
use queue_core::{Clock as _, JobId, Store, StoreError, SystemClock, store::sqlite::SqliteStore};
use rusqlite::Connection;
use std::{collections::BTreeSet, fs, os::unix::fs::MetadataExt as _};

/// The bytes of the store's files that this process has locked, by inode, as the kernel lists
/// them. Single bytes, because the kernel joins ranges that touch.
fn locks(scene: &Scene) -> BTreeSet<(u64, u64)> {
    let inodes = ["queue.db", "queue.db-shm"]
        .map(|name| fs::metadata(scene.dir().join(name)).unwrap().ino());
    let own = std::process::id().to_string();
    let mut locked = BTreeSet::new();
    for line in fs::read_to_string("/proc/locks")
        .unwrap_or_default()
        .lines()
    {
        // `1: POSIX  ADVISORY  READ 4242 fe:00:131 1073741826 1073742335` (proc(5))
        let words: Vec<&str> = line.split_whitespace().collect();
        let [.., pid, file, from, to] = words[..] else {
            continue;
        };
        let inode = file.rsplit(':').next().unwrap().parse().unwrap();
        if let (Ok(from), Ok(to)) = (from.parse(), to.parse::<u64>())
            && pid == own
            && inodes.contains(&inode)
        {
            locked.extend((from..=to).map(|byte: u64| (inode, byte)));
        }
    }
    locked
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
    // The byte of the writer in `-shm`, and the shared range in the file (sqlite.org/walformat.html,
    // os.h): what other connections of this process hold comes and goes.
    let [file, shm] = ["queue.db", "queue.db-shm"]
        .map(|name| fs::metadata(scene.dir().join(name)).unwrap().ino());
    let held = BTreeSet::from([(shm, 120), (file, 0x4000_0002)]);
    support::wait_until("the locks", || locks(&scene).is_superset(&held));

    let still_locked = |after: &str| {
        assert_eq!(scene.run("probe").lines, ["locked"], "after {after}");
        // The list is not read in one piece, so a lock may be overlooked once. One that was
        // dropped stays away: SQLite believes that it has it.
        support::wait_until(&format!("no lock is dropped by {after}"), || {
            locks(&scene).is_superset(&held)
        });
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
