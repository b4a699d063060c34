//! `qcli enqueue --from-file`: many jobs, all or none.

use serde_json::json;

/// How many jobs of the queue `default` are pending.
fn pending(env: &support::TestEnv) -> serde_json::Value {
    env.json(&["queue", "show", "default"])["counts"]["pending"].clone()
}

#[test]
fn every_line_becomes_a_job_and_numbers_come_in_its_order() {
    let env = support::test_env!();
    env.file(
        "jobs.jsonl",
        "{\"argv\":[\"true\"],\"name\":\"last\",\"after\":\"first\"}\n\n{\"shell\":\"true\",\"name\":\"first\",\"queue\":\"q\"}\n",
    );
    let added = env
        .qcli(&["enqueue", "--from-file", "jobs.jsonl", "-t", "run=7"])
        .ok();
    let ids: Vec<i64> = added
        .stdout
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    let names: Vec<_> = ids.iter().map(|id| env.show(*id)["name"].clone()).collect();
    assert_eq!(names, ["last", "first"]);
    assert_eq!(env.state(ids[0]), "blocked");
    assert_eq!(env.show(ids[1])["queue"], "q");
    assert_eq!(env.show(ids[0])["tags"], json!({ "run": "7" }));
    env.drain();
    assert_eq!(env.state(ids[0]), "completed");
}

#[test]
fn a_malformed_line_among_many_is_named_and_nothing_is_added() {
    let env = support::test_env!();
    let lines: String = (1..=5_000)
        .map(|line| match line {
            4_711 => "{\"argv\": [\"true\"\n".to_owned(),
            _ => "{\"argv\":[\"true\"]}\n".to_owned(),
        })
        .collect();
    env.file("jobs.jsonl", &lines);
    env.qcli(&["enqueue", "--", "true"]).ok();
    env.qcli(&["enqueue", "--from-file", "jobs.jsonl"])
        .exits(2)
        .says("jobs.jsonl line 4711: ");
    assert_eq!(pending(&env), 1);

    let kept = env
        .qcli(&["enqueue", "--from-file", "jobs.jsonl", "--keep-going"])
        .exits(2)
        .says("jobs.jsonl line 4711: ");
    assert_eq!(kept.stdout.lines().count(), 4_999);
    assert_eq!(pending(&env), 5_000);
}

#[test]
fn a_cycle_among_lines_is_told_with_its_path() {
    let env = support::test_env!();
    env.qcli(&["enqueue", "--", "true"]).ok();
    let lines = "{\"shell\":\"a\",\"name\":\"a\",\"after\":[\"b\"]}\n{\"shell\":\"b\",\"name\":\"b\",\"after\":[\"a\"]}\n";
    env.qcli_with_input(&["enqueue", "--from-file", "-"], lines)
        .exits(2)
        .says("a (line 1) after b (line 2) after a (line 1)");
    assert_eq!(pending(&env), 1);
}

#[test]
fn what_only_the_store_refuses_names_its_line_too() {
    let env = support::test_env!();
    env.qcli(&["enqueue", "--", "true"]).ok();
    let lines = "{\"shell\":\"true\"}\n{\"shell\":\"true\",\"limit\":\"api\"}\n{\"shell\":\"true\",\"after\":77}\n";
    env.file("jobs.jsonl", lines);
    env.qcli(&["enqueue", "--from-file", "jobs.jsonl"])
        .exits(3)
        .says("jobs.jsonl line 3: there is no job 77");
    let answer = env
        .qcli(&[
            "enqueue",
            "--from-file",
            "jobs.jsonl",
            "--keep-going",
            "--json",
        ])
        .exits(3)
        .json();
    assert_eq!(
        answer["jobs"],
        json!([{ "line": 1, "id": 2, "result": "added" }])
    );
    let refused: Vec<_> = answer["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["line"].clone())
        .collect();
    assert_eq!(refused, [2, 3]);
}

#[test]
fn unknown_fields_are_refused() {
    let env = support::test_env!();
    env.qcli_with_input(
        &["enqueue", "--from-file", "-"],
        "{\"shell\":\"true\",\"prioritiy\":5}\n",
    )
    .exits(2)
    .says("line 1: unknown field `prioritiy`");
}

#[test]
fn the_names_of_all_fields_are_told_once() {
    let env = support::test_env!();
    let lines = "{\"command\":\"true\"}\n".repeat(3);
    let refused = env
        .qcli_with_input(&["enqueue", "--from-file", "-"], &lines)
        .exits(2)
        .says("line 1: unknown field `command`, expected one of `argv`")
        .says("line 3: unknown field `command`\n");
    assert_eq!(refused.stderr.matches("expected one of").count(), 1);
}

#[test]
fn a_chain_longer_than_a_batch_is_kept_together() {
    let env = support::test_env!();
    let lines: String = (0..2_500)
        .rev()
        .map(|at| match at {
            0 => "{\"shell\":\"true\",\"name\":\"n0\"}\n".to_owned(),
            _ => format!(
                "{{\"shell\":\"true\",\"name\":\"n{at}\",\"after\":\"n{}\"}}\n",
                at - 1
            ),
        })
        .collect();
    for more in [&[][..], &["--keep-going"]] {
        let args: Vec<_> = ["enqueue", "--from-file", "-"]
            .iter()
            .chain(more)
            .copied()
            .collect();
        env.qcli_with_input(&args, &lines).ok();
    }
    let counts = &env.json(&["queue", "show", "default"])["counts"];
    assert_eq!(
        (&counts["pending"], &counts["blocked"]),
        (&json!(2), &json!(4_998))
    );
}

#[test]
fn what_is_no_json_and_what_holds_no_job_is_told_so() {
    let env = support::test_env!();
    env.file("words", "make test\n");
    env.qcli(&["enqueue", "--from-file", "words"])
        .exits(2)
        .says("words line 1: it is not JSON: ");
    env.file("empty", "\n\n");
    env.qcli(&["enqueue", "--from-file", "empty"])
        .ok()
        .says("there is no job in empty");
}
