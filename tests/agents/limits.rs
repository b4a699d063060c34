//! A limit of the provider holds back all that share the account, and costs nobody an attempt.

use support::{TestEnv, test_env, wait_until};

use crate::scene::{calls, with_agent};

/// The third call meets a limit that lifts after eight seconds; until then all calls do.
const LIMITED: &str = r#"
until=$(cat ../until 2>/dev/null || echo 0); now=$(date +%s)
if [ "$n" = 3 ]; then until=$((now + 8)); echo $until > ../until; fi
if [ "$now" -lt "$until" ]; then limit $until; fi
date +%s%N > ../calls/$n/let_through
sleep 0.3; ok
"#;

fn ten_jobs(lines: &str) -> (TestEnv, Vec<i64>) {
    let env = with_agent(test_env!(), "claude", lines);
    let config = env.root().join("home/config/qcli");
    std::fs::create_dir_all(&config).expect("it is there");
    std::fs::write(
        config.join("agents.toml"),
        "[agents.claude]\nstagger = '0s'\n",
    )
    .expect("it is there");
    let ask = ["--agent", "claude", "--prompt", "x", "--share-dir"];
    let jobs = (0..10).map(|_| env.enqueue(&ask)).collect();
    (env, jobs)
}

fn all_completed_by_one_attempt_in_their_own_session(env: &TestEnv, jobs: &[i64]) {
    let calls = calls(env);
    for job in jobs {
        let shown = env.show(*job);
        assert_eq!(shown["state"], "completed", "{shown:#}");
        assert_eq!(shown["attempt"], 1, "a limit is not a failure: {shown:#}");
        let attempts = shown["attempts"].as_array().expect("it is there");
        let sessions: Vec<_> = attempts.iter().map(|one| &one["session_id"]).collect();
        assert!(sessions.iter().all(|id| *id == sessions[0]), "{shown:#}");
        let session = sessions[0].as_str().expect("it is there");
        let starts = calls
            .iter()
            .filter(|call| call.value("--session-id") == Some(session));
        assert_eq!(starts.count(), 1, "it began once, and was resumed after");
        let is_limited = |one: &&serde_json::Value| one["class"] == "limit";
        for limited in attempts.iter().filter(is_limited) {
            assert!(
                limited["rule"]
                    .as_str()
                    .expect("it is there")
                    .contains("limit"),
                "{limited:#}"
            );
        }
        assert_eq!(attempts.last().expect("it is there")["cost_usd"], 0.25);
    }
}

#[test]
fn ten_jobs_wait_out_a_limit_one_tries_first_and_all_complete() {
    let (env, jobs) = ten_jobs(LIMITED);
    let worker = env.spawn_worker(&["-j", "4"]);
    wait_until("all have ended", || {
        jobs.iter().all(|job| env.state(*job) == "completed")
    });
    drop(worker);
    all_completed_by_one_attempt_in_their_own_session(&env, &jobs);
    // At most the four that ran at once met it: nothing new started in between.
    let met = limited_calls(&env, &jobs);
    assert!((1..=4).contains(&met), "{met}");
    assert_eq!(calls(&env).len(), 10 + met);
}

fn limited_calls(env: &TestEnv, jobs: &[i64]) -> usize {
    let of_job = |job: &i64| {
        let shown = env.show(*job);
        let attempts = shown["attempts"].as_array().expect("it is there").clone();
        attempts
            .iter()
            .filter(|one| one["class"] == "limit")
            .count()
    };
    jobs.iter().map(of_job).sum()
}

#[test]
fn the_gate_stays_closed_over_kill_9_of_all_workers() {
    let (env, jobs) = ten_jobs(LIMITED);
    let worker = env.spawn_worker(&["-j", "4"]);
    wait_until("the limit is met", || limited_calls(&env, &jobs) > 0);
    worker.signal(rustix::process::Signal::KILL);
    drop(worker);
    let before = calls(&env).len();
    let worker = env.spawn_worker(&["-j", "4"]);
    wait_until("all have ended", || {
        jobs.iter().all(|job| env.state(*job) == "completed")
    });
    drop(worker);
    all_completed_by_one_attempt_in_their_own_session(&env, &jobs);
    assert!(
        before <= 6,
        "{before} calls were made before the limit was known"
    );
}
