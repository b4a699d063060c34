//! `--agent claude,codex`: the next agent does the work while the account of the first has met a limit.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};
use support::{FakeAgents, TestEnv, fake_agents, test_env, wait_until};

/// Claude Code, which meets the limit of its account as long as the test says so.
const CLAUDE: &str = r#"
[limit]
at_start = 1000000
lifts_in_ms = 0
exit = 1
steps = [
    { print = '''{"type":"system","subtype":"init","session_id":"${session}","cwd":"${cwd}","model":"${model}","claude_code_version":"2.1.240"}''' },
    { print = '''{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":${epoch 3600},"rateLimitType":"five_hour"},"session_id":"${session}"}''' },
    { print = '''{"type":"result","subtype":"success","is_error":true,"num_turns":1,"result":"You've hit your session limit","session_id":"${session}","total_cost_usd":0,"terminal_reason":"api_error","api_error_status":429}''' },
]

[[run]]
steps = [
    { print = '''{"type":"system","subtype":"init","session_id":"${session}","cwd":"${cwd}","model":"${model}","claude_code_version":"2.1.240"}''' },
    { print = '''{"type":"assistant","message":{"id":"m1","model":"${model}","content":[{"type":"text","text":"Working."}],"usage":{"input_tokens":12,"output_tokens":4}},"session_id":"${session}"}''' },
    { print = '''{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"Done.","session_id":"${session}","total_cost_usd":0.25,"usage":{"input_tokens":12,"output_tokens":4},"modelUsage":{},"permission_denials":[]}''' },
]
"#;

/// Codex, which meets a limit of days as long as the test says so.
const CODEX: &str = r#"
[limit]
at_start = 1000000
lifts_in_ms = 0
exit = 1
steps = [
    { print = '''{"type":"thread.started","thread_id":"${session}"}''' },
    { print = '''{"type":"turn.started"}''' },
    { print = '''{"type":"turn.failed","error":{"message":"You've hit your usage limit. Try again in 4 days 20 hours 9 minutes."}}''' },
]

[[run]]
steps = [
    { print = '''{"type":"thread.started","thread_id":"${session}"}''' },
    { print = '''{"type":"turn.started"}''' },
    { await = "go" },
    { print = '''{"type":"item.completed","item":{"id":"item_1","type":"agent_message","text":"Done."}}''' },
    { print = '''{"type":"turn.completed","usage":{"input_tokens":1200,"cached_input_tokens":200,"output_tokens":50}}''' },
]
"#;

const FAR: i64 = i64::MAX;

/// A home where both agents can be called, each with an account of its own.
struct Both {
    env: TestEnv,
    claude: FakeAgents,
    codex: FakeAgents,
}

fn both() -> Both {
    let env = test_env!();
    let claude = fake_agents!(env.root().join("anthropic"));
    let codex = fake_agents!(env.root().join("openai"));
    claude.act_out("claude", CLAUDE);
    codex.act_out("codex", CODEX);
    let first = claude.path();
    let first = first.split(':').next().expect("it is in front");
    let path = format!("{first}:{}", codex.path());
    Both {
        env: env.with("PATH", &path),
        claude,
        codex,
    }
}

impl Both {
    fn enqueue(&self, more: &[&str]) -> i64 {
        let ask = ["--agent", "claude,codex", "--prompt", "the task"];
        self.env.enqueue(&[&ask[..], more].concat())
    }

    fn completes(&self, job: i64) -> Value {
        wait_until("it completes", || self.env.state(job) == "completed");
        self.env.show(job)
    }
}

fn texts<'a>(shown: &'a Value, field: &str) -> Vec<Option<&'a str>> {
    let attempts = shown["attempts"].as_array().expect("it is there");
    attempts.iter().map(|one| one[field].as_str()).collect()
}

fn log(attempt: &Value) -> String {
    let path = attempt["log"].as_str().expect("it has a log");
    fs::read_to_string(path).expect("it can be read")
}

