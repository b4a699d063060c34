//! Gates: one row each, asked in the transaction of a claim and told in that of an outcome.
//!
//! What a gate makes of it is decided by [`crate::gate`]; here it is read, written, and kept in
//! step with the lanes. [`Gates`] is what one claim looks at. What always holds: a lane is shut by a
//! gate at most until that gate may let it through, and whoever opens a gate opens its lanes.

use super::{fault::Done, lanes, lease, rows, sql, tx, tx::Tx};
use crate::{
    attempt::{Outcome, Report},
    clock::{BootId, Timestamp},
    error::Error,
    gate::{
        Admission, Closing, EX_TEMPFAIL, Gate, GateName, GateReason, GateState, GateStatus, Met,
        Probe, ProbeLook, RELEASE_GAP, Stand,
    },
    job::{Job, JobId},
    lease::{Epoch, Fence, Holder},
    state::Class,
    way::Way,
    why::Cause,
};
use rusqlite::{Connection, Row, named_params};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// How long a lane is left alone that waits for a person; whoever opens the gate opens it.
const PERSONS_TURN: Duration = Duration::from_secs(3_600);

// ── Claiming ────────────────────────────────────────────────────────────────────────────────

/// How a job that was admitted starts.
pub(super) struct Route<'l> {
    names: &'l [GateName],
    /// The way that it takes, where it has any.
    pub(super) way: Option<&'l Way>,
}

impl Route<'_> {
    /// The gates that it passes.
    fn gates(&self) -> impl Iterator<Item = &GateName> {
        let of_way = self.way.into_iter().flat_map(|way| &way.gates);
        self.names.iter().chain(of_way)
    }
}

/// A gate that lets no job start yet.
struct Obstacle<'l> {
    gate: &'l GateName,
    until: Timestamp,
    /// Whether it, or another one beside it, is closed: an open one has jobs start one by one.
    is_shut: bool,
}

/// The gates that one claim looked at, and the lanes that it found shut.
#[derive(Default)]
pub(super) struct Gates {
    /// As they stand, and as they are stored.
    known: BTreeMap<GateName, (Gate, Gate)>,
    shut: Vec<(i64, GateName, Timestamp)>,
}

impl Gates {
    /// The way in which one more job of a lane may start: through every gate that it passes, and
    /// through those of its first way that is not shut. If there is none, the lane is to be left
    /// out until there may be one.
    pub(super) fn admit<'l>(
        &mut self,
        tx: &Tx<'_>,
        lane: i64,
        names: &'l [GateName],
        ways: &'l [Way],
    ) -> Done<Option<Route<'l>>> {
        let all = self.obstacle(tx, names)?;
        let (way, of_ways) = self.first_way(tx, ways)?;
        let last = [all, of_ways]
            .into_iter()
            .flatten()
            .max_by_key(|it| it.until);
        let Some(last) = last else {
            return Ok(Some(Route { names, way }));
        };
        self.shut.push((lane, last.gate.clone(), last.until));
        Ok(None)
    }

    /// The first way whose gates let a job through; else when the first of them may. One that is
    /// open and has only to wait its turn is waited for.
    fn first_way<'l>(
        &mut self,
        tx: &Tx<'_>,
        ways: &'l [Way],
    ) -> Done<(Option<&'l Way>, Option<Obstacle<'l>>)> {
        let mut soonest: Option<Obstacle<'l>> = None;
        for way in ways {
            let Some(obstacle) = self.obstacle(tx, &way.gates)? else {
                return Ok((Some(way), None));
            };
            let is_shut = obstacle.is_shut;
            if soonest.as_ref().is_none_or(|it| obstacle.until < it.until) {
                soonest = Some(obstacle);
            }
            if !is_shut {
                break;
            }
        }
        Ok((None, soonest))
    }

    /// What keeps one more job from starting through all of these gates: the last of them to let
    /// it.
    fn obstacle<'l>(&mut self, tx: &Tx<'_>, names: &'l [GateName]) -> Done<Option<Obstacle<'l>>> {
        let now = tx.now.wall;
        let mut last: Option<Obstacle<'l>> = None;
        for name in names {
            let gate = self.gate(tx, name)?;
            let until = match gate.admit(now) {
                Admission::Granted => continue,
                Admission::Wait(until) => until,
                Admission::Never => now.saturating_add(PERSONS_TURN),
            };
            let is_shut = gate.stand != Stand::Open || last.as_ref().is_some_and(|it| it.is_shut);
            let (gate, until) = match last {
                Some(other) if other.until >= until => (other.gate, other.until),
                _ => (name, until),
            };
            last = Some(Obstacle {
                gate,
                until,
                is_shut,
            });
        }
        Ok(last)
    }

    /// Notes the start of a job that was admitted.
    pub(super) fn start(&mut self, route: &Route<'_>, fence: Fence, now: Timestamp) {
        for name in route.gates() {
            if let Some((gate, _)) = self.known.get_mut(name) {
                gate.start(fence, now);
            }
        }
    }

    /// Writes what changed, and shuts the lanes that have to wait.
    pub(super) fn write(self, tx: &Tx<'_>) -> Done<()> {
        for (name, (gate, stored)) in &self.known {
            if gate != stored {
                write(tx, name, gate)?;
            }
        }
        for (lane, gate, until) in &self.shut {
            lanes::shut_by_gate(tx, *lane, gate, *until)?;
        }
        Ok(())
    }

    fn gate(&mut self, tx: &Tx<'_>, name: &GateName) -> Done<&mut Gate> {
        if !self.known.contains_key(name) {
            let stored = read(tx, name)?;
            let gate = looked_after(tx, stored.clone())?;
            self.known.insert(name.clone(), (gate, stored));
        }
        let (gate, _) = self.known.get_mut(name).expect("it was just put there");
        Ok(gate)
    }
}

