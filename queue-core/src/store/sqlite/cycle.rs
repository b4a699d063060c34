//! One cycle of a worker, in one transaction.

use super::{
    budgets, claim,
    fault::{Done, Fault},
    gates, lanes, lease, moves, outcome, sql,
    tx::Tx,
    unreadable::{self, Step},
};
use crate::{
    attempt::Finished,
    clock::{BootId, Timestamp},
    error::Error,
    failpoint,
    job::JobId,
    lease::Fence,
    state::{Class, State, Verb, WaitReason},
    store::{Cycle, Cycled},
};
use rusqlite::named_params;

/// Runs the steps in the order that the contract names: what a worker has to tell comes before
/// what it wants to know.
pub(super) fn run(tx: &Tx<'_>, cycle: &Cycle) -> Done<Cycled> {
    let mut cycled = Cycled::default();
    tell(tx, cycle, &mut cycled)?;
    cycled
        .lost
        .extend(lease::extend(tx, &cycle.leases, cycle.lease_for)?);
    cycled.cancels = lease::cancels(tx, cycle.worker)?;
    cycled.over_budget = budgets::stopped(tx, cycle.worker)?;
    tx.run(
        sql::SEE_WORKER,
        named_params! {":worker": cycle.worker.0, ":now": tx.wall()},
    )?;
    cycled.promoted = promote(tx, cycle.promote)?;
    cycled.orphans = lease::adopt(tx, cycle)?;
    // Heads must be true before lanes are looked at.
    tx.settle()?;
    if let Some(wanted) = &cycle.claim {
        lanes::reopen(tx)?;
        cycled.claimed = claim::claim(tx, cycle.worker, cycle.lease_for, wanted)?;
    }
    cycled.next_at = next_instant(tx)?;
    cycled.lost.sort_unstable();
    cycled.lost.dedup();
    Ok(cycled)
}

fn next_instant(tx: &Tx<'_>) -> Done<Option<Timestamp>> {
    let boot = tx.now.boot.as_ref().map(BootId::as_str);
    let values = named_params! {":now": tx.wall(), ":boot": boot, ":mono": tx.now.mono};
    let next = tx.one(sql::NEXT_INSTANT, values, |row| {
        row.get::<_, Option<i64>>(0)
    })?;
    Ok(next.flatten().map(Timestamp::from_millis))
}

fn tell(tx: &Tx<'_>, cycle: &Cycle, cycled: &mut Cycled) -> Done<()> {
    for (fence, process) in &cycle.started {
        if !lease::start(tx, *fence, process)? {
            cycled.lost.push(*fence);
        }
    }
    for (fence, name, value) in &cycle.checkpoints {
        let holder = Some(fence.holder);
        match lease::save_checkpoint(tx, fence.job, fence.epoch, holder, name, value) {
            Ok(true) => {}
            Ok(false) => cycled.lost.push(*fence),
            // One job's oversized checkpoint must not keep the others' outcomes out.
            Err(Fault::Answer(error @ Error::CheckpointTooLarge { .. })) => {
                tracing::warn!(job = fence.job.0, %error, "checkpoint not saved");
            }
            Err(fault) => return Err(fault),
        }
    }
    for fence in &cycle.passed {
        let told = unreadable::own(tx, fence.job, || pass(tx, *fence))?;
        if matches!(told, Step::Done(false)) {
            cycled.lost.push(*fence);
        }
    }
    for (fence, facts) in &cycle.facts {
        if !lease::save_facts(tx, *fence, facts)? {
            cycled.lost.push(*fence);
        }
    }
    for (fence, report) in &cycle.ended {
        let told = match unreadable::own(tx, fence.job, || outcome::finish(tx, *fence, report))? {
            Step::Done(told) => told,
            Step::Failed => {
                cycled.finished.push((*fence, Finished::Failed));
                continue;
            }
            Step::Skipped => None,
        };
        match told {
            Some(told) => {
                cycled.finished.push((*fence, told.finished));
                cycled.closed.extend(told.closed);
                let forgotten = told.forgotten.into_iter();
                cycled
                    .forgotten
                    .extend(forgotten.map(|epoch| (fence.job, epoch)));
            }
            None => cycled.lost.push(*fence),
        }
    }
    Ok(())
}

/// Tells the gates of an attempt that they let it through. False when its lease is lost.
fn pass(tx: &Tx<'_>, fence: Fence) -> Done<bool> {
    let Some(job) = lease::held(tx, fence)? else {
        return Ok(false);
    };
    gates::passed(tx, &job, fence.epoch)?;
    Ok(true)
}

/// Moves due jobs to pending and gives up those that waited too long, each at most `most`.
fn promote(tx: &Tx<'_>, most: usize) -> Done<usize> {
    if most == 0 {
        return Ok(0);
    }
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let values = named_params! {":now": tx.wall(), ":most": most};
    let expired: Vec<i64> = tx.all(sql::EXPIRED_WAITS, values, |row| row.get(0))?;
    for id in &expired {
        let id = JobId(*id);
        unreadable::own(tx, id, || expire(tx, id))?;
    }
    let due: Vec<i64> = tx.all(sql::DUE_JOBS, values, |row| row.get(0))?;
    for id in &due {
        let id = JobId(*id);
        unreadable::own(tx, id, || fall_due(tx, id))?;
        failpoint::hit("promote.job_moved");
    }
    Ok(due.len().max(expired.len()))
}

fn fall_due(tx: &Tx<'_>, id: JobId) -> Done<()> {
    let before = moves::read(tx, id)?;
    let mut after = before.clone();
    after.run_at = None;
    moves::settle(&mut after, WaitReason::Delay, tx.now.wall);
    moves::join_after_delay(tx, &before, &after)?;
    moves::apply(tx, Verb::Promote, &before, &after)
}

fn expire(tx: &Tx<'_>, id: JobId) -> Done<()> {
    let before = moves::read(tx, id)?;
    let mut after = before.clone();
    moves::end(
        &mut after,
        State::Cancelled,
        Some(Class::Expired),
        tx.now.wall,
    );
    moves::apply(tx, Verb::Expire, &before, &after)
}
