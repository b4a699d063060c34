//! Several agents for one job: `--agent claude,codex`, and what is said of each.
//!
//! Owns the spelling of lists of agents and of models, and turns a task into the ways and gates of its job. What always
//! holds: an option without the name of an agent is the first one's; what is spelled for one agent is given to no other.

use queue_core::NewJob;
use queue_core::agent::{AgentTask, Fallback};
use queue_core::gate::GateName;
use queue_core::job::{Command, RunOptions};
use queue_core::raw_text::RawText;
use queue_core::way::Way;
use queue_worker::agent::call::account;
use queue_worker::agent::verdict::{gate, model_gate};
use std::collections::BTreeMap;

use crate::agents::Agents;
use crate::error::CliError;

/// An agent as a list names it: `codex`, or `claude/work` with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) agent: String,
    pub(super) profile: Option<String>,
}

impl From<Named> for Fallback {
    fn from(named: Named) -> Self {
        Self {
            agent: named.agent,
            profile: named.profile,
            model: None,
        }
    }
}

/// Reads a list of agents, the best one first.
///
/// # Errors
/// When a name is empty or stands there twice (exit code 2).
pub(super) fn parse(list: &str) -> Result<(Named, Vec<Named>), CliError> {
    let mut named: Vec<Named> = Vec::new();
    for item in list.split(',').map(str::trim) {
        let (agent, profile) = match item.split_once('/') {
            Some((agent, profile)) => (agent, Some(profile)),
            None => (item, None),
        };
        if agent.is_empty() || profile.is_some_and(str::is_empty) {
            return Err(
                CliError::usage(format!("`{list}` names an agent without a name"))
                    .hint("`--agent claude`, or several such as `--agent claude,codex`"),
            );
        }
        let one = Named {
            agent: agent.to_owned(),
            profile: profile.map(str::to_owned),
        };
        if named.contains(&one) {
            return Err(CliError::usage(format!("`{list}` names {item} twice")));
        }
        named.push(one);
    }
    let first = named.remove(0);
    Ok((first, named))
}

/// Gives each agent of a task its model. `MODEL` alone is the first one's; where there are several agents, `AGENT=MODEL`
/// names whose it is, and commas stand between them.
///
/// # Errors
/// When two models are the same agent's (exit code 2).
pub(super) fn set_models(task: &mut AgentTask, said: &str) -> Result<(), CliError> {
    if task.fallbacks.is_empty() {
        task.model = Some(said.to_owned());
        return Ok(());
    }
    let first = (task.way(), task.agent.clone());
    let mut set: Vec<String> = Vec::new();
    for item in said.split(',').map(str::trim) {
        let whose = item.split_once('=').filter(|(name, _)| {
            let mut others = task.fallbacks.iter();
            [&first.0, &first.1].iter().any(|known| known == name)
                || others.any(|other| is_named(other, name))
        });
        let (name, model) = whose.unwrap_or((&first.0, item));
        if set.iter().any(|known| known == name) {
            return Err(CliError::usage(format!("{name} is given two models"))
                .hint("`--model claude=opus,codex=gpt-5` gives each agent its own"));
        }
        set.push(name.to_owned());
        let model = Some(model.to_owned());
        match task
            .fallbacks
            .iter_mut()
            .find(|other| is_named(other, name))
        {
            Some(other) if name != first.0 => other.model = model,
            _ => task.model = model,
        }
    }
    Ok(())
}

fn is_named(fallback: &Fallback, name: &str) -> bool {
    match (&fallback.profile, name.split_once('/')) {
        (Some(profile), Some((agent, of))) => fallback.agent == agent && profile == of,
        (_, None) => fallback.agent == name,
        (None, Some(_)) => false,
    }
}

