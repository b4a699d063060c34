//! `qcli queue`: pause, resume, width.

use serde_json::json;

#[test]
fn a_paused_queue_starts_nothing_until_it_is_resumed() {
    let env = support::test_env!();
    let job = env.enqueue(&["--queue", "nightly", "--", "true"]);
    env.qcli(&["queue", "pause", "nightly"])
        .ok()
        .says("paused queue nightly");
    env.drain();
    assert_eq!(env.state(job), "pending");
    env.qcli(&["queue", "list"]).ok().prints("paused");
    env.qcli(&["queue", "resume", "--all"]).ok();
    env.drain();
    assert_eq!(env.state(job), "completed");
}

#[test]
fn settings_are_shown_and_a_wrong_name_changes_nothing() {
    let env = support::test_env!();
    env.qcli(&[
        "queue",
        "set",
        "builds",
        "--concurrency",
        "2",
        "--ageing",
        "0s",
    ])
    .ok();
    let shown = env.json(&["queue", "show", "builds"]);
    assert_eq!(
        (&shown["concurrency"], &shown["ageing"]),
        (&json!(2), &json!("0s"))
    );
    env.qcli(&["queue", "pause", "builds", "nope"])
        .exits(3)
        .says("there is no queue `nope`");
    assert_eq!(env.json(&["queue", "show", "builds"])["paused"], false);
    env.qcli(&["queue", "set", "builds", "--no-concurrency"])
        .ok();
    assert_eq!(
        env.json(&["queue", "show", "builds"])["concurrency"],
        json!(null)
    );
}
