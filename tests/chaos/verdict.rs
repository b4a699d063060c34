//! The look afterwards: whether every promise was kept.
//!
//! Called once all is drained and the workers have stopped. What always holds: what is compared is
//! what jobs did (effects), what was promised (acknowledged ids) and what the store says.

use crate::effects::Effects;
use crate::jobs::PARRICIDE;
use crate::scene;
use crate::world::World;
use queue_core::attempt::Attempt;
use queue_core::store::Detail;
use queue_core::{Class, JobId, State, Store};
use queue_worker::layout::Layout;
use std::fs;

/// All violations, each with what is needed to understand it.
pub(crate) fn of(world: &World) -> Vec<String> {
    let mut violations = world.troubles.clone();
    violations.extend(of_the_store(world));
    let known = world.jobs(|_| true);
    for job in &world.acknowledged {
        if !known.contains(job) {
            violations.push(scene::of(world, *job, "it was acknowledged and is lost"));
        }
    }
    for job in known {
        let found = of_job(world, job);
        if !found.is_empty() {
            violations.push(scene::of(world, job, &found.join("; ")));
        }
    }
    violations
}

fn of_the_store(world: &World) -> Vec<String> {
    match world.store.examine(&world.now()) {
        Err(error) => vec![format!("the store cannot be examined: {error}")],
        Ok(findings) => findings
            .into_iter()
            .filter(|finding| !finding.ok)
            .map(|finding| format!("the store: {finding:?}"))
            .collect(),
    }
}

fn of_job(world: &World, job: JobId) -> Vec<String> {
    let detail = match world.store.detail(job, &world.now()) {
        Ok(detail) => detail,
        Err(error) => return vec![format!("it cannot be read: {error}")],
    };
    let effects = effects(world, job);
    let mut found = effects.contradictions();
    found.extend(of_end(world, &detail, &effects));
    for attempt in &detail.attempts {
        found.extend(of_attempt(world, &detail, attempt, &effects));
    }
    let newest = detail.summary.job.epoch.0;
    for epoch in effects.begun() {
        if epoch > newest {
            found.push(format!("epoch {epoch} began and was never given out"));
        }
    }
    found
}

/// How the job stands.
fn of_end(world: &World, detail: &Detail, effects: &Effects) -> Option<String> {
    let job = &detail.summary.job;
    let epoch = job.epoch.0;
    if !job.state.is_ended() {
        return Some(format!("it is {} at the end", job.state));
    }
    if job.state != State::Completed {
        return None;
    }
    if !effects.has("begin", epoch) || !effects.has("end", epoch) {
        return Some(format!(
            "it is completed, but epoch {epoch} did not reach its end"
        ));
    }
    let log = Layout::of(&world.env.db()).log(job.id, job.epoch);
    let log = fs::read_to_string(log).unwrap_or_default();
    let is_whole = [format!("begin {epoch}"), format!("end {epoch}")]
        .iter()
        .all(|line| log.contains(line));
    (!is_whole).then(|| format!("the log of epoch {epoch} is not whole"))
}

/// How one attempt ended.
fn of_attempt(
    world: &World,
    detail: &Detail,
    attempt: &Attempt,
    effects: &Effects,
) -> Option<String> {
    let (job, epoch) = (&detail.summary.job, attempt.epoch.0);
    if attempt.ended_at.is_none() {
        return Some(format!("the attempt of epoch {epoch} has no end"));
    }
    match attempt.class {
        None | Some(Class::ExitCode | Class::Signal | Class::Cancelled | Class::Timeout) => None,
        Some(Class::Interrupted) => None,
        Some(Class::WorkerDied | Class::LeaseExpired) => {
            let may_die = detail.body.options.direct
                || job.name.as_deref() == Some(PARRICIDE)
                || world.shims_killed.contains(&format!("{}-{epoch}", job.id));
            (!may_die && effects.has("begin", epoch)).then(|| {
                format!("epoch {epoch} is said to have died, but its shim was never killed")
            })
        }
        Some(class) => Some(format!(
            "epoch {epoch} ended as {class}, which nobody caused"
        )),
    }
}

fn effects(world: &World, job: JobId) -> Effects {
    Effects::read(&world.env.work().join(format!("effects/{job}")))
}
