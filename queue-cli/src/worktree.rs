//! The worktree of a job, as the verbs that look at it and take it away find it.
//!
//! `diff`, `accept`, `discard`, `prune` and `show` come here. What always holds: a tree is taken only from a job that
//! has ended, and by [`queue_worker::worktree::remove()`], which saves its work first.

use queue_core::{Job, JobId, Store};
use queue_worker::layout::Layout;
use queue_worker::worktree::{Marker, Place, Removed, Way, remove};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::resolve;
use crate::selector::Selector;

/// Where the tree of a job of this store is, or would be.
pub(crate) fn place(context: &Context, id: JobId) -> Place {
    let store = context.config.store.value.path();
    // As the workers do: beside the file itself, not beside a link to it.
    let store = store.canonicalize().unwrap_or_else(|_| store.to_owned());
    Place::of(&Layout::of(&store).worktrees(), id)
}

/// Finds a job whose tree may be taken from it.
///
/// # Errors
/// When there is no such job (exit code 3), or it has not ended (exit code 4).
pub(crate) fn ended_job(store: &dyn Store, selector: &Selector) -> Result<Job, CliError> {
    let job = store.job(resolve::job(store, selector)?)?;
    if job.state.is_ended() {
        return Ok(job);
    }
    let (id, state) = (job.id, job.state);
    Err(CliError::conflict(format!(
        "job {id} is {state} and may still need its worktree"
    ))
    .hint(format!("`qcli wait {id}`, or `qcli cancel {id}` first")))
}

/// Saves the work of a job's tree and removes it.
///
/// # Errors
/// When it cannot be saved or removed: then it is there as before.
pub(crate) fn take_away(place: &Place, attempt: u32, teardown: bool) -> Result<Removed, CliError> {
    Ok(remove(place, Way { attempt, teardown })?)
}

/// The lines that say what became of a tree.
pub(crate) fn lines(id: JobId, removed: &Removed) -> Vec<String> {
    let branch = removed.branch.as_ref();
    let branch = branch
        .map(|name| format!(" and branch {name}"))
        .unwrap_or_default();
    let mut lines = vec![format!("removed {}{branch}", removed.tree.display())];
    if !removed.rescued.is_empty() {
        let refs = removed.rescued.join(", ");
        lines.push(format!(
            "its work is kept in {refs}: `qcli rescue restore {id}` brings it back"
        ));
    }
    lines
}

/// What became of a tree, as JSON says it.
pub(crate) fn fields(id: JobId, removed: &Removed) -> Value {
    json!({
        "id": id,
        "path": removed.tree,
        "branch": removed.branch,
        "rescued": removed.rescued,
    })
}

/// The tree that is there, for a page: its path and what is known of it.
pub(crate) fn look(context: &Context, id: JobId) -> Option<(std::path::PathBuf, Marker)> {
    let place = place(context, id);
    let marker = place.read().ok()??;
    Some((place.tree(&marker), marker))
}
