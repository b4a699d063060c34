//! The moment at which a worker looks again.

use super::*;
use queue_core::{bucket::Quota, clock::BootId, job::LimitUse, store::Cycle};

#[test]
fn what_has_fallen_due_and_was_not_asked_for_is_not_awaited() {
    let mut q = Q::new();
    let quota = Quota::new("1/min".parse().unwrap(), std::num::NonZeroU32::MIN).unwrap();
    q.store.set_limit("api", &quota, &q.now).unwrap();
    for _ in 0..2 {
        let mut job = NewJob::argv(["true"]);
        job.limits = vec!["api".parse::<LimitUse>().unwrap()];
        q.store.enqueue(job, &q.now).unwrap();
    }
    assert_eq!(q.leases(2).len(), 1, "the bucket holds one token");
    // The lane opens again, while this worker has no slot free and claims nothing.
    q.now = Now::at(q.now.wall.as_millis() + 3_600_000);
    let cycled = q.store.cycle(&Cycle::of(q.worker), &q.now).unwrap();
    assert_eq!(cycled.next_at, None);
}

#[test]
fn a_stepped_wall_clock_does_not_move_the_end_of_a_lease() {
    let mut q = Q::new();
    q.add(&[]);
    let boot = Some(BootId::new("this"));
    q.now = Now {
        boot: boot.clone(),
        mono: 5_000,
        ..q.now
    };
    q.leases(1);
    let later = Now {
        mono: 6_000,
        ..Now::at(q.now.wall.as_millis() + 3_600_000)
    };
    let later = Now { boot, ..later };
    let cycled = q.store.cycle(&Cycle::of(q.worker), &later).unwrap();
    let left = cycled.next_at.unwrap().since(later.wall);
    assert_eq!(left, LEASE - Duration::from_secs(1));
}
