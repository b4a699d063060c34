//! A job as a line of a list.
//!
//! Owns the columns of `qcli list` and the colour of a state. The line fits the terminal because the command gives way;
//! the state is always told in words, the colour only repeats it.

use queue_core::{State, Timestamp, store::Summary, why::condition};

use super::{command, ended};
use crate::output::{
    color::Role,
    table::{Cell, Column, Table},
    time::Times,
};

/// Lays out jobs as a table: id, condition, queue, name and command, when it was added.
#[must_use]
pub fn table(jobs: &[Summary], times: Times, now: Timestamp) -> Table {
    let mut table = Table::new([
        Column::right("ID"),
        Column::left("CONDITION"),
        Column::left("QUEUE").spare(2),
        Column::flexible("JOB"),
        Column::left("ADDED").spare(1),
    ]);
    for summary in jobs {
        table.row([
            Cell::from(summary.job.id.0),
            Cell::colored(stands(summary, now), role(summary.job.state)),
            Cell::from(summary.job.queue.as_str()),
            Cell::from(what(summary)),
            Cell::from(times.relative(summary.job.created_at)),
        ]);
    }
    table
}

/// How a job stands: the condition, with the number of its exit code or signal once it ended.
#[must_use]
pub fn stands(summary: &Summary, now: Timestamp) -> String {
    let job = &summary.job;
    if job.state.is_ended() {
        return ended::words(job, summary.last.as_ref());
    }
    let condition = condition(job, summary.cause.as_ref(), now);
    match progress(summary) {
        Some(progress) if job.state == State::InProgress => format!("{condition} {progress}"),
        _ => condition,
    }
}

/// How far the running attempt says it is: `7/20`, or `7` where the whole is not known.
#[must_use]
pub fn progress(summary: &Summary) -> Option<String> {
    let progress = summary.last.as_ref()?.progress.as_ref()?;
    Some(match progress.total {
        Some(total) => format!("{}/{total}", progress.done),
        None => progress.done.to_string(),
    })
}

/// The name and, behind it, the command.
#[must_use]
pub fn what(summary: &Summary) -> String {
    let command = command::one_line(&summary.command);
    match &summary.job.name {
        Some(name) => format!("{name}: {command}"),
        None => command,
    }
}

/// The colour that repeats a state.
#[must_use]
pub fn role(state: State) -> Role {
    match state {
        State::Scheduled | State::Blocked => Role::Waiting,
        State::Pending => Role::Faint,
        State::InProgress => Role::Active,
        State::Completed => Role::Good,
        State::Failed => Role::Bad,
        State::Cancelled => Role::Faint,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, noon_plus};
    use super::*;
    use crate::output::color::Paint;
    use queue_core::{Class, attempt::Progress};

    fn rendered(jobs: &[Summary], width: usize) -> String {
        let now = noon_plus(7_200);
        table(jobs, Times::new(now, true), now).render(Some(width), Paint::plain(), true)
    }

    #[test]
    fn a_line_says_how_the_job_stands_and_what_it_is() {
        let failed = samples::failed().summary;
        assert_eq!(
            rendered(&[failed], 80),
            "ID  CONDITION            QUEUE  JOB                        ADDED\n\
             \u{20}4  failed: exit code 3  build  nightly: make 'all tests'  2 h ago\n"
        );
    }

    #[test]
    fn a_running_job_shows_how_far_it_is() {
        let mut last = samples::attempt(2, None, None);
        last.progress = Some(Progress {
            done: 7,
            total: Some(20),
            text: None,
        });
        let running = samples::summary(samples::job(State::InProgress), Some(last));
        assert_eq!(stands(&running, noon_plus(0)), "running, attempt 2/3 7/20");
    }

    #[test]
    fn a_long_command_gives_way_to_the_width() {
        let mut job = samples::job(State::Failed);
        job.class = Some(Class::Timeout);
        job.name = Some("x".repeat(300));
        let text = rendered(&[samples::summary(job, None)], 60);
        assert!(
            text.lines().all(|line| line.chars().count() <= 60),
            "{text}"
        );
        assert!(text.contains("failed: timeout"), "{text}");
    }
}
