//! Files that are no store, or no longer: each is refused with an error that says why, and not a
//! byte of it changes.

use crate::{
    apart,
    scene::{Scene, assert_sound},
};
use queue_core::{
    Clock as _, Error, Store, StoreError, SystemClock,
    store::sqlite::{OpenOptions, SqliteStore},
};
use rusqlite::Connection;
use std::{collections::BTreeMap, ffi::OsString, fs, path::Path, process::Command};

/// All files beside each other, with their bytes.
fn contents(dir: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let read = |entry: fs::DirEntry| (entry.file_name(), fs::read(entry.path()).unwrap());
    (fs::read_dir(dir).unwrap().map(Result::unwrap))
        .filter(|entry| entry.metadata().unwrap().is_file())
        .map(read)
        .collect()
}

/// What opening is refused with. The files stay as they are, and none is added.
#[track_caller]
fn refusal(scene: &Scene) -> StoreError {
    let before = contents(scene.dir());
    let error = scene.try_open().expect_err("it must not open");
    let after = contents(scene.dir());
    assert_eq!(
        names(&before),
        names(&after),
        "{error}: files were added or removed"
    );
    assert!(before == after, "{error}: the file was changed");
    assert!(
        error
            .to_string()
            .contains(&scene.db().display().to_string()),
        "{error}"
    );
    error
}

fn names(files: &BTreeMap<OsString, Vec<u8>>) -> Vec<&OsString> {
    files.keys().collect()
}

/// A store with jobs, closed in order: one file that holds everything.
fn with_store() -> Scene {
    let scene = Scene::new();
    scene.run("enqueue 60 --padding 2000");
    scene.run("drain --cycles 4");
    fs::remove_file(scene.dir().join("queue.db-wake")).unwrap();
    scene
}

fn overwrite(scene: &Scene, from: usize, length: usize) {
    let mut bytes = fs::read(scene.db()).unwrap();
    bytes[from..from + length].fill(0xa5);
    fs::write(scene.db(), bytes).unwrap();
}

/// What the first verb that reads everything answers.
fn examined(store: &SqliteStore) -> Result<(), String> {
    // Damage is an answer, never an error that keeps the other answers back.
    let findings = store.examine(&SystemClock::new().now()).unwrap();
    match findings.into_iter().find(|finding| !finding.ok) {
        Some(finding) => Err(finding.detail),
        None => Ok(()),
    }
}

#[test]
fn a_directory_is_no_store() {
    let scene = Scene::new();
    fs::create_dir(scene.db()).unwrap();
    assert!(matches!(refusal(&scene), StoreError::IsDirectory(_)));
}

#[test]
fn a_path_through_a_file_is_refused() {
    let scene = Scene::new();
    fs::write(scene.db(), "a file").unwrap();
    let error = SqliteStore::open(&scene.db().join("deeper.db"), &OpenOptions::default());
    assert!(
        matches!(error, Err(StoreError::CannotOpen { .. })),
        "{error:?}"
    );
}

#[test]
fn a_store_that_is_not_there_is_made_only_when_asked_for() {
    // S7
    let scene = Scene::new();
    let options = OpenOptions {
        create: false,
        ..OpenOptions::default()
    };
    let error = SqliteStore::open(&scene.db(), &options);
    assert!(
        matches!(error, Err(StoreError::CannotOpen { .. })),
        "{error:?}"
    );
    assert!(contents(scene.dir()).is_empty());
}

#[test]
fn an_empty_file_becomes_a_store() {
    let scene = Scene::new();
    fs::write(scene.db(), "").unwrap();
    assert_sound(&scene.open());
}

#[test]
fn a_text_file_is_refused() {
    let scene = Scene::new();
    fs::write(scene.db(), "Dear diary,\n".repeat(500)).unwrap();
    assert!(matches!(refusal(&scene), StoreError::NotADatabase(_)));
    fs::write(scene.db(), "short").unwrap();
    assert!(matches!(refusal(&scene), StoreError::NotADatabase(_)));
}

#[test]
fn a_database_of_another_program_is_refused() {
    // S1
    for (journal, version) in [("delete", 0), ("wal", 0), ("delete", 1), ("delete", 77)] {
        let scene = Scene::new();
        let other = Connection::open(scene.db()).unwrap();
        let sql = format!(
            "pragma journal_mode = {journal}; pragma user_version = {version};
             create table migration (version integer, checksum text); create table song (name text)"
        );
        other.execute_batch(&sql).unwrap();
        other.close().unwrap();
        let error = refusal(&scene);
        assert!(
            matches!(error, StoreError::Foreign(_)),
            "{journal} {version}: {error:?}"
        );
    }
}

#[test]
fn a_store_of_a_later_release_is_refused() {
    // T63, S8: also by a process that had nothing to do with the upgrade.
    let scene = with_store();
    let other = Connection::open(scene.db()).unwrap();
    other.pragma_update(None, "user_version", 99).unwrap();
    other.close().unwrap();
    assert_eq!(
        refusal(&scene),
        StoreError::Newer {
            path: scene.db(),
            found: 99,
            known: 1
        }
    );
}

