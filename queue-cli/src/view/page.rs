//! A job as a page: all that a person asks when one job is looked at.
//!
//! Owns the sections of `qcli show` and their order: what it is and how it stands, what to type, its times, what it
//! hangs together with, its attempts, what it saved; the longer ones have files of their own. The command prints
//! the sections and adds the last lines of the log.

mod attempts;
mod settings;
mod usage;

use queue_core::{
    Class, State,
    attempt::Progress,
    checkpoint::Checkpoint,
    ledger::Spent,
    raw_text::RawText,
    store::{Detail, Summary},
};

use super::{agent, cause, command, ended, env, json, line, proof, question};
use crate::output::{
    table::{Cell, Fields, Table, truncate},
    time::{Times, span},
};

/// A checkpoint longer than this is cut on the page; `qcli checkpoint get` prints the whole of it.
const CHECKPOINT_CELLS: usize = 200;

/// The sections of a page, as they are printed.
#[derive(Debug)]
pub struct Page {
    /// What it is and how it stands.
    pub facts: Fields,
    /// Its attempts, oldest first; none where it was never claimed.
    pub attempts: Option<Table>,
    /// What is known of those that a coding agent made; none where none did.
    pub agents: Option<Table>,
    /// What it asked and was told.
    pub questions: Option<Fields>,
    /// What it saved.
    pub checkpoints: Option<Fields>,
    /// Its environment, where that was asked for.
    pub env: Option<Fields>,
}

/// Lays out the page of a job.
#[must_use]
pub fn page(detail: &Detail, with_env: bool, times: Times) -> Page {
    let mut facts = Fields::new();
    put_identity(&mut facts, detail);
    put_standing(&mut facts, detail, times);
    put_times(&mut facts, detail, times);
    settings::put(&mut facts, detail);
    proof::put_refusal(&mut facts, &detail.attempts);
    put_relations(&mut facts, detail);
    if !with_env {
        facts.add_if("environment", env_names(detail));
    }
    Page {
        facts,
        attempts: (!detail.attempts.is_empty()).then(|| attempts::table(&detail.attempts, times)),
        agents: agent::table(&detail.attempts),
        questions: question::section(&detail.questions, times),
        checkpoints: checkpoints(&detail.checkpoints, times),
        env: with_env.then(|| env_values(detail)),
    }
}

fn put_identity(facts: &mut Fields, detail: &Detail) {
    let Summary {
        job,
        tags,
        cwd,
        command,
        ..
    } = &detail.summary;
    let name = job.name.as_ref().map(|name| format!("{} {name}", job.id));
    facts.add("job", name.unwrap_or_else(|| job.id.to_string()));
    facts.add("command", command::one_line(command));
    facts.add("directory", cwd.to_lossy());
    facts.add(
        "queue",
        match job.priority {
            0 => job.queue.clone(),
            priority => format!("{}, priority {priority}", job.queue),
        },
    );
    let tags: Vec<String> = tags
        .iter()
        .map(|(key, value)| {
            if value.is_empty() {
                key.clone()
            } else {
                format!("{key}={value}")
            }
        })
        .collect();
    facts.add_if("tags", some(&tags));
}

/// The condition, why it does not run, and what to type about that.
fn put_standing(facts: &mut Fields, detail: &Detail, times: Times) {
    let Summary { job, last, .. } = &detail.summary;
    let stands = line::stands(&detail.summary, times.now());
    facts.add("condition", Cell::colored(stands, line::role(job.state)));
    for cause in &detail.causes {
        let explained = cause::explain(cause, job, times);
        facts.add("why", explained.sentence);
        facts.add_if("change it", some_commands(&explained.remedies));
    }
    facts.add_if("change it", remedy_of_end(&detail.summary));
    let message = last
        .as_ref()
        .filter(|_| ended::ran(job))
        .and_then(|last| last.message.as_deref());
    facts.add_if("message", message);
    facts.add_if(
        "progress",
        last.as_ref()
            .and_then(|last| last.progress.as_ref())
            .map(progress),
    );
    let process = last.as_ref().and_then(|last| last.process.as_ref());
    facts.add_if(
        "not enforced",
        process.and_then(|process| process.unenforced.as_deref()),
    );
}

