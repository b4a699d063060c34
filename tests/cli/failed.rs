//! `qcli failed`: what failed, why, and the last lines it wrote.

use serde_json::json;

#[test]
fn exactly_the_failed_jobs_with_class_and_last_lines() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.enqueue(&[
        "--max-attempts",
        "1",
        "--shell",
        "seq 5; printf '\\033[31mred\\033[0m' >&2; exit 9",
    ]);
    env.enqueue(&["--", "no-such-program-at-all"]);
    env.enqueue(&["--hold", "--", "false"]);
    env.qcli(&["failed"]).ok().says("nothing failed");
    env.drain();
    let failed = env.json(&["failed"]);
    let failed = failed.as_array().unwrap();
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert_eq!(
        (&failed[0]["id"], &failed[0]["class"]),
        (&json!(3), &json!("spawn_failed"))
    );
    assert_eq!(
        (&failed[1]["id"], &failed[1]["exit_code"]),
        (&json!(2), &json!(9))
    );
    assert_eq!(failed[1]["last_lines"], json!(["4", "5", "red"]));
    let text = env.qcli(&["failed", "--lines", "1"]).ok().stdout;
    assert!(
        text.contains("exit code 9") && text.contains("      red\n") && !text.contains("      5\n"),
        "{text}"
    );
    assert!(
        text.contains("      `no-such-program-at-all` is in no directory"),
        "{text}"
    );
    assert_eq!(env.json(&["failed", "--class", "timeout"]), json!([]));
    env.qcli(&["failed", "--state", "pending"]).exits(2);
}
