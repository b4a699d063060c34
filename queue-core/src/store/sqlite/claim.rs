//! Claiming: the best jobs that may start now, without looking at those that may not.
//!
//! Lanes are read in the order of their heads and merged over the queues; a lane that is shut, or
//! whose key, directory or queue is taken, is passed over as a whole. Tokens and gates are decided in memory
//! and written only for jobs that were taken, so an idle look burns nothing.

use super::{
    budgets::Budgets, directories::Directories, fault::Done, gates::Gates, lanes::Order,
    lease::Term, limits::Buckets, rows, sql, tx::Tx,
};
use crate::{
    failpoint,
    gate::GateName,
    job::{JobId, LimitUse},
    lease::{Epoch, Fence, Holder, Lease},
    store::{Claim, Claimed},
    way::Way,
    worker::WorkerId,
};
use rusqlite::{Row, named_params};
use std::{collections::BTreeMap, time::Duration};

/// Claims up to `wanted.most` jobs for a worker.
pub(super) fn claim(
    tx: &Tx<'_>,
    worker: WorkerId,
    lease_for: Duration,
    wanted: &Claim,
) -> Done<Vec<Claimed>> {
    let mut line = Line::open(tx, wanted)?;
    let mut buckets = Buckets::default();
    let mut gates = Gates::default();
    let mut budgets = Budgets::default();
    let mut keys = Keys::default();
    let mut directories = Directories::default();
    let term = Term::from_now(tx, lease_for);
    let mut claimed = Vec::new();
    while claimed.len() < wanted.most
        && let Some(mut lane) = line.next(tx)?
    {
        let order = lane.order();
        let Some(Needs {
            limits,
            gates: passed,
            ways,
        }) = lane.needs.as_ref()
        else {
            tracing::warn!(
                lane = lane.id,
                "the limits, gates or ways of a lane cannot be read"
            );
            buckets.shut_for_a_while(tx, lane.id);
            continue;
        };
        // Whoever waits at a gate must not keep tokens from others.
        if !keys.has_room(tx, &lane.key)? || !directories.is_free(tx, &lane.directory)? {
            continue;
        }
        let Some(route) = gates.admit(tx, lane.id, passed, ways)? else {
            continue;
        };
        if !budgets.admit(tx, lane.id, &lane.budgets)? || !buckets.admit(tx, order, limits)? {
            continue;
        }
        tx.touch(lane.id);
        let Some(head) = head_of(tx, lane.id)? else {
            continue;
        };
        let queued_at = head.queued_at;
        buckets.spend(limits, tx.now.wall);
        failpoint::hit("claim.tokens_spent");
        let way = route.way.map(|way| way.name.clone());
        let taken = take(tx, worker, &term, line.name_of(&lane), way, head)?;
        gates.start(&route, taken.lease.fence(), tx.now.wall);
        claimed.push(taken);
        keys.take(&lane.key);
        directories.take(&lane.directory);
        line.took(&lane);
        if claimed.len() < wanted.most
            && let Some(next) = head_of(tx, lane.id)?
        {
            lane.rank += next.queued_at - queued_at;
            lane.head = next.position;
            line.put_back(lane);
        }
    }
    buckets.write(tx)?;
    gates.write(tx)?;
    budgets.write(tx)?;
    failpoint::hit("claim.tokens_written");
    Ok(claimed)
}

/// A lane that may be claimed from.
struct Lane {
    id: i64,
    /// Which of the queues of the line it belongs to.
    queue: usize,
    /// Not there where somebody wrote what cannot be read.
    needs: Option<Needs>,
    /// None where somebody wrote what cannot be read: that bounds nothing.
    budgets: Vec<String>,
    key: String,
    directory: String,
    rank: i64,
    head: i64,
}

/// What the jobs of a lane ask for before they start.
struct Needs {
    limits: Vec<LimitUse>,
    gates: Vec<GateName>,
    ways: Vec<Way>,
}

impl Lane {
    fn order(&self) -> Order {
        (self.rank, self.head, self.id)
    }
}

/// A pending job at the head of its lane.
struct Head {
    id: JobId,
    epoch: i64,
    holder: i64,
    attempt: u32,
    name: Option<String>,
    position: i64,
    queued_at: i64,
}

fn head_of(tx: &Tx<'_>, lane: i64) -> Done<Option<Head>> {
    tx.one(sql::LANE_HEAD, named_params! {":lane": lane}, |row| {
        Ok(Head {
            id: JobId(row.get(0)?),
            epoch: row.get(1)?,
            holder: row.get(2)?,
            // What counts beyond that was written by hand; the outcome will find it.
            attempt: u32::try_from(row.get::<_, i64>(3)?).unwrap_or(u32::MAX),
            name: row.get(4)?,
            position: row.get(5)?,
            queued_at: row.get(6)?,
        })
    })
}

