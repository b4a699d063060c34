//! `qcli enqueue`: one job.

use serde_json::json;
use std::{ffi::OsString, fs, os::unix::ffi::OsStringExt as _, process::Stdio};

#[test]
fn only_the_number_is_printed_and_words_go_to_standard_error() {
    let env = support::test_env!();
    let first = env.qcli(&["enqueue", "--", "true"]).ok();
    assert_eq!(first.stdout, "1\n");
    assert!(first.stderr.contains("created a new store"), "{first:?}");
    let second = env.qcli(&["add", "--", "true"]).ok();
    assert_eq!(
        (second.stdout.as_str(), second.stderr.as_str()),
        ("2\n", "")
    );
}

#[test]
fn everything_after_two_dashes_reaches_the_program_exactly() {
    // Words with blanks, quotes, dashes and bytes that are no text.
    let env = support::test_env!();
    let odd = OsString::from_vec(b"caf\xe9 '\"$HOME\" \\n".to_vec());
    let mut command = env.command(&[
        "enqueue",
        "--",
        "sh",
        "-c",
        "printf '%s|' \"$@\" > seen",
        "sh",
        "--json",
        "",
        "--",
    ]);
    command.arg(&odd);
    env.run(command).ok();
    env.drain();
    let mut expected = b"--json||--|".to_vec();
    expected.extend(odd.into_vec());
    expected.push(b'|');
    assert_eq!(fs::read(env.work().join("seen")).unwrap(), expected);
}

#[test]
fn a_job_runs_with_the_enqueuers_path_and_directory_but_not_its_session() {
    // A1, A2
    let env = support::test_env!()
        .with("CLAUDECODE", "1")
        .with("ANTHROPIC_MODEL", "some")
        .with("SECRET_OF_MINE", "hunter2");
    fs::create_dir(env.work().join("below")).unwrap();
    let mut command = env.command(&["enqueue", "--shell", "pwd > ../where; env > ../env"]);
    command
        .current_dir(env.work().join("below"))
        .env("PATH", "/usr/bin:/bin:/marked");
    env.run(command).ok();
    env.drain();
    assert_eq!(
        env.read("where").trim(),
        env.work()
            .join("below")
            .canonicalize()
            .unwrap()
            .to_string_lossy()
    );
    let seen = env.read("env");
    for line in [
        "PATH=/usr/bin:/bin:/marked",
        "ANTHROPIC_MODEL=some",
        "LANG=C.UTF-8",
        "QUEUE_JOB_ID=1",
    ] {
        assert!(
            seen.lines().any(|seen| seen == line),
            "no {line} in:\n{seen}"
        );
    }
    for name in ["CLAUDECODE", "SECRET_OF_MINE"] {
        assert!(!seen.contains(name), "{name} in:\n{seen}");
    }
}

#[test]
fn the_environment_is_widened_on_request() {
    let env = support::test_env!()
        .with("MY_A", "a")
        .with("MY_B", "b")
        .with("OTHER", "o");
    env.file("vars.env", "FROM_FILE=\"two words\"\nMY_B=file\n");
    let args = [
        "enqueue",
        "--env-pass",
        "MY_*",
        "--env-file",
        "vars.env",
        "--env",
        "SET=x=y",
        "--shell",
        "env > seen",
    ];
    env.qcli(&args).ok();
    env.drain();
    let seen = env.read("seen");
    for line in ["MY_A=a", "MY_B=file", "FROM_FILE=two words", "SET=x=y"] {
        assert!(
            seen.lines().any(|seen| seen == line),
            "no {line} in:\n{seen}"
        );
    }
    assert!(!seen.contains("OTHER="), "{seen}");
}

#[test]
fn a_script_comes_from_standard_input_or_a_file_and_keeps_its_text() {
    let env = support::test_env!();
    let script = "#!/bin/sh\necho \"from $0\" | grep -c from >> out\n";
    env.qcli_with_input(&["enqueue", "-"], script)
        .ok()
        .prints("1");
    let file = env.file("script.sh", script);
    env.qcli(&["enqueue", "--script", "script.sh"]).ok();
    fs::remove_file(file).unwrap();
    env.drain();
    assert_eq!(env.read("out"), "1\n1\n");
    env.qcli_with_input(&["enqueue", "-"], "")
        .exits(2)
        .says("standard input is empty");
}

#[test]
fn standard_input_is_a_file_or_nothing() {
    // P9: an agent that waits for an open pipe hangs for ever.
    let env = support::test_env!();
    env.file("in.txt", "lines\n");
    env.qcli(&["enqueue", "--stdin", "in.txt", "--shell", "cat > seen"])
        .ok();
    env.qcli(&["enqueue", "--shell", "cat > empty"]).ok();
    env.qcli(&["enqueue", "--shell", "readlink /proc/$$/fd/0 > source"])
        .ok();
    // The worker's own is a pipe that nobody closes.
    let mut worker = env.command(&["work", "--drain"]);
    let mut worker = worker.stdin(Stdio::piped()).spawn().unwrap();
    let pipe = worker.stdin.take();
    support::wait_until("all is done", || worker.try_wait().unwrap().is_some());
    drop(pipe);
    assert_eq!(env.read("seen"), "lines\n");
    assert_eq!(env.read("source"), "/dev/null\n");
    assert_eq!(fs::read(env.work().join("empty")).unwrap(), b"");
}

