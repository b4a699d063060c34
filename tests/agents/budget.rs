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

    // Nor with less than it has cost: that is refused before anything changes.
    let number = job.to_string();
    env.qcli(&["requeue", &number, "--max-cost", "1"])
        .exits(2)
        .says("it has used $1.10 of $1.00")
        .says(&format!("`qcli requeue {job} --max-cost 2.1`"));
    assert_eq!(env.show(job), shown);

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

/// A limit in the middle of the work, then an error of the provider's, then success; each costs something.
const THREE_RUNS: &str = r#"
[[run]]
exit = 1
steps = [
    { print = '''{"type":"system","subtype":"init","session_id":"${session}","model":"${model}"}''' },
    { print = '''{"type":"assistant","message":{"id":"m1","model":"${model}","content":[],"usage":{"input_tokens":120,"output_tokens":40}},"session_id":"${session}"}''' },
    { cost = 1.254321 },
    { print = '''{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":${epoch 3600},"rateLimitType":"five_hour"},"session_id":"${session}"}''' },
    { print = '''{"type":"result","subtype":"success","is_error":true,"num_turns":1,"result":"You've hit your session limit","session_id":"${session}","total_cost_usd":${cost},"modelUsage":{"${model}":{"inputTokens":9000,"outputTokens":700},"side":{"inputTokens":10,"outputTokens":1,"costUSD":0.1}},"terminal_reason":"api_error","api_error_status":429}''' },
]

[[run]]
exit = 1
steps = [
    { print = '''{"type":"system","subtype":"init","session_id":"${session}","model":"${model}"}''' },
    { cost = 0.05 },
    { print = '''{"type":"result","subtype":"error_during_execution","is_error":true,"num_turns":1,"session_id":"${session}","total_cost_usd":${cost},"modelUsage":{"${model}":{"inputTokens":100,"outputTokens":7,"costUSD":${cost}}}}''' },
]

[[run]]
steps = [
    { print = '''{"type":"system","subtype":"init","session_id":"${session}","model":"${model}"}''' },
    { cost = 0.125 },
    { print = '''{"type":"result","subtype":"success","is_error":false,"num_turns":2,"result":"Done.","session_id":"${session}","total_cost_usd":${cost},"modelUsage":{"${model}":{"inputTokens":120,"outputTokens":40,"costUSD":${cost}}}}''' },
]
"#;

#[test]
fn costs_add_up_to_the_doubles_ledger_over_limits_retries_and_resumes() {
    let (env, agents) = with_doubles();
    agents.act_out("claude", THREE_RUNS);
    let ask = |tag: &str| {
        let tag = format!("team={tag}");
        env.enqueue(&[
            "--agent",
            "claude",
            "--prompt",
            "x",
            "--model",
            "opus",
            "--backoff",
            "none",
            "--tag",
            &tag,
        ])
    };
    let jobs = [ask("web"), ask("core")];
    // Both meet the limit: a person knows better, twice.
    for job in jobs {
        env.drain();
        env.qcli(&["gate", "open", "claude"]).ok();
        assert_ne!(env.state(job), "failed", "{}", env.scene());
    }
    env.qcli(&["work", "--drain=all"]).ok();
    for job in jobs {
        let shown = env.show(job);
        assert_eq!(shown["state"], "completed", "{shown:#}");
        assert_eq!(
            shown["attempts"].as_array().map(Vec::len),
            Some(3),
            "{shown:#}"
        );
        assert_eq!(shown["attempts"][2]["rung"], "resume", "{shown:#}");
        assert_eq!(spent(&env, job), 1_429_321, "{shown:#}");
    }
    let micros = |sum: &serde_json::Value| {
        (sum["cost_usd"].as_f64().expect("it is priced") * 1e6).round() as i64
    };
    let by = |what: &str| env.json(&["cost", "--by", what]);
    let total = by("day");
    assert_eq!(micros(&total["total"]), booked(&agents), "{total:#}");
    assert_eq!(total["total"]["attempts"], 6);
    let models = by("model");
    assert_eq!(models["rows"][0]["model"], "opus", "{models:#}");
    assert_eq!(
        micros(&models["rows"][1]),
        200_000,
        "the model that has a price of its own"
    );
    let tags = by("tag");
    assert_eq!(tags["rows"].as_array().map(Vec::len), Some(2), "{tags:#}");
    assert_eq!(micros(&tags["rows"][1]), 1_429_321, "{tags:#}");
    let web = env.json(&["cost", "--by", "job", "--tag", "team=web"]);
    assert_eq!(
        (&web["rows"][0]["job"], web["rows"].as_array().map(Vec::len)),
        (&jobs[0].into(), Some(1))
    );
    // The history of money outlives the jobs.
    env.qcli(&["prune", "--older-than", "0s"]).ok();
    assert_eq!(micros(&by("queue")["total"]), booked(&agents));
}

