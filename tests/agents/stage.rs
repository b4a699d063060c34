//! Plays a scenario under the supervisor and judges its log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use chrono_tz::Tz;
use queue_core::Timestamp;
use queue_worker::agent::detect::{End, Scope, Stopped, Verdict, judge};
use queue_worker::agent::facts::Facts;
use queue_worker::agent::rollout;
use queue_worker::agent::rules::Rules;
use queue_worker::agent::stream::Format;
use queue_worker::agent::tail::Tail;
use queue_worker::supervisor::{Control, Ended, Spec, Status, StopCause, StopSignal, supervise};
use serde::Deserialize;
use support::{FakeAgents, fixture, wait_until};
use tempfile::TempDir;

/// What a file of scenarios says to its test.
#[derive(Debug, Deserialize)]
struct Told {
    agent: String,
    #[serde(default)]
    args: Vec<String>,
    expect: Expected,
}

/// What is to come of a scenario's first run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    outcome: String,
    rule: String,
    /// The reset lies so many seconds ahead, at least and at most.
    resets_in: Option<(i64, i64)>,
    /// `never`, where there is to be none.
    resets: Option<String>,
    model: Option<String>,
    cost: Option<f64>,
    turns: Option<u32>,
    tokens: Option<u64>,
    denied: Option<u32>,
    retries: Option<u32>,
    unknown_lines: Option<u64>,
    question: Option<String>,
    answered: Option<bool>,
    /// Whether the session that the double opened is known.
    #[serde(default)]
    session: bool,
    /// `text`, where the output is no JSON.
    format: Option<Format>,
    /// When we stop it: `working` or `result`.
    stop: Option<String>,
    /// Whether the first stop does not end it.
    #[serde(default)]
    force: bool,
    /// Whether it is stopped because it does nothing.
    #[serde(default)]
    idle: bool,
    /// Whether it waits for `go`.
    #[serde(default)]
    go: bool,
    /// Whether a start before this one has the same arguments.
    #[serde(default)]
    twice: bool,
    /// Whether it needs a repository.
    #[serde(default)]
    repository: bool,
    /// Whether the record of its session is looked into.
    #[serde(default)]
    rollout: bool,
    /// Grandchildren that are to be gone.
    #[serde(default)]
    gone: Vec<String>,
}

/// Plays the scenario of that name and checks what its file expects.
pub(crate) fn play(name: &str) {
    let text = fs::read_to_string(fixture(&format!("{name}.toml"))).expect("the scenario is there");
    let told: Told = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let stage = Stage::new(&told, name);
    if told.expect.repository {
        stage.make_repository();
    }
    if told.expect.go {
        stage.agents.say("go");
    }
    if told.expect.twice {
        stage.run(&told.expect);
    }
    let (status, before) = stage.run(&told.expect);
    stage.check(&told.expect, &status, before);
}

struct Stage {
    dir: TempDir,
    agents: FakeAgents,
    agent: String,
    spec: Spec,
}

