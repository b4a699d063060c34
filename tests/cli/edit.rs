//! `qcli edit`: waiting jobs change.

use serde_json::json;

#[test]
fn what_is_named_changes_and_all_else_stays() {
    let env = support::test_env!();
    let job = env.enqueue(&[
        "-n",
        "old",
        "-t",
        "a=1",
        "-t",
        "b=2",
        "--timeout",
        "1h",
        "--",
        "false",
    ]);
    let args = [
        "edit",
        "old",
        "--name",
        "new",
        "--untag",
        "a",
        "-t",
        "c=3",
        "--priority",
        "7",
        "--queue",
        "q",
        "--grace",
        "1s",
    ];
    env.qcli(&args).ok().prints("edited 1");
    env.qcli(&["edit", "new", "--", "true", "--flag"]).ok();
    let shown = env.show(job);
    assert_eq!(shown["tags"], json!({ "b": "2", "c": "3" }));
    assert_eq!(
        (&shown["priority"], &shown["queue"]),
        (&json!(7), &json!("q"))
    );
    assert_eq!(shown["argv"], json!(["true", "--flag"]));
    let options =
        env.qcli(&["export", "1"]).ok().json()["rows"]["job_body"][0]["options"].to_string();
    assert!(
        options.contains("3600000") && options.contains("1000"),
        "{options}"
    );
}

#[test]
fn a_dependency_is_taken_away_and_a_cycle_refused() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    let child = env.enqueue(&["--after", "1", "--", "true"]);
    env.qcli(&["edit", "1", "--after", "2"])
        .exits(2)
        .says("would wait for itself");
    env.qcli(&["edit", "2", "--no-after"]).ok();
    assert_eq!(env.state(child), "pending");
}

#[test]
fn an_edit_that_says_nothing_or_comes_too_late_is_refused() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.qcli(&["edit", "1"])
        .exits(2)
        .says("what to change is not said");
    env.qcli(&["cancel", "1"]).ok();
    env.qcli(&["edit", "1", "--priority", "1"])
        .exits(4)
        .says("job 1 cannot be edited: it is cancelled");
}
