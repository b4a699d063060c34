//! One token bucket, several processes. Everything is decided by the times that the claims
//! themselves wrote down, so a slow machine changes nothing.
//!
//! That a clock stepped back an hour does not shut a bucket is in `conformance/limits.rs`: it
//! needs a clock that a test can move.

use crate::scene::{Scene, all_jobs, assert_sound, attempts};
use queue_core::{Clock as _, JobId, Store, SystemClock};
use rusqlite::Connection;

const JOBS: usize = 100;
const BURST: u32 = 40;
/// The time that a token takes to come back, in milliseconds: 20 come in a second.
const CELL: i64 = 50;

#[test]
fn processes_that_share_a_bucket_start_jobs_at_its_rate_and_spend_a_token_on_each() {
    let scene = Scene::new();
    let store = scene.open();
    let quota = support::quota("20/s", BURST);
    store
        .set_limit("api", &quota, &SystemClock::new().now())
        .unwrap();
    scene.run(&format!("enqueue {JOBS} --limit api"));
    let unlimited = scene.run("enqueue 1").jobs()[0];
    // One begins, so that it is known whose look at the clock was the bucket's first.
    let mut drainers = vec![scene.start(scene.drainer(""))];
    support::wait_until("the first grant", || drainers[0].said() > 0);
    drainers.extend((0..3).map(|_| scene.start(scene.drainer(""))));
    for drainer in drainers {
        drainer.ended().well();
    }

    let claimed_at = |job: JobId| attempts(&store, job)[0].claimed_at.as_millis();
    let mut grants: Vec<i64> = (all_jobs(&store).into_iter())
        .filter(|job| *job != unlimited)
        .map(claimed_at)
        .collect();
    grants.sort_unstable();
    assert_eq!(grants.len(), JOBS);
    assert_never_faster(&grants);
    assert_nothing_lost(&scene, &grants);

    let limit = store.limits(&SystemClock::new().now()).unwrap().remove(0);
    assert_eq!(
        limit.spent, JOBS as u64,
        "a token for each job, and none beside"
    );
    assert!(
        claimed_at(unlimited) < grants[JOBS - 1],
        "the job that needs no token waited for those that do"
    );
    assert_sound(&store);
}

/// No span, wherever it begins, has more grants than rate × time + burst, within one cell.
fn assert_never_faster(grants: &[i64]) {
    for (first, begin) in grants.iter().enumerate() {
        for (last, end) in grants.iter().enumerate().skip(first) {
            let most = (end - begin) / CELL + i64::from(BURST) + 1;
            let granted = (last - first + 1) as i64;
            assert!(granted <= most, "{granted} grants in {} ms", end - begin);
        }
    }
}

/// The bucket's own account: full at the first grant, it owes a cell for each since.
fn assert_nothing_lost(scene: &Scene, grants: &[i64]) {
    let refill = CELL * i64::from(BURST);
    // Tokens are lost to a full bucket alone, and that is full only if nobody takes any for so long.
    let longest = grants
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap();
    assert!(longest < refill, "nobody took a token for {longest} ms");
    let tat: i64 = Connection::open(scene.db())
        .unwrap()
        .query_row("select tat_ns from limit_bucket", [], |row| row.get(0))
        .unwrap();
    let owed = tat / 1_000_000 - grants[0];
    let granted = owed as f64 / CELL as f64;
    assert!(
        (granted - JOBS as f64).abs() <= 1.0,
        "the bucket knows of {granted} grants"
    );
}
