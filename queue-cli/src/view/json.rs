//! A job as JSON, schema 1.
//!
//! Owns the fields, their names and their order: [`JobJson`] is an element of `list --json`, [`DetailJson`] the object of
//! `show --json`. Fields are added in later versions and none is renamed. Times are RFC 3339 in UTC with milliseconds,
//! spans are milliseconds with `_ms` in the name, bytes that are not UTF-8 are `{"hex": "…"}`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use queue_core::gate::GateName;
use queue_core::way::Way;
use queue_core::{
    Command, JobId, State, Timestamp,
    attempt::{Attempt, Progress, ResourceUsage},
    checkpoint::{self, Checkpoint},
    job::{LimitUse, RunOptions},
    ledger::Spent,
    money::Usd,
    proof::Proof,
    raw_text::{RawText, to_hex},
    store::{Detail, Summary},
    why::Cause,
};
use queue_worker::worktree::Marker;
use serde::Serialize;
use serde_json::{Value, json};

use super::{cause::CauseJson, command::CommandJson, ended, env, line, question::QuestionJson};

/// A time as JSON has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Timestamp);

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

fn time(at: Option<Timestamp>) -> Option<Time> {
    at.map(Time)
}

/// A job as an element of a list.
#[derive(Debug, Serialize)]
pub struct JobJson<'a> {
    id: JobId,
    uid: &'a str,
    name: Option<&'a str>,
    queue: &'a str,
    kind: &'a str,
    state: State,
    /// The sentence a person reads on top of the state.
    condition: String,
    wait_reason: Option<&'static str>,
    class: Option<&'static str>,
    priority: i32,
    attempt: u32,
    max_attempts: u32,
    stalls: u32,
    #[serde(flatten)]
    command: CommandJson<'a>,
    cwd: &'a RawText,
    tags: &'a BTreeMap<String, String>,
    created_at: Time,
    run_at: Option<Time>,
    /// When the next attempt starts by the retry policy; set only while the job waits for it.
    next_attempt_at: Option<Time>,
    started_at: Option<Time>,
    finished_at: Option<Time>,
    expires_at: Option<Time>,
    held_at: Option<Time>,
    /// When it asked what it waits for the answer to.
    asked_at: Option<Time>,
    cancel_requested_at: Option<Time>,
    exit_code: Option<i32>,
    signal: Option<i32>,
    message: Option<&'a str>,
    worker: Option<&'a str>,
    progress: Option<&'a Progress>,
    limits: &'a [LimitUse],
    gates: &'a [GateName],
    ways: &'a [Way],
    budgets: &'a [String],
    concurrency_key: Option<&'a str>,
    directory: Option<String>,
    unique_key: Option<&'a str>,
    log: Option<&'a str>,
}

/// Shows a job of a list.
#[must_use]
pub fn job(summary: &Summary, now: Timestamp) -> JobJson<'_> {
    let Summary { job, last, .. } = summary;
    let last = last.as_ref().filter(|_| ended::ran(job));
    let is_running = job.state == State::InProgress;
    JobJson {
        id: job.id,
        uid: &job.uid,
        name: job.name.as_deref(),
        queue: &job.queue,
        kind: &job.kind,
        state: job.state,
        condition: line::stands(summary, now),
        wait_reason: job.wait_reason.map(queue_core::WaitReason::as_str),
        class: job.class.map(queue_core::Class::as_str),
        priority: job.priority,
        attempt: job.attempt,
        max_attempts: job.max_attempts,
        stalls: job.stalls,
        command: (&summary.command).into(),
        cwd: &summary.cwd,
        tags: &summary.tags,
        created_at: Time(job.created_at),
        run_at: time(job.run_at),
        next_attempt_at: time(job.run_at.filter(|_| is_between_attempts(summary))),
        started_at: time(summary.started_at),
        finished_at: time(job.finished_at),
        expires_at: time(job.expires_at),
        held_at: time(job.held_at),
        asked_at: time(job.asked_at),
        cancel_requested_at: time(job.cancel_requested_at),
        exit_code: last.and_then(|last| last.exit_code),
        signal: last.and_then(|last| last.signal),
        message: last.and_then(|last| last.message.as_deref()),
        worker: last.filter(|_| is_running).map(worker_of),
        progress: last.and_then(|last| last.progress.as_ref()),
        limits: &job.limits,
        gates: &job.gates,
        ways: &job.ways,
        budgets: &job.budgets,
        concurrency_key: job.concurrency_key.as_deref(),
        directory: job.directory.as_ref().map(RawText::to_lossy),
        unique_key: job.unique.as_ref().map(|(key, _)| key.as_str()),
        log: last.and_then(log_of),
    }
}

