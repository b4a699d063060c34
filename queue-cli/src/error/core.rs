//! Turns what the queue refused into what a person reads: kind, message, hint, exit code.
//!
//! Commands come here through `?`. The words of core are kept where they say enough; the hint is what only the command
//! line knows: which command to type next.

use std::path::Path;

use queue_core::error::NothingLeft;
use queue_core::question::NotAsking;
use queue_core::{Error, JobId, State, StoreError, Verb};

use super::{CliError, ErrorKind};

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Store(error) => error.into(),
            Error::JobNotFound(_) => {
                Self::not_found(message).hint("`qcli list` shows numbers and names")
            }
            Error::ParentNotFound(_) | Error::ParentNotInBatch(_) => Self::not_found(message)
                .hint("`qcli list` shows the jobs that a new one can come after"),
            Error::Refused { job, state, verb } => refused(job, state, verb),
            Error::LeaseLost { job, taken_by, .. } => lease_lost(message, job, taken_by),
            Error::EmptyCommand => Self::usage(message)
                .hint("write the command after `--`, as in `qcli enqueue -- make test`"),
            Error::NotAsking(why) => not_asking(message, &why),
            Error::AsksAlready { .. } => Self::conflict(message)
                .hint("end now: the next attempt has the answer, and can ask on"),
            Error::StartInPast { .. } => Self::usage(message)
                .hint("leave `--at` out to start at once; `--delay 2h` counts from now"),
            Error::NulByte(_)
            | Error::OutOfRange { .. }
            | Error::DependencyCycle { .. }
            | Error::CheckpointTooLarge { .. } => Self::usage(message),
            Error::UniqueTaken { job, .. } => Self::conflict(message).hint(format!(
                "`qcli show {job}` shows it; `--on-conflict skip` takes its number for an answer"
            )),
            Error::LimitNotFound(name) => Self::not_found(message).hint(format!(
                "make it with `qcli limit set {} --rate 60/min --burst 10`",
                quoted(&name)
            )),
            Error::GateNotFound(_) => {
                Self::not_found(message).hint("`qcli gate list` shows the gates there are")
            }
            Error::BudgetNotFound(_) => {
                Self::not_found(message).hint("`qcli budget list` shows the budgets there are")
            }
            Error::NeverFits { limit, cost, .. } => Self::usage(message).hint(format!(
                "ask for less, or widen it with `qcli limit set {} --burst {cost}`",
                quoted(&limit)
            )),
            Error::NothingLeft(nothing) => Self::usage(message).hint(more_to_spend(&nothing)),
            Error::LimitInUse { first, .. } => Self::conflict(message).hint(format!(
                "`qcli show {first}` shows one; `qcli edit {first} --no-limits` lets it go without"
            )),
            Error::QueueNotFound(_) => {
                Self::not_found(message).hint("`qcli queue list` shows the queues there are")
            }
            Error::WorkerNotFound(_) => {
                Self::not_found(message).hint("`qcli workers` shows the workers there are")
            }
            Error::NoSuchPlace { .. } => Self::conflict(message)
                .hint("`qcli list --state pending` shows which jobs wait, and where"),
        }
    }
}

/// What to type for a job to go on: of each bound that is used up, as much again as was meant, on top of what it has cost.
fn more_to_spend(nothing: &NothingLeft) -> String {
    let NothingLeft {
        job,
        verb,
        most,
        spent,
    } = nothing;
    let cost = most.cost.map(|cost| match spent.cost {
        used if used < cost => cost,
        used => used.saturating_add(cost),
    });
    let tokens = most.tokens.map(|tokens| match spent.tokens {
        used if used < tokens => tokens,
        used => used.saturating_add(tokens),
    });
    let words = [
        cost.map(|cost| format!(" --max-cost {cost}")),
        tokens.map(|tokens| format!(" --max-tokens {tokens}")),
    ];
    let words: String = words.into_iter().flatten().collect();
    format!("what it has used so far counts: `qcli {verb} {job}{words}` lets it go on")
}

