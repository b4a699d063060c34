//! `qcli export` and `qcli import`.

use serde_json::json;

#[test]
fn jobs_move_to_another_store_with_their_history_and_only_once() {
    let env = support::test_env!();
    env.enqueue(&["-n", "done", "-t", "k=v", "--", "true"]);
    env.drain();
    env.enqueue(&["-n", "waits", "--after", "done:any", "--", "true"]);
    let lines = env.qcli(&["export"]).ok().stdout;
    assert_eq!(lines.lines().count(), 2);
    env.file("jobs.jsonl", &lines);
    env.qcli(&["--db", "other.db", "import", "jobs.jsonl"])
        .ok()
        .prints("added 2 jobs, 0 existed already");
    env.qcli(&["--db", "other.db", "import", "jobs.jsonl"])
        .ok()
        .prints("added 0 jobs, 2 existed already");
    let moved = env.json(&["--db", "other.db", "show", "done"]);
    assert_eq!(
        (&moved["state"], &moved["tags"]),
        (&json!("completed"), &json!({ "k": "v" }))
    );
    assert_eq!(moved["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(env.qcli(&["export", "waits"]).ok().json_lines().len(), 1);
}

#[test]
fn a_line_that_is_no_exported_job_is_named_and_nothing_is_added() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    let lines = env.qcli(&["export"]).ok().stdout + "{\"argv\":[\"true\"]}\n";
    env.file("jobs.jsonl", lines);
    env.qcli(&["--db", "other.db", "import", "jobs.jsonl"])
        .exits(2)
        .says("jobs.jsonl line 2: ");
    env.qcli(&["--db", "other.db", "import", "/etc/passwd"])
        .exits(2)
        .says("/etc/passwd line 1: it is not JSON: ");
    env.qcli(&["--db", "other.db", "list"])
        .exits(5)
        .says("there is no store");
}

#[test]
fn limits_and_queues_go_along_and_what_is_set_there_stays() {
    let env = support::test_env!();
    env.qcli(&["limit", "set", "api", "--rate", "60/min", "--burst", "10"])
        .ok();
    env.qcli(&["queue", "set", "nightly", "--concurrency", "2"])
        .ok();
    env.enqueue(&["--queue", "nightly", "--limit", "api=3", "--", "true"]);
    env.file("jobs.jsonl", env.qcli(&["export"]).ok().stdout);
    env.qcli(&["--db", "new.db", "import", "jobs.jsonl"])
        .ok()
        .prints("added 1 job, 0 existed already\n")
        .says("added queue nightly\nadded limit api\n");
    let limits = env.json(&["--db", "new.db", "limit", "list"]);
    assert_eq!(limits["limits"][0]["rate"], "60/min", "{limits}");
    env.qcli(&[
        "--db", "busy.db", "limit", "set", "api", "--rate", "1/s", "--burst", "5",
    ])
    .ok();
    env.qcli(&["--db", "busy.db", "import", "jobs.jsonl"])
        .ok()
        .says("added queue nightly\nnote: limit api stays as it is set here");
    let told = env.json(&["--db", "last.db", "import", "jobs.jsonl"]);
    assert_eq!(
        told["settings"],
        json!([
            { "of": "queue", "name": "nightly", "result": "added" },
            { "of": "limit", "name": "api", "result": "added" },
        ])
    );
}