/// Costs 0.4, waits for `go`, and costs 0.3 more.
const IN_TWO_STEPS: &str = r#"
[[run]]
steps = [
    { print = '''{"type":"step_start","sessionID":"${session}","part":{"type":"step-start"}}''' },
    { cost = 0.4 },
    { print = '''{"type":"step_finish","sessionID":"${session}","part":{"type":"step-finish","reason":"tool-calls","cost":0.4,"tokens":{"input":100,"output":20,"reasoning":0,"cache":{"read":0,"write":0}}}}''' },
    { await = "go" },
    { print = '''{"type":"text","sessionID":"${session}","part":{"type":"text","text":"Done."}}''' },
    { cost = 0.3 },
    { print = '''{"type":"step_finish","sessionID":"${session}","part":{"type":"step-finish","reason":"stop","cost":0.3,"tokens":{"input":100,"output":20,"reasoning":0,"cache":{"read":0,"write":0}}}}''' },
]
"#;

fn first_step_is_booked(env: &TestEnv, job: i64) {
    wait_until("the first step is booked", || {
        env.show(job)["spent"]["cost_usd"] == 0.4
    });
}

#[test]
fn an_adopted_attempt_costs_what_it_cost_and_its_adopter_keeps_the_budget() {
    let (env, agents) = with_doubles();
    agents.act_out("opencode", IN_TWO_STEPS);
    let ask = ["--agent", "opencode", "--prompt", "x", "--max-cost"];
    let whole = env.enqueue(&[&ask[..], &["1"]].concat());
    let bounded = env.enqueue(&[&ask[..], &["0.6", "--share-dir"]].concat());
    let worker = env.spawn_worker(&["-j", "2"]);
    first_step_is_booked(&env, whole);
    first_step_is_booked(&env, bounded);
    worker.signal(rustix::process::Signal::KILL);
    drop(worker);
    let worker = env.spawn_worker(&["-j", "2"]);
    wait_until("they are adopted", || {
        [whole, bounded]
            .iter()
            .all(|job| !env.show(*job)["attempts"][0]["adopted_by"].is_null())
    });
    agents.say("go");
    wait_until("they have ended", || {
        [whole, bounded]
            .iter()
            .all(|job| env.state(*job) != "in_progress")
    });
    drop(worker);
    assert_eq!(env.state(whole), "completed", "{}", env.scene());
    assert_eq!(agents.starts().len(), 2, "nothing ran twice");
    assert_eq!(
        (spent(&env, whole), spent(&env, bounded)),
        (700_000, 700_000)
    );
    assert_eq!(booked(&agents), 1_400_000);
}

#[test]
fn what_an_attempt_cost_that_died_with_worker_and_supervisor_counts() {
    let (env, agents) = with_doubles();
    let waits = IN_TWO_STEPS.replacen(
        "{ cost = 0.4 },",
        "{ await = \"begin\" },\n    { cost = 0.4 },",
        1,
    );
    agents.act_out("opencode", &waits);
    let job = env.enqueue(&[
        "--agent",
        "opencode",
        "--prompt",
        "x",
        "--max-cost",
        "0.3",
        "--hold",
    ]);
    env.qcli(&["edit", &job.to_string(), "--max-cost", "2"])
        .ok();
    env.qcli(&["release", &job.to_string()]).ok();
    let worker = env.spawn_worker(&[]);
    // Before that nobody knows where its log is.
    wait_until("it has begun, and that is recorded", || {
        agents.starts().len() == 1 && !env.show(job)["attempts"][0]["pid"].is_null()
    });
    // The worker reads nothing any more.
    worker.signal(rustix::process::Signal::STOP);
    agents.say("begin");
    wait_until("its first step is in the log", || {
        env.qcli(&["logs", &job.to_string()])
            .ok()
            .stdout
            .contains("step_finish")
    });
    worker.signal(rustix::process::Signal::KILL);
    drop(worker);
    env.kill_shims();
    agents.say("go");
    env.drain();
    let shown = env.show(job);
    assert_eq!(shown["state"], "completed", "{shown:#}");
    assert_eq!(shown["attempts"][0]["class"], "worker_died", "{shown:#}");
    assert_eq!(
        (spent(&env, job), booked(&agents)),
        (1_100_000, 1_100_000),
        "{shown:#}"
    );
}

