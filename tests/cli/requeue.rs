//! `qcli requeue`: ended jobs run again.

use serde_json::json;

#[test]
fn failed_jobs_run_again_when_their_cause_is_mended() {
    let env = support::test_env!();
    let good = env.enqueue(&["--", "true"]);
    let bad = env.enqueue(&["--max-attempts", "1", "--shell", "test -e mended"]);
    env.qcli(&["requeue", "--failed"])
        .ok()
        .says("no job to requeue");
    env.drain();
    assert_eq!(env.state(bad), "failed");
    env.file("mended", "");
    env.qcli(&["retry", "--failed"])
        .ok()
        .prints(&format!("requeued {bad}"));
    env.drain();
    assert_eq!(
        (env.state(good), env.state(bad)),
        ("completed".into(), "completed".into())
    );
    assert_eq!(env.show(bad)["attempts"].as_array().unwrap().len(), 2);
    assert_eq!(env.show(good)["attempts"].as_array().unwrap().len(), 1);
}

#[test]
fn dependants_run_again_only_on_request() {
    let env = support::test_env!();
    let parent = env.enqueue(&["--", "true"]);
    let child = env.enqueue(&["--after", "1", "--", "true"]);
    env.drain();
    env.qcli(&["requeue", "1"]).ok();
    assert_eq!(env.state(child), "completed");
    env.drain();
    let answer = env.json(&["requeue", "1", "--with-dependants"]);
    assert_eq!(answer["jobs"][0]["dependants"], json!([child]));
    assert_eq!(
        (env.state(parent), env.state(child)),
        ("pending".into(), "blocked".into())
    );
}

#[test]
fn a_waiting_job_is_not_requeued() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.qcli(&["requeue", "1"])
        .exits(4)
        .says("job 1 cannot be requeued: it is pending");
    env.qcli(&["requeue"]).exits(2).says("--all");
}