/// Whether the job waits for its next attempt by the retry policy.
pub(super) fn is_between_attempts(summary: &Summary) -> bool {
    summary.job.state == State::Scheduled
        && summary.job.wait_reason == Some(queue_core::WaitReason::Retry)
}

fn worker_of(attempt: &Attempt) -> &str {
    attempt
        .adopted_by
        .as_deref()
        .unwrap_or(&attempt.worker_name)
}

fn log_of(attempt: &Attempt) -> Option<&str> {
    attempt.process.as_ref().map(|process| process.log.as_str())
}

/// All about one job.
#[derive(Debug, Serialize)]
pub struct DetailJson<'a> {
    #[serde(flatten)]
    job: JobJson<'a>,
    backoff: String,
    max_stalls: u32,
    options: &'a RunOptions,
    /// The worktree that is there.
    worktree: Option<WorktreeJson>,
    /// The names of the variables it gets.
    env_names: Vec<&'a str>,
    /// The values that may be shown, `null` where one is hidden; only where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<BTreeMap<&'a str, Option<&'a RawText>>>,
    /// What a coding agent is asked, whole.
    prompt: Option<&'a str>,
    /// The value of the default checkpoint.
    checkpoint: Option<Value>,
    checkpoints: Vec<CheckpointJson<'a>>,
    /// What it asked and was told, oldest first.
    questions: Vec<QuestionJson<'a>>,
    attempts: Vec<AttemptJson<'a>>,
    /// What all attempts used, also those that are forgotten.
    spent: SpentJson,
    after: Vec<AfterJson>,
    dependants: Vec<DependantJson>,
    /// Everything that keeps it from running, with the commands that change it.
    causes: Vec<CauseJson>,
    result: Option<&'a Value>,
}

impl DetailJson<'_> {
    /// Adds the worktree that is there.
    #[must_use]
    pub fn with_worktree(mut self, tree: Option<(PathBuf, Marker)>) -> Self {
        self.worktree = tree.map(|(path, marker)| WorktreeJson {
            path,
            branch: marker.branch,
            base: marker.base,
            port_base: marker.port_base,
        });
        self
    }
}

/// The worktree of a job.
#[derive(Debug, Serialize)]
struct WorktreeJson {
    path: PathBuf,
    branch: String,
    base: String,
    port_base: u16,
}

/// Shows all about a job. Values of its environment only `with_env`, and those that look secret never.
#[must_use]
pub fn detail(detail: &Detail, with_env: bool, now: Timestamp) -> DetailJson<'_> {
    let body = &detail.body;
    DetailJson {
        job: job(&detail.summary, now),
        backoff: detail.summary.job.backoff.to_string(),
        max_stalls: detail.summary.job.max_stalls,
        options: &body.options,
        worktree: None,
        env_names: body.env.keys().map(String::as_str).collect(),
        env: with_env.then(|| {
            body.env
                .iter()
                .map(|(name, value)| (name.as_str(), env::shown(name, value)))
                .collect()
        }),
        prompt: match &body.command {
            Ok(Command::Agent(task)) => Some(&task.prompt),
            _ => None,
        },
        checkpoint: default_checkpoint(&detail.checkpoints)
            .map(|saved| checkpoint_value(&saved.value)),
        checkpoints: detail
            .checkpoints
            .iter()
            .map(CheckpointJson::from)
            .collect(),
        questions: detail.questions.iter().map(QuestionJson::from).collect(),
        attempts: detail.attempts.iter().map(AttemptJson::from).collect(),
        spent: detail.spent.into(),
        after: detail
            .after
            .iter()
            .map(|(after, state, is_met)| AfterJson {
                id: after.parent,
                end: after.end.as_str(),
                state: *state,
                met: *is_met,
            })
            .collect(),
        dependants: detail
            .dependants
            .iter()
            .map(|(id, end, state)| DependantJson {
                id: *id,
                end: end.as_str(),
                state: *state,
            })
            .collect(),
        causes: causes(&detail.causes, &detail.summary, now),
        result: body.result.as_ref(),
    }
}