#[test]
fn while_the_first_agent_is_limited_the_next_one_does_the_work_with_a_session_of_its_own() {
    let both = both();
    both.claude.limit_until(FAR);
    both.codex.say("go");
    let job = both.enqueue(&["--model", "opus,codex=gpt-5"]);
    let _worker = both.env.spawn_worker(&["-j", "2"]);
    let shown = both.completes(job);
    assert_eq!(shown["attempt"], 1, "the limit cost none: {shown:#}");
    assert_eq!(texts(&shown, "way"), [Some("claude"), Some("codex")]);
    assert_eq!(texts(&shown, "rung"), [Some("cold"), Some("fresh")]);
    assert_eq!(texts(&shown, "class"), [Some("limit"), None]);
    assert_eq!(
        texts(&shown, "rule"),
        [Some("claude-limit-event"), Some("codex-success")]
    );
    let told = log(&shown["attempts"][1]);
    assert!(
        told.contains("codex does this attempt in place of claude: gate claude is closed until"),
        "{told}"
    );
    assert!(!log(&shown["attempts"][0]).contains("in place of"));

    let (claude, codex) = (both.claude.starts(), both.codex.starts());
    assert_eq!((claude.len(), codex.len()), (1, 1));
    let words = |call: &Value| call["argv"].to_string();
    assert!(words(&claude[0]).contains("opus") && !words(&claude[0]).contains("gpt-5"));
    assert!(words(&codex[0]).contains("gpt-5") && !words(&codex[0]).contains("resume"));
    let prompt = codex[0]["stdin"].as_str().expect("it is told");
    assert!(
        prompt.starts_with("the task") && prompt.contains("claude worked on this task"),
        "{prompt}"
    );
    let page = both.env.qcli(&["show", "1"]).ok().stdout;
    assert!(
        page.contains(", else codex (codex, codex/default/gpt-5)"),
        "{page}"
    );

    // The next job need not meet the limit to know; the one after that finds the account open.
    let shown = both.completes(both.enqueue(&[]));
    assert_eq!(texts(&shown, "way"), [Some("codex")]);
    assert!(log(&shown["attempts"][0]).contains("in place of claude"));
    both.claude.limit_until(0);
    both.env.qcli(&["gate", "open", "claude"]).ok();
    let shown = both.completes(both.enqueue(&[]));
    assert_eq!(texts(&shown, "way"), [Some("claude")]);
}

#[test]
fn where_all_are_limited_it_waits_says_so_and_the_first_goes_on_with_its_own_session() {
    let both = both();
    both.claude.limit_until(FAR);
    both.codex.limit_until(FAR);
    let job = both.enqueue(&[]);
    let _worker = both.env.spawn_worker(&["-j", "2"]);
    wait_until("both were asked", || {
        let shown = both.env.show(job);
        let ended = texts(&shown, "ended_at");
        ended.len() == 2 && ended.iter().all(Option::is_some)
    });
    let why = both.env.json(&["why", "1"]);
    let told: Vec<_> = why["causes"]
        .as_array()
        .expect("it is there")
        .iter()
        .map(|cause| cause["text"].as_str().expect("it is a text"))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("go on by codex as well"), "{told:?}");
    let condition = both.env.show(job)["condition"].clone();
    let begins = |text: &str| text.starts_with("waiting for gate claude or codex, in ");
    assert!(condition.as_str().is_some_and(begins), "{condition}");
    assert!(
        told[0].contains("`claude`") && told[1].contains("`codex`"),
        "{told:?}"
    );

    both.claude.limit_until(0);
    both.env.qcli(&["gate", "open", "claude"]).ok();
    let shown = both.completes(job);
    assert_eq!(shown["attempt"], 1, "{shown:#}");
    let ways = [Some("claude"), Some("codex"), Some("claude")];
    assert_eq!(texts(&shown, "way"), ways);
    let sessions = texts(&shown, "session_id");
    assert_eq!(sessions[2], sessions[0], "it goes on with its own");
    assert_ne!(sessions[1], sessions[0]);
    let last = both.claude.starts().pop().expect("it was started");
    assert_eq!(last["resumed"], true, "{last:#}");
    let prompt = last["stdin"].as_str().expect("it is told");
    assert!(prompt.contains("codex has worked on it since"), "{prompt}");
}

