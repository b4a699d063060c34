//! The chaos run for a minute: half of it with a seed that stays the same, half with another each
//! time.

use std::process::Command;

/// How long each run makes mischief, in seconds; to drain and to look takes a few more.
const SECONDS: &str = "30";

#[expect(
    clippy::print_stderr,
    reason = "the seed and the deeds are wanted with every failure"
)]
#[track_caller]
fn run(more: &[&str]) {
    let run = Command::new(env!("CARGO_BIN_EXE_chaos"))
        .args(["--seconds", SECONDS, "--workers", "2"])
        .args(more)
        .output()
        .expect("the program was built for this test");
    let said = String::from_utf8_lossy(&run.stdout);
    eprintln!("{said}");
    assert!(
        run.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert!(said.contains("no violation"), "{said}");
}

#[test]
fn no_job_is_lost_or_run_twice_at_a_time_whatever_is_killed() {
    run(&["--seed", "1"]);
    run(&[]);
}