/// A sum of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SpentJson {
    /// What is known to have been paid; nothing where no token has a price.
    pub cost_usd: Option<f64>,
    /// All tokens.
    pub tokens: u64,
    /// Those of them that have no price.
    pub unpriced_tokens: u64,
}

impl From<Spent> for SpentJson {
    fn from(spent: Spent) -> Self {
        let is_known = spent.unpriced == 0 || spent.cost > Usd::ZERO;
        Self {
            cost_usd: is_known.then(|| spent.cost.dollars()),
            tokens: spent.tokens,
            unpriced_tokens: spent.unpriced,
        }
    }
}

/// Shows why a job does not run.
#[must_use]
pub fn causes(causes: &[Cause], summary: &Summary, now: Timestamp) -> Vec<CauseJson> {
    causes
        .iter()
        .map(|cause| CauseJson::new(cause, &summary.job, now))
        .collect()
}

pub(super) fn default_checkpoint(saved: &[Checkpoint]) -> Option<&Checkpoint> {
    saved.iter().find(|saved| saved.name == checkpoint::DEFAULT)
}

/// A checkpoint's bytes: the value where they are JSON, a string where they are text, else `{"hex": "…"}`.
#[must_use]
pub fn checkpoint_value(bytes: &[u8]) -> Value {
    if let Ok(value) = serde_json::from_slice(bytes) {
        return value;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({"hex": to_hex(bytes)}),
    }
}

/// A saved checkpoint, the same wherever it is printed.
#[derive(Debug, Serialize)]
pub struct CheckpointJson<'a> {
    name: &'a str,
    value: Value,
    epoch: i64,
    saved_at: Time,
}

impl<'a> From<&'a Checkpoint> for CheckpointJson<'a> {
    fn from(saved: &'a Checkpoint) -> Self {
        Self {
            name: &saved.name,
            value: checkpoint_value(&saved.value),
            epoch: saved.epoch.0,
            saved_at: Time(saved.at),
        }
    }
}

/// One try at a job.
#[derive(Debug, Serialize)]
pub struct AttemptJson<'a> {
    number: u32,
    epoch: i64,
    worker: &'a str,
    adopted_by: Option<&'a str>,
    way: Option<&'a str>,
    pid: Option<u32>,
    claimed_at: Time,
    started_at: Option<Time>,
    ended_at: Option<Time>,
    class: Option<&'static str>,
    exit_code: Option<i32>,
    signal: Option<i32>,
    message: Option<&'a str>,
    progress: Option<&'a Progress>,
    rusage: Option<ResourceUsage>,
    unenforced: Option<&'a str>,
    cost_usd: Option<f64>,
    session_id: Option<&'a str>,
    /// How much of the work before it an agent's attempt began with.
    rung: Option<&'static str>,
    /// The rule by which an agent's attempt was judged, and the words it went by.
    rule: Option<&'a str>,
    evidence: Option<&'a str>,
    /// What was found when it said that it is done.
    proof: Option<&'a Proof>,
    /// What was read of an agent's output.
    agent: Option<&'a Value>,
    log: Option<&'a str>,
}

impl<'a> From<&'a Attempt> for AttemptJson<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        let process = attempt.process.as_ref();
        Self {
            number: attempt.number,
            epoch: attempt.epoch.0,
            worker: &attempt.worker_name,
            adopted_by: attempt.adopted_by.as_deref(),
            way: attempt.way.as_deref(),
            pid: process.map(|process| process.pid),
            claimed_at: Time(attempt.claimed_at),
            started_at: time(process.map(|process| process.started_at)),
            ended_at: time(attempt.ended_at),
            class: attempt.class.map(queue_core::Class::as_str),
            exit_code: attempt.exit_code,
            signal: attempt.signal,
            message: attempt.message.as_deref(),
            progress: attempt.progress.as_ref(),
            rusage: attempt.usage,
            unenforced: process.and_then(|process| process.unenforced.as_deref()),
            cost_usd: attempt.cost_usd,
            session_id: attempt.session_id.as_deref(),
            rung: attempt.rung.map(queue_core::agent::Rung::as_str),
            rule: attempt.rule.as_deref(),
            evidence: attempt.evidence.as_deref(),
            proof: attempt.proof.as_ref(),
            agent: attempt.agent.as_ref(),
            log: log_of(attempt),
        }
    }
}

