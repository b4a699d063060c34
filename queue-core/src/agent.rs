//! What is asked of a coding agent, and how one attempt goes about it.
//!
//! [`AgentTask`] is stored as a job's command; which program that is and how it is called is the
//! worker's to know. What always holds: the prompt is kept here as it was handed in, so a file
//! that changes later changes no job; a session has one live holder, whatever jobs name it.

use crate::{raw_text::RawText, words::spelled_enum};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// The most that a prompt may hold, in bytes. Claude Code reads no more on its standard input.
pub const LARGEST_PROMPT: usize = 10_000_000;

/// Work for a coding agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentTask {
    /// The agent, by the name of its profile: `claude`, `codex` …
    pub agent: String,
    /// What it shall do.
    pub prompt: String,
    /// The model, in the agent's own spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The account, where there is more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Tools it may use without asking, in the agent's own spelling.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_tools: Vec<String>,
    /// The most turns of one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_turns: Option<NonZeroU32>,
    /// The session to go on with, in place of a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// More arguments for the agent, handed on exactly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<RawText>,
}

impl AgentTask {
    /// A task with nothing but an agent and a prompt.
    pub fn new(agent: impl Into<String>, prompt: impl Into<String>) -> Self {
        Self {
            agent: agent.into(),
            prompt: prompt.into(),
            model: None,
            profile: None,
            allowed_tools: Vec::new(),
            max_turns: None,
            session: None,
            extra: Vec::new(),
        }
    }

    /// The first line of the prompt that says something, for lists.
    pub fn first_line(&self) -> &str {
        let mut lines = self.prompt.lines().map(str::trim);
        lines.find(|line| !line.is_empty()).unwrap_or_default()
    }
}

spelled_enum! {
    /// How much of the work before an attempt of an agent begins with.
    Rung, "rung" {
        /// It goes on with the session of an earlier attempt.
        Resume = "resume",
        /// A new session that is told what earlier attempts saved.
        Fresh = "fresh",
        /// A new session with the prompt alone.
        Cold = "cold",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_reads_back_and_says_no_more_than_it_has_to() {
        let task = AgentTask::new("claude", "\n  fix it\nand test");
        let text = serde_json::to_string(&task).unwrap();
        assert_eq!(
            text,
            r#"{"agent":"claude","prompt":"\n  fix it\nand test"}"#
        );
        assert_eq!(serde_json::from_str::<AgentTask>(&text).unwrap(), task);
        assert_eq!(task.first_line(), "fix it");
    }
}
