//! The examples do what they say; each checks itself and exits with 1 where it does not hold.

use crate::pages;
use std::process::Command;
use std::time::{Duration, Instant};
use support::Stopped;

/// How long 300 jobs, a killed worker and a second round may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn real_work_survives_a_killed_worker() {
    let env = support::test_env!();
    let known = env.command(&[]);
    let mut script = Command::new(pages::root().join("examples/real-work.sh"));
    script.env_clear().envs(
        known
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    script
        .args([
            env!("CARGO_BIN_EXE_test-qcli"),
            env!("CARGO_BIN_EXE_test-queue-worker"),
        ])
        .current_dir(env.work());
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
    assert!(stdout.ends_with("All 300 jobs completed, and every output is whole.\n"));
}
