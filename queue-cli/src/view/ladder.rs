//! How the next attempt of an agent would begin: the rung of the ladder, known before it starts.
//!
//! Owns the sentence at the end of `qcli explain` and its JSON. What always holds: it asks the very function by which a
//! worker decides, so the two cannot differ; of a job whose attempts several agents may make, each is answered for.

use queue_core::{
    Command,
    agent::{AgentTask, Rung},
    checkpoint,
    store::Detail,
};
use queue_worker::agent::session::{self, Before};
use serde::Serialize;

use crate::agents::Agents;

/// How one agent would begin the next attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NextBegin {
    /// The agent, with its account and model where those are named.
    by: String,
    /// How much of the work before it that is.
    rung: &'static str,
    /// The session that it goes on with.
    session_id: Option<String>,
}

/// How each agent of a waiting job would begin its next attempt; nothing of one that runs or has ended, or of another
/// command.
pub(crate) fn next(detail: &Detail, agents: &Agents) -> Vec<NextBegin> {
    let Ok(Command::Agent(task)) = &detail.body.command else {
        return Vec::new();
    };
    if !detail.summary.job.state.is_waiting() {
        return Vec::new();
    }
    let begins = |(by, task): (String, AgentTask)| {
        let adapter = agents.get(&task.agent).ok()?;
        let saved = detail.checkpoints.iter();
        let saved = saved.filter(|saved| saved.name == checkpoint::DEFAULT);
        let before = Before {
            attempts: &detail.attempts,
            saved: saved.map(|saved| saved.value.as_slice()).next(),
            answers: &detail.body.answers,
        };
        let begin = session::begin(adapter, &task, &before, String::new);
        Some(NextBegin {
            by,
            rung: begin.rung.as_str(),
            session_id: begin.session.filter(|_| begin.resumes),
        })
    };
    task.by_each().filter_map(begins).collect()
}

impl NextBegin {
    /// The sentence.
    pub(crate) fn words(&self) -> String {
        let Self {
            by,
            rung,
            session_id,
        } = self;
        match session_id {
            Some(session) => {
                format!("The next attempt of {by} goes on with session {session} ({rung}).")
            }
            None if *rung == Rung::Cold.as_str() => {
                format!("The next attempt of {by} has the prompt alone ({rung}).")
            }
            None => format!(
                "The next attempt of {by} begins a new session that is told of the one before ({rung})."
            ),
        }
    }
}
