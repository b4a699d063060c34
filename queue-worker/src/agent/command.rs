//! The command line of one attempt of an agent.
//!
//! Called on the attempt's thread with the adapter, the task and how the attempt begins. What
//! always holds: every option of the task is given again at every attempt, because resuming
//! restores the conversation and nothing else; a value that begins with a dash is never taken for
//! an option.

use std::ffi::OsString;
use std::path::Path;

use queue_core::agent::AgentTask;
use queue_core::money::Usd;
use queue_core::raw_text::RawText;

use super::adapter::{Adapter, PromptBy};

/// The longest argument that Linux passes to a program: 32 pages, one byte of which is the NUL
/// (execve(2), MAX_ARG_STRLEN).
const LONGEST_ARGUMENT: usize = 131_072 - 1;

/// Room in the longest argument for what stands before the prompt, such as `--prompt=`.
const BESIDE_PROMPT: usize = 1_024;

/// What is put in for the placeholders.
#[derive(Debug, Clone, Copy)]
pub struct Filling<'a> {
    /// The session to begin or to go on with.
    pub session: Option<&'a str>,
    /// Whether to go on with it.
    pub resumes: bool,
    /// What the agent is told.
    pub prompt: &'a str,
    /// Where that is, should an argument name it.
    pub prompt_file: &'a Path,
    /// What this attempt may cost.
    pub most: Option<Usd>,
}

/// Says why an agent cannot be given a task, before anything is started.
///
/// # Errors
/// The words, with what to do instead.
pub fn check(name: &str, adapter: &Adapter, task: &AgentTask) -> Result<(), String> {
    if !task.allowed_tools.is_empty() && adapter.allowed_tools.is_empty() {
        return Err(format!(
            "{name} has no option that allows tools by name; give it its own options after `--`"
        ));
    }
    if task.model.is_some() && adapter.model.is_empty() {
        return Err(format!(
            "{name} has no option that chooses a model; give it its own options after `--`"
        ));
    }
    if task.session.is_some() && !adapter.can_resume() {
        return Err(format!("{name} cannot go on with a session"));
    }
    if adapter.prompt == PromptBy::Argument && task.prompt.len() > LONGEST_ARGUMENT - BESIDE_PROMPT
    {
        return Err(format!(
            "the prompt of {} bytes is too long for {name}, which takes it as an argument; \
             put it into a file and name that in the prompt",
            task.prompt.len()
        ));
    }
    match &task.profile {
        Some(profile) => check_profile(name, adapter, profile),
        None => Ok(()),
    }
}

fn check_profile(name: &str, adapter: &Adapter, profile: &str) -> Result<(), String> {
    let Some(variable) = &adapter.profile else {
        return Err(format!("{name} has no profiles: it knows one account"));
    };
    if adapter.profiles.contains_key(profile) {
        return Ok(());
    }
    Err(format!(
        "{name} has no profile `{profile}`; name the directory of its {variable} in agents.toml: \
         `[agents.{name}.profiles]`, `{profile} = \"~/…\"`"
    ))
}

/// The arguments of one attempt, without the program.
#[must_use]
pub fn arguments(adapter: &Adapter, task: &AgentTask, filling: &Filling<'_>) -> Vec<OsString> {
    let line = if filling.resumes {
        &adapter.resume
    } else {
        &adapter.start
    };
    let mut arguments = Vec::new();
    for word in line {
        match word.as_str() {
            "{options}" => arguments.extend(options(adapter, task, filling.most)),
            "{extra}" => {
                arguments.extend(
                    task.extra
                        .iter()
                        .map(RawText::as_os_str)
                        .map(OsString::from),
                );
            }
            "{prompt}" => arguments.push(undashed(filling.prompt).into()),
            word => arguments.push(fill(word, filling)),
        }
    }
    arguments
}

/// The words of the task's options.
fn options(adapter: &Adapter, task: &AgentTask, most: Option<Usd>) -> Vec<OsString> {
    let tools = (!task.allowed_tools.is_empty()).then(|| task.allowed_tools.join(","));
    let turns = task.max_turns.map(|turns| turns.to_string());
    let most = most.map(|most| most.to_string());
    let given = [
        (&adapter.model, &task.model),
        (&adapter.allowed_tools, &tools),
        (&adapter.max_turns, &turns),
        (&adapter.max_cost, &most),
    ];
    let words = given.into_iter().flat_map(|(words, value)| {
        let value = value.as_deref();
        let put_in = move |value: &str| {
            let words = words.iter();
            words.map(|word| word.replace("{value}", value)).collect()
        };
        value.map(put_in).unwrap_or_else(Vec::new)
    });
    words.map(OsString::from).collect()
}

fn fill(word: &str, filling: &Filling<'_>) -> OsString {
    // The prompt last: what it says in braces is its own.
    let (before, after) = match word.split_once("{prompt}") {
        Some((before, after)) => (before, Some(after)),
        None => (word, None),
    };
    let known = |text: &str| {
        let file = filling.prompt_file.to_string_lossy();
        text.replace("{session}", filling.session.unwrap_or_default())
            .replace("{prompt_file}", &file)
    };
    match after {
        Some(after) => (known(before) + filling.prompt + &known(after)).into(),
        None => known(before).into(),
    }
}