/// The gates that a job of agents passes in any case, and its ways where it has several agents.
pub(crate) fn gates(
    command: &Command,
    options: &RunOptions,
    env: &BTreeMap<String, RawText>,
    agents: &Agents,
) -> (Vec<GateName>, Vec<Way>) {
    let of_task = |task: &AgentTask| {
        let Ok(adapter) = agents.get(&task.agent) else {
            return Vec::new();
        };
        let account = account(adapter, task.profile.as_deref(), env);
        let of_model = |model: &String| model_gate(&task.agent, account.as_deref(), model);
        let of_model = task.model.as_ref().and_then(of_model);
        let of_account = gate(&task.agent, account.as_deref());
        of_account.into_iter().chain(of_model).collect()
    };
    match (command, &options.agent) {
        (Command::Agent(task), _) if task.fallbacks.is_empty() => (of_task(task), Vec::new()),
        (Command::Agent(task), _) => {
            let way = |(name, task)| Way {
                name,
                gates: of_task(&task),
            };
            (Vec::new(), task.by_each().map(way).collect())
        }
        (_, Some(agent)) => (of_task(&AgentTask::new(agent, "")), Vec::new()),
        _ => (Vec::new(), Vec::new()),
    }
}

/// Lets a job of agents pass the gates of their accounts, and of their models there, beside those it has.
pub(crate) fn pass_gates(job: &mut NewJob, agents: &Agents) {
    let (gates, ways) = gates(&job.command, &job.options, &job.env, agents);
    for gate in gates {
        if !job.gates.contains(&gate) {
            job.gates.push(gate);
        }
    }
    job.ways = ways;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(list: &str) -> AgentTask {
        let (first, others) = parse(list).unwrap();
        let mut task = AgentTask::new(first.agent, "x");
        task.profile = first.profile;
        task.fallbacks = others.into_iter().map(Fallback::from).collect();
        task
    }

    fn models(list: &str, said: &str) -> Vec<Option<String>> {
        let mut task = task(list);
        set_models(&mut task, said).unwrap();
        task.by_each().map(|(_, task)| task.model).collect()
    }

    #[test]
    fn agents_stand_in_a_list_with_their_accounts() {
        let names = |list| -> Vec<String> { task(list).by_each().map(|(name, _)| name).collect() };
        assert_eq!(names("claude"), ["claude"]);
        assert_eq!(
            names("claude, claude/work,codex"),
            ["claude", "claude/work", "codex"]
        );
        for bad in ["", "claude,", "claude,,codex", "claude/", "codex,codex"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_model_is_the_first_ones_unless_it_says_whose_it_is() {
        let some = |model: &str| Some(model.to_owned());
        assert_eq!(
            models("claude", "a,b=c"),
            [some("a,b=c")],
            "as it is spelled"
        );
        assert_eq!(models("claude,codex", "opus"), [some("opus"), None]);
        assert_eq!(
            models("claude,codex", "codex=gpt-5,claude=opus"),
            [some("opus"), some("gpt-5")]
        );
        assert_eq!(
            models("claude,claude/work", "opus, claude/work=sonnet"),
            [some("opus"), some("sonnet")]
        );
        assert_eq!(models("claude,codex", "odd=name"), [some("odd=name"), None]);
        let twice = set_models(&mut task("claude,codex"), "opus,sonnet").unwrap_err();
        assert!(twice.message().contains("two models"), "{twice}");
    }

    #[test]
    fn several_agents_are_ways_and_one_is_none() {
        let agents = Agents::default();
        let of = |list: &str, said: &str| {
            let mut task = task(list);
            set_models(&mut task, said).unwrap();
            let command = Command::Agent(task);
            gates(&command, &RunOptions::default(), &BTreeMap::new(), &agents)
        };
        let texts =
            |gates: &[GateName]| -> Vec<String> { gates.iter().map(ToString::to_string).collect() };
        let (own, ways) = of("claude", "opus");
        assert_eq!(
            (texts(&own), ways),
            (
                vec!["claude".to_owned(), "claude/default/opus".to_owned()],
                Vec::new()
            )
        );
        let (own, ways) = of("claude,codex", "codex=gpt-5");
        assert_eq!(own, []);
        assert_eq!(ways[0].name, "claude");
        assert_eq!(texts(&ways[0].gates), ["claude"]);
        assert_eq!(texts(&ways[1].gates), ["codex", "codex/default/gpt-5"]);
    }
}