fn lease_lost(message: String, job: JobId, taken_by: Option<String>) -> CliError {
    let error = CliError::conflict(message);
    let error = match taken_by {
        Some(worker) => error.detail(format!("worker `{worker}` runs it now")),
        None => error,
    };
    error.hint(format!(
        "stop here: what this attempt writes is not kept; `qcli show {job}` shows who runs the job"
    ))
}

/// Whoever answers too late is told what was answered before.
fn not_asking(message: String, why: &NotAsking) -> CliError {
    let job = why.job;
    let mut error = CliError::conflict(message);
    if let Some(last) = &why.last {
        let was = match &last.answer {
            Some(answer) => format!("was answered at {}", answer.at),
            None => "nobody answered".to_owned(),
        };
        error = error.detail(format!("its last question {was}: {}", last.first_line()));
    }
    error.hint(format!(
        "`qcli show {job}` shows what it asked and was told"
    ))
}

/// `job 42 cannot be requeued: it is in progress`, and what to type instead.
fn refused(job: JobId, state: State, verb: Verb) -> CliError {
    let is = match state {
        State::InProgress => "in progress",
        state => state.as_str(),
    };
    let error = CliError::conflict(format!(
        "job {job} cannot be {}: it is {is}",
        participle(verb)
    ));
    match instead(job, state, verb) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn instead(job: JobId, state: State, verb: Verb) -> Option<String> {
    Some(match (verb, state) {
        (Verb::Requeue, State::InProgress) => {
            format!("stop it with `qcli cancel {job}`, or wait for it with `qcli wait {job}`")
        }
        (Verb::Requeue, State::Scheduled) => {
            format!("it runs by itself; `qcli release {job}` lets it run now")
        }
        (Verb::Requeue, State::Blocked) => {
            format!("it has not ended: `qcli why {job}` says what it waits for")
        }
        (Verb::Requeue | Verb::Release, _) if state.is_waiting() => {
            format!("it runs by itself; `qcli why {job}` says what it waits for")
        }
        (_, State::InProgress) => {
            format!("stop it with `qcli cancel {job}`, or wait for it with `qcli wait {job}`")
        }
        (_, state) if state.is_ended() => format!("run it again with `qcli requeue {job}`"),
        _ => return None,
    })
}

fn participle(verb: Verb) -> &'static str {
    match verb {
        Verb::Requeue => "requeued",
        Verb::Cancel => "cancelled",
        Verb::Hold => "held",
        Verb::Release => "released",
        Verb::Edit => "edited",
        Verb::Move => "moved",
        Verb::Promote => "promoted",
        Verb::Unblock => "unblocked",
        Verb::Expire => "given up",
        Verb::Claim => "claimed",
        Verb::Heartbeat => "kept alive",
        Verb::Adopt => "adopted",
        Verb::Complete => "completed",
        Verb::Fail => "failed",
        Verb::Retry => "retried",
        Verb::Snooze => "snoozed",
        Verb::Ask => "asked",
        Verb::Park => "parked",
        Verb::Answer => "answered",
        Verb::Limit => "limited",
        Verb::HandBack => "handed back",
        Verb::Rescue => "rescued",
        Verb::Abort => "aborted",
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let hint = store_hint(&error);
        Self::new(ErrorKind::Store, error.to_string()).hint(hint)
    }
}

