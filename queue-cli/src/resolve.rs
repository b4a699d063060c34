//! Finds the job that a person means.
//!
//! Commands parse a [`Selector`] and ask here for the number. A name means the newest job of that name that has not
//! ended, else the newest of all; `@` counts back from the job that was added last.

use queue_core::store::Filter;
use queue_core::{JobId, State, Store};

use crate::error::CliError;
use crate::selector::Selector;

/// Finds the number of the job that is meant.
///
/// # Errors
/// When there is no such job (exit code 3), or the store fails.
pub(crate) fn job(store: &dyn Store, selector: &Selector) -> Result<JobId, CliError> {
    match selector {
        Selector::Id(id) => Ok(store.job(JobId(*id))?.id),
        Selector::Name(name) => named(store, name),
        Selector::Last(back) => last(store, *back),
    }
}

/// Finds the numbers of the jobs that are meant, each once, in the order in which they were named.
///
/// # Errors
/// As [`job`].
pub(crate) fn jobs(store: &dyn Store, selectors: &[Selector]) -> Result<Vec<JobId>, CliError> {
    let mut ids = Vec::new();
    for selector in selectors {
        let id = job(store, selector)?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn named(store: &dyn Store, name: &str) -> Result<JobId, CliError> {
    let live: Vec<State> = State::ALL
        .iter()
        .copied()
        .filter(|state| !state.is_ended())
        .collect();
    for states in [live, Vec::new()] {
        let filter = Filter {
            states,
            name: Some(name.to_owned()),
            most: Some(1),
            ..Filter::default()
        };
        if let Some(newest) = store.ids(&filter)?.first() {
            return Ok(*newest);
        }
    }
    Err(
        CliError::not_found(format!("there is no job named `{name}`"))
            .hint("`qcli list` shows numbers and names"),
    )
}

fn last(store: &dyn Store, back: u32) -> Result<JobId, CliError> {
    let place = usize::try_from(back).unwrap_or(usize::MAX);
    let filter = Filter {
        most: Some(place.saturating_add(1)),
        ..Filter::default()
    };
    let ids = store.ids(&filter)?;
    ids.get(place).copied().ok_or_else(|| {
        let message = match ids.len() {
            0 => "there is no job yet".to_owned(),
            1 => format!(
                "`{}` goes too far back: there is 1 job",
                Selector::Last(back)
            ),
            count => format!(
                "`{}` goes too far back: there are {count} jobs",
                Selector::Last(back)
            ),
        };
        CliError::not_found(message).hint("add one with `qcli enqueue -- COMMAND`")
    })
}

/// The error that a job has no attempt of that number.
pub(crate) fn no_attempt(job: JobId, number: u32, last: u32) -> CliError {
    CliError::not_found(format!(
        "job {job} has no attempt {number}: its last one is {last}"
    ))
    .hint(format!("`qcli show {job}` lists its attempts"))
}
