//! A limit of the provider holds back all that share the account, and costs nobody an attempt.
//!
//! What happened in which order is read from what the doubles themselves have noted, line by line, as they
//! started and ended.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::Signal;
use serde_json::Value;
use support::{FakeAgents, Running, TestEnv, fake_agents, fixture, test_env, wait_until};

/// A job's second start is let through once the test says so: until then nobody knows whether the limit has lifted.
const SECOND_RUN: &str = r#"
[[run]]
steps = [
    { print = '''{"type":"system","subtype":"init","session_id":"${session}","cwd":"${cwd}","model":"${model}","claude_code_version":"2.1.240"}''' },
    { await = "go" },
    { print = '''{"type":"assistant","message":{"id":"m2","model":"${model}","content":[{"type":"text","text":"Working."}],"usage":{"input_tokens":12,"output_tokens":4}},"session_id":"${session}"}''' },
    { cost = 0.125 },
    { print = '''{"type":"result","subtype":"success","is_error":false,"num_turns":2,"result":"Done.","session_id":"${session}","total_cost_usd":${cost},"usage":{"input_tokens":12,"output_tokens":4},"modelUsage":{},"permission_denials":[]}''' },
]
"#;

/// Ten jobs of one account, whose third start meets a limit.
struct Ten {
    env: TestEnv,
    agents: FakeAgents,
    jobs: Vec<i64>,
}

fn ten_jobs(lifts_in_ms: u32) -> Ten {
    let env = test_env!();
    let agents = fake_agents!(env.root().join("agents"));
    let shared = fs::read_to_string(fixture("claude-shared-limit.toml")).expect("it is there");
    let (known, lifts) = ("lifts_in_ms = 8000", format!("lifts_in_ms = {lifts_in_ms}"));
    assert!(shared.contains(known), "{shared}");
    agents.act_out("claude", &(shared.replace(known, &lifts) + SECOND_RUN));
    let env = env.with("PATH", &agents.path());
    let config = env.root().join("home/config/qcli");
    fs::create_dir_all(&config).expect("it can be made");
    let no_stagger = "[agents.claude]\nstagger = '0s'\n";
    fs::write(config.join("agents.toml"), no_stagger).expect("it can be written");
    let ask = ["--agent", "claude", "--prompt", "x", "--share-dir"];
    let jobs = (0..10).map(|_| env.enqueue(&ask)).collect();
    Ten { env, agents, jobs }
}

impl Ten {
    fn gate(&self) -> Value {
        self.env.json(&["gate", "list"])["gates"][0].clone()
    }

    /// Waits until the gate has closed and all that was under way by then has ended; gives how many had started.
    fn wait_until_closed(&self) -> usize {
        wait_until("a limit closes the gate", || self.gate()["state"] != "open");
        let first_run = |call: &Value| call["run"] == 1;
        wait_until("what ran by then has ended", || {
            let calls = self.agents.calls();
            let started = calls.iter().filter(|call| first_run(call)).count();
            calls.iter().filter(|call| call["event"] == "end").count() == started
        });
        let starts = self.agents.starts();
        starts.into_iter().filter(first_run).count()
    }

    /// Waits for the one job that tries, and sees that no other one does although there is room; then lets it through.
    fn one_tries_first(&self, before: usize) {
        wait_until("one job tries", || self.agents.starts().len() > before);
        for _ in 0..4 {
            let free = self.env.enqueue(&["--", "true"]);
            wait_until("there is room for others", || {
                self.env.state(free) == "completed"
            });
        }
        let starts = self.agents.starts();
        assert_eq!(starts.len(), before + 1, "exactly one: {starts:#?}");
        assert_eq!(self.gate()["state"], "half_open");
        let lifted: i64 = fs::read_to_string(self.agents.state("limit_until"))
            .expect("there was a limit")
            .trim()
            .parse()
            .expect("it is a number");
        let tried = starts[before]["at"].as_i64().expect("it is a number");
        assert!(tried >= lifted, "tried at {tried}, lifted at {lifted}");
        self.agents.say("go");
    }

    fn all_complete(&self) {
        for job in &self.jobs {
            wait_until("it completes", || self.env.state(*job) == "completed");
        }
        let calls = self.agents.calls();
        let mut ends = BTreeMap::new();
        for call in calls.iter().filter(|call| call["event"] == "end") {
            ends.insert(call["pid"].as_u64(), call["exit"].as_i64());
        }
        let limited = |start: &&Value| ends[&start["pid"].as_u64()] == Some(1);
        let starts = self.agents.starts();
        let met = starts.iter().filter(limited).count();
        assert!((1..=4).contains(&met), "only who ran by then: {met}");
        assert_eq!(
            starts.len(),
            10 + met,
            "each limited one is started once more"
        );
        for job in &self.jobs {
            let number = Value::from(job.to_string());
            let of_job = |start: &&Value| start["env"]["QUEUE_JOB_ID"] == number;
            let own: Vec<&Value> = starts.iter().filter(of_job).collect();
            let shown = self.env.show(*job);
            assert_eq!(shown["attempt"], 1, "a limit is not a failure: {shown:#}");
            let attempts = shown["attempts"].as_array().expect("it is there");
            assert_eq!(attempts.len(), own.len(), "{shown:#}");
            for (at, (start, attempt)) in own.iter().zip(attempts).enumerate() {
                assert_eq!(start["session"], own[0]["session"], "{own:#?}");
                assert_eq!(attempt["session_id"], start["session"], "{shown:#}");
                assert_eq!(start["resumed"], at > 0, "it goes on with its own");
                assert_eq!(start["overlaps"], false, "{start:#}");
                let class = if limited(start) {
                    "limit".into()
                } else {
                    Value::Null
                };
                assert_eq!(attempt["class"], class, "{shown:#}");
            }
        }
    }
}

#[test]
fn ten_jobs_wait_out_a_limit_one_tries_first_and_all_complete() {
    let ten = ten_jobs(8_000);
    let worker = ten.env.spawn_worker(&["-j", "4"]);
    let met = ten.wait_until_closed();
    ten.one_tries_first(met);
    ten.all_complete();
    drop(worker);
}

#[test]
fn the_gate_stays_closed_over_kill_9_of_all_workers() {
    // Longer, so that it is still closed when a slow machine has killed and started them.
    let ten = ten_jobs(20_000);
    let spawn = || -> Vec<Running> { (0..2).map(|_| ten.env.spawn_worker(&["-j", "2"])).collect() };
    let workers = spawn();
    let met = ten.wait_until_closed();
    for worker in &workers {
        worker.signal(Signal::KILL);
    }
    drop(workers);
    assert_ne!(ten.gate()["state"], "open");
    let _workers = spawn();
    ten.one_tries_first(met);
    ten.all_complete();
}
