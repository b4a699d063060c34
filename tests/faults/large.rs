//! Stores with a hundred thousand jobs: what is asked often must not look at all of them.

use crate::scene::{Scene, assert_sound};
use queue_core::{
    Clock as _, State, Store, SystemClock,
    store::{
        Prune,
        sqlite::{Durability, OpenOptions, SqliteStore, statements},
    },
};
use rusqlite::Connection;
use std::time::{Duration, Instant};

/// Copies the one job of the store, completed, into so many more.
fn seed_ended(scene: &Scene, count: usize) {
    let connection = Connection::open(scene.db()).unwrap();
    let columns: String = connection
        .query_row(
            "select group_concat(name, ', ') from pragma_table_info('job')
              where name not in ('id', 'uid')",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let sql = format!(
        "begin immediate;
         insert into job (uid, {columns})
           with recursive n(i) as (select 1 union all select i + 1 from n where i < {count})
           select hex(randomblob(16)), {columns} from n, job where id = 1;
         insert into job_body (job, command, cwd, env, options, result)
           select job.id, command, cwd, env, options, result
           from job, job_body where job_body.job = 1 and job.id > 1;
         insert into tag select job.id, key, value from job, tag
           where tag.job = 1 and job.id > 1;
         insert into attempt (job, epoch, number, worker, claimed_at, ended_at, log)
           select job.id, 1, 1, 1, 0, 1, 'log' from job where job.id > 1;
         commit;"
    );
    connection.execute_batch(&sql).unwrap();
}

fn plan(scene: &Scene, statement: &str) -> String {
    let (_, text) = statements()
        .iter()
        .find(|(name, _)| *name == statement)
        .unwrap();
    let connection = Connection::open(scene.db()).unwrap();
    let mut query = connection
        .prepare(&format!("explain query plan {text}"))
        .unwrap();
    let lines: Vec<String> = query
        .raw_query()
        .mapped(|row| row.get(3))
        .map(Result::unwrap)
        .collect();
    lines.join("\n")
}

fn ended_by_now() -> Prune {
    Prune {
        states: State::ENDED.to_vec(),
        ended_before: SystemClock::new()
            .now()
            .wall
            .saturating_add(Duration::from_secs(1)),
        queue: None,
    }
}

#[test]
fn pruning_a_hundred_thousand_jobs_goes_in_small_batches_while_enqueues_go_on() {
    // T60
    let scene = Scene::new();
    scene.run("enqueue 1");
    scene.run("drain");
    seed_ended(&scene, 100_000);
    let store = scene.open();
    let mut enqueuer = scene.start(scene.user("enqueue 100"));
    let (mut removed, mut beside) = (0, 0);
    loop {
        let running = enqueuer.is_running();
        let before = enqueuer.said();
        let batch = store
            .prune(&ended_by_now(), usize::MAX, &SystemClock::new().now())
            .unwrap();
        assert!(batch.len() <= 1_000, "{} in one transaction", batch.len());
        assert!(
            batch.iter().all(|pruned| pruned.logs.len() == 1),
            "each names its log"
        );
        if batch.is_empty() {
            break;
        }
        removed += batch.len();
        beside += usize::from(running && enqueuer.said() > before);
    }
    assert_eq!(removed, 100_001);
    assert!(beside > 0, "no enqueue got in between the batches");
    assert_eq!(enqueuer.ended().well().jobs().len(), 100);
    assert_sound(&store);
}

#[test]
fn the_prune_follows_its_index_in_order() {
    // T60
    let scene = Scene::new();
    scene.run("open");
    let plan = plan(&scene, "prunable");
    assert!(
        plan.starts_with("SEARCH job USING INDEX job_finished (state=? AND finished_at<?)"),
        "{plan}"
    );
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}

#[test]
fn counts_are_read_from_the_index_alone() {
    // T64
    let scene = Scene::new();
    scene.run("open");
    let plan = plan(&scene, "queue_counts");
    assert!(plan.contains("USING COVERING INDEX job_state"), "{plan}");
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}

#[test]
fn an_enqueue_costs_the_same_among_a_hundred_thousand_jobs() {
    // S2: both are measured in turns, so that a busy machine slows them alike.
    let open = |count| {
        let scene = Scene::new();
        scene.run("enqueue 1");
        scene.run("drain");
        seed_ended(&scene, count);
        let options = OpenOptions {
            durability: Durability::Normal,
            ..OpenOptions::default()
        };
        let store = SqliteStore::open(&scene.db(), &options).unwrap();
        store.tidy().unwrap();
        (scene, store)
    };
    let (few, many) = (open(100), open(100_000));
    let measure = |store: &SqliteStore| {
        let now = SystemClock::new().now();
        let started = Instant::now();
        store.enqueue(support::job("true"), &now).unwrap();
        started.elapsed()
    };
    let mut seen = Vec::new();
    let is_even = (0..5).any(|_| {
        let pairs: Vec<_> = (0..200)
            .map(|_| (measure(&few.1), measure(&many.1)))
            .collect();
        let median = |mut all: Vec<Duration>| {
            all.sort_unstable();
            all[all.len() / 2]
        };
        let small = median(pairs.iter().map(|pair| pair.0).collect());
        let large = median(pairs.iter().map(|pair| pair.1).collect());
        seen.push((small, large));
        large < small * 2
    });
    assert!(is_even, "among few, among many: {seen:?}");
}
