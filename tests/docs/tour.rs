//! What the README shows is what happens: its tour is taken, command by command.

use crate::pages;
use regex::Regex;
use std::os::unix::fs::symlink;
use std::process::Command;
use support::TestEnv;

/// A command of the tour, and the lines that the README shows below it.
struct Step {
    command: String,
    shown: Vec<String>,
}

fn steps() -> Vec<Step> {
    let readme = pages::read("README.md");
    let (_, tour) = readme.split_once("<!-- tour -->").expect("the tour begins");
    let (tour, _) = tour
        .split_once("<!-- end of tour -->")
        .expect("the tour ends");
    let mut steps: Vec<Step> = Vec::new();
    for block in tour.split("```console\n").skip(1) {
        let (block, _) = block.split_once("```").expect("the block is closed");
        for line in block.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step {
                    command: command.to_owned(),
                    shown: Vec::new(),
                });
            } else {
                let step = steps.last_mut().expect("a block begins with a command");
                step.shown.push(line.to_owned());
            }
        }
    }
    steps
}

/// What differs between two runs, made equal: moments, spans, the name of a worker, widths.
fn without_moments(line: &str) -> String {
    let rules = [
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "MOMENT"),
        (r"^MOMENT ", ""),
        (r"\b\d+(\.\d+)? ?(ms|s)( ago)?\b|\bnow\b", "MOMENT"),
        (r"worker [A-Za-z0-9._-]+-\d+ ", "worker NAME "),
        (r"\d+ jobs? at a time", "N jobs at a time"),
        (r" +", " "),
    ];
    let text = rules.iter().fold(line.to_owned(), |text, (rule, put)| {
        let rule = Regex::new(rule).expect("the rules are constants");
        rule.replace_all(&text, *put).into_owned()
    });
    text.trim_end().to_owned()
}

/// Runs a line of shell where `qcli` is the one that was built with this test.
fn shell(env: &TestEnv, line: &str) -> Command {
    let bin = env.root().join("bin");
    if !bin.exists() {
        std::fs::create_dir(&bin).expect("the home can be written");
        symlink(env!("CARGO_BIN_EXE_test-qcli"), bin.join("qcli")).expect("the folder is new");
    }
    let known = env.command(&[]);
    let mut command = Command::new("sh");
    command.env_clear();
    command.envs(
        known
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .args(["-c", &format!("exec 2>&1; {line}")])
        .env("PATH", format!("{}:{path}", bin.display()))
        .current_dir(env.work());
    command
}

#[test]
fn the_tour_of_the_readme_goes_as_it_is_shown() {
    let env = support::test_env!();
    let steps = steps();
    assert!(steps.len() >= 10, "only {} steps", steps.len());
    for Step { command, shown } in steps {
        let outcome = env.run(shell(&env, &command)).ok();
        let seen = outcome.stdout.lines().filter(|l| !l.starts_with("note:"));
        let seen: Vec<String> = seen.map(without_moments).collect();
        let shown: Vec<String> = shown.iter().map(|line| without_moments(line)).collect();
        assert_eq!(seen, shown, "\n$ {command}\n{outcome:?}");
    }
}

#[test]
fn the_first_command_of_the_readme_shows_its_output_and_passes_the_code_on() {
    let env = support::test_env!();
    let line = r#"run -- echo "hello from the queue""#;
    assert!(
        pages::read("README.md").contains(&format!("--bin qcli -- {line}")),
        "the README has another first command"
    );
    let first = shell(&env, &format!("exec 2>/dev/null; qcli {line}"));
    assert_eq!(env.run(first).ok().stdout, "hello from the queue\n");
    env.run(shell(&env, "qcli run -- sh -c 'exit 7'")).exits(7);
}
