//! Work for a coding agent: the options of `enqueue`, `run` and `edit`, and the same as fields of a line.
//!
//! Owns where a prompt comes from and what is refused of it. What always holds: a prompt is read when the job is handed
//! in and kept with it, so a file that changes later changes no job.

use std::io::Read as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use queue_core::agent::{AgentTask, Fallback, LARGEST_PROMPT};
use queue_core::gate::GateName;
use queue_core::job::Command;
use queue_core::raw_text::RawText;
use queue_core::retry::Backoff;
use queue_core::units::{format_bytes, parse_count};
use queue_core::{NewJob, Now, Store, job::JobBody};
use queue_worker::agent::command;

use super::fallback;
use crate::agents::Agents;
use crate::environment;
use crate::error::CliError;

/// What is asked of an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct AgentArgs {
    /// Let a coding agent do it: `claude`, `codex` … (`qcli agent list`). What stands after `--` are more arguments for it
    ///
    /// Of several, such as `claude,codex` or `claude,claude/work`, the first one does it whose account has not met a limit;
    /// options of an agent are the first one's. Each attempt says who did it.
    #[arg(long, value_name = "AGENT,…", help_heading = "Agents")]
    pub(crate) agent: Option<String>,

    /// What the agent shall do; `-` reads it from standard input
    #[arg(
        long,
        value_name = "TEXT",
        allow_hyphen_values = true,
        conflicts_with = "prompt_file",
        help_heading = "Agents"
    )]
    pub(crate) prompt: Option<String>,

    /// A file that says what the agent shall do, read now; `-` is standard input
    #[arg(long, value_name = "FILE", help_heading = "Agents")]
    pub(crate) prompt_file: Option<PathBuf>,

    /// The model, as the agent spells it; of several agents `claude=opus,codex=gpt-5`
    #[arg(long, value_name = "MODEL", help_heading = "Agents")]
    pub(crate) model: Option<String>,

    /// Tools that it may use without asking, as the agent spells them; may be repeated
    #[arg(long, value_name = "TOOL,…", help_heading = "Agents")]
    pub(crate) allowed_tools: Vec<String>,

    /// Stop an attempt after so many turns
    #[arg(long, value_name = "N", value_parser = parse_count::<NonZeroU32>, help_heading = "Agents")]
    pub(crate) max_turns: Option<NonZeroU32>,

    /// The account: a name from `profiles` in agents.toml
    #[arg(long, value_name = "NAME", help_heading = "Agents")]
    pub(crate) profile: Option<String>,

    /// Go on with this session of the agent
    #[arg(long, value_name = "ID", help_heading = "Agents")]
    pub(crate) session: Option<String>,
}

impl AgentArgs {
    /// The first option that says something, should nobody say which agent.
    pub(crate) fn first_given(&self) -> Option<&'static str> {
        [
            (self.prompt.is_some(), "--prompt"),
            (self.prompt_file.is_some(), "--prompt-file"),
            (self.model.is_some(), "--model"),
            (!self.allowed_tools.is_empty(), "--allowed-tools"),
            (self.max_turns.is_some(), "--max-turns"),
            (self.profile.is_some(), "--profile"),
            (self.session.is_some(), "--session"),
        ]
        .into_iter()
        .find_map(|(is_given, option)| is_given.then_some(option))
    }

    /// Whether anything is asked of an agent.
    pub(crate) fn is_given(&self) -> bool {
        self.agent.is_some() || self.first_given().is_some()
    }

    /// Lays what is said here over a task. Without a prompt of its own, one that is read elsewhere is put in later.
    ///
    /// # Errors
    /// When no agent is named, or the prompt cannot be read (exit code 2).
    pub(crate) fn over(
        &self,
        task: Option<AgentTask>,
        extra: Vec<RawText>,
        base: &Path,
    ) -> Result<AgentTask, CliError> {
        let mut task = match (&self.agent, task) {
            (Some(list), task) => named(list, task)?,
            (None, Some(task)) => task,
            (None, None) => {
                let option = self.first_given().unwrap_or("--prompt");
                return Err(
                    CliError::usage(format!("{option} says nothing without an agent")).hint(
                        "name one with `--agent claude`; `qcli agent list` shows those there are",
                    ),
                );
            }
        };
        if self.prompt.as_deref() == Some("-") {
            task.prompt = read_prompt(Path::new("-"), base)?;
        } else if let Some(prompt) = &self.prompt {
            task.prompt = checked(prompt.clone(), "the prompt")?;
        } else if let Some(file) = &self.prompt_file {
            task.prompt = read_prompt(file, base)?;
        }
        if let Some(model) = &self.model {
            fallback::set_models(&mut task, model)?;
        }
        task.profile = self.profile.clone().or(task.profile);
        task.session = self.session.clone().or(task.session);
        task.max_turns = self.max_turns.or(task.max_turns);
        if !self.allowed_tools.is_empty() {
            task.allowed_tools.clone_from(&self.allowed_tools);
        }
        if !extra.is_empty() {
            task.extra = extra;
        }
        Ok(task)
    }
}

