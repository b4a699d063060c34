//! What a job may cost: counted over all its attempts, and kept while one runs.

use support::{FakeAgents, TestEnv, test_env, wait_until};

use crate::stage::is_alive;

/// An environment whose jobs find these doubles.
fn with_doubles() -> (TestEnv, FakeAgents) {
    let env = test_env!();
    let agents = support::fake_agents!(env.root().join("agents"));
    let env = env.with("PATH", &agents.path());
    (env, agents)
}

/// What the doubles booked, in millionths of a dollar: as they print it.
fn booked(agents: &FakeAgents) -> i64 {
    let micros = |line: &serde_json::Value| {
        let cost = line["cost_usd"].as_f64().expect("a line has a cost");
        (cost * 1e6).round() as i64
    };
    agents.ledger().iter().map(micros).sum()
}

/// What the ledger has of a job, in millionths of a dollar.
fn spent(env: &TestEnv, job: i64) -> i64 {
    let spent = env.show(job)["spent"]["cost_usd"].as_f64();
    (spent.expect("the job has cost something") * 1e6).round() as i64
}

/// Two steps cost 1.10 dollars, and then it would go on for ever, with a grandchild in a session of its own.
const SPENDS: &str = r#"
[[run]]
steps = [
    { print = '''{"type":"step_start","sessionID":"${session}","part":{"type":"step-start"}}''' },
    { spawn = { kind = "setsid", seconds = 600, pid = "grandchild" } },
    { cost = 0.4 },
    { print = '''{"type":"step_finish","sessionID":"${session}","part":{"type":"step-finish","reason":"tool-calls","cost":0.4,"tokens":{"input":100,"output":20,"reasoning":0,"cache":{"read":0,"write":0}}}}''' },
    { cost = 0.7 },
    { print = '''{"type":"step_finish","sessionID":"${session}","part":{"type":"step-finish","reason":"tool-calls","cost":0.7,"tokens":{"input":100,"output":20,"reasoning":0,"cache":{"read":0,"write":0}}}}''' },
    "hang",
]
"#;

#[test]
fn an_attempt_that_passes_its_budget_is_ended_with_all_it_started() {
    let (env, agents) = with_doubles();
    agents.act_out("opencode", SPENDS);
    let job = env.enqueue(&["--agent", "opencode", "--prompt", "x", "--max-cost", "1usd"]);
    env.drain();
    let shown = env.show(job);
    assert_eq!(
        (&shown["state"], &shown["class"]),
        (&"failed".into(), &"over_budget".into()),
        "{shown:#}"
    );
    let attempt = &shown["attempts"][0];
    assert_eq!(attempt["rule"], "over-budget", "{shown:#}");
    let message = attempt["message"].as_str().expect("it says why");
    assert!(message.contains("$1.10 of $1.00"), "{message}");
    assert_eq!(
        shown["attempts"].as_array().map(Vec::len),
        Some(1),
        "no other one follows"
    );
    assert_eq!((spent(&env, job), booked(&agents)), (1_100_000, 1_100_000));
    let pid = std::fs::read_to_string(agents.state("grandchild")).expect("it was started");
    wait_until("the grandchild is gone", || !is_alive(&pid));

    // Asked for again it does not start: nothing is left.
    env.qcli(&["requeue", &job.to_string()]).ok();
    env.drain();
    let shown = env.show(job);
    assert_eq!(shown["class"], "over_budget", "{shown:#}");
    assert_eq!(agents.starts().len(), 1, "{shown:#}");
    let page = env.qcli(&["show", &job.to_string()]).ok().stdout;
    assert!(page.contains("nothing is left of the budget"), "{page}");
    assert!(page.contains("--max-cost USD"), "{page}");

    // With more it goes on.
    env.qcli(&["requeue", &job.to_string(), "--max-cost", "2"])
        .ok();
    env.drain();
    assert_eq!(agents.starts().len(), 2);
    assert_eq!((spent(&env, job), booked(&agents)), (2_200_000, 2_200_000));
}

#[test]
fn tokens_are_bounded_where_nobody_names_a_price() {
    let (env, agents) = with_doubles();
    agents.act_out(
        "claude",
        r#"
        [[run]]
        steps = [
            { print = '''{"type":"system","subtype":"init","session_id":"${session}","model":"${model}"}''' },
            { print = '''{"type":"assistant","message":{"id":"m1","model":"${model}","content":[],"usage":{"input_tokens":900,"output_tokens":200}},"session_id":"${session}"}''' },
            "hang",
        ]
        "#,
    );
    let job = env.enqueue(&["--agent", "claude", "--prompt", "x", "--max-tokens", "1k"]);
    env.drain();
    let shown = env.show(job);
    assert_eq!(shown["class"], "over_budget", "{shown:#}");
    let spent = &shown["spent"];
    assert_eq!(
        (
            &spent["cost_usd"],
            &spent["tokens"],
            &spent["unpriced_tokens"]
        ),
        (&serde_json::Value::Null, &1_100.into(), &1_100.into()),
        "an unknown price is no zero: {shown:#}"
    );
    let page = env.qcli(&["show", &job.to_string()]).ok().stdout;
    assert!(page.contains("1.1k of 1k tokens"), "{page}");
}

#[test]
fn a_bound_that_nobody_could_keep_is_refused() {
    let env = test_env!();
    env.qcli(&["enqueue", "--max-cost", "1", "--", "make"])
        .exits(2)
        .says("what a command costs is known only of agents");
    env.qcli(&[
        "enqueue",
        "--agent",
        "claude",
        "--prompt",
        "x",
        "--max-cost",
        "0",
    ])
    .exits(2)
    .says("would let nothing run");
    env.qcli(&[
        "enqueue",
        "--agent",
        "claude",
        "--prompt",
        "x",
        "--max-cost",
        "5eur",
    ])
    .exits(2)
    .says("not an amount of US dollars");
    env.qcli(&[
        "enqueue",
        "--agent",
        "claude",
        "--prompt",
        "x",
        "--max-tokens",
        "0.1234k",
    ])
    .exits(2)
    .says("a number of tokens");
}
