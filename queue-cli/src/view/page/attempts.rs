//! The attempts of a job, as a table.
//!
//! Each row says how one ended, how long it took, who ran it and who took it over, and what it used. What a coding agent
//! did in it stands in a table of its own, which [`crate::view::agent`] lays out.

use queue_core::{Class, attempt::Attempt};

use super::super::ended;
use super::usage::{cpu, memory};
use crate::output::{
    color::Role,
    table::{Cell, Column, Table},
    time::{Times, span},
};

/// Lays out attempts, oldest first.
pub(super) fn table(attempts: &[Attempt], times: Times) -> Table {
    let mut table = Table::new([
        Column::right("#"),
        Column::left("ENDED"),
        Column::right("TOOK"),
        Column::left("STARTED").spare(3),
        Column::left("WORKER").spare(2),
        Column::right("PID").spare(1),
        Column::right("CPU").spare(5),
        Column::right("MEMORY").spare(4),
        Column::flexible("MESSAGE"),
    ]);
    for attempt in attempts {
        let started = attempt
            .process
            .as_ref()
            .map_or(attempt.claimed_at, |process| process.started_at);
        let until = attempt.ended_at.unwrap_or_else(|| times.now());
        table.row([
            Cell::from(u64::from(attempt.number)),
            how_it_ended(attempt),
            Cell::from(span(until.since(started))),
            Cell::from(times.moment(started)),
            Cell::from(worker(attempt)),
            Cell::from(
                attempt
                    .process
                    .as_ref()
                    .map(|process| process.pid.to_string())
                    .unwrap_or_default(),
            ),
            Cell::from(attempt.usage.map(cpu).unwrap_or_default()),
            Cell::from(attempt.usage.map(memory).unwrap_or_default()),
            Cell::from(attempt.message.clone().unwrap_or_default()),
        ]);
    }
    table
}

fn how_it_ended(attempt: &Attempt) -> Cell {
    match (attempt.ended_at, attempt.class) {
        (None, _) => Cell::colored("running", Role::Active),
        (Some(_), None) => Cell::colored("completed", Role::Good),
        (Some(_), class) => Cell::colored(ended::reason(class, Some(attempt)), Role::Bad),
    }
}

fn worker(attempt: &Attempt) -> String {
    let is_dead = |class: Class| {
        matches!(
            class,
            Class::LeaseLost | Class::LeaseExpired | Class::WorkerDied | Class::Rebooted
        )
    };
    match &attempt.adopted_by {
        // Who took it over found nothing that went on.
        Some(rescuer) if attempt.class.is_some_and(is_dead) => {
            format!("{}, rescued by {rescuer}", attempt.worker_name)
        }
        Some(adopter) => format!("{}, adopted by {adopter}", attempt.worker_name),
        None => attempt.worker_name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::page;
    use super::*;
    use crate::output::color::Paint;
    use crate::view::samples::{self, noon_plus};

    #[test]
    fn attempts_show_who_ran_them_and_who_took_over() {
        let mut detail = samples::failed();
        detail.attempts[1].adopted_by = Some("desk-2".into());
        let table = page(&detail, false, Times::new(noon_plus(300), false))
            .attempts
            .unwrap();
        let text = table.render(None, Paint::plain(), true);
        let rows: Vec<&str> = text.lines().collect();
        assert!(
            rows[1].contains("signal") && rows[1].contains("desk-1"),
            "{text}"
        );
        assert!(
            rows[2].contains("exit code 3") && rows[2].contains("desk-1, adopted by desk-2"),
            "{text}"
        );
        assert!(
            rows[2].contains("42s") && rows[2].contains("4711"),
            "{text}"
        );
        detail.attempts[1].class = Some(Class::WorkerDied);
        assert_eq!(worker(&detail.attempts[1]), "desk-1, rescued by desk-2");
        detail.attempts[1].class = Some(Class::SessionMissing);
        assert_eq!(worker(&detail.attempts[1]), "desk-1, adopted by desk-2");
    }
}