#[derive(Debug, Serialize)]
struct AfterJson {
    id: JobId,
    end: &'static str,
    state: Option<State>,
    met: bool,
}

#[derive(Debug, Serialize)]
struct DependantJson {
    id: JobId,
    end: &'static str,
    state: State,
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, NOON, noon_plus};
    use super::*;
    use queue_core::WaitReason;

    fn shown(detail: &Detail, with_env: bool) -> Value {
        serde_json::to_value(super::detail(detail, with_env, NOON)).unwrap()
    }

    #[test]
    fn an_object_has_every_field_of_schema_1() {
        let json = shown(&samples::failed(), false);
        for field in [
            "id",
            "uid",
            "name",
            "queue",
            "state",
            "condition",
            "class",
            "priority",
            "attempt",
            "max_attempts",
            "argv",
            "cwd",
            "created_at",
            "run_at",
            "started_at",
            "finished_at",
            "exit_code",
            "tags",
            "checkpoint",
            "attempts",
        ] {
            assert!(json.get(field).is_some(), "{field} in {json:#}");
        }
        for field in [
            "number",
            "epoch",
            "worker",
            "adopted_by",
            "pid",
            "started_at",
            "ended_at",
            "class",
            "exit_code",
            "signal",
            "message",
            "cost_usd",
            "session_id",
            "log",
        ] {
            assert!(
                json["attempts"][0].get(field).is_some(),
                "{field} in {json:#}"
            );
        }
        assert_eq!(json["argv"], json!(["make", "all tests"]));
        assert_eq!(json["created_at"], "2026-03-01T12:00:00.000Z");
        assert_eq!(json["state"], "failed");
        assert_eq!(json["condition"], "failed: exit code 3");
        assert_eq!(json["exit_code"], 3);
        assert_eq!(json["checkpoint"], json!({"step": 7}));
        assert_eq!(json["attempts"][0]["class"], "signal");
    }

    #[test]
    fn values_of_the_environment_are_shown_on_request_and_secrets_never() {
        // L5
        let detail = samples::failed();
        let plain = shown(&detail, false);
        assert_eq!(plain["env_names"], json!(["API_TOKEN", "LANG"]));
        assert!(plain.get("env").is_none());
        let asked = shown(&detail, true);
        assert_eq!(asked["env"], json!({"API_TOKEN": null, "LANG": "C"}));
        assert!(!asked.to_string().contains("hunter2"));
    }

    #[test]
    fn a_checkpoint_is_json_or_text_or_hex() {
        assert_eq!(checkpoint_value(b"[1, 2]"), json!([1, 2]));
        assert_eq!(checkpoint_value(b"page 3"), json!("page 3"));
        assert_eq!(checkpoint_value(b"\xff\x00"), json!({"hex": "ff00"}));
        assert_eq!(checkpoint_value(b""), json!(""));
    }

    #[test]
    fn only_a_job_between_attempts_has_a_next_attempt() {
        let mut detail = samples::failed();
        assert_eq!(shown(&detail, false)["next_attempt_at"], Value::Null);
        let job = &mut detail.summary.job;
        job.state = State::Scheduled;
        job.wait_reason = Some(WaitReason::Retry);
        job.run_at = Some(noon_plus(60));
        job.finished_at = None;
        assert_eq!(
            shown(&detail, false)["next_attempt_at"],
            "2026-03-01T12:01:00.000Z"
        );
    }

    #[test]
    fn a_requeued_job_does_not_show_the_exit_code_of_its_earlier_run() {
        let mut detail = samples::failed();
        detail.summary.job.state = State::Pending;
        detail.summary.job.attempt = 0;
        let json = shown(&detail, false);
        assert_eq!(json["exit_code"], Value::Null);
        assert_eq!(json["attempts"][1]["exit_code"], 3);
    }
}
