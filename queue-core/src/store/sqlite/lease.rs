//! Leases: who may write about a running job, and until when.

use super::{
    fault::Done,
    ledger, rows, sql,
    tx::Tx,
    unreadable::{self, Step},
};
use crate::{
    agent::Rung,
    attempt::{AgentFacts, Orphan, Started},
    checkpoint::MAX_BYTES,
    clock::{BootId, Timestamp},
    error::Error,
    failpoint,
    job::{Job, JobId},
    lease::{Epoch, Fence, Holder, Lease},
    state::{Class, State},
    store::{Cycle, SessionHold},
    worker::WorkerId,
};
use rusqlite::{Row, named_params};
use std::time::Duration;

/// When a lease that is given now runs out, on both clocks.
pub(super) struct Term {
    pub(super) boot: Option<String>,
    pub(super) until: Option<i64>,
    pub(super) expires_at: Timestamp,
}

impl Term {
    pub(super) fn from_now(tx: &Tx<'_>, lease_for: Duration) -> Self {
        let millis = i64::try_from(lease_for.as_millis()).unwrap_or(i64::MAX);
        let boot = tx.now.boot.as_ref().map(|boot| boot.as_str().to_owned());
        Self {
            until: boot.as_ref().map(|_| tx.now.mono.saturating_add(millis)),
            boot,
            expires_at: tx.now.wall.saturating_add(lease_for),
        }
    }
}

/// The row of the job, if the lease of `fence` still stands.
pub(super) fn held(tx: &Tx<'_>, fence: Fence) -> Done<Option<Job>> {
    tx.one(
        sql::HELD_JOB,
        named_params! {":job": fence.job.0, ":epoch": fence.epoch.0, ":holder": fence.holder.0},
        rows::job,
    )
}

/// Notes the process of an attempt. False when the lease is lost.
pub(super) fn start(tx: &Tx<'_>, fence: Fence, process: &Started) -> Done<bool> {
    let changed = tx.run(
        sql::START_ATTEMPT,
        named_params! {
            ":job": fence.job.0,
            ":epoch": fence.epoch.0,
            ":holder": fence.holder.0,
            ":started_at": process.started_at.as_millis(),
            ":pid": process.pid,
            ":pid_started": process.pid_started,
            ":log": process.log,
            ":unenforced": process.unenforced,
        },
    )?;
    failpoint::hit("start.written");
    Ok(changed == 1)
}

/// Notes how an agent's attempt begins.
pub(super) fn begin_session(
    tx: &Tx<'_>,
    fence: Fence,
    rung: Rung,
    session: Option<&str>,
) -> Done<SessionHold> {
    let changed = tx.run(
        sql::BEGIN_SESSION,
        named_params! {
            ":job": fence.job.0,
            ":epoch": fence.epoch.0,
            ":holder": fence.holder.0,
            ":rung": rung.as_str(),
            ":session": session,
        },
    )?;
    if changed == 1 {
        return Ok(SessionHold::Held);
    }
    let holder = tx.one(
        sql::SESSION_HOLDER,
        named_params! {":session": session},
        |row| row.get(0).map(JobId),
    )?;
    Ok(match holder {
        Some(job) if held(tx, fence)?.is_some() => SessionHold::InUse(job),
        _ => SessionHold::LeaseLost,
    })
}

/// Notes what was read of an agent's output. False when the lease is lost.
pub(super) fn save_facts(tx: &Tx<'_>, fence: Fence, facts: &AgentFacts) -> Done<bool> {
    let changed = tx.run(
        sql::SAVE_FACTS,
        named_params! {
            ":job": fence.job.0,
            ":epoch": fence.epoch.0,
            ":holder": fence.holder.0,
            ":agent": facts.facts.to_string(),
            ":cost_usd": facts.cost_usd,
            ":session": facts.session_id,
        },
    )?;
    if changed == 1 {
        ledger::book(tx, fence.job, fence.epoch, &facts.bill)?;
    }
    Ok(changed == 1)
}

/// Extends the leases that still stand and returns those that do not.
pub(super) fn extend(tx: &Tx<'_>, fences: &[Fence], lease_for: Duration) -> Done<Vec<Fence>> {
    if fences.is_empty() {
        return Ok(Vec::new());
    }
    let term = Term::from_now(tx, lease_for);
    let list: Vec<_> = fences
        .iter()
        .map(|f| (f.job.0, f.epoch.0, f.holder.0))
        .collect();
    let standing = tx.all(
        sql::EXTEND_LEASES,
        named_params! {
            ":fences": serde_json::to_string(&list)?,
            ":boot": term.boot,
            ":until": term.until,
            ":expires_at": term.expires_at.as_millis(),
        },
        fence,
    )?;
    failpoint::hit("heartbeat.written");
    Ok(fences
        .iter()
        .filter(|fence| !standing.contains(fence))
        .copied()
        .collect())
}

/// The leases of a worker whose jobs somebody asked to cancel.
pub(super) fn cancels(tx: &Tx<'_>, worker: WorkerId) -> Done<Vec<Fence>> {
    tx.all(
        sql::CANCELS_OF_WORKER,
        named_params! {":worker": worker.0},
        fence,
    )
}

