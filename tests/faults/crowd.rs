//! Many processes on one store.

use crate::scene::{Scene, all_jobs, assert_completed_once, assert_sound};
use std::collections::BTreeSet;

const ENQUEUERS: usize = 32;
const EACH: usize = 200;
const DRAINERS: usize = 4;
/// How much longer each is given than one alone: they share the machine.
const CROWD: u32 = 10;

#[test]
fn a_crowd_of_processes_enqueues_and_drains_without_an_error_and_runs_each_job_once() {
    // T57, S5
    let scene = Scene::new();
    let drainers: Vec<_> = (0..DRAINERS)
        .map(|_| scene.start(scene.drainer(&format!("--slots 16 --until {}", ENQUEUERS * EACH))))
        .collect();
    let enqueuers: Vec<_> = (0..ENQUEUERS)
        .map(|number| scene.start(scene.user(&format!("enqueue {EACH} --name p{number}"))))
        .collect();
    let mut acknowledged = BTreeSet::new();
    for enqueuer in enqueuers {
        let jobs = enqueuer.ended_among(CROWD).well().jobs();
        assert_eq!(jobs.len(), EACH);
        for job in jobs {
            assert!(acknowledged.insert(job), "job {job} was acknowledged twice");
        }
    }
    let mut ended = BTreeSet::new();
    for drainer in drainers {
        for job in drainer.ended_among(CROWD).well().jobs() {
            assert!(ended.insert(job), "job {job} ended twice");
        }
    }
    assert_eq!(acknowledged.len(), ENQUEUERS * EACH);
    assert_eq!(ended, acknowledged);
    let marks = scene.marks();
    assert_eq!(marks.len(), ENQUEUERS * EACH);
    assert!(marks.values().all(|epochs| epochs == &[1]), "each ran once");
    let store = scene.open();
    assert_eq!(all_jobs(&store), acknowledged);
    assert_sound(&store);
    assert_completed_once(&store);
}

#[test]
fn of_many_processes_that_add_one_key_at_once_one_adds_and_all_print_its_number() {
    // T38
    const PROCESSES: usize = 100;
    let env = support::test_env!();
    let words = [
        "enqueue",
        "--unique",
        "nightly",
        "--on-conflict",
        "skip",
        "--",
        "true",
    ];
    // The store is made by whoever comes first.
    let callers: Vec<_> = (0..PROCESSES).map(|_| env.spawn_qcli(&words)).collect();
    for mut caller in callers {
        assert_eq!(
            caller.wait(),
            support::Stopped::Exited(0),
            "{}",
            caller.stderr()
        );
        assert_eq!(caller.stdout().trim_end(), "1", "{}", caller.stderr());
    }
    assert_eq!(env.json(&["list", "--all"]).as_array().unwrap().len(), 1);
}