/// The task of these agents: what `before` says of the first one stays, where that is the same.
fn named(list: &str, before: Option<AgentTask>) -> Result<AgentTask, CliError> {
    let (first, others) = fallback::parse(list)?;
    let mut task = match before {
        Some(task) if task.agent == first.agent => task,
        before => {
            let prompt = before.map(|task| task.prompt).unwrap_or_default();
            AgentTask::new(first.agent, prompt)
        }
    };
    task.profile = first.profile.or(task.profile);
    task.fallbacks = others.into_iter().map(Fallback::from).collect();
    Ok(task)
}

/// Refuses a task that one of its agents cannot be given.
///
/// # Errors
/// When there is no such agent, nothing says what it shall do, or it cannot be told so (exit code 2).
pub(crate) fn check(task: &AgentTask, agents: &Agents) -> Result<(), CliError> {
    let mut ways: Vec<String> = task.by_each().map(|(name, _)| name).collect();
    ways.sort_unstable();
    if let Some(pair) = ways.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(CliError::usage(format!("{} is named twice", pair[0])));
    }
    let mut tasks = task.by_each();
    tasks.try_for_each(|(_, task)| check_one(&task, agents))
}

fn check_one(task: &AgentTask, agents: &Agents) -> Result<(), CliError> {
    let adapter = agents.get(&task.agent)?;
    if task.prompt.is_empty() {
        return Err(
            CliError::usage(format!("nothing says what {} shall do", task.agent)).hint(format!(
                "`qcli enqueue --agent {} --prompt 'fix the tests'`, or `--prompt-file TASK.md`",
                task.agent
            )),
        );
    }
    command::check(&task.agent, adapter, task).map_err(CliError::usage)
}

/// Reads a prompt, from standard input where the file is `-`.
///
/// # Errors
/// When it cannot be read, is empty, too long or no text (exit code 2).
pub(crate) fn read_prompt(file: &Path, base: &Path) -> Result<String, CliError> {
    let place = if file == Path::new("-") {
        PathBuf::from("standard input")
    } else {
        base.join(file)
    };
    let refuse = |cause: &std::io::Error| CliError::file("read the prompt in", &place, cause);
    let mut bytes = Vec::new();
    let most = LARGEST_PROMPT as u64 + 1;
    if file == Path::new("-") {
        let read = std::io::stdin().lock().take(most).read_to_end(&mut bytes);
        read.map_err(|cause| refuse(&cause))?;
    } else {
        let file = std::fs::File::open(&place).map_err(|cause| refuse(&cause))?;
        let read = file.take(most).read_to_end(&mut bytes);
        read.map_err(|cause| refuse(&cause))?;
    }
    let what = format!("the prompt in {}", place.display());
    let text =
        String::from_utf8(bytes).map_err(|_| CliError::usage(format!("{what} is not UTF-8")))?;
    checked(text, &what)
}

fn checked(text: String, what: &str) -> Result<String, CliError> {
    if text.trim().is_empty() {
        return Err(CliError::usage(format!("{what} is empty")));
    }
    if text.len() > LARGEST_PROMPT {
        let most = format_bytes(LARGEST_PROMPT as u64);
        return Err(CliError::usage(format!("{what} is larger than {most}"))
            .hint("put most of it into a file, and let the prompt name that"));
    }
    Ok(text)
}

/// Notes which agent a plain command line calls, so that what it says is read.
pub(crate) fn recognise(job: &mut NewJob, agents: &Agents) {
    if let Command::Argv(words) = &job.command {
        job.options.agent = agents.recognise(words);
    }
}

/// Keeps starts of one account apart where nobody has said how far: agents that start at once trip over the files they
/// share.
///
/// # Errors
/// When the store fails (exit code 5).
pub(crate) fn keep_apart<'a>(
    store: &dyn Store,
    jobs: impl Iterator<Item = &'a NewJob>,
    agents: &Agents,
    now: &Now,
) -> Result<(), CliError> {
    let mut told: Option<Vec<GateName>> = None;
    for job in jobs {
        for name in names(job) {
            let Ok(adapter) = agents.get(name) else {
                continue;
            };
            let is_of_account =
                |gate: &&GateName| gate.as_str().split('/').next() == Some(name.as_str());
            let of_ways = job.ways.iter().flat_map(|way| &way.gates);
            for gate in job.gates.iter().chain(of_ways).filter(is_of_account) {
                let told = match &mut told {
                    Some(told) => told,
                    None => told.insert(gates_with_a_stagger(store)?),
                };
                let is_models = gate.as_str().split('/').count() > 2;
                if !adapter.stagger.is_zero() && !is_models && !told.contains(gate) {
                    store.set_gate(gate, adapter.stagger, now)?;
                    told.push(gate.clone());
                }
            }
        }
    }
    Ok(())
}

/// The gates of which somebody has said how far apart starts are, be it nothing.
fn gates_with_a_stagger(store: &dyn Store) -> Result<Vec<GateName>, CliError> {
    let gates = store.gates()?.into_iter();
    let told = gates.filter(|status| status.gate.stagger.is_some());
    Ok(told.map(|status| status.name).collect())
}