#[test]
fn a_store_whose_migration_was_another_one_is_refused() {
    let scene = with_store();
    let other = Connection::open(scene.db()).unwrap();
    other
        .execute(
            "update migration set checksum = 'beef' where version = 1",
            [],
        )
        .unwrap();
    other.close().unwrap();
    assert_eq!(
        refusal(&scene),
        StoreError::ForeignMigration {
            path: scene.db(),
            version: 1
        }
    );
}

#[test]
fn a_store_with_a_damaged_first_page_is_refused() {
    // S1
    let scene = with_store();
    overwrite(&scene, 16, 4_000);
    let error = refusal(&scene);
    assert!(
        matches!(
            error,
            StoreError::NotADatabase(_) | StoreError::Corrupt { .. }
        ),
        "{error:?}"
    );
}

#[test]
fn a_store_that_was_cut_short_is_refused() {
    // S1
    let scene = with_store();
    let bytes = fs::read(scene.db()).unwrap();
    fs::write(scene.db(), &bytes[..bytes.len() / 2 / 4_096 * 4_096]).unwrap();
    let error = refusal(&scene);
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

/// A way to leave something else in the place of a store.
type Spoil = fn(&Path);

#[test]
fn qcli_and_worker_refuse_what_they_cannot_read_until_a_backup_is_put_back() {
    // S1, T63
    let newer: Spoil = |db| {
        let other = Connection::open(db).unwrap();
        other.pragma_update(None, "user_version", 99).unwrap();
    };
    let cut: Spoil = |db| {
        let bytes = fs::read(db).unwrap();
        fs::write(db, &bytes[..8_192]).unwrap();
    };
    let text: Spoil = |db| fs::write(db, "Dear diary,\n".repeat(500)).unwrap();
    let env = support::test_env!();
    let job = env.enqueue(&["--", "true"]);
    let copy = env.work().join("copy.db");
    env.qcli(&["backup", copy.to_str().unwrap()]).ok();
    for (spoil, said, hint) in [
        (newer, "has schema 99", "use the release that wrote it"),
        (cut, "is damaged", "`qcli backup` wrote can take its place"),
        (text, "is not a SQLite database", "it was not touched"),
    ] {
        spoil(&env.db());
        let before = fs::read(env.db()).unwrap();
        for args in [
            &["enqueue", "--", "true"][..],
            &["list"],
            &["work", "--drain"],
        ] {
            let answer = env.qcli(args).exits(5).says(said);
            // However the lines are broken.
            let words = answer
                .stderr
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            assert!(words.contains(hint), "{words}");
        }
        assert!(
            fs::read(env.db()).unwrap() == before,
            "{said}: it was changed"
        );
        assert!(!env.db().with_file_name("queue.db-wal").exists(), "{said}");
        fs::copy(&copy, env.db()).unwrap();
        assert_eq!(
            env.state(job),
            "pending",
            "put back, it is the store it was"
        );
    }
}

#[test]
fn damage_anywhere_in_a_store_is_found_and_never_written_to() {
    // S1, T65: the first damaged page that a write meets is the last thing this process writes.
    let pages = fs::metadata(with_store().db()).unwrap().len() / 4_096;
    let mut met = 0;
    for page in 1..pages {
        let scene = with_store();
        overwrite(&scene, usize::try_from(page).unwrap() * 4_096, 4_096);
        let before = fs::read(scene.db()).unwrap();
        let store = match scene.try_open() {
            Ok(store) => store,
            Err(StoreError::Corrupt { .. }) => continue,
            Err(error) => panic!("page {page}: {error:?}"),
        };
        assert!(examined(&store).is_err(), "page {page} is damaged");
        assert!(fs::read(scene.db()).unwrap() == before);
        let now = SystemClock::new().now();
        let mut failed = None;
        for _ in 0..3 {
            let answer = store.enqueue(support::job("true"), &now);
            match (&failed, answer) {
                (None, Ok(_)) => {}
                (None, Err(Error::Store(error @ StoreError::Corrupt { .. }))) => {
                    failed = Some(error);
                }
                (Some(_), Err(Error::Store(StoreError::Stopped { .. }))) => met += 1,
                (failed, answer) => panic!("page {page}: {answer:?} after {failed:?}"),
            }
        }
    }
    assert!(met > 0, "no damaged page was ever met by a write");
}

#[test]
fn a_store_on_a_read_only_disk_says_so() {
    let test = "broken::a_store_on_a_read_only_disk_says_so";
    apart::with_own_disk(test, "8m", |disk| {
        let db = disk.join("queue.db");
        drop(SqliteStore::open(&db, &OpenOptions::default()).unwrap());
        let before = contents(disk);
        let mounted = Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(disk)
            .status();
        assert!(mounted.unwrap().success());
        for path in [db, disk.join("new.db"), disk.join("deeper/new.db")] {
            let error = SqliteStore::open(&path, &OpenOptions::default()).unwrap_err();
            assert_eq!(error, StoreError::ReadOnly(path));
        }
        assert!(contents(disk) == before);
    });
}
