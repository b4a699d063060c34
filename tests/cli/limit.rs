//! `qcli limit`: token buckets and keys.

use serde_json::json;

#[test]
fn a_limit_is_set_changed_shown_and_removed() {
    let env = support::test_env!();
    env.qcli(&["limit", "set", "api", "--burst", "3"])
        .exits(2)
        .says("needs a rate");
    env.qcli(&["limit", "set", "api", "--rate", "60/min", "--burst", "10"])
        .ok();
    env.qcli(&["limit", "set", "api", "--burst", "3"]).ok();
    let limits = env.json(&["limit", "list"]);
    assert_eq!(limits["limits"][0]["rate"], "60/min");
    assert_eq!(limits["limits"][0]["burst"], 3);
    env.qcli(&["enqueue", "--limit", "api=4", "--", "true"])
        .exits(2)
        .says("qcli limit set api --burst 4");
    env.enqueue(&["--limit", "api=3", "--", "true"]);
    env.qcli(&["limit", "remove", "api"])
        .exits(4)
        .says("edit 1 --no-limits");
    env.qcli(&["edit", "1", "--no-limits"]).ok();
    env.qcli(&["limit", "remove", "api"]).ok();
    assert_eq!(env.json(&["limit"])["limits"], json!([]));
}

#[test]
fn a_limit_that_no_job_could_name_is_refused() {
    let env = support::test_env!();
    for name in ["", "api=2"] {
        env.qcli(&["limit", "set", name, "--rate", "1/s"])
            .exits(2)
            .says("a name without `=`");
    }
    env.qcli(&["limit", "set", "api", "--rate", "1/s", "--burst", "0"])
        .exits(2)
        .says("`0` cannot be read: write a whole number from 1 up");
}

#[test]
fn a_rate_that_cannot_be_read_tells_the_accepted_forms() {
    let env = support::test_env!();
    env.qcli(&["limit", "set", "api", "--rate", "often"])
        .exits(2)
        .says("60/min");
}

#[test]
fn a_key_gets_more_places() {
    let env = support::test_env!();
    env.qcli(&["limit", "key", "repo", "--concurrency", "2"])
        .ok();
    assert_eq!(
        env.json(&["limit"])["keys"],
        json!([{ "key": "repo", "concurrency": 2, "running": [] }])
    );
}
