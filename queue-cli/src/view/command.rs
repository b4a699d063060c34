//! What a job does, in one line and in JSON.
//!
//! Owns the spelling of a command: [`one_line`] is what a person could paste into a shell, [`CommandJson`] keeps every byte.
//! Lists, pages and JSON call it. A command that cannot be read is shown with the reason in its place.

use queue_core::{
    agent::AgentTask,
    job::{Command, Job},
    raw_text::RawText,
};
use serde::Serialize;

/// Writes a command as one line, quoted as a shell would need it.
///
/// Of a script it is the first line that does something, followed by `…` where there are more.
#[must_use]
pub fn one_line(command: &Result<Command, String>) -> String {
    match command {
        Ok(Command::Argv(words)) => {
            let words: Vec<String> = words.iter().map(RawText::to_lossy).collect();
            shell_words::join(words)
        }
        Ok(Command::Shell(line)) => line.clone(),
        Ok(Command::Script(script)) => first_line(script),
        Ok(Command::Agent(task)) => {
            let names: Vec<String> = task.by_each().map(|(name, _)| name).collect();
            match names.as_slice() {
                [_] => format!("{}: {}", task.agent, short_prompt(task)),
                names => format!("{}: {}", names.join(","), short_prompt(task)),
            }
        }
        Ok(Command::Payload(value)) => value.to_string(),
        Err(why) => format!("(unreadable: {why})"),
    }
}

/// Writes what a person calls the job: its name, or else its command.
#[must_use]
pub fn title(job: &Job, command: &Result<Command, String>) -> String {
    job.name.clone().unwrap_or_else(|| one_line(command))
}

/// A command as a field of a job's object: the field's name says how it is run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandJson<'a> {
    /// A program and its arguments; one that is not UTF-8 as `{"hex": "…"}`.
    Argv(&'a [RawText]),
    /// One line for `sh -c`.
    Shell(&'a str),
    /// A script.
    Script(&'a str),
    /// Work for a coding agent.
    Agent(TaskJson<'a>),
    /// Work of a kind that a program using the library defines.
    Payload(&'a serde_json::Value),
    /// Why the command cannot be read.
    CommandError(&'a str),
}

impl<'a> From<&'a Result<Command, String>> for CommandJson<'a> {
    fn from(command: &'a Result<Command, String>) -> Self {
        match command {
            Ok(Command::Argv(words)) => Self::Argv(words),
            Ok(Command::Shell(line)) => Self::Shell(line),
            Ok(Command::Script(script)) => Self::Script(script),
            Ok(Command::Agent(task)) => Self::Agent(task.into()),
            Ok(Command::Payload(value)) => Self::Payload(value),
            Err(why) => Self::CommandError(why),
        }
    }
}

/// What a coding agent is asked.
#[derive(Debug, Serialize)]
pub struct TaskJson<'a> {
    name: &'a str,
    /// The begin of the prompt; all of it stands beside this object in `show`.
    prompt: String,
    model: Option<&'a str>,
    profile: Option<&'a str>,
    allowed_tools: &'a [String],
    max_turns: Option<std::num::NonZeroU32>,
    session: Option<&'a str>,
    extra: &'a [RawText],
    fallbacks: Vec<FallbackJson<'a>>,
}

/// An agent that does it while the account of the first one is shut.
#[derive(Debug, Serialize)]
struct FallbackJson<'a> {
    name: &'a str,
    model: Option<&'a str>,
    profile: Option<&'a str>,
}

impl<'a> From<&'a AgentTask> for TaskJson<'a> {
    fn from(task: &'a AgentTask) -> Self {
        Self {
            name: &task.agent,
            prompt: short_prompt(task),
            model: task.model.as_deref(),
            profile: task.profile.as_deref(),
            allowed_tools: &task.allowed_tools,
            max_turns: task.max_turns,
            session: task.session.as_deref(),
            extra: &task.extra,
            fallbacks: (task.fallbacks.iter())
                .map(|other| FallbackJson {
                    name: &other.agent,
                    model: other.model.as_deref(),
                    profile: other.profile.as_deref(),
                })
                .collect(),
        }
    }
}

/// The most characters of a prompt that a list shows.
const SHORT_PROMPT: usize = 80;

/// The first line of a prompt, cut where it is long.
fn short_prompt(task: &AgentTask) -> String {
    let line = task.first_line();
    match line.char_indices().nth(SHORT_PROMPT) {
        Some((at, _)) => format!("{} …", line[..at].trim_end()),
        None if line.len() < task.prompt.trim().len() => format!("{line} …"),
        None => line.to_owned(),
    }
}

fn first_line(script: &str) -> String {
    let mut lines = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    match (lines.next(), lines.next()) {
        (Some(first), None) => first.to_owned(),
        (Some(first), Some(_)) => format!("{first} …"),
        (None, _) => "(a script of comments)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};

    fn argv(words: &[&str]) -> Result<Command, String> {
        Ok(Command::Argv(
            words.iter().map(|word| RawText::from(*word)).collect(),
        ))
    }

    #[test]
    fn a_line_can_be_pasted_into_a_shell() {
        assert_eq!(
            one_line(&argv(&["echo", "a b", "it's"])),
            r#"echo 'a b' 'it'\''s'"#
        );
        assert_eq!(one_line(&argv(&["true", ""])), "true ''");
        assert_eq!(
            one_line(&Ok(Command::Shell("make | tee log".into()))),
            "make | tee log"
        );
    }

    #[test]
    fn a_script_shows_the_first_line_that_does_something() {
        let script = |text: &str| one_line(&Ok(Command::Script(text.into())));
        assert_eq!(
            script("#!/bin/sh\n# builds\n\nmake all\nmake test\n"),
            "make all …"
        );
        assert_eq!(script("make all"), "make all");
        assert_eq!(script("#!/bin/sh\n"), "(a script of comments)");
    }

    #[test]
    fn of_a_prompt_a_list_has_the_begin() {
        let line = |prompt: &str| one_line(&Ok(Command::Agent(AgentTask::new("claude", prompt))));
        assert_eq!(line("fix it"), "claude: fix it");
        assert_eq!(line("\n# Task\nfix it"), "claude: # Task …");
        let long = line(&"wörd ".repeat(50));
        assert!(long.ends_with(" …") && long.chars().count() < 95, "{long}");
        let task = Ok(Command::Agent(AgentTask::new("claude", "a\nb")));
        assert_eq!(as_json(&task)["agent"]["prompt"], "a …");
    }

    fn as_json(command: &Result<Command, String>) -> serde_json::Value {
        serde_json::to_value(CommandJson::from(command)).unwrap()
    }

    #[test]
    fn json_keeps_bytes_that_are_no_text() {
        let bytes = RawText::from(OsString::from_vec(b"caf\xe9".to_vec()));
        let command = Ok(Command::Argv(vec!["ls".into(), bytes]));
        assert_eq!(
            as_json(&command),
            json!({"argv": ["ls", {"hex": "636166e9"}]})
        );
    }

    #[test]
    fn an_unreadable_command_says_why() {
        let broken = Err("expected value at line 1".to_owned());
        assert!(one_line(&broken).contains("expected value"));
        assert_eq!(
            as_json(&broken),
            json!({"command_error": "expected value at line 1"})
        );
    }
}
