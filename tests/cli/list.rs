//! `qcli list`: jobs, one a line.

use serde_json::Value;

/// Three jobs that wait: the first for a worker, the second for its time, the third for the first.
fn three_waiting(env: &support::TestEnv) {
    env.enqueue(&["-t", "team=web", "--", "echo", "a b"]);
    env.enqueue(&[
        "--queue", "build", "--name", "nightly", "--delay", "2h", "--", "make",
    ]);
    env.enqueue(&["--after", "1", "--", "true"]);
}

#[test]
fn a_line_says_how_each_job_stands_newest_first() {
    let env = support::test_env!();
    three_waiting(&env);
    let text = env.qcli(&["list"]).ok().stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[1].contains("after 1") && lines[1].contains(" 3 "),
        "{text}"
    );
    assert!(
        lines[2].contains("starts in 2h") && lines[2].contains("nightly: make"),
        "{text}"
    );
    assert!(
        lines[3].contains("no worker alive") && lines[3].contains("echo 'a b'"),
        "{text}"
    );
}

#[test]
fn filters_narrow_it_down_and_all_have_to_hold() {
    let env = support::test_env!();
    three_waiting(&env);
    for (filter, ids) in [
        (vec!["--queue", "build"], vec![2]),
        (vec!["--state", "blocked,scheduled"], vec![3, 2]),
        (vec!["--name", "nightly"], vec![2]),
        (vec!["--tag", "team"], vec![1]),
        (vec!["--tag", "team=api"], vec![]),
        (vec!["--search", "a b"], vec![1]),
        (vec!["--since", "1h", "-n", "2"], vec![3, 2]),
        (vec!["--queue", "build", "--state", "pending"], vec![]),
    ] {
        let args = [vec!["list"], filter].concat();
        let found = env.json(&args);
        let found: Vec<i64> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|job| job["id"].as_i64().unwrap())
            .collect();
        assert_eq!(found, ids, "{args:?}");
    }
}

#[test]
fn jsonl_is_an_object_a_line_and_json_an_array() {
    let env = support::test_env!();
    env.qcli(&["list", "--json"]).exits(5);
    three_waiting(&env);
    let lines = env.qcli(&["list", "--jsonl"]).ok().stdout;
    let ids: Vec<i64> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .inspect(|job| assert_eq!(job["schema"], 1))
        .map(|job| job["id"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, [3, 2, 1]);
    assert_eq!(
        env.json(&["list", "--state", "failed"]),
        serde_json::json!([])
    );
}

#[test]
fn a_list_longer_than_a_page_is_whole() {
    let env = support::test_env!();
    let jobs = "{\"argv\": [\"true\"]}\n".repeat(1_203);
    env.qcli_with_input(&["enqueue", "--from-file", "-"], jobs)
        .ok();
    let jobs = env.json(&["list"]);
    let ids: Vec<i64> = jobs
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["id"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, (1..=1_203).rev().collect::<Vec<_>>());
    assert_eq!(
        env.qcli(&["ls", "--limit", "7", "-q"])
            .ok()
            .stdout
            .lines()
            .count(),
        7
    );
}

#[test]
fn a_reader_that_goes_away_is_a_normal_end() {
    let env = support::test_env!();
    let jobs = "{\"argv\": [\"true\"]}\n".repeat(2_000);
    env.qcli_with_input(&["enqueue", "--from-file", "-"], jobs)
        .ok();
    for form in ["list", "list --json", "list --jsonl"] {
        let command = env.command(&[]);
        let qcli = command.get_program().to_owned();
        let line = format!(
            "set -o pipefail; {} {form} | head -c 1 > /dev/null",
            qcli.to_string_lossy()
        );
        let mut shell = std::process::Command::new("bash");
        shell
            .args(["-c", &line])
            .current_dir(env.work())
            .env_clear();
        shell.envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))),
        );
        let outcome = env.run(shell).ok();
        assert_eq!(outcome.stderr, "", "{form}");
    }
}

#[test]
fn what_cannot_be_read_is_a_usage_error() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.qcli(&["list", "--since", "soon"])
        .exits(2)
        .says("neither a span nor a moment");
    env.qcli(&["list", "--state", "done"])
        .exits(2)
        .says("completed");
    env.qcli(&["list", "--limit", "0"]).exits(2);
}
