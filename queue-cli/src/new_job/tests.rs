use super::*;
use clap::Parser;
use std::collections::HashMap;
use std::os::unix::ffi::OsStringExt as _;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    job: JobArgs,
}

fn around() -> Surroundings {
    Surroundings {
        cwd: "/usr".into(),
        variables: HashMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
        config_home: None,
        data_home: None,
        home: None,
    }
}

fn build(args: &[&str]) -> Result<NewJob, CliError> {
    let args = ["enqueue"].iter().chain(args).map(OsString::from);
    let line = Line::try_parse_from(args).map_err(|error| CliError::usage(error.to_string()))?;
    let around = around();
    let site = Site {
        around: &around,
        queue: "default",
        now: Timestamp::from_millis(1_767_225_600_000),
        agents: &Agents::default(),
    };
    line.job.build(&site)
}

fn refusal(args: &[&str]) -> String {
    build(args).unwrap_err().message().to_owned()
}

#[test]
fn everything_after_two_dashes_is_the_command_exactly() {
    let odd = OsString::from_vec(b"caf\xe9 \"$HOME\"".to_vec());
    let args = [
        "enqueue", "-p", "-3", "--", "prog", "--json", "--", "-q", "",
    ]
    .map(OsString::from)
    .into_iter()
    .chain([odd.clone()]);
    let line = Line::try_parse_from(args).unwrap();
    assert_eq!(line.job.priority, Some(-3));
    let words: Vec<_> = ["prog", "--json", "--", "-q", ""]
        .map(OsString::from)
        .into_iter()
        .chain([odd])
        .collect();
    assert_eq!(line.job.argv, words);
}

#[test]
fn options_become_the_fields_of_the_job() {
    let job = build(&[
        "--queue",
        "builds",
        "--tag",
        "team=a",
        "--tag",
        "k=v=w",
        "-C",
        "lib",
        "--env",
        "A=1",
        "--max-attempts",
        "5",
        "--backoff",
        "exp:1s..1m",
        "--timeout",
        "2h",
        "--grace",
        "0s",
        "--limit",
        "api=2",
        "--unique",
        "u",
        "--no-retry-on",
        "2,3",
        "--log-cap",
        "1MiB",
        "--delay",
        "5s",
        "--direct",
        "--shell",
        "echo hi",
    ])
    .unwrap();
    assert_eq!(job.command, Command::Shell("echo hi".into()));
    assert_eq!(job.queue, "builds");
    assert_eq!(job.tags["k"], "v=w");
    assert_eq!(job.cwd.to_lossy(), "/usr/lib");
    assert_eq!(job.env.keys().collect::<Vec<_>>(), ["A", "PATH"]);
    assert_eq!(job.start, StartAt::After(Duration::from_secs(5)));
    assert_eq!(job.options.timeout_ms, Some(7_200_000));
    assert_eq!(job.options.grace_ms, Some(0));
    assert_eq!(job.options.no_retry, [2, 3]);
    assert_eq!(job.unique.unwrap().on_conflict, OnConflict::Skip);
}

#[test]
fn a_job_runs_in_the_enqueuers_directory_with_the_defaults_of_the_queue() {
    let job = build(&["--", "true"]).unwrap();
    assert_eq!(job.cwd.to_lossy(), "/usr");
    assert_eq!(job.max_attempts, NewJob::MAX_ATTEMPTS);
    assert_eq!(job.backoff, Backoff::default());
}

#[test]
fn what_cannot_be_run_is_refused() {
    assert_eq!(refusal(&[]), "the command is empty");
    assert!(refusal(&["make", "test"]).contains("after `--`"));
    assert!(refusal(&["--shell", "a", "--", "b"]).contains("more than one"));
    assert!(refusal(&["-C", "no/such", "--", "true"]).contains("/usr/no/such"));
    assert!(refusal(&["--at", "2001-01-01T00:00:00Z", "--", "true"]).contains("2001"));
    assert!(refusal(&["--stdin", "no/such", "--", "cat"]).contains("/usr/no/such"));
    assert!(refusal(&["--script", "/no/such"]).contains("/no/such"));
}

#[test]
fn a_bad_value_names_its_option_and_the_accepted_forms() {
    let error = refusal(&["--timeout", "90", "--", "true"]);
    assert!(
        error.contains("--timeout") && error.contains("200ms, 30s, 2h30m"),
        "{error}"
    );
    let error = refusal(&["--backoff", "linear", "--", "true"]);
    assert!(
        error.contains("--backoff") && error.contains("exp:10s..1h"),
        "{error}"
    );
    let error = refusal(&["--env", "hunter2", "--", "true"]);
    assert!(
        error.contains("--env") && !error.contains("hunter2"),
        "{error}"
    );
    assert!(refusal(&["--on-conflict", "skip", "--", "true"]).contains("--unique"));
}

#[test]
fn a_program_that_is_not_there_is_worth_a_word() {
    let warning = |args: &[&str]| missing_program(&build(args).unwrap());
    assert_eq!(warning(&["--", "sh"]), None);
    assert_eq!(warning(&["--shell", "no-such-program"]), None);
    assert!(
        warning(&["--", "no-such-program"])
            .unwrap()
            .contains("PATH")
    );
    assert!(
        warning(&["--", "./no-such"])
            .unwrap()
            .contains("cannot be run")
    );
    assert!(warning(&["--env", "PATH=/nowhere", "--", "sh"]).is_some());
}

#[test]
fn a_script_is_text_of_a_bounded_size() {
    assert!(matches!(
        script(b"#!/bin/sh\ntrue\n".to_vec(), "x"),
        Ok(Command::Script(_))
    ));
    for bytes in [
        b" \n".to_vec(),
        b"\xff".to_vec(),
        b"a\0b".to_vec(),
        vec![b'a'; (16 << 20) + 1],
    ] {
        assert!(script(bytes, "standard input").is_err());
    }
}