#[test]
fn what_can_never_start_is_refused_and_nothing_is_added() {
    let env = support::test_env!();
    env.qcli(&["enqueue", "--", "true"]).ok();
    for (args, code, says) in [
        (&["enqueue"][..], 2, "the command is empty"),
        (&["enqueue", "--", ""], 2, "the command is empty"),
        (&["enqueue", "make", "test"], 2, "qcli enqueue -- make test"),
        (&["enqueue", "--cwd", "no/such", "--", "true"], 2, "no/such"),
        (
            &["enqueue", "--env-file", "no-such.env", "--", "true"],
            2,
            "no-such.env",
        ),
        (
            &["enqueue", "--at", "2001-01-01T00:00:00Z", "--", "true"],
            2,
            "2001",
        ),
        (
            &["enqueue", "--timeout", "90", "--", "true"],
            2,
            "--timeout",
        ),
        (
            &["enqueue", "--timeout", "90", "--", "true"],
            2,
            "200ms, 30s, 2h30m",
        ),
        (
            &["enqueue", "--backoff", "often", "--", "true"],
            2,
            "exp:10s..1h",
        ),
        (&["enqueue", "--after", "77", "--", "true"], 3, "77"),
        (&["enqueue", "--after", "nobody", "--", "true"], 3, "nobody"),
        (
            &["enqueue", "--limit", "none", "--", "true"],
            3,
            "qcli limit set none",
        ),
        (&["enqueue", "--name", "42", "--", "true"], 2, "number"),
    ] {
        env.qcli(args).exits(code).says(says);
    }
    assert_eq!(env.json(&["list"]).as_array().unwrap().len(), 1);
}

#[test]
fn an_unreadable_env_file_is_named_by_line_without_its_value() {
    let env = support::test_env!();
    env.file("vars.env", "GOOD=1\nhunter2\n");
    let outcome = env
        .qcli(&["enqueue", "--env-file", "vars.env", "--", "true"])
        .exits(2)
        .says("vars.env line 2");
    assert!(!outcome.stderr.contains("hunter2"), "{outcome:?}");
}

#[test]
fn a_taken_key_gives_the_number_of_its_holder_or_is_an_error() {
    let env = support::test_env!();
    let job = env.enqueue(&["--unique", "sync", "--", "true"]);
    let again = env
        .qcli(&["enqueue", "--unique", "sync", "--", "true"])
        .ok()
        .says("nothing was added");
    assert_eq!(again.id(), job);
    let answer = env
        .qcli(&["enqueue", "--json", "--unique", "sync", "--", "true"])
        .ok()
        .json();
    assert_eq!(
        answer,
        json!({ "schema": 1, "id": job, "result": "existing" })
    );
    env.qcli(&[
        "enqueue",
        "--unique",
        "sync",
        "--on-conflict",
        "replace",
        "--",
        "false",
    ])
    .ok()
    .says("new contents");
    assert_eq!(env.show(job)["argv"], json!(["false"]));
    env.qcli(&[
        "enqueue",
        "--unique",
        "sync",
        "--on-conflict",
        "error",
        "--",
        "true",
    ])
    .exits(4)
    .says("sync");
}

#[test]
fn a_program_that_is_not_there_is_warned_of_and_added() {
    let env = support::test_env!();
    env.qcli(&["enqueue", "--", "no-such-program-here"])
        .ok()
        .says("warning: `no-such-program-here` is not in the PATH");
    assert_eq!(env.state(1), "pending");
}

#[test]
fn settings_are_kept_and_shown() {
    let env = support::test_env!();
    let job = env.enqueue(&[
        "-n",
        "nightly",
        "-p",
        "-5",
        "-t",
        "team=web",
        "--queue",
        "builds",
        "--delay",
        "1h",
        "--max-attempts",
        "7",
        "--",
        "true",
    ]);
    let shown = env.show(job);
    assert_eq!(shown["name"], "nightly");
    assert_eq!(shown["priority"], -5);
    assert_eq!(shown["queue"], "builds");
    assert_eq!(shown["tags"], json!({ "team": "web" }));
    assert_eq!(shown["state"], "scheduled");
    assert_eq!(shown["max_attempts"], 7);
    assert_eq!(env.state(env.enqueue(&["--hold", "--", "true"])), "blocked");
    assert_eq!(
        env.state(env.enqueue(&["--after", "nightly:any", "--", "true"])),
        "blocked"
    );
}

#[test]
fn errors_are_json_where_json_is_asked_for() {
    let env = support::test_env!();
    for args in [
        &["enqueue", "--json"][..],
        &["enqueue", "--json", "--nonsense", "--", "true"],
    ] {
        let outcome = env.qcli(args).exits(2);
        let error: serde_json::Value = serde_json::from_str(&outcome.stderr).unwrap();
        assert_eq!(error["error"]["kind"], "usage", "{outcome:?}");
        assert_eq!(outcome.stdout, "");
    }
}

#[test]
fn a_wrong_priority_is_answered_with_the_right_ones() {
    let env = support::test_env!();
    for wrong in ["high", "1001", "-1001", "1.5", "99999999999"] {
        env.qcli(&["enqueue", "--priority", wrong, "--", "true"])
            .exits(2)
            .says("write a whole number from -1000 to 1000");
    }
    let job = env.enqueue(&["--priority", "-1000", "--", "true"]);
    assert_eq!(env.show(job)["priority"], -1000);
}
