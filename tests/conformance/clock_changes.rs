//! Clocks that are set, machines that sleep, and jobs that fall due meanwhile: each starts once.

use queue_core::{JobId, NewJob, State, clock::Timestamp, job::StartAt};
use std::{collections::BTreeSet, thread, time::Duration};
use support::{HOUR, SECOND, TestQueue, job};

const DAY: Duration = Duration::from_secs(86_400);

fn at(moment: Timestamp) -> NewJob {
    NewJob {
        start: StartAt::At(moment),
        ..job("x")
    }
}

/// Runs the job that is due, and expects it to be this one.
fn runs(q: &TestQueue, id: JobId) {
    let lease = q.claim("a");
    assert_eq!(lease.job(), id);
    q.complete(lease).unwrap();
}

// T3
#[test]
fn a_job_due_at_a_moment_runs_once_however_the_clock_is_set() {
    let q = TestQueue::new();
    let id = q.enqueue(at(q.now().wall.saturating_add(6 * HOUR)));
    // A day too early: the moment is further off, and no more than that.
    q.clock().step_wall_back(DAY);
    q.advance(6 * HOUR);
    assert_eq!(q.try_claim("a"), None);
    // A day later: it is due, long past as the moment is.
    q.clock().advance_wall(2 * DAY);
    runs(&q, id);
    // The same moment comes a second time.
    q.clock().step_wall_back(2 * DAY);
    q.advance(2 * DAY);
    assert_eq!(q.try_claim("a"), None);
    assert_eq!(q.attempts(id).len(), 1);
}

// T3: the store counts milliseconds since 1970, which no change of the hour moves. What a time on
// the local clock means on such a day is tested with `qcli enqueue --at`.
#[test]
fn a_job_runs_once_over_a_change_of_the_hour() {
    let spring = Timestamp::from_millis(1_774_746_000_000); // 2026-03-29T01:00:00Z
    let autumn = Timestamp::from_millis(1_792_890_000_000); // 2026-10-25T01:00:00Z
    let q = TestQueue::new();
    for change in [spring, autumn] {
        let ahead = change.since(q.now().wall);
        assert!(ahead > HOUR, "the clock of the tests is set before it");
        let id = q.enqueue(at(change));
        q.advance(ahead - SECOND);
        assert_eq!(q.try_claim("a"), None);
        q.advance(SECOND);
        runs(&q, id);
        q.advance(2 * HOUR);
        assert_eq!(q.try_claim("a"), None);
    }
}

// T4
#[test]
fn of_workers_that_find_jobs_due_at_once_one_starts_each() {
    let q = TestQueue::new();
    let delayed = NewJob {
        start: StartAt::After(HOUR),
        ..job("x")
    };
    let ids: BTreeSet<JobId> = q.enqueue_many(300, &delayed).into_iter().collect();
    q.advance(HOUR);
    let started: Vec<JobId> = thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|number| {
                let q = q.another();
                scope.spawn(move || {
                    let name = format!("w{number}");
                    let mut mine = Vec::new();
                    loop {
                        let claimed = q.claim_many(&name, 3);
                        let is_left =
                            || [State::Scheduled, State::Pending].map(|state| q.count(state));
                        if claimed.is_empty() && is_left() == [0, 0] {
                            return mine;
                        }
                        mine.extend(claimed.iter().map(queue_core::Lease::job));
                    }
                })
            })
            .collect();
        let all = workers.into_iter().map(|worker| worker.join().unwrap());
        all.flatten().collect()
    });
    assert_eq!(started.len(), ids.len());
    assert_eq!(started.into_iter().collect::<BTreeSet<_>>(), ids);
}

// T6
#[test]
fn jobs_that_a_sleep_missed_start_once_each_and_no_faster_than_their_limit() {
    let q = TestQueue::new();
    q.set_limit("api", "1/s", 5);
    let missed: Vec<JobId> = (0..20_u32)
        .map(|number| {
            q.enqueue(NewJob {
                start: StartAt::After(HOUR + number * 60 * SECOND),
                limits: vec!["api".parse().unwrap()],
                ..job("x")
            })
        })
        .collect();
    // It sleeps through all of them.
    q.clock().advance_wall(10 * HOUR);
    let mut started = Vec::new();
    let mut start = || {
        for lease in q.claim_many("a", 20) {
            started.push(lease.job());
            q.complete(lease).unwrap();
        }
        started.len()
    };
    for second in 0..=15 {
        assert_eq!(start(), 5 + second);
        assert_eq!(start(), 5 + second, "before the next token");
        q.advance(SECOND);
    }
    q.advance(HOUR);
    assert_eq!(start(), 20);
    assert_eq!(started, missed);
}