/// What a person may want to do with a job that ended badly.
fn remedy_of_end(summary: &Summary) -> Option<String> {
    let job = &summary.job;
    let again = format!("`qcli requeue {}`", job.id);
    match (job.state, job.class) {
        (State::Failed, Some(Class::BadCwd)) => Some(format!(
            "make the directory {}, then {again}",
            summary.cwd.to_lossy()
        )),
        (State::Failed, Some(Class::SpawnFailed)) => Some(format!(
            "see that the program is there and may be run, then {again}"
        )),
        (State::Failed, Some(Class::OverBudget)) => Some(format!(
            "let it cost more: `qcli requeue {} --max-cost USD` or `--max-tokens N`",
            job.id
        )),
        (State::Failed | State::Cancelled, _) => Some(again),
        _ => None,
    }
}

fn progress(progress: &Progress) -> String {
    let count = match progress.total {
        Some(total) if total > 0 => {
            let percent = u128::from(progress.done.min(total)) * 100 / u128::from(total);
            format!("{}/{total} ({percent} %)", progress.done)
        }
        Some(total) => format!("{}/{total}", progress.done),
        None => progress.done.to_string(),
    };
    match &progress.text {
        Some(text) => format!("{count} {text}"),
        None => count,
    }
}

fn put_times(facts: &mut Fields, detail: &Detail, times: Times) {
    let summary = &detail.summary;
    let job = &summary.job;
    facts.add("created", times.moment_and_relative(job.created_at));
    if let Some(at) = job.run_at.filter(|_| job.state.is_waiting()) {
        let label = if json::is_between_attempts(summary) {
            "next attempt"
        } else {
            "not before"
        };
        facts.add(label, times.moment_and_relative(at));
    }
    facts.add_if(
        "started",
        summary.started_at.map(|at| times.moment_and_relative(at)),
    );
    if let Some(at) = job.finished_at {
        let took = summary.started_at.map(|started| span(at.since(started)));
        let took = took
            .map(|took| format!(", took {took}"))
            .unwrap_or_default();
        facts.add(
            "finished",
            format!("{}{took}", times.moment_and_relative(at)),
        );
    }
    let usage = summary.last.as_ref().and_then(|last| last.usage);
    facts.add_if("used", usage.map(usage::used));
    facts.add_if("spent", spent(detail));
    let expires = job.expires_at.filter(|_| job.state.is_waiting());
    facts.add_if("given up", expires.map(|at| times.moment_and_relative(at)));
}

/// What all attempts cost, and what they may: `$1.02 of $2.00`, `$0.50, 12k tokens`.
fn spent(detail: &Detail) -> Option<String> {
    let (spent, most) = (&detail.spent, detail.body.options.most());
    if *spent == Spent::default() {
        return None;
    }
    Some(match most.is_unbounded() {
        true => agent::spent(spent),
        false => most.words(spent),
    })
}

fn put_relations(facts: &mut Fields, detail: &Detail) {
    for (after, state, is_met) in &detail.after {
        let state = state.map_or("gone", State::as_str);
        let met = if *is_met { "" } else { ", not met" };
        facts.add(
            "after",
            format!("job {}:{} ({state}{met})", after.parent, after.end),
        );
    }
    let dependants: Vec<String> = detail
        .dependants
        .iter()
        .map(|(id, end, state)| format!("job {id}:{end} ({state})"))
        .collect();
    facts.add_if("before", some(&dependants));
}

fn env_names(detail: &Detail) -> Option<String> {
    let names: Vec<String> = detail.body.env.keys().cloned().collect();
    some(&names)
}

/// Names with the values that may be shown.
fn env_values(detail: &Detail) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in &detail.body.env {
        let shown = env::shown(name, value).map(RawText::to_lossy);
        fields.add(name, shown.unwrap_or_else(|| env::HIDDEN.to_owned()));
    }
    fields
}

