//! `qcli checkpoint` and `qcli progress`, inside a job and outside.

use serde_json::json;

/// A line of shell that finds the very `qcli` under test as `$Q`.
fn with_qcli(env: &support::TestEnv, line: &str) -> String {
    let command = env.command(&[]);
    let qcli = command.get_program().to_string_lossy().into_owned();
    format!("Q='{qcli}'; {line}")
}

#[test]
fn the_next_attempt_finds_what_the_last_one_saved() {
    let env = support::test_env!();
    let line = "$Q checkpoint get >> seen; $Q checkpoint set page=17 && $Q checkpoint set --name index - < blob; \
                $Q progress 3/10 over the hill; test -e again || { touch again; exit 1; }";
    std::fs::write(env.work().join("blob"), b"a\xff\0b").unwrap();
    let job = env.enqueue(&["--backoff", "none", "--shell", &with_qcli(&env, line)]);
    env.drain();
    assert_eq!(env.state(job), "completed");
    assert_eq!(env.read("seen"), "page=17");
    env.qcli(&["checkpoint", "get", "1"]).ok().prints("page=17");
    let blob = env.json(&["checkpoint", "get", "1", "--name", "index"]);
    assert_eq!(blob["value"], json!({ "hex": "61ff0062" }));
    let listed = env.json(&["checkpoint", "list", "1"]);
    assert_eq!(listed["checkpoints"].as_array().unwrap().len(), 2);
    env.qcli(&["checkpoint", "get", "1", "--name", "none"])
        .exits(3);
}

#[test]
fn a_checkpoint_has_one_name_and_one_form_wherever_it_is_shown() {
    let env = support::test_env!();
    let line = r#"$Q checkpoint set '{"page":17}'"#;
    env.enqueue(&["--shell", &with_qcli(&env, line)]);
    env.drain();
    env.qcli(&["show", "1"])
        .ok()
        .prints("\nCheckpoints\ndefault  {\"page\":17} (saved ");
    env.qcli(&["checkpoint", "list", "1"])
        .ok()
        .prints("\ndefault  ");
    let shown = env.json(&["show", "1"]);
    let saved = &shown["checkpoints"][0];
    assert_eq!(saved["name"], "default");
    assert_eq!(saved["value"], json!({ "page": 17 }));
    assert_eq!(shown["checkpoint"], saved["value"]);
    assert_eq!(
        &env.json(&["checkpoint", "list", "1"])["checkpoints"][0],
        saved
    );
    let mut got = env.json(&["checkpoint", "get", "1", "--name", "default"]);
    let fields = got.as_object_mut().unwrap();
    assert_eq!(
        (fields.remove("job"), fields.remove("schema")),
        (Some(json!(1)), Some(json!(1)))
    );
    assert_eq!(&got, saved);
}

#[test]
fn an_attempt_that_was_replaced_saves_nothing() {
    let env = support::test_env!();
    let job = env.enqueue(&["--", "true"]);
    env.drain();
    for args in [&["checkpoint", "set", "late"][..], &["progress", "1/2"]] {
        let mut command = env.command(args);
        command
            .env("QUEUE_JOB_ID", job.to_string())
            .env("QUEUE_EPOCH", "1");
        env.run(command).exits(4).says("stop here");
    }
    env.qcli(&["checkpoint", "get", "1"]).exits(3);
}

#[test]
fn outside_of_a_job_nothing_is_written_and_the_refusal_explains_itself() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.qcli(&["checkpoint", "set", "x"])
        .exits(2)
        .says("$QUEUE_JOB_ID");
    env.qcli(&["progress", "1/2"])
        .exits(2)
        .says("$QUEUE_JOB_ID");
    env.qcli(&["progress", "2/1"])
        .exits(2)
        .says("more steps done");
}