/// A gate after a look at the clock and at its probe.
fn looked_after(tx: &Tx<'_>, mut gate: Gate) -> Done<Gate> {
    gate.mend_clock(tx.now.wall);
    if let Some(probe) = gate.probe() {
        let look = look_at(tx, probe)?;
        gate.watch(look, tx.now.wall);
    }
    Ok(gate)
}

fn look_at(tx: &Tx<'_>, probe: &Probe) -> Done<ProbeLook> {
    let values = named_params! {
        ":job": probe.job.0, ":epoch": probe.epoch.0, ":now": tx.wall(),
        ":boot": tx.now.boot.as_ref().map(BootId::as_str), ":mono": tx.now.mono,
    };
    let found = tx.one(sql::PROBE_LOOK, values, |row| {
        Ok((Holder(row.get("holder")?), row.get("stands")?))
    })?;
    Ok(match found {
        None => ProbeLook::Gone,
        Some((holder, true)) => ProbeLook::Runs(holder),
        Some((_, false)) => ProbeLook::Unknown,
    })
}

// ── Outcomes ────────────────────────────────────────────────────────────────────────────────

/// Attempts were let through by all of their gates.
pub(super) fn passed(tx: &Tx<'_>, job: &Job, epoch: Epoch) -> Done<()> {
    for name in job.passed() {
        change(tx, name, |gate| gate.passed(job.id, epoch, tx.now.wall))?;
    }
    Ok(())
}

/// What an outcome came to at the gates of its job.
#[derive(Default)]
pub(super) struct AtGates {
    /// Those that closed, or that from now on wait for a person.
    pub(super) closed: Vec<(GateName, Closing)>,
    /// Set where the attempt asked on behalf of all and its provider was not available: when to
    /// try its job again, after others.
    pub(super) asked_for_all: Option<Timestamp>,
}

/// Tells the gates of a job how its attempt ended. What the attempt `told` itself, they know.
pub(super) fn attempt_ended(
    tx: &Tx<'_>,
    job: &Job,
    epoch: Epoch,
    report: &Report,
    told: bool,
) -> Done<AtGates> {
    let mut at_gates = AtGates::default();
    match &report.outcome {
        Outcome::Limited { .. } if told => {
            for name in job.passed() {
                change(tx, name, |gate| gate.left(job.id, epoch))?;
            }
        }
        Outcome::Limited { gate, .. } => {
            let met = met(job, epoch, report);
            at_gates.change(tx, gate, |gate| gate.limited(&met, tx.now.wall))?;
            for other in job.passed().filter(|other| *other != gate) {
                change(tx, other, |gate| gate.left(job.id, epoch))?;
            }
        }
        Outcome::Failed {
            class: Class::Unavailable,
            ..
        } => {
            let met = met(job, epoch, report);
            for name in job.passed() {
                let was_probe =
                    at_gates.change(tx, name, |gate| gate.unavailable(&met, tx.now.wall))?;
                at_gates.ask_again(was_probe, name);
            }
        }
        outcome => {
            for name in job.passed() {
                change(tx, name, |gate| match has_tried(outcome) {
                    true => gate.passed(job.id, epoch, tx.now.wall),
                    false => gate.left(job.id, epoch),
                })?;
            }
        }
    }
    Ok(at_gates)
}

