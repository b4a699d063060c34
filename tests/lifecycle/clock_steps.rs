//! The wall clock is set by a day under two workers, while time itself goes on.

use crate::home::{Home, home};
use queue_core::clock::Timestamp;
use queue_core::job::{JobId, NewJob, StartAt};
use queue_core::retry::Backoff;
use queue_core::{Clock, Epoch, State, Store};
use queue_worker::{Stop, WorkerOptions};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use support::{SetClock, StopAtEnd, wait_until};

const HOUR: Duration = Duration::from_hours(1);
const DAY_IN_MILLIS: i64 = 24 * 3_600_000;

/// Two workers that go by `clock`, for as long as `body` takes.
fn under_two_workers(home: &Home, clock: &Arc<SetClock>, body: impl FnOnce()) {
    let store: Arc<dyn Store> = home.store.clone();
    let stop = Stop::new();
    thread::scope(|scope| {
        let _end = StopAtEnd(stop.clone());
        for name in ["a", "b"] {
            let (store, db, stop) = (&store, home.env.db(), stop.clone());
            let clock: Arc<dyn Clock> = clock.clone();
            scope.spawn(move || {
                let options = WorkerOptions {
                    name: name.to_owned(),
                    concurrency: NonZeroUsize::new(2).expect("two is not zero"),
                    lease_for: Duration::from_secs(3),
                    takes_signals: false,
                    ..WorkerOptions::default()
                };
                let ended = queue_worker::run_by(&clock, store, &db, options, stop);
                ended.expect("the store can be used");
            });
        }
        body();
    });
}

/// Waits until both workers have looked at the store by the clock as it is now: whatever a step
/// makes them take for expired, they have taken.
fn both_have_looked(home: &Home, clock: &SetClock) {
    let now = clock.now().wall.as_millis();
    wait_until("both workers look at the clock as it was set", || {
        let workers = home.store.workers().expect("the store can be read");
        let is_near = |at: Timestamp| (at.as_millis() - now).abs() < DAY_IN_MILLIS / 2;
        workers.len() == 2 && workers.iter().all(|worker| is_near(worker.seen_at))
    });
}

fn add_running(home: &Home) -> JobId {
    home.add_shell("echo x >> runs; while [ ! -e go ]; do sleep 0.01; done; echo done >> runs")
}

fn ends_where_it_began(home: &Home, running: JobId) {
    let row = home.job(running);
    assert_eq!((row.state, row.epoch), (State::InProgress, Epoch(1)));
    home.env.file("go", "");
    assert_eq!(home.ends(running, State::Completed).attempt, 1);
    assert_eq!(home.env.read("runs"), "x\ndone\n");
    assert_eq!(home.attempts(running).len(), 1);
    // A span that ends before it begins can be shown.
    home.env.qcli(&["show", &running.to_string()]).ok();
    home.env.qcli(&["list", "--all"]).ok();
}

#[test]
fn a_clock_set_forward_a_day_ends_no_lease_and_starts_what_is_due_by_it_once() {
    // T18
    let home = home!();
    let clock = SetClock::right();
    let running = add_running(&home);
    let later = home.add(NewJob {
        start: StartAt::After(12 * HOUR),
        ..home.shell("echo x >> later")
    });
    under_two_workers(&home, &clock, || {
        home.appears("runs");
        both_have_looked(&home, &clock);
        assert_eq!(home.job(later).state, State::Scheduled);
        clock.step(DAY_IN_MILLIS);
        let row = home.ends(later, State::Completed);
        assert!(row.finished_at >= row.run_at, "{row:#?}");
        both_have_looked(&home, &clock);
        ends_where_it_began(&home, running);
    });
    assert_eq!(home.env.read("later"), "x\n");
}

#[test]
fn a_clock_set_back_a_day_holds_up_only_what_was_due_by_it() {
    // T18
    let home = home!();
    let clock = SetClock::right();
    let running = add_running(&home);
    let later = home.add(NewJob {
        start: StartAt::After(HOUR),
        ..home.shell("touch later")
    });
    under_two_workers(&home, &clock, || {
        home.appears("runs");
        clock.step(-DAY_IN_MILLIS);
        let fails_once = NewJob {
            backoff: Backoff::Fixed(Duration::from_millis(100)),
            ..home.shell(r#"echo x >> tries; [ "$(wc -l < tries)" = 2 ]"#)
        };
        let retried = home.store.enqueue(fails_once, &clock.now()).unwrap().id();
        assert_eq!(home.ends(retried, State::Completed).attempt, 2);
        both_have_looked(&home, &clock);
        assert_eq!(home.job(later).state, State::Scheduled);
        ends_where_it_began(&home, running);
    });
    assert!(!home.env.work().join("later").exists());
}
