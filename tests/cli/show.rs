//! `qcli show`: all about one job.

use serde_json::json;

#[test]
fn a_job_that_was_tried_twice_shows_both_attempts_and_what_it_saved() {
    let env = support::test_env!();
    let job = env.enqueue(&[
        "--name",
        "import",
        "--max-attempts",
        "2",
        "--backoff",
        "none",
        "--shell",
        "echo line of $QUEUE_ATTEMPT; echo '{\"step\": 7}' > \"$QUEUE_CHECKPOINT\"; exit 3",
    ]);
    env.qcli(&["work", "--drain=all"]).ok();
    let shown = env.show(job);
    assert_eq!(shown["schema"], 1);
    assert_eq!(
        (&shown["state"], &shown["exit_code"], &shown["class"]),
        (&json!("failed"), &json!(3), &json!("exit_code"))
    );
    assert_eq!(shown["checkpoint"], json!({"step": 7}));
    let attempts = shown["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2);
    for (attempt, number) in attempts.iter().zip(1..) {
        assert_eq!(
            (&attempt["number"], &attempt["exit_code"]),
            (&json!(number), &json!(3))
        );
        assert!(
            std::path::Path::new(attempt["log"].as_str().unwrap()).exists(),
            "{attempt}"
        );
    }
    env.qcli(&["show", "import"])
        .ok()
        .prints("failed: exit code 3")
        .prints("`qcli requeue 1`")
        .prints("line of 2")
        .prints("{\"step\": 7}");
}

#[test]
fn a_retry_shows_exactly_when_it_comes() {
    let env = support::test_env!();
    let job = env.enqueue(&["--backoff", "fixed:1h", "--", "false"]);
    env.drain();
    let shown = env.show(job);
    assert_eq!(shown["wait_reason"], "retry");
    let next = shown["next_attempt_at"].as_str().unwrap();
    assert_eq!(shown["run_at"], next);
    env.qcli(&["show", "1"])
        .ok()
        .prints(&format!("next attempt  {next}"));
}

#[test]
fn secrets_are_never_shown_and_other_values_on_request() {
    // L5
    let env = support::test_env!();
    env.enqueue(&[
        "-e",
        "API_TOKEN=hunter2",
        "-e",
        "DB=postgres://u:hunter2@h/d",
        "-e",
        "MODE=fast",
        "--",
        "true",
    ]);
    for args in [
        vec!["show", "1"],
        vec!["show", "1", "--env"],
        vec!["show", "1", "--json"],
        vec!["show", "1", "--env", "--json"],
        vec!["list", "--json"],
    ] {
        let outcome = env.qcli(&args).ok();
        assert!(!outcome.stdout.contains("hunter2"), "{outcome:?}");
        let has_value = outcome.stdout.contains("fast");
        assert_eq!(has_value, args.contains(&"--env"), "{outcome:?}");
    }
    env.qcli(&["show", "1"]).ok().prints("API_TOKEN");
}

#[test]
fn a_job_that_is_not_there_is_exit_code_3() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.qcli(&["show", "7"]).exits(3).says("there is no job 7");
    env.qcli(&["show", "nobody"])
        .exits(3)
        .says("there is no job named `nobody`");
    env.qcli(&["show", "@~1"]).exits(3);
    env.qcli(&["show"]).ok().prints("command      true\n");
}
