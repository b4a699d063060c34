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
    /// The agents that do it while the account of the first one is shut, the next best in front.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<Fallback>,
}

/// An agent that does the work in place of another. What the first one is given beside the prompt
/// and the turns is spelled for that one, and not for this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// The agent, by the name of its profile.
    pub agent: String,
    /// The account, where there is more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The model, in that agent's own spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
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
            fallbacks: Vec::new(),
        }
    }

    /// The tasks of the agents that may do it, the best one first, each with the name of its
    /// [`Way`](crate::way::Way): `claude`, or `claude/work` where it names an account.
    pub fn by_each(&self) -> impl Iterator<Item = (String, AgentTask)> {
        let first = AgentTask {
            fallbacks: Vec::new(),
            ..self.clone()
        };
        let others = self.fallbacks.iter().map(|fallback| AgentTask {
            profile: fallback.profile.clone(),
            model: fallback.model.clone(),
            max_turns: self.max_turns,
            ..AgentTask::new(&fallback.agent, &self.prompt)
        });
        std::iter::once(first)
            .chain(others)
            .map(|task| (task.way(), task))
    }

    /// The task of the agent that goes this way; of the first one, where nothing says which.
    #[must_use]
    pub fn by(&self, way: Option<&str>) -> Self {
        let mut tasks = self.by_each();
        let found = tasks.find(|(name, _)| way.is_none_or(|way| way == name));
        let task = found.map(|(_, task)| task);
        task.unwrap_or_else(|| self.by(None))
    }

    /// The name of the first agent's way.
    pub fn way(&self) -> String {
        match &self.profile {
            Some(profile) => format!("{}/{profile}", self.agent),
            None => self.agent.clone(),
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
    fn each_agent_is_given_what_is_spelled_for_it() {
        let mut task = AgentTask::new("claude", "fix it");
        task.profile = Some("work".to_owned());
        task.model = Some("opus".to_owned());
        task.allowed_tools = vec!["Edit".to_owned()];
        task.session = Some("s1".to_owned());
        task.max_turns = NonZeroU32::new(7);
        task.fallbacks = vec![Fallback {
            agent: "codex".to_owned(),
            profile: None,
            model: Some("gpt-5".to_owned()),
        }];
        let names: Vec<_> = task.by_each().map(|(name, _)| name).collect();
        assert_eq!(names, ["claude/work", "codex"]);
        let first = task.by(Some("claude/work"));
        assert_eq!(
            (first.model.as_deref(), first.fallbacks.len()),
            (Some("opus"), 0)
        );
        assert_eq!(
            (task.by(None), task.by(Some("gone"))),
            (first.clone(), first)
        );
        let mut expected = AgentTask::new("codex", "fix it");
        (expected.model, expected.max_turns) = (Some("gpt-5".to_owned()), task.max_turns);
        assert_eq!(task.by(Some("codex")), expected);
    }

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
