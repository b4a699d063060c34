//! Many jobs of one account at once: they start one after the other, and what stops one of them stops all in time.

use std::fs;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use support::{FakeAgents, TestEnv, fake_agents, test_env, wait_until};

/// Jobs of one agent, whose starts are this far apart.
struct Crowd {
    env: TestEnv,
    agents: FakeAgents,
}

fn crowd(scenario: &str, stagger: &str) -> Crowd {
    let env = test_env!();
    let agents = fake_agents!(env.root().join("agents"));
    agents.act("claude", scenario);
    let env = env.with("PATH", &agents.path());
    let config = env.root().join("home/config/qcli");
    fs::create_dir_all(&config).expect("it can be made");
    let text = format!("[agents.claude]\nstagger = '{stagger}'\n");
    fs::write(config.join("agents.toml"), text).expect("it can be written");
    Crowd { env, agents }
}

impl Crowd {
    fn enqueue(&self, count: usize, more: &[&str]) -> Vec<i64> {
        let ask = ["--agent", "claude", "--prompt", "x", "--share-dir"];
        let ask = [&ask[..], more].concat();
        (0..count).map(|_| self.env.enqueue(&ask)).collect()
    }

    fn gate(&self) -> Value {
        self.env.json(&["gate", "list"])["gates"][0].clone()
    }

    fn all_complete(&self, jobs: &[i64]) {
        for job in jobs {
            wait_until("it completes", || self.env.state(*job) == "completed");
        }
    }

    /// When the attempts of these jobs were claimed, in order.
    fn claims(&self, jobs: &[i64]) -> Vec<DateTime<Utc>> {
        let mut claims: Vec<DateTime<Utc>> = jobs
            .iter()
            .flat_map(|job| {
                let shown = self.env.show(*job);
                shown["attempts"].as_array().expect("it is there").clone()
            })
            .map(|attempt| {
                let at = attempt["claimed_at"].as_str().expect("it was claimed");
                at.parse().expect("it is a time")
            })
            .collect();
        claims.sort_unstable();
        claims
    }
}

fn are_apart(claims: &[DateTime<Utc>], gap: Duration) {
    for pair in claims.windows(2) {
        let between = (pair[1] - pair[0]).to_std().expect("they are in order");
        assert!(between >= gap, "{between:?}: {claims:#?}");
    }
}

// A5: agents that refresh one login at the same moment log each other out, and agents that start at
// once damage the settings that they share.
#[test]
fn twenty_starts_through_one_account_are_spread_and_an_opening_is_followed_by_no_burst() {
    let crowd = crowd("claude-ok", "250ms");
    let first = crowd.enqueue(10, &[]);
    let _worker = crowd.env.spawn_worker(&["-j", "20"]);
    crowd.all_complete(&first);
    crowd.env.qcli(&["gate", "close", "claude"]).ok();
    let second = crowd.enqueue(10, &[]);
    crowd.env.qcli(&["gate", "open", "claude"]).ok();
    crowd.all_complete(&second);
    assert_eq!(crowd.agents.starts().len(), 20);
    // A person who opens a gate lets one through at once, whenever the last one started.
    for jobs in [first, second] {
        are_apart(&crowd.claims(&jobs), Duration::from_millis(250));
    }
}

// A5: the profile of an agent says how far apart its starts are, without anybody asking for it.
#[test]
fn the_starts_of_an_agent_are_kept_apart_without_being_asked_for() {
    let env = test_env!();
    let agents = fake_agents!(env.root().join("agents"));
    agents.act("claude", "claude-ok");
    let env = env.with("PATH", &agents.path());
    let crowd = Crowd { env, agents };
    let jobs = crowd.enqueue(3, &[]);
    let _worker = crowd.env.spawn_worker(&["-j", "3"]);
    crowd.all_complete(&jobs);
    are_apart(&crowd.claims(&jobs), Duration::from_secs(2));
}

// A5: a login that is gone holds the account instead of failing every job that uses it.
#[test]
fn a_missing_login_holds_the_account_and_costs_twenty_jobs_nothing() {
    let crowd = crowd("claude-auth", "0s");
    let jobs = crowd.enqueue(20, &[]);
    let worker = crowd.env.spawn_worker(&["-j", "4"]);
    wait_until("the gate waits for a person", || {
        let gate = crowd.gate();
        (&gate["reason"], &gate["until"]) == (&"auth".into(), &Value::Null)
    });
    let free = crowd.env.enqueue(&["--", "true"]);
    crowd.all_complete(&[free]);
    wait_until("nothing runs", || {
        jobs.iter().all(|job| crowd.env.state(*job) == "pending")
    });
    let started = crowd.agents.starts().len();
    assert!((1..=8).contains(&started), "{started} of twenty were asked");
    for job in &jobs {
        let shown = crowd.env.show(*job);
        assert_eq!(
            (&shown["state"], &shown["attempt"]),
            (&"pending".into(), &0.into())
        );
    }
    let told = worker.stderr();
    assert_eq!(told.matches("qcli gate open claude").count(), 1, "{told}");

    crowd.agents.act("claude", "claude-ok");
    crowd.env.qcli(&["gate", "open", "claude"]).ok();
    crowd.all_complete(&jobs);
}

// One class that hits several jobs in a short time is no matter of any of them.
#[test]
fn a_provider_that_is_away_for_three_jobs_is_asked_no_more_by_the_others() {
    let crowd = crowd("claude-529", "0s");
    let jobs = crowd.enqueue(6, &["--backoff", "fixed:1h"]);
    let _worker = crowd.env.spawn_worker(&["-j", "1"]);
    wait_until("the gate closes", || crowd.gate()["state"] == "closed");
    assert_eq!(crowd.gate()["reason"], "breaker");
    let free = crowd.env.enqueue(&["--", "true"]);
    crowd.all_complete(&[free]);
    assert_eq!(crowd.agents.starts().len(), 3);
    for (place, job) in jobs.iter().enumerate() {
        let shown = crowd.env.show(*job);
        let expected = if place < 3 { 1 } else { 0 };
        assert_eq!(shown["attempt"], expected, "{shown:#}");
        let class = if place < 3 {
            "unavailable".into()
        } else {
            Value::Null
        };
        assert_eq!(shown["class"], class, "{shown:#}");
    }
}
