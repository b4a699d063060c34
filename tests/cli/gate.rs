//! `qcli gate`: closed and opened by people, by jobs about themselves, and by hooks.

use serde_json::{Value, json};

/// The one gate of this name, as `gate list` has it.
fn gate(env: &support::TestEnv, name: &str) -> Value {
    let gates = env.json(&["gate", "list"]);
    let known = gates["gates"].as_array().into_iter().flatten();
    let mut named = known.filter(|gate| gate["name"] == name);
    named.next().cloned().unwrap_or_else(|| panic!("{gates}"))
}

#[test]
fn a_person_closes_a_gate_and_opens_it_and_why_says_how() {
    let env = support::test_env!();
    let through = env.enqueue(&["--gate", "claude", "--", "true"]);
    let other = env.enqueue(&["--", "true"]);
    env.qcli(&[
        "gate",
        "close",
        "claude",
        "--reason",
        "quota is for the day",
    ])
    .ok()
    .says("until `qcli gate open claude`");
    env.drain();
    assert_eq!(
        (env.state(through), env.state(other)),
        ("pending".to_owned(), "completed".to_owned())
    );
    env.qcli(&["why", "1"])
        .ok()
        .prints("It waits for gate `claude` until a person opens it (person, by a person: quota is for the day).")
        .prints("qcli gate open claude");
    env.qcli(&["list"])
        .ok()
        .prints("gate claude is closed: person");
    env.qcli(&["gate", "close", "claude", "--for", "2h"]).ok();
    let closed = gate(&env, "claude");
    assert_eq!(
        (&closed["state"], &closed["waiting"], &closed["reason"]),
        (&json!("closed"), &json!(1), &json!("person"))
    );
    env.qcli(&["status"]).ok().prints("claude").prints("closed");
    env.qcli(&["gate", "open", "claude"])
        .ok()
        .says("gate claude is open");
    env.drain();
    assert_eq!(env.state(through), "completed");
}

/// What comes with an agent counts where nobody says otherwise, and "none" is otherwise.
#[test]
fn a_stagger_that_a_person_switched_off_stays_off() {
    let env = support::test_env!();
    let ask = || env.enqueue(&["--agent", "claude", "--prompt", "x"]);
    let stagger = || gate(&env, "claude")["stagger_ms"].clone();
    // Closed before its first job comes, which says nothing of a stagger.
    env.qcli(&["gate", "close", "claude"]).ok();
    assert_eq!(stagger(), 0);
    ask();
    assert_eq!(stagger(), 2_000);
    let off = ["gate", "set", "claude", "--stagger", "0s"];
    assert_eq!(env.json(&off)["stagger_ms"], 0);
    env.qcli(&["gate", "open", "claude"]).ok();
    env.qcli(&["cancel", "--all"]).ok();
    env.qcli(&["gate", "close", "claude"]).ok();
    env.qcli(&["gate", "open", "claude"])
        .ok()
        .says("gate claude is open");
    ask();
    assert_eq!(stagger(), 0, "as the person said");
}

/// A typing error shuts nothing; whoever made it must not believe that it did.
#[test]
fn closing_a_gate_that_nothing_uses_is_said_and_done() {
    let env = support::test_env!();
    let doubt = |name: &str| env.qcli(&["gate", "close", name]).ok().stderr;
    let nothing_waits = "nothing waits for gate";
    env.enqueue(&["--gate", "billing-api", "--", "true"]);
    let said = doubt("biling-api");
    assert!(said.contains("nothing waits for gate biling-api"), "{said}");
    assert!(said.contains("did you mean `billing-api`?"), "{said}");
    assert!(said.contains("`qcli gate open biling-api`"), "{said}");
    assert_eq!(gate(&env, "biling-api")["state"], "closed", "it may come");
    env.qcli(&["--quiet", "gate", "close", "cluade"])
        .ok()
        .says("did you mean `claude`?");
    let said = doubt("xyz");
    assert!(said.contains(nothing_waits), "{said}");
    assert!(said.contains("`qcli gate list`"), "{said}");
    // A job's, an agent's before its first job, and one that was closed before.
    for known in ["billing-api", "claude", "xyz"] {
        let said = doubt(known);
        assert!(!said.contains(nothing_waits), "{said}");
    }
    let answer = env.json(&["gate", "close", "another"]);
    assert_eq!(answer["state"], "closed", "the answer is one value");
}

#[test]
fn a_gate_that_nobody_knows_and_a_name_that_is_none_are_refused() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.qcli(&["gate", "open", "claud"])
        .exits(3)
        .says("there is no gate `claud`")
        .says("qcli gate list");
    env.qcli(&["enqueue", "--gate", "a b", "--", "true"])
        .exits(2)
        .says("cannot name a gate");
    env.qcli(&["gate", "close", "claude", "--until", "2001-01-01 10:00"])
        .exits(2)
        .says("lies in the past");
    env.qcli(&["gate", "report"]).exits(2).says("this is none");
}

