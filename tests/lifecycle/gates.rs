//! Gates among real workers: what one job met holds for all of them, and outlives them.

use crate::home::{Home, home};
use queue_core::gate::{GateState, RELEASE_GAP};
use queue_core::{Class, State, Store, Timestamp};
use support::wait_until;

fn state(home: &Home) -> GateState {
    let gates = home.store.gates().expect("the store can be read");
    let gate = gates.first().expect("jobs pass a gate");
    gate.gate.state(home.now().wall)
}

/// How often jobs were started.
fn starts(home: &Home) -> usize {
    home.env.read("starts").lines().count()
}

// T24, over kill -9 of all workers in the closed time.
#[test]
fn a_closed_gate_outlives_all_workers_and_then_one_job_tries_first() {
    let home = home!();
    let command = home.env.command(&[]);
    let qcli = command.get_program().to_string_lossy();
    let line = format!(
        "echo $QUEUE_JOB_ID >> starts
         if ! test -e met; then
             touch met; '{qcli}' gate report --for 4s --evidence 'HTTP 429' && exit 75
         fi
         until test -e go; do sleep 0.1; done"
    );
    let jobs: Vec<_> = (0..5)
        .map(|_| {
            let mut job = home.shell(&line);
            job.gates = vec!["api".parse().expect("that is a name")];
            home.add(job)
        })
        .collect();

    let mut first = home.worker(&["--concurrency", "1"]);
    wait_until("the first job has met a limit", || {
        home.attempts(jobs[0])
            .first()
            .is_some_and(|attempt| attempt.ended_at.is_some())
    });
    let gates = home.store.gates().expect("the store can be read");
    let closing = gates[0].gate.closing().cloned();
    let until = closing.and_then(|closing| closing.until);
    let until = until.expect("it opens by itself");
    let mut second = home.worker(&["--concurrency", "4"]);
    first.kill();
    second.kill();
    let row = home.job(jobs[0]);
    assert_eq!((row.attempt, row.stalls), (0, 0));

    let _next = [
        home.worker(&["--concurrency", "4"]),
        home.worker(&["--concurrency", "4"]),
    ];
    wait_until("one job tries", || starts(&home) == 2);
    assert_eq!(state(&home), GateState::HalfOpen);
    // Whoever has run these has had room for others as well.
    for _ in 0..4 {
        let free = home.add_shell("true");
        home.ends(free, State::Completed);
    }
    assert_eq!(starts(&home), 2, "exactly one");
    home.env.file("go", "");

    let mut claimed: Vec<Timestamp> = Vec::new();
    for job in &jobs {
        assert_eq!(home.ends(*job, State::Completed).attempt, 1);
        claimed.extend(home.attempts(*job).last().map(|last| last.claimed_at));
    }
    claimed.sort_unstable();
    assert!(claimed[0] >= until, "{claimed:?} {until}");
    for pair in claimed.windows(2) {
        assert!(pair[1].since(pair[0]) >= RELEASE_GAP, "{claimed:?}");
    }
    let tries = home.attempts(jobs[0]);
    assert_eq!(tries.len(), 2);
    assert_eq!(
        (tries[0].number, tries[0].class, tries[1].number),
        (1, Some(Class::Limit), 1)
    );
    assert_eq!(state(&home), GateState::Open);
}
