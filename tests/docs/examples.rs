//! The examples do what they say; each checks itself and exits with 1 where it does not hold.

use crate::pages;
use std::process::Command;
use std::time::{Duration, Instant};
use support::Stopped;

/// How long an example may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

const QCLI: &str = env!("CARGO_BIN_EXE_test-qcli");
const QUEUE_WORKER: &str = env!("CARGO_BIN_EXE_test-queue-worker");
const FAKE_AGENT: &str = env!("CARGO_BIN_EXE_fake-agent");

/// Runs an example to its end and gives what it printed.
fn printed_by(example: &str, programs: &[&str]) -> String {
    let env = support::test_env!();
    let known = env.command(&[]);
    let mut script = Command::new(pages::root().join("examples").join(example));
    script.env_clear().envs(
        known
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    script.args(programs).current_dir(env.work());
    let mut running = env.spawn(script);
    let began = Instant::now();
    let ended = loop {
        if let Some(ended) = running.try_wait() {
            break ended;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "it goes on and on\n{}\n{}",
            running.stdout(),
            running.stderr()
        );
        std::thread::sleep(Duration::from_millis(50));
    };
    let (stdout, stderr) = (running.stdout(), running.stderr());
    assert_eq!(ended, Stopped::Exited(0), "{stdout}\n{stderr}");
    stdout
}

#[test]
fn real_work_survives_a_killed_worker() {
    let said = printed_by("real-work.sh", &[QCLI, QUEUE_WORKER]);
    assert!(said.ends_with("All 300 jobs completed, and every output is whole.\n"));
}

#[test]
fn a_night_of_agents_ends_with_all_tasks_merged() {
    let said = printed_by("overnight/overnight.sh", &[QCLI, QUEUE_WORKER, FAKE_AGENT]);
    assert!(said.ends_with("Five tasks are done, checked, paid for and merged.\n"));
}
