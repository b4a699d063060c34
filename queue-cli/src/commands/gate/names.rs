//! The names that gates have here, and what is said of one that nobody uses.
//!
//! Asked by the verbs that make a gate by naming it. What always holds: such a name is doubted and never refused, since a
//! gate may be closed before its first job comes.

use queue_core::gate::GateName;
use queue_worker::agent::adapter::Adapters;

use crate::context::Context;
use crate::error::CliError;
use crate::nearest::nearest;

/// The names of all gates that somebody closed or set, that a job passes, or that an agent brings.
pub(super) struct Names(Vec<String>);

impl Names {
    /// Looks which there are. An `agents.toml` that cannot be used is passed over: whoever calls an agent is told.
    ///
    /// # Errors
    /// When the store fails (exit code 5).
    pub(super) fn read(context: &mut Context) -> Result<Self, CliError> {
        let gates = context.store()?.gates()?;
        let mut names: Vec<_> = gates.iter().map(|gate| gate.name.to_string()).collect();
        let of_agents = |agents: &Adapters| agents.iter().map(|it| it.0.to_owned()).collect();
        let agents: Vec<String> = match context.agents.all() {
            Ok(agents) => of_agents(agents),
            Err(_) => of_agents(&Adapters::built_in()),
        };
        names.extend(agents);
        Ok(Self(names))
    }

    /// What to say of this name: nothing where somebody uses it.
    pub(super) fn doubt(&self, name: &GateName) -> Option<String> {
        let known = || self.0.iter().map(String::as_str);
        if known().any(|known| known == name.as_str()) {
            return None;
        }
        let next = match nearest(name.as_str(), known()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "`qcli gate list` shows the gates there are".to_owned(),
        };
        Some(format!(
            "nothing waits for gate {name}: no job passes it, and no agent has it\n{next} `qcli gate open {name}` opens this one"
        ))
    }
}