#[test]
fn a_hard_budget_stops_what_runs_and_its_job_goes_on_with_its_session_when_there_is_more() {
    let (env, agents) = with_doubles();
    agents.act_out("opencode", IN_TWO_STEPS);
    env.qcli(&["budget", "set", "night", "--max-cost", "0.3", "--hard"])
        .ok();
    let job = env.enqueue(&["--agent", "opencode", "--prompt", "x"]);
    let worker = env.spawn_worker(&[]);
    wait_until("it is handed back", || {
        env.show(job)["attempts"][0]["class"] == "interrupted"
    });
    let shown = env.show(job);
    assert_eq!(shown["attempt"], 0, "it costs no attempt: {shown:#}");
    assert_eq!(
        shown["attempts"][0]["message"],
        "stopped: budget night is used up"
    );
    let why = env.qcli(&["why", &job.to_string()]).ok().stdout;
    assert!(
        why.contains("Budget `night` is used up: $0.40 of $0.30"),
        "{why}"
    );
    agents.say("go");
    env.qcli(&["budget", "set", "night", "--max-cost", "5"])
        .ok();
    wait_until("it goes on", || env.state(job) == "completed");
    drop(worker);
    let shown = env.show(job);
    assert_eq!(shown["attempts"][1]["rung"], "resume", "{shown:#}");
    assert_eq!(spent(&env, job), booked(&agents));
    let listed = env.json(&["budget", "list"]);
    assert_eq!(
        (&listed[0]["name"], &listed[0]["spent"]["cost_usd"]),
        (&"night".into(), &1.1.into())
    );
}

#[test]
fn an_agent_that_can_bound_itself_is_given_what_is_left() {
    let (env, agents) = with_doubles();
    agents.act_out("claude", THREE_RUNS);
    let line = r#"{"agent":"claude","prompt":"x","model":"opus","backoff":"none","max_cost":"1.5usd","max_tokens":"9M"}"#;
    let file = env.file("jobs.jsonl", line);
    let file = file.to_str().expect("the path is text");
    let job = env.qcli(&["enqueue", "--from-file", file]).ok().id();
    env.drain();
    env.qcli(&["gate", "open", "claude"]).ok();
    env.qcli(&["work", "--drain=all"]).ok();
    let given: Vec<_> = agents
        .starts()
        .iter()
        .map(|start| {
            let argv = start["argv"].as_array().cloned().unwrap_or_default();
            let words = argv.iter().filter_map(|word| word.as_str());
            let mut bounds = words.filter_map(|word| word.strip_prefix("--max-budget-usd="));
            bounds.next().map(str::to_owned)
        })
        .collect();
    let expected = ["1.5", "0.245679", "0.195679"].map(|left| Some(left.to_owned()));
    assert_eq!(given, expected, "{}", env.scene());
    let page = env.qcli(&["show", &job.to_string()]).ok().stdout;
    assert!(page.contains("$1.4293 of $1.50"), "{page}");
    let options = &env.show(job)["options"];
    assert_eq!(
        (&options["max_cost"], &options["max_tokens"]),
        (&"1.5".into(), &9_000_000.into())
    );
}

/// Each turn names what the thread used since it began.
const CUMULATIVE: &str = r#"
[[run]]
steps = [
    { print = '''{"type":"thread.started","thread_id":"${session}"}''' },
    { print = '''{"type":"item.completed","item":{"id":"i0","type":"agent_message","text":"Done."}}''' },
    { print = '''{"type":"turn.completed","usage":{"input_tokens":1200,"cached_input_tokens":200,"output_tokens":50}}''' },
]

[[run]]
steps = [
    { print = '''{"type":"thread.started","thread_id":"${session}"}''' },
    { print = '''{"type":"item.completed","item":{"id":"i1","type":"agent_message","text":"Done indeed."}}''' },
    { print = '''{"type":"turn.completed","usage":{"input_tokens":3000,"cached_input_tokens":500,"output_tokens":120}}''' },
]
"#;

// openai/codex#17539: usage of a resumed thread is that of the whole thread.
#[test]
fn a_resumed_thread_that_counts_from_its_beginning_costs_what_it_cost_once() {
    let (env, agents) = with_doubles();
    agents.act_out("codex", CUMULATIVE);
    let check = "test -e marker || { touch marker; false; }";
    let job = env.enqueue(&[
        "--agent",
        "codex",
        "--prompt",
        "x",
        "--backoff",
        "none",
        "--check",
        check,
    ]);
    env.qcli(&["work", "--drain=all"]).ok();
    let shown = env.show(job);
    assert_eq!(shown["state"], "completed", "{shown:#}");
    assert_eq!(shown["attempts"][1]["rung"], "resume", "{shown:#}");
    let spent = &shown["spent"];
    assert_eq!(
        (&spent["tokens"], &spent["unpriced_tokens"]),
        (&3_120.into(), &3_120.into()),
        "{shown:#}"
    );
    assert!(
        spent["cost_usd"].is_null(),
        "nobody said a price: {shown:#}"
    );
    let table = env.qcli(&["cost", "--by", "agent"]).ok().stdout;
    assert!(
        table.contains("unpriced") && !table.contains("$0.00"),
        "{table}"
    );
}
