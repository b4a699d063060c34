//! Processes that migrate at once, and upkeep beside the work.

use crate::scene::{Scene, User, all_jobs, assert_sound};
use queue_core::{
    Store,
    store::sqlite::{OpenOptions, SqliteStore},
};
use rusqlite::Connection;
use std::fs;

#[test]
fn of_processes_that_make_a_store_at_once_one_does_and_all_open_it() {
    // T63
    for count in [2, 8] {
        for _ in 0..5 {
            let scene = Scene::new();
            let users: Vec<User> = (0..count)
                .map(|_| scene.start(scene.user("open")))
                .collect();
            let said: Vec<String> = (users.into_iter())
                .flat_map(|user| user.ended().well().lines)
                .collect();
            let created = said.iter().filter(|line| *line == "created").count();
            assert_eq!((said.len(), created), (count, 1), "{said:?}");
            let plain = Connection::open(scene.db()).unwrap();
            let applied: i64 = plain
                .query_row("select count(*) from migration", [], |row| row.get(0))
                .unwrap();
            assert_eq!(applied, 1);
            assert_sound(&scene.open());
        }
    }
}

#[test]
fn upkeep_beside_the_work_keeps_the_store_whole() {
    // S6
    let scene = Scene::new();
    scene.run("open");
    let copies = scene.dir().join("copies");
    fs::create_dir(&copies).unwrap();
    let mut workload: Vec<User> = Vec::new();
    for number in 0..3 {
        workload.push(scene.start(scene.user(&format!("enqueue 150 --name p{number}"))));
    }
    let drain = || scene.start(scene.drainer("--slots 8"));
    let mut rounds = 0;
    while workload.iter_mut().any(User::is_running) || rounds < 2 {
        let copy = copies.join(format!("round{rounds}"));
        let mut backup = scene.user("backup");
        backup.arg(copy).arg("2");
        let upkeep = [
            drain(),
            drain(),
            scene.start(scene.user("examine 3")),
            scene.start(backup),
            scene.start(scene.user("prune --batch 20")),
            scene.start(scene.user("prune --batch 20")),
        ];
        for user in upkeep {
            user.ended().well();
        }
        rounds += 1;
    }
    let enqueued: Vec<_> = (workload.into_iter())
        .flat_map(|user| user.ended().well().jobs())
        .collect();
    assert_eq!(enqueued.len(), 450);
    drain().ended().well();
    let marks = scene.marks();
    for job in &enqueued {
        assert_eq!(marks.get(job), Some(&vec![1]), "job {job} ran once");
    }
    assert_sound(&scene.open());
    scene.run("prune");
    assert!(all_jobs(&scene.open()).is_empty());
    assert_copies_are_sound(&copies, 2 * rounds);
}

fn assert_copies_are_sound(copies: &std::path::Path, count: usize) {
    let found: Vec<_> = fs::read_dir(copies)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(found.len(), count);
    for copy in found {
        let store = SqliteStore::open(&copy, &OpenOptions::default()).unwrap();
        assert_sound(&store);
        store.tidy().unwrap();
    }
}
