//! Jobs for the tests of this module's neighbours: one that failed after two attempts, and parts to vary.

use queue_core::{
    Class, Command, Epoch, Holder, Job, JobId, State, Timestamp, WorkerId,
    attempt::{Attempt, ResourceUsage, Started},
    checkpoint::Checkpoint,
    job::{JobBody, RunOptions},
    ledger::Spent,
    raw_text::RawText,
    retry::Backoff,
    store::{Detail, Summary},
    worker::{Resource, Shortage},
};
use std::collections::BTreeMap;

/// 2026-03-01T12:00:00Z.
pub(super) const NOON: Timestamp = Timestamp::from_millis(1_772_366_400_000);

pub(super) fn noon_plus(seconds: i64) -> Timestamp {
    Timestamp::from_millis(NOON.as_millis() + seconds * 1_000)
}

pub(super) fn job(state: State) -> Job {
    Job {
        id: JobId(4),
        uid: "019c0000-0000-7000-8000-000000000004".into(),
        queue: "build".into(),
        kind: "process".into(),
        name: Some("nightly".into()),
        state,
        wait_reason: None,
        class: None,
        priority: 5,
        position: 4,
        run_at: None,
        attempt: 2,
        max_attempts: 3,
        stalls: 0,
        max_stalls: 3,
        backoff: Backoff::default(),
        epoch: Epoch(2),
        holder: Holder(2),
        worker: None,
        lease_expires_at: None,
        unique: None,
        concurrency_key: None,
        directory: None,
        limits: Vec::new(),
        gates: Vec::new(),
        ways: Vec::new(),
        way: None,
        budgets: Vec::new(),
        waiting_on: 0,
        held_at: None,
        asked_at: None,
        cancel_requested_at: None,
        expires_at: None,
        created_at: NOON,
        finished_at: None,
    }
}

pub(super) fn attempt(number: u32, class: Option<Class>, exit_code: Option<i32>) -> Attempt {
    let claimed_at = noon_plus(i64::from(number) * 100);
    Attempt {
        number,
        epoch: Epoch(i64::from(number)),
        worker: WorkerId(7),
        worker_name: "desk-1".into(),
        adopted_by: None,
        way: None,
        boot: None,
        claimed_at,
        process: Some(Started {
            pid: 4_711,
            pid_started: Some(1),
            started_at: claimed_at,
            log: format!("logs/4-{number}.log"),
            unenforced: None,
        }),
        ended_at: Some(noon_plus(i64::from(number) * 100 + 42)),
        class,
        exit_code,
        signal: None,
        message: None,
        usage: Some(ResourceUsage {
            user_ms: 900,
            system_ms: 100,
            max_rss_kib: 2_048,
            read_bytes: 0,
            written_bytes: 4_096,
            memory_peak_bytes: None,
        }),
        progress: None,
        cost_usd: None,
        session_id: None,
        rung: None,
        agent: None,
        rule: None,
        evidence: None,
        proof: None,
    }
}

pub(super) fn summary(job: Job, last: Option<Attempt>) -> Summary {
    Summary {
        cause: None,
        command: Ok(Command::Argv(vec!["make".into(), "all tests".into()])),
        cwd: RawText::from("/src"),
        tags: BTreeMap::from([("team".into(), "a".into())]),
        started_at: last.as_ref().map(|attempt| attempt.claimed_at),
        last,
        job,
    }
}

/// Failed with exit code 3 at its second attempt.
pub(super) fn failed() -> Detail {
    let mut job = job(State::Failed);
    job.class = Some(Class::ExitCode);
    job.finished_at = Some(noon_plus(242));
    let attempts = vec![
        attempt(1, Some(Class::Signal), None),
        attempt(2, Some(Class::ExitCode), Some(3)),
    ];
    let summary = summary(job, attempts.last().cloned());
    Detail {
        body: JobBody {
            id: JobId(4),
            command: summary.command.clone(),
            cwd: summary.cwd.clone(),
            env: BTreeMap::from([
                ("API_TOKEN".to_owned(), RawText::from("hunter2")),
                ("LANG".to_owned(), RawText::from("C")),
            ]),
            options: RunOptions {
                timeout_ms: Some(90_000),
                ..RunOptions::default()
            },
            result: None,
            answers: Vec::new(),
            origin: None,
        },
        attempts,
        questions: Vec::new(),
        checkpoints: vec![Checkpoint {
            name: "default".into(),
            value: br#"{"step":7}"#.to_vec(),
            epoch: Epoch(2),
            at: noon_plus(230),
        }],
        after: Vec::new(),
        dependants: Vec::new(),
        causes: Vec::new(),
        spent: Spent::default(),
        summary,
    }
}

/// A disk that is nearly full.
pub(super) fn shortage() -> Shortage {
    Shortage {
        resource: Resource::Disk,
        free_bytes: 300 << 20,
        kept_bytes: 1 << 30,
        place: Some("/srv/queue".into()),
    }
}
