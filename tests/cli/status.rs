//! `qcli status`, `workers` and `stats`: the queue at a glance.

use serde_json::json;
use support::wait_until;

#[test]
fn status_counts_by_queue_and_is_what_qcli_alone_says() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.enqueue(&["--queue", "build", "--hold", "--", "true"]);
    env.qcli(&["queue", "pause", "build"]).ok();
    let status = env.json(&["status"]);
    assert_eq!(
        (&status["totals"]["pending"], &status["totals"]["blocked"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(status["queues"][0]["name"], "build");
    assert!(status["queues"][0]["paused_at"].is_string(), "{status}");
    assert_eq!(status["queues"][1]["oldest_pending"]["id"], 1);
    assert_eq!(status["workers_alive"], 0);
    env.qcli(&[])
        .ok()
        .prints("none alive")
        .prints("paused")
        .says("`qcli work`");
}

#[test]
fn a_worker_that_was_killed_is_dead_and_one_that_stopped_is_gone() {
    let env = support::test_env!();
    let mut worker = env.spawn_worker(&["--name", "w1", "-j", "3"]);
    wait_until("the worker is alive", || {
        env.qcli(&["workers"]).stdout.contains("w1")
    });
    env.qcli(&["workers"]).ok().prints("0/3").prints("idle");
    worker.kill();
    wait_until("the worker is shown as dead", || {
        let workers = env.json(&["workers"]);
        workers[0]["state"] == "dead" && workers[0]["alive"] == false
    });
    env.qcli(&["work", "--drain", "--name", "w2"]).ok();
    assert!(!env.qcli(&["workers"]).stdout.contains("w2"));
    env.qcli(&["workers", "--all"])
        .ok()
        .prints("w2")
        .prints("stopped");
}

#[test]
fn stats_count_what_ended_and_why() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.enqueue(&["--max-attempts", "2", "--backoff", "none", "--", "false"]);
    env.qcli(&["work", "--drain=all"]).ok();
    let stats = env.json(&["stats"]);
    assert_eq!(
        stats["ended"],
        json!({"completed": 1, "failed": 1, "cancelled": 0})
    );
    assert_eq!(
        (&stats["attempts"], &stats["retries"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(stats["classes"], json!({"exit_code": 1}));
    env.qcli(&["stats", "--since", "1h"])
        .ok()
        .prints("completed  1");
    env.qcli(&["stats", "--queue", "other"])
        .ok()
        .says("nothing ended");
}