fn take(
    tx: &Tx<'_>,
    worker: WorkerId,
    term: &Term,
    queue: &str,
    way: Option<String>,
    head: Head,
) -> Done<Claimed> {
    tx.run(
        sql::CLAIM_JOB,
        named_params! {
            ":job": head.id.0, ":worker": worker.0, ":boot": term.boot, ":until": term.until,
            ":expires_at": term.expires_at.as_millis(), ":way": way,
        },
    )?;
    failpoint::hit("claim.job_taken");
    let epoch = Epoch(head.epoch + 1);
    let number = head.attempt.saturating_add(1);
    tx.run(
        sql::INSERT_ATTEMPT,
        named_params! {
            ":job": head.id.0, ":epoch": epoch.0, ":number": number, ":worker": worker.0,
            ":boot": term.boot, ":way": way, ":now": tx.wall(),
        },
    )?;
    failpoint::hit("claim.attempt_written");
    let fence = Fence {
        job: head.id,
        epoch,
        holder: Holder(head.holder + 1),
    };
    let checkpoint = tx.one(
        sql::DEFAULT_CHECKPOINT,
        named_params! {":job": head.id.0},
        |row| row.get(0),
    )?;
    Ok(Claimed {
        lease: Lease::granted(fence, worker, number, term.expires_at),
        queue: queue.to_owned(),
        name: head.name,
        way,
        checkpoint,
    })
}

/// The places that are left of each concurrency key that was looked at.
#[derive(Default)]
struct Keys(BTreeMap<String, i64>);

impl Keys {
    fn has_room(&mut self, tx: &Tx<'_>, key: &str) -> Done<bool> {
        if key.is_empty() {
            return Ok(true);
        }
        if let Some(room) = self.0.get(key) {
            return Ok(*room > 0);
        }
        let room = tx.one(sql::KEY_ROOM, named_params! {":key": key}, |row| row.get(0))?;
        let room = room.unwrap_or(0);
        self.0.insert(key.to_owned(), room);
        Ok(room > 0)
    }

    fn take(&mut self, key: &str) {
        if let Some(room) = self.0.get_mut(key) {
            *room -= 1;
        }
    }
}

/// How many lanes are read at a time.
const PAGE: usize = 32;

/// The open lanes of several queues, best first.
struct Line {
    kind: String,
    queues: Vec<Source>,
}

/// The open lanes of one queue. Those up to `read_to` are loaded; all others come after it.
struct Source {
    name: String,
    /// How many more of its jobs may run; no bound where not set.
    room: Option<i64>,
    loaded: BTreeMap<Order, Lane>,
    read_to: Order,
    exhausted: bool,
}

impl Line {
    fn open(tx: &Tx<'_>, wanted: &Claim) -> Done<Self> {
        let queues = tx.all(
            sql::OPEN_QUEUES,
            named_params! {":queues": serde_json::to_string(&wanted.queues)?},
            |row| {
                Ok(Source {
                    name: row.get("name")?,
                    room: row.get("room")?,
                    loaded: BTreeMap::new(),
                    read_to: (i64::MIN, i64::MIN, i64::MIN),
                    exhausted: false,
                })
            },
        )?;
        Ok(Self {
            kind: wanted.kind.clone(),
            queues,
        })
    }

    /// Takes the best lane out of the line.
    fn next(&mut self, tx: &Tx<'_>) -> Done<Option<Lane>> {
        let mut best: Option<(Order, usize)> = None;
        for (index, source) in self.queues.iter_mut().enumerate() {
            if source.room.is_some_and(|room| room <= 0) {
                continue;
            }
            source.fill(tx, index, &self.kind)?;
            if let Some(order) = source.loaded.keys().next()
                && best.is_none_or(|(other, _)| *order < other)
            {
                best = Some((*order, index));
            }
        }
        Ok(best.and_then(|(order, index)| self.queues[index].loaded.remove(&order)))
    }

    fn put_back(&mut self, lane: Lane) {
        self.queues[lane.queue].loaded.insert(lane.order(), lane);
    }

    fn took(&mut self, lane: &Lane) {
        if let Some(room) = &mut self.queues[lane.queue].room {
            *room -= 1;
        }
    }

    fn name_of(&self, lane: &Lane) -> &str {
        &self.queues[lane.queue].name
    }
}

impl Source {
    /// Reads on until the first of the loaded lanes is the best of all.
    fn fill(&mut self, tx: &Tx<'_>, index: usize, kind: &str) -> Done<()> {
        while !self.exhausted
            && self
                .loaded
                .keys()
                .next()
                .is_none_or(|first| *first > self.read_to)
        {
            let page = self.page(tx, index, kind)?;
            self.exhausted = page.len() < PAGE;
            if let Some(last) = page.last() {
                self.read_to = last.order();
            }
            self.loaded
                .extend(page.into_iter().map(|lane| (lane.order(), lane)));
        }
        Ok(())
    }

    fn page(&self, tx: &Tx<'_>, index: usize, kind: &str) -> Done<Vec<Lane>> {
        let (rank, head, id) = self.read_to;
        let values = named_params! {
            ":queue": self.name, ":kind": kind, ":rank": rank, ":head": head, ":id": id,
            ":most": i64::try_from(PAGE).expect("a page is small"),
        };
        tx.all(sql::OPEN_LANES, values, |row| {
            Ok(Lane {
                id: row.get("id")?,
                queue: index,
                needs: needs(row).ok(),
                budgets: rows::json(row, "budgets").unwrap_or_default(),
                key: row.get("concurrency_key")?,
                directory: row.get("directory")?,
                rank: row.get("rank")?,
                head: row.get("head")?,
            })
        })
    }
}

fn needs(row: &Row<'_>) -> rusqlite::Result<Needs> {
    Ok(Needs {
        limits: rows::json(row, "limits")?,
        gates: rows::json(row, "gates")?,
        ways: rows::json(row, "ways")?,
    })
}