impl AtGates {
    /// Changes a gate, and notes whether that closed it.
    fn change<T>(
        &mut self,
        tx: &Tx<'_>,
        name: &GateName,
        change_it: impl FnOnce(&mut Gate) -> T,
    ) -> Done<T> {
        let (answer, closing) = change(tx, name, |gate| {
            let (was, awaited) = (gate.state(tx.now.wall), gate.awaits_person());
            let answer = change_it(gate);
            let is_news = was != GateState::Closed || (gate.awaits_person() && !awaited);
            let closing = gate.closing().filter(|_| gate.probe().is_none() && is_news);
            (answer, closing.cloned())
        })?;
        self.closed
            .extend(closing.map(|closing| (name.clone(), closing)));
        Ok(answer)
    }

    /// The probe of a gate found its provider away.
    fn ask_again(&mut self, was_probe: bool, name: &GateName) {
        if was_probe {
            let closed = self.closed.iter().find(|(gate, _)| gate == name);
            let until = closed.and_then(|(_, closing)| closing.until);
            let after = until.map(|until| until.saturating_add(RELEASE_GAP));
            self.asked_for_all = self.asked_for_all.max(after);
        }
    }
}

/// What an attempt met, in the words of its report.
fn met(job: &Job, epoch: Epoch, report: &Report) -> Met {
    let (reason, until, evidence) = match &report.outcome {
        Outcome::Limited {
            class,
            until,
            evidence,
            ..
        } => (GateReason::of(*class), *until, Some(evidence.clone())),
        _ => (GateReason::Breaker, None, report.message.clone()),
    };
    Met {
        reason,
        until,
        at: report.ended_at,
        evidence,
        by: format!("job {}", job.id),
        attempt: Some((job.id, epoch)),
    }
}

/// Whether an attempt that ended so has asked its provider for something and was not turned away.
fn has_tried(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Completed { .. } | Outcome::NeedsInput { .. } => true,
        Outcome::Failed { class, .. } => !matches!(
            class,
            Class::SpawnFailed | Class::BadCwd | Class::BadPayload | Class::Usage
        ),
        Outcome::Limited { .. }
        | Outcome::Snoozed { .. }
        | Outcome::HandedBack
        | Outcome::Cancelled
        | Outcome::Stalled { .. } => false,
    }
}

// ── People ──────────────────────────────────────────────────────────────────────────────────

/// Changes a gate, and lets its lanes ask anew where it stands otherwise than before.
pub(super) fn change<T>(
    tx: &Tx<'_>,
    name: &GateName,
    change: impl FnOnce(&mut Gate) -> T,
) -> Done<T> {
    let stored = read(tx, name)?;
    let mut gate = looked_after(tx, stored.clone())?;
    let answer = change(&mut gate);
    if gate != stored {
        write(tx, name, &gate)?;
        tx.run(
            sql::REOPEN_LANES_OF_GATE,
            named_params! {":gate": name.as_str()},
        )?;
    }
    Ok(answer)
}

/// Changes a gate that a person names, which need not be there yet, and says how it stands then.
pub(super) fn set(
    tx: &Tx<'_>,
    name: &GateName,
    change_it: impl FnOnce(&mut Gate),
) -> Done<GateStatus> {
    change(tx, name, change_it)?;
    let known = all(tx.connection(), Some(name))?.pop();
    Ok(known.unwrap_or_else(|| GateStatus::unknown(name.clone())))
}

/// A limit that an attempt has reported itself.
#[derive(Serialize, Deserialize)]
struct OwnLimit {
    gate: GateName,
    reason: GateReason,
    evidence: Option<String>,
}

