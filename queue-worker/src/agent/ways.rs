//! Which of several agents does an attempt, and what is said of that.
//!
//! Asked between the claim, which chose the way, and the start; and again by a worker that adopts
//! the attempt. What always holds: from then on the job's task is that of one agent; a session of
//! one agent is never gone on with by another.

use queue_core::agent::AgentTask;
use queue_core::attempt::Attempt;
use queue_core::gate::GateStatus;
use queue_core::job::{Command, JobBody};
use queue_core::way::Way;

/// Leaves of a job's task what the agent that goes this way is given. Gives the name of the first
/// agent's way, where it is another's turn.
pub(crate) fn choose(body: &mut JobBody, way: Option<&str>) -> Option<String> {
    let Ok(Command::Agent(task)) = &mut body.command else {
        return None;
    };
    let first = task.way();
    *task = task.by(way);
    (task.way() != first).then_some(first)
}

/// Whether an attempt was made by the agent of this task, with its account. Of one whose job had no
/// ways, what was read of its output says which agent it was.
pub(crate) fn is_own(attempt: &Attempt, task: &AgentTask) -> bool {
    match &attempt.way {
        Some(way) => *way == task.way(),
        None => {
            let facts = attempt.agent.as_ref();
            let agent = facts.and_then(|facts| facts.get("agent")?.as_str());
            agent.is_none_or(|agent| agent == task.agent)
        }
    }
}

/// Why another agent than the first one does an attempt, for its log.
pub(crate) fn remark(way: &str, first: &str, ways: &[Way], gates: &[GateStatus]) -> String {
    let of_first = ways.iter().find(|way| way.name == first);
    let mut of_first = of_first.into_iter().flat_map(|way| &way.gates);
    let shut = of_first.find_map(|name| {
        let status = gates.iter().find(|status| status.name == *name)?;
        Some((name, status.gate.closing()?))
    });
    let why = match shut {
        Some((gate, closing)) => match closing.until {
            Some(until) => format!("gate {gate} is closed until {until} ({})", closing.reason),
            None => format!(
                "gate {gate} is closed until somebody opens it ({})",
                closing.reason
            ),
        },
        None => "that one could not be started or reached".to_owned(),
    };
    format!("{way} does this attempt in place of {first}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue_core::Timestamp;
    use queue_core::gate::{Closing, Gate, GateReason, Stand};

    #[test]
    fn the_log_says_why_another_agent_does_it() {
        let way = |name: &str| Way {
            name: name.to_owned(),
            gates: vec![name.parse().unwrap()],
        };
        let ways = [way("claude"), way("codex")];
        let told = |until| {
            let closing = Closing {
                reason: GateReason::Limit,
                until,
                since: Timestamp::from_millis(0),
                evidence: None,
                set_by: "job 4".to_owned(),
                tries: 0,
            };
            let status = GateStatus {
                gate: Gate {
                    stand: Stand::Closed(closing),
                    ..Gate::default()
                },
                ..GateStatus::unknown("claude".parse().unwrap())
            };
            remark("codex", "claude", &ways, &[status])
        };
        assert_eq!(
            told(Some(Timestamp::from_millis(60_000))),
            "codex does this attempt in place of claude: \
             gate claude is closed until 1970-01-01T00:01:00.000Z (limit)"
        );
        assert!(told(None).ends_with("until somebody opens it (limit)"));
        assert!(remark("codex", "claude", &ways, &[]).ends_with("could not be started or reached"));
    }
}
