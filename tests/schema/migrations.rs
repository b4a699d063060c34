//! Migrations: what they lead to, that one process applies them, and what they refuse.

use crate::{fresh, schema};
use queue_core::{
    StoreError,
    store::sqlite::{OpenOptions, SqliteStore},
};
use rusqlite::Connection;
use std::{fs, sync::Barrier, thread};

#[test]
fn the_schema_is_the_one_that_was_committed() {
    let (_dir, connection) = fresh();
    insta::assert_snapshot!("schema", schema(&connection));
}

// T63
#[test]
fn of_stores_that_open_a_new_file_at_once_one_migrates_and_all_are_content() {
    const AT_ONCE: usize = 8;
    for _ in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queue.db");
        let start = Barrier::new(AT_ONCE);
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    start.wait();
                    SqliteStore::open(&path, &OpenOptions::default()).unwrap();
                });
            }
        });
        let connection = Connection::open(&path).unwrap();
        let count = |question: &str| -> i64 {
            connection
                .query_row(question, [], |row| row.get(0))
                .unwrap()
        };
        assert_eq!(
            count("select count(*) from migration"),
            count("pragma user_version")
        );
        assert_eq!(count("select count(*) from meta where key = 'store_id'"), 1);
    }
}

// T63
#[test]
fn a_store_of_a_later_release_is_refused_and_left_as_it_was() {
    let (dir, connection) = fresh();
    let path = dir.path().join("queue.db");
    let known: i64 = connection
        .query_row("pragma user_version", [], |row| row.get(0))
        .unwrap();
    connection
        .pragma_update(None, "user_version", known + 1)
        .unwrap();
    drop(connection);
    let before = fs::read(&path).unwrap();
    match SqliteStore::open(&path, &OpenOptions::default()) {
        Err(StoreError::Newer {
            found,
            known: newest,
            path: named,
        }) => {
            assert_eq!((found, newest), (known + 1, known));
            assert_eq!(named, path);
        }
        other => panic!("{other:?}"),
    }
    assert!(fs::read(&path).unwrap() == before, "the file was changed");
}

#[test]
fn a_migration_that_was_changed_after_its_release_is_noticed() {
    let (dir, connection) = fresh();
    connection
        .execute(
            "update migration set checksum = 'other' where version = 1",
            [],
        )
        .unwrap();
    drop(connection);
    let opened = SqliteStore::open(&dir.path().join("queue.db"), &OpenOptions::default());
    assert!(
        matches!(opened, Err(StoreError::ForeignMigration { version: 1, .. })),
        "{opened:?}"
    );
}

#[test]
fn a_database_of_another_program_is_refused_and_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.db");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("create table precious (x)").unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();
    let opened = SqliteStore::open(&path, &OpenOptions::default());
    assert!(matches!(opened, Err(StoreError::Foreign(_))), "{opened:?}");
    assert!(fs::read(&path).unwrap() == before, "the file was changed");
}
