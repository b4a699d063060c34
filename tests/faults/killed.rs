//! Killed with -9 at each failpoint: what was acknowledged is there, nothing is half written, and
//! the next process finishes the work.

use crate::scene::{Ended, Scene, all_jobs, assert_completed_once, assert_sound};
use queue_core::{JobId, failpoint};
use std::collections::BTreeSet;

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Migrator,
    Enqueuer,
    Drainer,
    Pruner,
}

/// Every process that gets to a failpoint. One that is missing here fails the test below.
fn victims(name: &str) -> Vec<Victim> {
    use Victim::{Drainer, Enqueuer, Migrator, Pruner};
    match name.split_once('.').unwrap().0 {
        "migrate" => vec![Migrator, Enqueuer],
        "transaction" => vec![Enqueuer, Drainer, Pruner],
        "enqueue" => vec![Enqueuer],
        "claim" | "start" | "heartbeat" | "checkpoint" | "promote" | "rescue" | "outcome"
        | "move" => vec![Drainer],
        "prune" => vec![Pruner],
        other => panic!("who gets to the failpoints of `{other}`? Say so here"),
    }
}

/// Which arrival at the failpoint is the last one: the first, and one in the midst of the work.
const ARRIVALS: [u32; 2] = [1, 5];

#[test]
fn migrator_killed_between_any_two_steps_leaves_a_store_that_opens() {
    kill_at_each(Victim::Migrator);
}

#[test]
fn enqueuer_killed_between_any_two_steps_loses_no_acknowledged_job() {
    // S3
    kill_at_each(Victim::Enqueuer);
}

#[test]
fn worker_killed_between_any_two_steps_loses_no_job_and_completes_none_twice() {
    // S3
    kill_at_each(Victim::Drainer);
}

#[test]
fn pruner_killed_between_any_two_steps_removes_whole_jobs_or_nothing() {
    kill_at_each(Victim::Pruner);
}

#[test]
fn every_failpoint_has_somebody_who_is_killed_there() {
    // That they get there is asserted where they are killed.
    for name in failpoint::ALL {
        assert!(!victims(name).is_empty());
    }
    let distinct: BTreeSet<_> = failpoint::ALL.iter().collect();
    assert_eq!(distinct.len(), failpoint::ALL.len());
}

#[track_caller]
fn kill_at_each(victim: Victim) {
    for name in failpoint::ALL {
        if !victims(name).contains(&victim) {
            continue;
        }
        for arrival in ARRIVALS {
            // There is one migration, and it is applied once.
            if !(name.starts_with("migrate.") && arrival > 1) {
                kill_at(victim, &format!("{name}:{arrival}"));
            }
        }
    }
}

fn kill_at(victim: Victim, failpoint: &str) {
    let scene = Scene::new();
    let mut acknowledged = BTreeSet::new();
    if matches!(victim, Victim::Drainer | Victim::Pruner) {
        acknowledged = prepare(&scene);
    }
    if victim == Victim::Pruner {
        scene.run("drain");
    }
    let mut command = match victim {
        Victim::Migrator => scene.user("open"),
        Victim::Enqueuer => scene.user("enqueue 12 --chained"),
        // Leases that run out at once make the next worker a rescuer.
        Victim::Drainer => scene.drainer("--lease 1"),
        Victim::Pruner => scene.user("prune --batch 2"),
    };
    command.env("QUEUE_FAILPOINT", failpoint);
    let killed = scene.start(command).ended();
    assert!(
        killed.was_killed(),
        "{victim:?} never got to {failpoint}: {killed:?}"
    );
    look_after(&scene, victim, failpoint, &killed, &mut acknowledged);
}

/// Jobs with and without a limit, a chain of dependants, some that are due later, and two whose
/// worker died under them.
fn prepare(scene: &Scene) -> BTreeSet<JobId> {
    let store = scene.open();
    let quota = support::quota("1000/s", 1_000);
    let now = queue_core::Clock::now(&queue_core::SystemClock::new());
    queue_core::Store::set_limit(&store, "api", &quota, &now).unwrap();
    drop(store);
    let mut jobs = scene.run("enqueue 6 --limit api").jobs();
    // Two claims that nothing follows: their worker ends with the cycle.
    scene.run("drain --slots 6 --lease 1 --cycles 1");
    jobs.extend(scene.run("enqueue 6 --chained").jobs());
    jobs.extend(scene.run("enqueue 6 --delay 1").jobs());
    jobs.into_iter().collect()
}

fn look_after(
    scene: &Scene,
    victim: Victim,
    failpoint: &str,
    killed: &Ended,
    acknowledged: &mut BTreeSet<JobId>,
) {
    let store = scene.open();
    assert_sound(&store);
    let there = all_jobs(&store);
    let said: BTreeSet<_> = if victim == Victim::Migrator {
        BTreeSet::new()
    } else {
        killed.jobs().into_iter().collect()
    };
    match victim {
        Victim::Migrator => {}
        Victim::Enqueuer => {
            assert!(
                said.is_subset(&there),
                "{failpoint}: acknowledged jobs are missing"
            );
            // One may have been committed and not yet acknowledged.
            assert!(
                there.len() <= said.len() + 1,
                "{failpoint}: {there:?} {said:?}"
            );
            acknowledged.extend(&there);
        }
        Victim::Drainer => assert_eq!(&there, acknowledged, "{failpoint}"),
        Victim::Pruner => {
            assert!(
                said.is_disjoint(&there),
                "{failpoint}: a pruned job is back"
            );
            let gone = acknowledged.len() - there.len();
            assert_eq!(gone % 2, 0, "{failpoint}: half a batch is gone");
            assert!(
                gone <= said.len() + 2,
                "{failpoint}: more is gone than was said"
            );
        }
    }
    drop(store);
    finish(scene, victim, acknowledged);
}

/// Others finish what the killed process began, and their own work too.
fn finish(scene: &Scene, victim: Victim, acknowledged: &BTreeSet<JobId>) {
    let more = scene.run("enqueue 3").jobs();
    let last = acknowledged.last().copied().unwrap_or(JobId(0));
    // S9
    assert!(more[0] > last, "an id was given out again");
    let done = scene.start(scene.drainer("")).ended().well();
    assert!(more.iter().all(|job| done.jobs().contains(job)));
    let store = scene.open();
    assert_sound(&store);
    assert_completed_once(&store);
    for (job, epochs) in scene.marks() {
        let distinct: BTreeSet<_> = epochs.iter().collect();
        assert_eq!(
            distinct.len(),
            epochs.len(),
            "job {job} ran twice under one epoch"
        );
    }
    if victim == Victim::Pruner {
        drop(store);
        scene.run("prune");
        assert!(all_jobs(&scene.open()).is_empty());
    }
}
