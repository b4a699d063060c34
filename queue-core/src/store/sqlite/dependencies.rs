//! Dependencies: which jobs have to end, and how, before another may start.
//!
//! `job.waiting_on` counts what is not met, so that the end of a parent costs as much as it has
//! dependants. A parent that ends otherwise than needed leaves its dependant blocked: it is
//! neither started nor lost, and a later good end of the parent still frees it.

use super::{fault::Done, moves, rows, sql, tx::Tx, unreadable};
use crate::{
    error::Error,
    failpoint,
    job::{After, JobId, ParentEnd},
    state::State,
};
use rusqlite::named_params;
use std::collections::{BTreeMap, VecDeque, btree_map::Entry};

/// Checks the parents of a new job and counts those that still have to end.
pub(super) fn check_new(tx: &Tx<'_>, after: &[After]) -> Done<u32> {
    let mut unmet = 0;
    let mut seen = BTreeMap::new();
    for dependency in after {
        let state =
            state_of(tx, dependency.parent)?.ok_or(Error::ParentNotFound(dependency.parent))?;
        seen.insert(dependency.parent, dependency.end.is_met_by(state));
    }
    for met in seen.values() {
        unmet += u32::from(!met);
    }
    Ok(unmet)
}

/// Makes `job` come after another. Whether that is met already is looked up.
pub(super) fn insert(tx: &Tx<'_>, job: JobId, after: After) -> Done<()> {
    let met = state_of(tx, after.parent)?.is_some_and(|state| after.end.is_met_by(state));
    tx.run(
        sql::INSERT_DEPENDENCY,
        named_params! {
            ":job": job.0, ":parent": after.parent.0, ":needs": after.end.as_str(), ":met": met,
        },
    )?;
    Ok(())
}

/// Gives a job other parents, and says how many still have to end.
pub(super) fn replace(tx: &Tx<'_>, job: JobId, after: &[After]) -> Done<u32> {
    check_new(tx, after)?;
    tx.run(sql::REMOVE_DEPENDENCIES, named_params! {":job": job.0})?;
    for dependency in after {
        insert(tx, job, *dependency)?;
    }
    refuse_cycle(tx, job)?;
    recount(tx, job)
}

/// Refuses dependencies that lead back to `job`. Each job on the way is looked at once: the ways
/// themselves can be more than anybody could follow, a diamond doubles them.
pub(super) fn refuse_cycle(tx: &Tx<'_>, job: JobId) -> Done<()> {
    let mut child_of = BTreeMap::new();
    let mut reached = VecDeque::from([job]);
    while let Some(child) = reached.pop_front() {
        for parent in parents(tx, child)? {
            if parent == job {
                let path = way_back(&child_of, child, job);
                return Err(Error::DependencyCycle { job, path }.into());
            }
            if let Entry::Vacant(unseen) = child_of.entry(parent) {
                unseen.insert(child);
                reached.push_back(parent);
            }
        }
    }
    Ok(())
}

/// The jobs on the way from `job` over its parents to `last`, which comes after `job`.
fn way_back(child_of: &BTreeMap<JobId, JobId>, last: JobId, job: JobId) -> Vec<JobId> {
    let mut path = vec![job];
    let mut at = last;
    while at != job {
        path.push(at);
        at = child_of[&at];
    }
    path.push(job);
    path.reverse();
    path
}

fn parents(tx: &Tx<'_>, job: JobId) -> Done<Vec<JobId>> {
    tx.all(sql::PARENTS, named_params! {":job": job.0}, |row| {
        row.get("parent").map(JobId)
    })
}

/// Counts what is not met, and notes it.
pub(super) fn recount(tx: &Tx<'_>, job: JobId) -> Done<u32> {
    let unmet = tx
        .one(
            sql::UNMET_DEPENDENCIES,
            named_params! {":job": job.0},
            |row| row.get(0),
        )?
        .unwrap_or(0);
    tx.run(
        sql::SET_WAITING_ON,
        named_params! {":job": job.0, ":waiting_on": unmet},
    )?;
    Ok(unmet)
}

/// A dependant of a job.
pub(super) struct Dependant {
    pub(super) job: JobId,
    pub(super) needs: ParentEnd,
    pub(super) met: bool,
    pub(super) state: State,
}

/// The jobs that come after `parent`.
pub(super) fn dependants(tx: &Tx<'_>, parent: JobId) -> Done<Vec<Dependant>> {
    tx.all(sql::DEPENDANTS, named_params! {":job": parent.0}, |row| {
        Ok(Dependant {
            job: JobId(row.get("job")?),
            needs: rows::word(row, "needs")?,
            met: row.get("met")?,
            state: rows::word(row, "state")?,
        })
    })
}

/// Tells the dependants of `parent` that it has ended in `state`.
pub(super) fn parent_ended(tx: &Tx<'_>, parent: JobId, state: State) -> Done<()> {
    for dependant in dependants(tx, parent)? {
        if dependant.met || !dependant.needs.is_met_by(state) {
            continue;
        }
        set_met(tx, dependant.job, parent, true)?;
        failpoint::hit("outcome.dependant_met");
        let unmet = recount(tx, dependant.job)?;
        if unmet == 0 && dependant.state == State::Blocked {
            unreadable::own(tx, dependant.job, || moves::unblock(tx, dependant.job))?;
        }
    }
    Ok(())
}

/// Notes whether what `job` needs of `parent` is met.
pub(super) fn set_met(tx: &Tx<'_>, job: JobId, parent: JobId, met: bool) -> Done<()> {
    tx.run(
        sql::MEET_DEPENDENCY,
        named_params! {":job": job.0, ":parent": parent.0, ":met": met},
    )?;
    Ok(())
}

pub(super) fn state_of(tx: &Tx<'_>, job: JobId) -> Done<Option<State>> {
    tx.one(sql::JOB_STATE, named_params! {":job": job.0}, |row| {
        rows::word(row, "state")
    })
}