#[test]
fn who_adopts_the_attempt_of_a_fallback_reads_it_as_that_agents() {
    let both = both();
    both.claude.limit_until(FAR);
    let job = both.enqueue(&[]);
    let worker = both.env.spawn_worker(&[]);
    wait_until("codex works", || both.codex.starts().len() == 1);
    wait_until("its process is noted", || {
        both.env.show(job)["attempts"][1]["pid"].is_number()
    });
    worker.signal(Signal::KILL);
    drop(worker);
    let _next = both.env.spawn_worker(&[]);
    wait_until("it is adopted", || {
        both.env.show(job)["attempts"][1]["adopted_by"].is_string()
    });
    both.codex.say("go");
    let shown = both.completes(job);
    assert_eq!(shown["attempts"][1]["rule"], "codex-success", "{shown:#}");
    assert_eq!(shown["attempts"][1]["way"], "codex");
}

#[test]
fn an_agent_that_is_not_installed_is_passed_over_and_one_that_is_not_known_is_refused() {
    let both = both();
    both.codex.say("go");
    fs::remove_file(both.env.root().join("anthropic/claude")).expect("it can be removed");
    let ask = ["enqueue", "--agent", "claude,codex", "--prompt", "x"];
    both.env
        .qcli(&ask)
        .ok()
        .says("another agent does the job unless it is there");
    let _worker = both.env.spawn_worker(&[]);
    let shown = both.completes(1);
    assert_eq!(texts(&shown, "way"), [Some("claude"), Some("codex")]);
    assert_eq!(texts(&shown, "class"), [Some("spawn_failed"), None]);
    for (agents, says) in [
        ("claude,cloude", "no agent `cloude`"),
        ("claude,claude", "claude twice"),
        ("claude,codex/work", "codex has no profile `work`"),
    ] {
        let ask = ["enqueue", "--agent", agents, "--prompt", "x"];
        both.env.qcli(&ask).exits(2).says(says);
    }
}

#[test]
fn a_file_and_an_edit_name_several_agents_and_the_gates_follow() {
    let env = test_env!();
    let lines = "{\"agent\":[\"claude\",\"codex\"],\"prompt\":\"one\",\"model\":\"opus,codex=gpt-5\",\"hold\":true}\n\
                 {\"agent\":\"codex\",\"prompt\":\"two\",\"gate\":\"network\",\"hold\":true}\n";
    env.file("jobs", lines);
    env.qcli(&["enqueue", "--from-file", "jobs"]).ok();
    let gates = |job: i64| {
        let shown = env.show(job);
        let ways = shown["ways"].as_array().expect("it is there").clone();
        let of_ways = ways.into_iter().map(|way| way["gates"].clone()).collect();
        (shown["gates"].clone(), Value::Array(of_ways))
    };
    let opus = json!(["claude", "claude/default/opus"]);
    let both = json!([opus, ["codex", "codex/default/gpt-5"]]);
    assert_eq!(gates(1), (json!([]), both));
    let task = &env.show(1)["agent"];
    assert_eq!(
        (&task["name"], &task["model"]),
        (&json!("claude"), &json!("opus"))
    );
    let other = json!([{ "name": "codex", "model": "gpt-5", "profile": null }]);
    assert_eq!(task["fallbacks"], other);

    assert_eq!(gates(2), (json!(["codex", "network"]), json!([])));
    env.qcli(&["edit", "2", "--agent", "claude,codex"]).ok();
    let ways = json!([["claude"], ["codex"]]);
    assert_eq!(
        gates(2),
        (json!(["network"]), ways),
        "what is not an agent's stays"
    );
    env.qcli(&["edit", "2", "--agent", "claude"]).ok();
    assert_eq!(gates(2), (json!(["claude", "network"]), json!([])));
    env.qcli(&["edit", "2", "--", "make"]).ok();
    assert_eq!(gates(2), (json!(["network"]), json!([])));
    let listed = env.qcli(&["list"]).ok().stdout;
    assert!(listed.contains("claude,codex: one"), "{listed}");
}