/// The agents that may do a job, by name.
fn names(job: &NewJob) -> Vec<&String> {
    match (&job.command, &job.options.agent) {
        (Command::Agent(task), _) => {
            let others = task.fallbacks.iter().map(|other| &other.agent);
            std::iter::once(&task.agent).chain(others).collect()
        }
        (_, named) => named.iter().collect(),
    }
}

/// The wait before another attempt of an agent, where nobody says one: providers that are short of room are asked less
/// often than programs are tried.
pub(crate) const BACKOFF: Backoff = Backoff::Exponential {
    base: Duration::from_secs(30),
    cap: Duration::from_secs(3_600),
};

/// The task of a job that has one.
pub(crate) fn task_of(body: &JobBody) -> Option<&AgentTask> {
    match &body.command {
        Ok(Command::Agent(task)) => Some(task),
        _ => None,
    }
}

/// What a person should know of an agent's job before it runs.
pub(crate) fn warnings(job: &NewJob, agents: &Agents) -> Vec<String> {
    let names = names(job);
    let is_only = names.len() == 1;
    let of_one = |name: &String| warnings_of(job, name, is_only, agents);
    names.into_iter().flat_map(of_one).collect()
}

fn warnings_of(job: &NewJob, name: &str, is_only: bool, agents: &Agents) -> Vec<String> {
    let Ok(adapter) = agents.get(name) else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    let path = job.env.get("PATH").map(RawText::as_os_str);
    let cwd = Path::new(job.cwd.as_os_str());
    let is_task = matches!(job.command, Command::Agent(_));
    if is_task && !environment::is_program_there(adapter.program.as_ref(), path, cwd) {
        let what = match is_only {
            true => "it fails unless it is there when it starts",
            false => "another agent does the job unless it is there when it starts",
        };
        warnings.push(format!(
            "`{}` is not in the PATH that the job gets: {what} (`qcli agent test {name}`)",
            adapter.program
        ));
    }
    let has = |variable: &&String| {
        let value = job.env.get(*variable);
        value.is_some_and(|value| !value.as_bytes().is_empty())
    };
    if let Some(variable) = adapter.billed_by_key.iter().find(has) {
        warnings.push(format!(
            "{variable} is set: {name} bills that API account and not a plan; if that is not meant, `env -u {variable} qcli enqueue …`"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(args: &AgentArgs, task: Option<AgentTask>) -> Result<AgentTask, CliError> {
        args.over(task, Vec::new(), Path::new("/"))
    }

    #[test]
    fn what_is_said_takes_the_place_of_what_was_there() {
        let mut before = AgentTask::new("claude", "old");
        before.model = Some("opus".into());
        before.max_turns = NonZeroU32::new(5);
        let args = AgentArgs {
            prompt: Some("new".into()),
            model: Some("sonnet".into()),
            ..AgentArgs::default()
        };
        let after = over(&args, Some(before.clone())).unwrap();
        assert_eq!(
            (after.prompt.as_str(), after.model.as_deref()),
            ("new", Some("sonnet"))
        );
        assert_eq!(after.max_turns, NonZeroU32::new(5));
        // Another agent knows nothing of the first one's models.
        let args = AgentArgs {
            agent: Some("codex".into()),
            ..AgentArgs::default()
        };
        let after = over(&args, Some(before)).unwrap();
        assert_eq!(after, AgentTask::new("codex", "old"));
    }

    #[test]
    fn options_of_an_agent_are_refused_where_there_is_none() {
        let args = AgentArgs {
            model: Some("opus".into()),
            ..AgentArgs::default()
        };
        let error = over(&args, None).unwrap_err();
        assert!(error.message().contains("--model says nothing"), "{error}");
    }

    #[test]
    fn a_task_that_cannot_be_given_is_refused() {
        let agents = Agents::default();
        let refusal = |task: &AgentTask| check(task, &agents).unwrap_err().message().to_owned();
        assert!(refusal(&AgentTask::new("cloude", "x")).contains("no agent `cloude`"));
        assert!(refusal(&AgentTask::new("claude", "")).contains("nothing says what claude"));
        let mut task = AgentTask::new("codex", "x");
        task.allowed_tools = vec!["Edit".into()];
        assert!(refusal(&task).contains("after `--`"));
    }

    #[test]
    fn a_stray_key_and_a_missing_program_are_told() {
        let agents = Agents::default();
        let mut job = NewJob::new(Command::Agent(AgentTask::new("claude", "x")));
        job.env.insert("ANTHROPIC_API_KEY".into(), "k".into());
        let told = warnings(&job, &agents);
        assert!(told[0].contains("`claude` is not in the PATH"), "{told:?}");
        assert!(
            told[1].contains("ANTHROPIC_API_KEY") && !told[1].contains("`k`"),
            "{told:?}"
        );
        assert!(warnings(&NewJob::argv(["make"]), &agents).is_empty());
    }
}