#[test]
fn a_job_says_that_it_met_a_limit_and_goes_on_when_it_has_lifted() {
    let env = support::test_env!();
    let qcli = env
        .command(&[])
        .get_program()
        .to_string_lossy()
        .into_owned();
    let script = format!(
        "if test -e met; then exit 0; fi; touch met; \
         '{qcli}' gate report --for 1s --evidence 'HTTP 429' && exit 75"
    );
    let job = env.enqueue(&["--gate", "api", "--shell", &script]);
    let mut worker = env.spawn_worker(&["--drain=all"]);
    worker.wait();
    let shown = env.json(&["show", &job.to_string()]);
    assert_eq!(shown["state"], "completed", "{}", worker.stderr());
    assert_eq!(shown["attempt"], 1, "what met the limit does not count");
    assert_eq!(shown["attempts"][0]["class"], "limit");
    assert_eq!(shown["attempts"][0]["exit_code"], 75);
    assert_eq!(shown["attempts"][1]["number"], 1);
    assert_eq!(gate(&env, "api")["state"], "open");
}

#[test]
fn a_hook_closes_the_gate_for_a_limit_and_for_nothing_else() {
    let env = support::test_env!();
    env.enqueue(&["--gate", "claude", "--", "true"]);
    let hook = |body: &Value| {
        let args = ["gate", "report", "claude", "--hook", "--json"];
        env.qcli_with_input(&args, body.to_string()).ok().json()
    };
    for harmless in [
        json!({"error": "overloaded", "last_assistant_message": "API Error: Repeated 529 Overloaded errors"}),
        json!({"error": "rate_limit", "last_assistant_message": "API Error: Server is temporarily limiting requests (not your usage limit)"}),
        json!({"rate_limits": {"five_hour": {"used_percentage": 99.5, "resets_at": 4_000_000_000_i64}}}),
    ] {
        assert_eq!(hook(&harmless)["reported"], false, "{harmless}");
        assert_eq!(gate(&env, "claude")["state"], "open", "{harmless}");
    }
    let told = hook(
        &json!({"hook_event_name": "StopFailure", "error": "rate_limit",
        "error_details": "429",
        "last_assistant_message": "You've hit your session limit · resets 3:30am (Europe/Oslo)"}),
    );
    assert_eq!(told["gates"][0]["reason"], "limit", "{told}");
    assert_eq!(told["gates"][0]["state"], "closed", "{told}");
    assert!(told["gates"][0]["until"].is_string(), "{told}");
    env.qcli(&["gate", "open", "claude"]).ok();
    let told = hook(&json!({"error": "authentication_failed",
        "last_assistant_message": "Invalid API key. Please run /login"}));
    assert_eq!(
        (&told["gates"][0]["reason"], &told["gates"][0]["until"]),
        (&json!("auth"), &Value::Null),
        "{told}"
    );
    env.qcli(&["gate", "report", "claude", "--hook"])
        .exits(2)
        .says("holds no hook's JSON");
}

#[test]
fn gates_travel_with_the_job() {
    let env = support::test_env!();
    env.file(
        "jobs.jsonl",
        "{\"argv\": [\"true\"], \"gate\": [\"claude\", \"claude/opus\"]}\n",
    );
    env.qcli(&["enqueue", "--from-file", "jobs.jsonl"]).ok();
    let shown = env.json(&["show", "1"]);
    assert_eq!(shown["gates"], json!(["claude", "claude/opus"]));
    env.qcli(&["show", "1"]).ok().prints("claude, claude/opus");
    env.qcli(&["edit", "1", "--gate", "codex"]).ok();
    assert_eq!(env.json(&["show", "1"])["gates"], json!(["codex"]));
    let exported = env.qcli(&["export"]).ok().stdout;
    env.qcli(&["edit", "1", "--no-gates"]).ok();
    assert_eq!(env.json(&["show", "1"])["gates"], json!([]));
    env.file("out.jsonl", &exported);
    env.qcli(&["--db", "other.db", "import", "out.jsonl"]).ok();
    let there = env.json(&["--db", "other.db", "show", "1"]);
    assert_eq!(there["gates"], json!(["codex"]));
}

#[test]
fn gates_are_listed_a_line_each_for_programs() {
    let env = support::test_env!();
    env.qcli(&["gate", "close", "claude"]).ok();
    env.qcli(&["gate", "set", "codex", "--stagger", "10s"]).ok();
    let lines = env.qcli(&["gate", "list", "--jsonl"]).ok().json_lines();
    let named: Vec<_> = lines
        .iter()
        .map(|gate| (&gate["name"], &gate["state"]))
        .collect();
    assert_eq!(
        named,
        [
            (&json!("claude"), &json!("closed")),
            (&json!("codex"), &json!("open"))
        ]
    );
    assert_eq!(lines[1]["stagger_ms"], 10_000);
}