fn checkpoints(saved: &[Checkpoint], times: Times) -> Option<Fields> {
    let mut fields = Fields::new();
    for saved in saved {
        let value = truncate(
            String::from_utf8_lossy(&saved.value).trim_end(),
            CHECKPOINT_CELLS,
        );
        fields.add(
            &saved.name,
            format!("{value} (saved {})", times.relative(saved.at)),
        );
    }
    (!saved.is_empty()).then_some(fields)
}

/// The words with commas between them, if there are any.
fn some(words: &[String]) -> Option<String> {
    (!words.is_empty()).then(|| words.join(", "))
}

fn some_commands(commands: &[String]) -> Option<String> {
    (!commands.is_empty()).then(|| {
        let quoted: Vec<String> = commands
            .iter()
            .map(|command| format!("`{command}`"))
            .collect();
        quoted.join(" or ")
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, NOON, noon_plus};
    use super::*;
    use crate::output::color::Paint;
    use queue_core::{
        JobId, WaitReason,
        job::{After, ParentEnd},
        why::Cause,
    };

    pub(super) fn facts(detail: &Detail) -> String {
        page(detail, false, Times::new(noon_plus(300), false))
            .facts
            .render(Paint::plain())
    }

    #[test]
    fn a_page_says_what_it_is_how_it_stands_and_what_to_type() {
        assert_eq!(
            facts(&samples::failed()),
            "\
job          4 nightly
command      make 'all tests'
directory    /src
queue        build, priority 5
tags         team=a
condition    failed: exit code 3
change it    `qcli requeue 4`
created      2026-03-01T12:00:00.000Z
started      2026-03-01T12:03:20.000Z
finished     2026-03-01T12:04:02.000Z, took 42s
used         cpu 900ms, in the system 100ms, memory 2.0 MiB, disk 0 B read and 4.0 KiB written
attempts     2 of 3, backoff exp:10s..1h
options      timeout 1m30s
environment  API_TOKEN, LANG
"
        );
    }

    #[test]
    fn a_job_between_attempts_says_exactly_when_the_next_one_starts() {
        let mut detail = samples::failed();
        let at = noon_plus(400);
        let job = &mut detail.summary.job;
        (job.state, job.wait_reason, job.run_at) =
            (State::Scheduled, Some(WaitReason::Retry), Some(at));
        job.finished_at = None;
        detail.causes = vec![Cause::Until {
            reason: WaitReason::Retry,
            at,
        }];
        detail.summary.cause = detail.causes.first().cloned();
        let text = facts(&detail);
        assert!(
            text.contains("condition     retry 3/3 in 1m40s\n"),
            "{text}"
        );
        assert!(
            text.contains("next attempt  2026-03-01T12:06:40.000Z\n"),
            "{text}"
        );
        assert!(text.contains("change it     `qcli release 4`\n"), "{text}");
    }

    #[test]
    fn relations_and_what_was_saved_are_shown() {
        let mut detail = samples::failed();
        detail.after = vec![(
            After {
                parent: JobId(3),
                end: ParentEnd::Success,
            },
            Some(State::Failed),
            false,
        )];
        detail.dependants = vec![(JobId(9), ParentEnd::Any, State::Blocked)];
        let text = facts(&detail);
        assert!(
            text.contains("after        job 3:success (failed, not met)\n"),
            "{text}"
        );
        assert!(
            text.contains("before       job 9:any (blocked)\n"),
            "{text}"
        );
        let saved = page(&detail, false, Times::new(NOON, false))
            .checkpoints
            .unwrap();
        assert!(
            saved
                .render(Paint::plain())
                .starts_with("default  {\"step\":7} (saved ")
        );
    }

    #[test]
    fn a_secret_value_is_on_no_page() {
        // L5
        let env = page(&samples::failed(), true, Times::new(NOON, false))
            .env
            .unwrap();
        assert_eq!(
            env.render(Paint::plain()),
            "API_TOKEN  (hidden)\nLANG       C\n"
        );
    }
}
