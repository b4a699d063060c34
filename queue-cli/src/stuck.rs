//! Tells of a job that nothing which happens by itself ever lets start, and of one that waits for a person.
//!
//! `wait`, `logs -f` and `run` ask it before they go on waiting: a job after one that failed stays blocked until a person
//! does something, and a script that waits for it would hang for ever. It is the answer of exit code 4.

use queue_core::store::Detail;
use queue_core::why::Cause;
use queue_core::{Job, JobId, Now, State, Store};

use crate::error::CliError;
use crate::output::time::Times;
use crate::view::cause::{explain, is_for_ever};

/// Jobs looked at on the way to what is wrong; a longer chain is waited for.
const LONGEST_CHAIN: usize = 1_000;

/// A job that can never start, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stuck {
    job: JobId,
    /// A sentence for each job on the way to what is wrong.
    why: Vec<String>,
    /// Commands that change it.
    hint: String,
}

impl Stuck {
    /// Looks at a job, and at those it waits for.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn find(
        store: &dyn Store,
        detail: &Detail,
        now: &Now,
        times: Times,
    ) -> Result<Option<Self>, CliError> {
        if detail.summary.job.state != State::Blocked {
            return Ok(None);
        }
        let mut seen = vec![detail.summary.job.id];
        let mut why = Vec::new();
        let found = chain(
            store,
            &detail.summary.job,
            &detail.causes,
            now,
            times,
            &mut seen,
            &mut why,
        )?;
        Ok(found.map(|hint| Self {
            job: detail.summary.job.id,
            why,
            hint,
        }))
    }

    /// The lines that tell of it.
    pub(crate) fn words(&self) -> String {
        format!(
            "job {} can never start\n{}\n{}",
            self.job,
            self.why.join("\n"),
            self.hint
        )
    }

    /// The error that ends a command which would wait for it.
    pub(crate) fn error(&self) -> CliError {
        let error = CliError::conflict(format!("job {} can never start", self.job));
        self.why
            .iter()
            .fold(error, CliError::detail)
            .hint(self.hint.clone())
    }
}

/// Follows what `job` waits for to a cause that lasts for ever: gives what to do about it, with the way there in `why`.
fn chain(
    store: &dyn Store,
    job: &Job,
    causes: &[Cause],
    now: &Now,
    times: Times,
    seen: &mut Vec<JobId>,
    why: &mut Vec<String>,
) -> Result<Option<String>, CliError> {
    if let Some(cause) = causes.iter().find(|cause| is_for_ever(cause)) {
        let explained = explain(cause, job, times);
        let remedies: Vec<String> = explained
            .remedies
            .iter()
            .map(|remedy| format!("`{remedy}`"))
            .collect();
        why.push(format!("job {}: {}", job.id, explained.sentence));
        return Ok(Some(remedies.join(" or ")));
    }
    for cause in causes {
        let Cause::After {
            parent,
            state: Some(State::Blocked),
            ..
        } = cause
        else {
            continue;
        };
        if seen.contains(parent) || seen.len() >= LONGEST_CHAIN {
            continue;
        }
        seen.push(*parent);
        why.push(format!(
            "job {}: {}",
            job.id,
            explain(cause, job, times).sentence
        ));
        let found = chain(
            store,
            &store.job(*parent)?,
            &store.why(*parent, now)?,
            now,
            times,
            seen,
            why,
        )?;
        if found.is_some() {
            return Ok(found);
        }
        why.pop();
    }
    Ok(None)
}

/// What keeps a job until a person does something, with the command; `None` where it goes on by itself.
pub(crate) fn waits_for_a_person(detail: &Detail, times: Times) -> Option<String> {
    let job = &detail.summary.job;
    let explained = detail
        .causes
        .iter()
        .filter(|cause| !is_for_ever(cause))
        .map(|cause| explain(cause, job, times))
        .find(|explained| !explained.passes_by_itself)?;
    let remedy = explained
        .remedies
        .first()
        .map(|remedy| format!("\n`{remedy}`"));
    Some(format!(
        "job {} waits. {}{}",
        job.id,
        explained.sentence,
        remedy.unwrap_or_default()
    ))
}
