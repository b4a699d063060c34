//! An agent that one attempt calls: by a task of ours, or by a person's own command line.
//!
//! Made between the claim and the start, handed on to the attempt, and made anew for one that is
//! adopted. What always holds: a person's own command line has no beginning of ours, and stays as
//! it is.

use std::ffi::OsString;
use std::path::Path;

use queue_core::agent::AgentTask;
use queue_core::job::{Command, JobBody};
use queue_core::raw_text::RawText;

use super::adapter::{Adapter, AdapterError, Adapters};
use super::bill::Earlier;
use super::session::Begin;

/// An agent as one attempt calls it.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The agent's name.
    pub name: String,
    /// What is known of it.
    pub adapter: Adapter,
    /// How the attempt begins; none for a command line that a person wrote, and for an attempt
    /// that another worker began.
    pub begin: Option<Begin>,
    /// What the attempt goes on from.
    pub earlier: Earlier,
    /// What the log is to say of it, where another agent was meant to do it.
    pub remark: Option<String>,
}

impl Call {
    /// The agent that a job calls, if it calls one.
    ///
    /// # Errors
    /// When the user's file of agents cannot be used, or has no such agent.
    pub fn of(body: &JobBody, directory: Option<&Path>) -> Result<Option<Self>, AdapterError> {
        let name = match (&body.command, &body.options.agent) {
            (Ok(Command::Agent(task)), _) => &task.agent,
            (_, Some(name)) => name,
            _ => return Ok(None),
        };
        let adapters = Adapters::load(directory)?;
        Ok(Some(Self {
            name: name.clone(),
            adapter: adapters.get(name)?.clone(),
            begin: None,
            earlier: Earlier::default(),
            remark: None,
        }))
    }

    /// The variables of the attempt: what marks another session is taken away, what the agent
    /// needs is added, and the account is that of the task's profile.
    pub(crate) fn adjust(&self, env: &mut Vec<(OsString, OsString)>, task: Option<&AgentTask>) {
        let adapter = &self.adapter;
        env.retain(|(name, _)| !adapter.strip.iter().any(|strip| name == strip.as_str()));
        let Some(task) = task else {
            return;
        };
        for (name, value) in &adapter.set {
            if !env.iter().any(|(known, _)| known == name.as_str()) {
                env.push((name.into(), value.into()));
            }
        }
        let home = env.iter().find(|(name, _)| name == "HOME");
        let home = home.map(|(_, value)| Path::new(value).to_owned());
        if let (Some(variable), Some(profile)) = (&adapter.profile, &task.profile)
            && let Some(directory) = adapter.directory_of(profile, home.as_deref())
        {
            env.retain(|(name, _)| name != variable.as_str());
            env.push((variable.into(), directory.into()));
        }
    }
}

/// The task of a job that has one.
pub(crate) fn task_of(body: &JobBody) -> Option<&AgentTask> {
    match &body.command {
        Ok(Command::Agent(task)) => Some(task),
        _ => None,
    }
}

/// The account that a job uses, where it is not the agent's only one: the profile it names, or the
/// one that its variables stand for.
#[must_use]
pub fn account(
    adapter: &Adapter,
    profile: Option<&str>,
    env: &std::collections::BTreeMap<String, RawText>,
) -> Option<String> {
    if let Some(profile) = profile {
        return Some(profile.to_owned());
    }
    let variable = |name: &str| env.get(name).map(RawText::as_os_str);
    let home = variable("HOME").map(Path::new);
    adapter.profile_of(variable(adapter.profile.as_deref()?), home)
}