/// Closes a gate over a limit that somebody met. Where an attempt says so of itself, that is noted
/// with it.
pub(super) fn report(tx: &Tx<'_>, name: &GateName, met: &Met) -> Done<GateStatus> {
    if let Some((job, epoch)) = met.attempt {
        let own = OwnLimit {
            gate: name.clone(),
            reason: met.reason,
            evidence: met.evidence.clone(),
        };
        let values = named_params! {
            ":job": job.0, ":epoch": epoch.0, ":met": serde_json::to_string(&own)?,
        };
        if tx.run(sql::NOTE_LIMIT, values)? == 0 {
            return Err(lease::lost(tx, job, epoch)?.into());
        }
    }
    set(tx, name, |gate| gate.limited(met, tx.now.wall))
}

/// The outcome of an attempt that has reported a limit and exited as it was agreed.
pub(super) fn reported_itself(tx: &Tx<'_>, fence: Fence, report: &Report) -> Done<Option<Report>> {
    let Outcome::Failed {
        class: Class::ExitCode,
        retryable: None | Some(true),
        ..
    } = report.outcome
    else {
        return Ok(None);
    };
    if report.exit_code != Some(EX_TEMPFAIL) {
        return Ok(None);
    }
    let values = named_params! {":job": fence.job.0, ":epoch": fence.epoch.0};
    let noted = tx.one(sql::LIMIT_MET, values, |row| {
        row.get::<_, Option<String>>(0)
    })?;
    let Some(own) = noted.flatten() else {
        return Ok(None);
    };
    let own: OwnLimit = serde_json::from_str(&own)?;
    Ok(Some(Report {
        outcome: Outcome::Limited {
            gate: own.gate,
            class: own.reason.class(),
            until: None,
            evidence: own.evidence.unwrap_or_default(),
        },
        ..report.clone()
    }))
}

/// Opens a gate. `GateNotFound` where nothing is known of it and no job passes it.
pub(super) fn open(tx: &Tx<'_>, name: &GateName) -> Done<GateStatus> {
    if all(tx.connection(), Some(name))?.is_empty() {
        return Err(Error::GateNotFound(name.clone()).into());
    }
    set(tx, name, Gate::open)
}

/// All gates, or the one of a name.
pub(super) fn all(c: &Connection, name: Option<&GateName>) -> Done<Vec<GateStatus>> {
    let values = named_params! {":name": name.map(GateName::as_str)};
    tx::all(c, sql::ALL_GATES, values, |row| {
        let is_kept = row.get::<_, Option<String>>("stand")?.is_some();
        Ok(GateStatus {
            name: rows::word(row, "name")?,
            gate: if is_kept { gate(row)? } else { Gate::default() },
            waiting: row.get("waiting")?,
        })
    })
}

/// What the gates of a job keep it waiting for: those that it passes in any way, and where all of
/// its ways are shut those too, the way that opens first in front.
pub(super) fn causes(c: &Connection, job: &Job, now: Timestamp) -> Done<Vec<Cause>> {
    let mut causes: Vec<_> = waits(c, &job.gates, now)?
        .into_iter()
        .map(Wait::cause)
        .collect();
    let mut of_ways = Vec::new();
    for way in &job.ways {
        let waits = waits(c, &way.gates, now)?;
        let is_shut = waits.iter().any(|wait| wait.is_shut);
        let Some(until) = waits.iter().map(|wait| wait.until).max() else {
            return Ok(causes);
        };
        of_ways.push((until, waits));
        if !is_shut {
            break;
        }
    }
    of_ways.sort_by_key(|(until, _)| *until);
    let waits = of_ways.into_iter().flat_map(|(_, waits)| waits);
    causes.extend(waits.map(Wait::cause));
    Ok(causes)
}

/// A gate that keeps a job waiting.
struct Wait {
    name: GateName,
    stand: Stand,
    /// The end of time, where a person has to come.
    until: Timestamp,
    is_shut: bool,
}

