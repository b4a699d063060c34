//! The tools of the suites, tested themselves: a tool that lies makes every suite lie.

use rustix::process::{Pid, test_kill_process};
use std::{fs, process::Command};
use support::{Stopped, TestEnv, programs, wait_for, wait_until};

fn shell(env: &TestEnv, line: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", line])
        .env("QUEUE_DB", env.db())
        .current_dir(env.work());
    command
}

fn pid_in(env: &TestEnv, file: &str) -> Pid {
    wait_for(file, || {
        env.read(file).trim().parse().ok().and_then(Pid::from_raw)
    })
}

#[test]
fn a_command_comes_to_its_streams_and_its_code() {
    let env = support::test_env!();
    let outcome = env.run(shell(&env, "echo data; echo words >&2; exit 7"));
    assert_eq!(outcome.stdout, "data\n");
    assert_eq!(outcome.stderr, "words\n");
    outcome.exits(7);
}

#[test]
fn a_failed_expectation_shows_command_streams_and_files() {
    let env = support::test_env!();
    env.file("notes.txt", "x");
    let shown = format!("{:?}", env.run(shell(&env, "echo data; echo words >&2")));
    for part in ["echo data", "data\n", "words\n", "notes.txt"] {
        assert!(shown.contains(part), "no `{part}` in:\n{shown}");
    }
}

#[test]
fn commands_see_nothing_of_the_environment_of_the_test() {
    let env = support::test_env!().with("EXTRA", "yes");
    let command = env.command(&[]);
    assert_eq!(command.get_current_dir(), Some(env.work().as_path()));
    let mut names: Vec<_> = command
        .get_envs()
        .filter_map(|(name, _)| name.to_str().map(str::to_owned))
        .collect();
    names.sort();
    // A shell in place of qcli, with the same environment, sees those and its own.
    let mut shell = Command::new("/usr/bin/env");
    shell.env_clear().envs(
        command
            .get_envs()
            .filter_map(|(name, value)| value.map(|value| (name, value))),
    );
    let seen = env.run(shell).ok().stdout;
    let mut seen: Vec<_> = seen
        .lines()
        .filter_map(|line| line.split_once('=').map(|(name, _)| name.to_owned()))
        .collect();
    seen.sort();
    assert_eq!(seen, names);
    assert!(names.contains(&"EXTRA".to_owned()));
}

#[test]
fn nothing_outlives_its_home_even_in_a_session_of_its_own() {
    let env = support::test_env!();
    let stubborn = env.spawn(shell(&env, &programs::ignores_term("stubborn")));
    env.run(shell(&env, &programs::leaves_grandchild("left")))
        .ok();
    let (stubborn_pid, left) = (pid_in(&env, "stubborn"), pid_in(&env, "left"));
    test_kill_process(stubborn_pid).unwrap();
    test_kill_process(left).unwrap();
    drop(stubborn);
    drop(env);
    wait_until("the end of both", || {
        has_ended(stubborn_pid) && has_ended(left)
    });
}

/// Gone, or dead and not yet waited for by whoever took it in.
fn has_ended(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    match stat {
        Err(_) => true,
        Ok(stat) => stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with('Z')),
    }
}

#[test]
fn a_program_that_writes_much_loses_no_line() {
    let env = support::test_env!();
    let outcome = env.run(shell(&env, &programs::writes_much(10_000))).ok();
    assert_eq!(outcome.stdout.lines().count(), 10_000);
    assert_eq!(outcome.stderr.lines().last(), Some("err 10000"));
}

#[test]
fn a_program_that_needs_a_second_try_has_it() {
    let env = support::test_env!();
    let line = programs::needs_second_try("marker");
    env.run(shell(&env, &line)).exits(1);
    env.run(shell(&env, &line)).ok();
}

#[test]
fn a_running_process_can_be_killed_and_says_so() {
    let env = support::test_env!();
    let mut running = env.spawn(shell(&env, &programs::sleeper("asleep")));
    pid_in(&env, "asleep");
    assert_eq!(running.try_wait(), None);
    running.kill();
    assert_eq!(running.try_wait(), Some(Stopped::Killed(9)));
}