impl Stage {
    fn new(told: &Told, scenario: &str) -> Self {
        let dir =
            tempfile::tempdir().expect("the system's directory for temporary files can be written");
        let agents = support::fake_agents!(dir.path().join("agents"));
        let program = agents.act(&told.agent, scenario);
        let work = dir.path().join("work");
        fs::create_dir(&work).expect("a fresh directory is empty");
        let mut spec = Spec::new(1, 1, 1, program, &work, dir.path().join("log"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        spec.env = vec![
            ("PATH".into(), path),
            ("HOME".into(), dir.path().into()),
            ("GIT_CONFIG_NOSYSTEM".into(), "1".into()),
        ];
        spec.stop_signal = StopSignal::Int;
        spec.args = told.args.iter().map(Into::into).collect();
        Self {
            dir,
            agents,
            agent: told.agent.clone(),
            spec,
        }
    }

    fn make_repository(&self) {
        let git = Command::new("git")
            .args(["init", "-q"])
            .current_dir(&self.spec.cwd)
            .status();
        assert!(git.expect("git can be started").success());
    }

    fn tail(&self, expect: &Expected) -> Tail {
        let format = expect
            .format
            .unwrap_or_else(|| Format::of_agent(&self.agent));
        Tail::new(&self.spec.log, format, Facts::of(&self.agent))
    }

    /// Runs it; stops it when it is told to. Gives also the moment before.
    fn run(&self, expect: &Expected) -> (Status, Timestamp) {
        let before = now();
        // One log per attempt.
        let _ = fs::remove_file(&self.spec.log);
        let control = Control::new().expect("there are file descriptors left");
        let status = thread::scope(|scope| {
            if let Some(when) = &expect.stop {
                let control = &control;
                scope.spawn(move || {
                    let _stopped_at_last = StopWhenDropped(control);
                    self.await_moment(when, expect);
                    control.stop(cause(expect));
                    if expect.force {
                        // It shuts out what asks it to stop: only SIGKILL is left.
                        control.stop(cause(expect));
                    }
                });
            }
            supervise(&self.spec, &control)
        });
        (status, before)
    }

    fn await_moment(&self, when: &str, expect: &Expected) {
        let mut tail = self.tail(expect);
        wait_until("the agent has got so far", || {
            tail.advance().expect("the log can be read");
            match when {
                "result" => tail.facts().finished,
                _ => tail.facts().events > 0,
            }
        });
    }

    fn check(&self, expect: &Expected, status: &Status, before: Timestamp) {
        let mut facts = self.tail(expect).finish().expect("the log can be read");
        if expect.rollout {
            let session = facts.session_id.clone().expect("the session is known");
            let record = rollout::find(&self.spec.cwd.join("codex-home"), &session)
                .expect("there is a record");
            facts.limit_event = rollout::limit_event(&record).expect("it can be read");
        }
        let end = end_of(status, expect);
        let verdict = judge(&Rules::built_in(), &facts, &end, now(), Tz::UTC);
        let scene = || {
            format!(
                "{verdict:#?}\n{facts:#?}\n{status:#?}\n{:?}",
                self.agents.calls()
            )
        };
        let judged = (verdict.outcome.as_str(), verdict.rule.as_str());
        assert_eq!(
            judged,
            (expect.outcome.as_str(), expect.rule.as_str()),
            "{}",
            scene()
        );
        assert_eq!(verdict.matched.first(), Some(&verdict.rule), "{}", scene());
        assert!(!verdict.evidence.is_empty(), "{}", scene());
        check_reset(expect, &verdict, before);
        check_facts(expect, &facts);
        if expect.session {
            let opened = &self.agents.starts()[0]["session"];
            assert_eq!(facts.session_id.as_deref(), opened.as_str(), "{}", scene());
        }
        for name in &expect.gone {
            let pid =
                fs::read_to_string(self.agents.state(name)).expect("the grandchild was started");
            wait_until("the grandchild is gone", || !is_alive(&pid));
        }
        self.check_booked(expect);
    }

    /// The ledger of the double has the cost that was read.
    fn check_booked(&self, expect: &Expected) {
        let Some(cost) = expect.cost.filter(|_| self.agent == "claude") else {
            return;
        };
        let booked: f64 = self
            .agents
            .ledger()
            .iter()
            .filter_map(|line| line["cost_usd"].as_f64())
            .sum();
        assert!(
            (booked - cost).abs() < 1e-9,
            "{booked} {cost} in {}",
            self.dir.path().display()
        );
    }
}

fn check_reset(expect: &Expected, verdict: &Verdict, before: Timestamp) {
    if let Some((least, most)) = expect.resets_in {
        let reset = verdict
            .reset
            .unwrap_or_else(|| panic!("no reset: {verdict:#?}"));
        let earliest = before.as_millis() + least * 1000;
        let latest = now().as_millis() + most * 1000;
        assert!(
            (earliest..=latest).contains(&reset.as_millis()),
            "{verdict:#?}"
        );
    }
    if expect.resets.is_some() {
        assert_eq!(verdict.reset, None);
    }
    if let Some(model) = &expect.model {
        assert_eq!(verdict.scope, Scope::Model(model.clone()));
    } else if ["limit", "billing", "auth"].contains(&expect.outcome.as_str()) {
        assert_eq!(verdict.scope, Scope::Agent);
    }
}

fn check_facts(expect: &Expected, facts: &Facts) {
    fn same<T: PartialEq + std::fmt::Debug>(
        what: &str,
        expected: Option<T>,
        found: &T,
        facts: &Facts,
    ) {
        if let Some(expected) = expected {
            assert_eq!(found, &expected, "{what} in {facts:#?}");
        }
    }
    same("turns", expect.turns, &facts.turns, facts);
    same("tokens", expect.tokens, &facts.tokens(), facts);
    same("denied", expect.denied, &facts.denied, facts);
    same("retries", expect.retries, &facts.retries, facts);
    same(
        "unknown lines",
        expect.unknown_lines,
        &facts.unknown_lines,
        facts,
    );
    same("first answer", expect.answered, &facts.first_answer, facts);
    same(
        "question",
        expect.question.clone().map(Some),
        &facts.question,
        facts,
    );
    if let Some(cost) = expect.cost {
        let found = facts
            .cost_usd
            .unwrap_or_else(|| panic!("unpriced: {facts:#?}"));
        assert!((found - cost).abs() < 1e-9, "{found} in {facts:#?}");
    }
}

fn cause(expect: &Expected) -> StopCause {
    if expect.idle {
        StopCause::IdleTimeout
    } else {
        StopCause::Cancelled
    }
}

/// The end as the worker knows it: one that was stopped behind its final event lingered.
fn end_of(status: &Status, expect: &Expected) -> End {
    let end = match &status.ended {
        Ended::Exited { code } => End::exited(*code),
        Ended::Signalled { signal } => End::signalled(*signal),
        other => panic!("{other:?}"),
    };
    let stopped_by = status.stopped_by.map(|cause| match cause {
        StopCause::IdleTimeout => Stopped::IdleTimeout,
        _ if expect.stop.as_deref() == Some("result") => Stopped::Linger,
        _ => Stopped::Cancelled,
    });
    End { stopped_by, ..end }
}

fn now() -> Timestamp {
    chrono::Utc::now().into()
}

/// Whether a process runs.
pub(crate) fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.trim_start().chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

/// Ends the agent of a test that failed beside it.
struct StopWhenDropped<'a>(&'a Control);

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop(StopCause::Cancelled);
            self.0.stop(StopCause::Cancelled);
        }
    }
}

/// The scenarios that there are.
pub(crate) fn scenarios() -> Vec<String> {
    let folder = fixture("");
    let entries = fs::read_dir(&folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let scenarios = paths.filter(|path: &PathBuf| path.extension().is_some_and(|it| it == "toml"));
    let mut names: Vec<_> = scenarios
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort_unstable();
    names
}
