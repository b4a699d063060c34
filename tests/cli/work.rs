//! `qcli work`: a worker, and what it says.

use support::Outcome;

/// What was told, without what differs from run to run: times, spans and the worker's name.
fn told(outcome: &Outcome<'_>) -> String {
    let stamp = regex::Regex::new(r"(?m)^\S+Z ").expect("a constant");
    let span = regex::Regex::new(r"\b[0-9.]+m?s\b").expect("a constant");
    let text = stamp.replace_all(&outcome.stderr, "");
    span.replace_all(&text, "[span]").into_owned()
}

#[test]
fn it_tells_what_happens_to_each_job_and_sums_up() {
    let env = support::test_env!();
    env.enqueue(&["-n", "good", "--", "true"]);
    env.enqueue(&["--max-attempts", "1", "--", "sh", "-c", "exit 3"]);
    let outcome = env
        .qcli(&["work", "--drain", "-j", "1", "--name", "w1"])
        .ok();
    assert_eq!(outcome.stdout, "");
    insta::assert_snapshot!(told(&outcome), @r"
    worker w1 started: all queues, 1 job at a time
    job 1 (good) started
    job 1 (good) completed in [span]
    job 2 started
    job 2 failed after [span]: exit code 3
    worker w1 stopped
    1 completed, 1 failed
    ");
}

#[test]
fn quiet_says_nothing_and_json_sums_up_on_stdout() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    let outcome = env.qcli(&["work", "--drain", "--quiet"]).ok();
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
    let id = env.enqueue(&["--", "true"]);
    let outcome = env.qcli(&["work", "--drain", "--json"]).ok();
    let summary = outcome.json();
    assert_eq!(
        (&summary["schema"], &summary["completed"]),
        (&1.into(), &1.into())
    );
    let events: Vec<serde_json::Value> = outcome
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let is_told = |event: &serde_json::Value| event["job"] == id && event["attempt"] == 1;
    assert!(events.iter().any(is_told), "{outcome:?}");
}

#[test]
fn wrong_options_are_named() {
    let env = support::test_env!();
    env.qcli(&["work", "--lease", "10ms"])
        .exits(2)
        .says("500ms");
    env.qcli(&["work", "-j", "0"]).exits(2).says("concurrency");
}

#[test]
fn a_queue_without_a_name_is_neither_served_nor_filled() {
    let env = support::test_env!();
    for queues in ["", "a,,b"] {
        env.qcli(&["work", "--drain", "--queues", queues])
            .exits(2)
            .says("--queues");
    }
    for queue in ["", "a,b"] {
        env.qcli(&["enqueue", "--queue", queue, "--", "true"])
            .exits(2)
            .says("it must be a name without a comma");
    }
    env.qcli(&["work", "-j", "0"])
        .exits(2)
        .says("write a whole number from 1 up");
}

#[test]
fn both_programs_find_the_store_by_the_same_rules() {
    let env = support::test_env!();
    let folder = env.work().join("below");
    std::fs::create_dir(&folder).unwrap();
    env.file(".queue.toml", "db = \"jobs.db\"\n");
    let somewhere = |mut command: std::process::Command| {
        command.env_remove("QUEUE_DB").current_dir(&folder);
        command
    };
    env.run(somewhere(env.command(&["enqueue", "--", "true"])))
        .ok();
    assert!(env.work().join("jobs.db").exists());
    env.run(somewhere(env.worker_command(&["--drain"])))
        .ok()
        .says("1 completed");
    // The user's own file counts where there is no project's.
    std::fs::remove_file(env.work().join(".queue.toml")).unwrap();
    let own = env.root().join("home/config/qcli");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("config.toml"), "db = \"own.db\"\n").unwrap();
    env.run(somewhere(env.command(&["enqueue", "--", "true"])))
        .ok();
    assert!(own.join("own.db").exists());
    env.run(somewhere(env.worker_command(&["--drain"])))
        .ok()
        .says("1 completed");
    // And so do their mistakes.
    std::fs::write(own.join("config.toml"), "dB = \"own.db\"\n").unwrap();
    for command in [
        env.command(&["work", "--drain"]),
        env.worker_command(&["--drain"]),
    ] {
        env.run(somewhere(command))
            .exits(2)
            .says("unknown key `dB`");
    }
}