impl Wait {
    fn cause(self) -> Cause {
        let (gate, until) = (self.name, self.until);
        match self.stand {
            Stand::Closed(closing) => Cause::GateClosed { gate, closing },
            Stand::Probing(closing, probe) => Cause::GateProbed {
                gate,
                closing,
                probe: probe.job,
            },
            Stand::Open => Cause::GateStaggered { gate, until },
        }
    }
}

fn waits(c: &Connection, names: &[GateName], now: Timestamp) -> Done<Vec<Wait>> {
    let mut waits = Vec::new();
    for name in names {
        let values = named_params! {":name": name.as_str()};
        let Some(mut gate) = tx::one(c, sql::GATE, values, gate)? else {
            continue;
        };
        gate.mend_clock(now);
        let until = match gate.admit(now) {
            Admission::Granted => continue,
            Admission::Wait(until) => until,
            Admission::Never => Timestamp::from_millis(i64::MAX),
        };
        waits.push(Wait {
            name: name.clone(),
            is_shut: gate.stand != Stand::Open,
            stand: gate.stand,
            until,
        });
    }
    Ok(waits)
}

// ── Rows ────────────────────────────────────────────────────────────────────────────────────

fn read(tx: &Tx<'_>, name: &GateName) -> Done<Gate> {
    let stored = tx.one(sql::GATE, named_params! {":name": name.as_str()}, gate)?;
    Ok(stored.unwrap_or_default())
}

fn gate(row: &Row<'_>) -> rusqlite::Result<Gate> {
    let stand = match rows::word(row, "stand")? {
        GateState::Open => Stand::Open,
        GateState::Closed => Stand::Closed(closing(row)?),
        GateState::HalfOpen => Stand::Probing(
            closing(row)?,
            Probe {
                job: JobId(row.get("probe_job")?),
                epoch: Epoch(row.get("probe_epoch")?),
                holder: Holder(row.get("probe_holder")?),
                since: rows::at(row, "probe_since")?,
            },
        ),
    };
    Ok(Gate {
        stand,
        stagger: row
            .get::<_, Option<u64>>("stagger_ms")?
            .map(Duration::from_millis),
        last_start: rows::optional_at(row, "last_start")?,
        passed_at: rows::optional_at(row, "passed_at")?,
        failures: rows::json(row, "failures")?,
    })
}

fn closing(row: &Row<'_>) -> rusqlite::Result<Closing> {
    Ok(Closing {
        reason: rows::word(row, "reason")?,
        until: rows::optional_at(row, "until")?,
        since: rows::at(row, "since")?,
        evidence: row.get("evidence")?,
        set_by: row.get("set_by")?,
        tries: row.get("tries")?,
    })
}

fn write(tx: &Tx<'_>, name: &GateName, gate: &Gate) -> Done<()> {
    if *gate == Gate::default() {
        tx.run(sql::REMOVE_GATE, named_params! {":name": name.as_str()})?;
        return Ok(());
    }
    let stand = match &gate.stand {
        Stand::Open => GateState::Open,
        Stand::Closed(_) => GateState::Closed,
        Stand::Probing(..) => GateState::HalfOpen,
    };
    let (closing, probe) = (gate.closing(), gate.probe());
    let millis = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
    tx.run(
        sql::SET_GATE,
        named_params! {
            ":name": name.as_str(),
            ":stand": stand.as_str(),
            ":reason": closing.map(|closing| closing.reason.as_str()),
            ":until": millis(closing.and_then(|closing| closing.until)),
            ":since": millis(closing.map(|closing| closing.since)),
            ":evidence": closing.and_then(|closing| closing.evidence.as_ref()),
            ":set_by": closing.map(|closing| &closing.set_by),
            ":tries": closing.map_or(0, |closing| closing.tries),
            ":probe_job": probe.map(|probe| probe.job.0),
            ":probe_epoch": probe.map(|probe| probe.epoch.0),
            ":probe_holder": probe.map(|probe| probe.holder.0),
            ":probe_since": millis(probe.map(|probe| probe.since)),
            ":stagger_ms": gate.stagger.map(|stagger| {
                i64::try_from(stagger.as_millis()).unwrap_or(i64::MAX)
            }),
            ":last_start": millis(gate.last_start),
            ":passed_at": millis(gate.passed_at),
            ":failures": serde_json::to_string(&gate.failures)?,
        },
    )?;
    Ok(())
}