/// A prompt that stands alone: one that begins with a dash gets a line feed before it.
fn undashed(prompt: &str) -> String {
    if prompt.starts_with('-') {
        format!("\n{prompt}")
    } else {
        prompt.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::adapter::Adapters;
    use super::*;
    use std::num::NonZeroU32;

    const SESSION: &str = "5a0d3f6e-1c2b-4d5e-8f90-a1b2c3d4e5f6";

    fn line(agent: &str, change: impl FnOnce(&mut AgentTask), resumes: bool) -> String {
        let adapters = Adapters::built_in();
        let adapter = adapters.get(agent).unwrap();
        let mut task = AgentTask::new(agent, "-fix {session} it");
        task.extra = vec!["--own".into()];
        change(&mut task);
        check(agent, adapter, &task).unwrap();
        let filling = Filling {
            session: Some(SESSION),
            resumes,
            prompt: &task.prompt,
            prompt_file: Path::new("/run/prompt"),
            most: None,
        };
        let words = arguments(adapter, &task, &filling);
        let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        words.join("|").replace(SESSION, "SESSION")
    }

    #[test]
    fn each_agent_gets_the_line_that_it_understands() {
        let none = |_: &mut AgentTask| {};
        for (agent, start, resume) in [
            (
                "claude",
                "-p|--output-format=stream-json|--verbose|--session-id=SESSION|--own",
                "-p|--output-format=stream-json|--verbose|--resume=SESSION|--own",
            ),
            (
                "codex",
                "exec|--json|--own|-",
                "exec|--json|--own|resume|SESSION|-",
            ),
            (
                "gemini",
                "--output-format=stream-json|--session-id=SESSION|--own|--prompt=-fix {session} it",
                "--output-format=stream-json|--resume=SESSION|--own|--prompt=-fix {session} it",
            ),
            (
                "opencode",
                "run|--format=json|--print-logs|--log-level=ERROR|--own",
                "run|--format=json|--print-logs|--log-level=ERROR|--session=SESSION|--own",
            ),
            (
                "aider",
                "--yes-always|--no-pretty|--no-check-update|--message-file=/run/prompt|--own",
                "",
            ),
            (
                "qwen",
                "--output-format=stream-json|--own|-p|\n-fix {session} it",
                "--output-format=stream-json|--resume=SESSION|--own|-p|\n-fix {session} it",
            ),
            (
                "cursor-agent",
                "-p|--output-format=stream-json|--own",
                "-p|--output-format=stream-json|--resume=SESSION|--own",
            ),
            (
                "goose",
                "run|-i|-|--output-format=stream-json|--quiet|--name=SESSION|--own",
                "run|-i|-|--output-format=stream-json|--quiet|--name=SESSION|--resume|--own",
            ),
            (
                "agy",
                "--output-format=json|--own|-p|\n-fix {session} it",
                "",
            ),
        ] {
            assert_eq!(line(agent, none, false), start);
            assert_eq!(line(agent, none, true), resume);
        }
    }

    #[test]
    fn every_option_is_given_again_when_a_session_goes_on() {
        // A3
        let all = |task: &mut AgentTask| {
            task.model = Some("-opus".into());
            task.allowed_tools = vec!["Edit".into(), "Bash(git diff:*)".into()];
            task.max_turns = NonZeroU32::new(40);
        };
        let options = "|--model=-opus|--allowedTools=Edit,Bash(git diff:*)|--max-turns=40|--own";
        for resumes in [false, true] {
            let line = line("claude", all, resumes);
            assert!(line.ends_with(options), "{line}");
        }
        let session = |task: &mut AgentTask| task.session = Some(SESSION.into());
        assert!(line("codex", session, true).contains("resume|SESSION"));
    }

    #[test]
    fn what_an_agent_cannot_be_given_is_refused_with_another_way() {
        let adapters = Adapters::built_in();
        let refusal = |agent: &str, change: &dyn Fn(&mut AgentTask)| {
            let mut task = AgentTask::new(agent, "x");
            change(&mut task);
            check(agent, adapters.get(agent).unwrap(), &task).unwrap_err()
        };
        let tools = |task: &mut AgentTask| task.allowed_tools = vec!["Edit".into()];
        assert!(refusal("codex", &tools).contains("after `--`"));
        let long = |task: &mut AgentTask| task.prompt = "x".repeat(200_000);
        assert!(refusal("gemini", &long).contains("200000 bytes"));
        let profile = |task: &mut AgentTask| task.profile = Some("work".into());
        assert!(refusal("claude", &profile).contains("CLAUDE_CONFIG_DIR"));
        assert!(refusal("aider", &profile).contains("one account"));
        let session = |task: &mut AgentTask| task.session = Some("x".into());
        assert!(refusal("aider", &session).contains("cannot go on"));
    }
}