fn fence(row: &Row<'_>) -> rusqlite::Result<Fence> {
    Ok(Fence {
        job: JobId(row.get("id")?),
        epoch: Epoch(row.get("epoch")?),
        holder: Holder(row.get("holder")?),
    })
}

/// Takes over leases that ran out. From then on the worker that had them can write nothing.
///
/// A row that cannot be read keeps no other one from being taken over.
pub(super) fn adopt(tx: &Tx<'_>, cycle: &Cycle) -> Done<Vec<Orphan>> {
    if cycle.adopt == 0 {
        return Ok(Vec::new());
    }
    let term = Term::from_now(tx, cycle.lease_for);
    let found = tx.all(
        sql::EXPIRED_LEASES,
        named_params! {
            ":boot": term.boot, ":mono": tx.now.mono, ":now": tx.wall(),
            ":most": i64::try_from(cycle.adopt).unwrap_or(i64::MAX),
            ":dead": serde_json::to_string(&cycle.dead)?,
        },
        |row| Ok((JobId(row.get("id")?), expired(row))),
    )?;
    let mut orphans = Vec::with_capacity(found.len());
    for (job, read) in found {
        let step = || take_over(tx, cycle, &term, read?);
        if let Step::Done(orphan) = unreadable::own(tx, job, step)? {
            orphans.push(orphan);
        }
    }
    Ok(orphans)
}

/// A lease that ran out.
struct Expired {
    was: Fence,
    attempt: u32,
    class: Class,
    boot: Option<BootId>,
    process: Option<Started>,
}

fn expired(row: &Row<'_>) -> rusqlite::Result<Expired> {
    let class = if row.get("rebooted")? {
        Class::Rebooted
    } else if row.get("died")? {
        Class::WorkerDied
    } else {
        Class::LeaseExpired
    };
    // Of the attempt's own row nothing is needed to take it over. What cannot be read of it counts
    // as not recorded; the attempt's directory names the process as well.
    let boot = row.get::<_, Option<String>>("boot").ok().flatten();
    Ok(Expired {
        was: fence(row)?,
        attempt: row.get("attempt")?,
        class,
        boot: boot.map(BootId::from),
        process: rows::started(row).ok().flatten(),
    })
}

fn take_over(tx: &Tx<'_>, cycle: &Cycle, term: &Term, expired: Expired) -> Done<Orphan> {
    let Expired {
        was,
        attempt,
        class,
        boot,
        process,
    } = expired;
    let taken = tx.run(
        sql::ADOPT_JOB,
        named_params! {
            ":job": was.job.0, ":epoch": was.epoch.0, ":holder": was.holder.0,
            ":worker": cycle.worker.0, ":boot": term.boot, ":until": term.until,
            ":expires_at": term.expires_at.as_millis(),
        },
    )?;
    debug_assert_eq!(taken, 1, "the row was read in this transaction");
    failpoint::hit("rescue.job_taken");
    tx.run(
        sql::ADOPT_ATTEMPT,
        named_params! {
            ":job": was.job.0, ":epoch": was.epoch.0, ":worker": cycle.worker.0,
        },
    )?;
    failpoint::hit("rescue.attempt_written");
    let fence = Fence {
        holder: Holder(was.holder.0 + 1),
        ..was
    };
    Ok(Orphan {
        lease: Lease::granted(fence, cycle.worker, attempt, term.expires_at),
        was,
        class,
        boot,
        process,
    })
}

/// Saves a checkpoint under the epoch that is running, and for a worker under the lease that
/// stands. False when it is not.
pub(super) fn save_checkpoint(
    tx: &Tx<'_>,
    job: JobId,
    epoch: Epoch,
    holder: Option<Holder>,
    name: &str,
    value: &[u8],
) -> Done<bool> {
    if value.len() > MAX_BYTES {
        return Err(Error::CheckpointTooLarge {
            name: name.to_owned(),
            bytes: value.len(),
        }
        .into());
    }
    let changed = tx.run(
        sql::SAVE_CHECKPOINT,
        named_params! {
            ":job": job.0, ":name": name, ":value": value, ":epoch": epoch.0,
            ":holder": holder.map(|holder| holder.0), ":now": tx.wall(),
        },
    )?;
    failpoint::hit("checkpoint.written");
    Ok(changed == 1)
}

/// The answer to a job's own write under an epoch that is not running.
pub(super) fn lost(tx: &Tx<'_>, job: JobId, epoch: Epoch) -> Done<Error> {
    let state = super::dependencies::state_of(tx, job)?;
    Ok(match state {
        None => Error::JobNotFound(job),
        Some(state) => Error::LeaseLost {
            job,
            epoch,
            state,
            taken_by: if state == State::InProgress {
                worker_name(tx, job)?
            } else {
                None
            },
        },
    })
}

fn worker_name(tx: &Tx<'_>, job: JobId) -> Done<Option<String>> {
    tx.one(sql::WORKER_OF_JOB, named_params! {":job": job.0}, |row| {
        row.get(0)
    })
}
