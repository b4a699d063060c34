//! What a worker tells of attempts that ended.

use super::*;
use queue_core::{attempt::ResourceUsage, store::Cycle};

#[test]
fn an_absurd_measurement_does_not_keep_other_outcomes_out() {
    let q = Q::new();
    let jobs = [q.add(&[]), q.add(&[])];
    let mut ended: Vec<_> = q
        .leases(2)
        .iter()
        .map(|lease| {
            (
                lease.fence(),
                Report::new(Outcome::Completed { result: None }, q.now.wall),
            )
        })
        .collect();
    let usage = ResourceUsage {
        user_ms: u64::MAX,
        system_ms: u64::MAX,
        max_rss_kib: u64::MAX,
        read_bytes: u64::MAX,
        written_bytes: u64::MAX,
        memory_peak_bytes: Some(u64::MAX),
    };
    ended[0].1.usage = Some(usage);
    let cycle = Cycle {
        ended,
        ..Cycle::of(q.worker)
    };
    q.store.cycle(&cycle, &q.now).unwrap();
    assert_eq!(jobs.map(|job| q.state(job)), [State::Completed; 2]);
    assert!(
        q.store.detail(jobs[0], &q.now).unwrap().attempts[0]
            .usage
            .is_some()
    );
}