fn store_hint(error: &StoreError) -> String {
    match error {
        StoreError::IsDirectory(path) => {
            format!("name a file in it: `--db {}`", shell(&path.join("queue.db")))
        }
        StoreError::NotADatabase(_) | StoreError::Foreign(_) => {
            "it was not touched; name another file with `--db PATH`, or see where this one comes from with \
             `qcli config show --origin`"
                .to_owned()
        }
        StoreError::Newer { .. } | StoreError::ForeignMigration { .. } => {
            "it was not touched; use the release that wrote it, or another store with `--db PATH`".to_owned()
        }
        StoreError::Corrupt { path, .. } | StoreError::Io { path, .. } => format!(
            "keep the file as it is; `qcli --db {} doctor` says what can be read, and a file that `qcli backup` \
             wrote can take its place, with `-wal` and `-shm` beside it moved away too",
            shell(path)
        ),
        StoreError::ReadOnly(path) | StoreError::PermissionDenied(path) => format!(
            "`ls -ld {} {}` shows who may; or name another store with `--db PATH`",
            shell(directory(path)),
            shell(path)
        ),
        StoreError::CannotOpen { .. } => {
            "`qcli config show --origin` shows where the path comes from; `--db PATH` names another".to_owned()
        }
        StoreError::DiskFull(path) => format!(
            "nothing that was acknowledged is lost; make room (`df -h {}`), then try again",
            shell(directory(path))
        ),
        StoreError::TooSlow { .. } => "ask for less at once, as with `--limit 100`".to_owned(),
        StoreError::Busy { .. } => "nothing was changed; try again".to_owned(),
        StoreError::OldEngine { .. } => {
            "build with the bundled SQLite, as `cargo build --release` does".to_owned()
        }
        StoreError::Setting { path, .. } => format!(
            "its file system may not allow it (`df -T {}`); name a local one with `--db PATH`",
            shell(directory(path))
        ),
        StoreError::Stopped { .. } => "start the command again".to_owned(),
        StoreError::Replaced { path, .. } => format!(
            "if the store was put back from a backup, start the command again; if it was moved, name its place with \
             `--db PATH`; `ls -l {}*` shows what is there",
            shell(path)
        ),
        StoreError::Engine { path, .. } => {
            format!("`qcli --db {} doctor` looks for damage", shell(path))
        }
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A path as it can be pasted into a shell.
fn shell(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

fn quoted(text: &str) -> String {
    shell_words::quote(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit_code::ExitCode;
    use crate::output::color::Paint;

    #[test]
    fn a_refusal_names_the_job_its_state_and_what_to_do() {
        let error = CliError::from(Error::Refused {
            job: JobId(42),
            state: State::InProgress,
            verb: Verb::Requeue,
        });
        assert_eq!(error.exit_code(), ExitCode::Conflict);
        assert_eq!(
            error.render(Paint::plain()),
            "error: job 42 cannot be requeued: it is in progress\n\
             hint: stop it with `qcli cancel 42`, or wait for it with `qcli wait 42`\n"
        );
    }

    #[test]
    fn every_refusal_of_a_person_says_what_to_do() {
        let verbs = [
            Verb::Requeue,
            Verb::Hold,
            Verb::Release,
            Verb::Edit,
            Verb::Move,
        ];
        for verb in verbs {
            for state in State::ALL {
                if queue_core::state::transition(*state, verb).is_none() {
                    let hint = instead(JobId(7), *state, verb);
                    assert!(
                        hint.is_some_and(|hint| hint.contains("`qcli ")),
                        "{verb} of a {state} job"
                    );
                }
            }
        }
    }

    #[test]
    fn kinds_of_errors_have_their_exit_codes() {
        let code = |error: Error| CliError::from(error).exit_code().number();
        assert_eq!(code(Error::JobNotFound(JobId(1))), 3);
        assert_eq!(code(Error::EmptyCommand), 2);
        assert_eq!(code(Error::LimitNotFound("api".into())), 3);
        assert_eq!(code(StoreError::DiskFull("/a/q.db".into()).into()), 5);
    }

    #[test]
    fn a_path_in_a_hint_can_be_pasted() {
        let error = CliError::from(StoreError::IsDirectory("/tmp/my queue".into()));
        let text = error.render(Paint::plain());
        assert!(text.contains("`--db '/tmp/my queue/queue.db'`"), "{text}");
    }
}
