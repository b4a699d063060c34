//! One cycle on its way: what there is to say, how far it is, and what comes back.
//!
//! The dispatcher makes it with all that is to be said and gets everything back. Each stage may be
//! passed on the event loop's thread as long as nothing has to be waited for, and on one of the pool
//! otherwise. What always holds: whatever could not be told or read comes back whole, to be tried
//! again.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use queue_core::attempt::Report;
use queue_core::job::JobBody;
use queue_core::store::{Claimed, Cycle, Cycled};
use queue_core::{Clock, Error, Fence, JobId, Store};

use super::told::Told;
use crate::agent::bill::Earlier;
use crate::agent::call::Call;
use crate::layout::Layout;
use crate::spares::Spares;

/// What to ask the store beside the cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether these queues hold nothing that starts by itself.
    IsDrained {
        queues: Vec<String>,
        scheduled_too: bool,
    },
    /// Whether this job has ended, or is gone.
    HasEnded(JobId),
}

/// How far a cycle is.
pub(super) enum Stage {
    /// The store has not been told.
    Untold(Flight),
    /// The store has answered, and what it needs afterwards may take long.
    Told(Told),
    /// It is back.
    Landed(Landed),
}

impl Stage {
    /// Goes on to the end, however long that takes.
    pub(super) fn land(self) -> Landed {
        match self {
            Self::Untold(flight) => flight.tell().land(),
            Self::Told(told) => told.land(),
            Self::Landed(landed) => landed,
        }
    }
}

/// A cycle that is about to be made.
pub(super) struct Flight {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) layout: Arc<Layout>,
    pub(super) spares: Arc<Spares>,
    /// The directory of the user's `agents.toml`.
    pub(super) config: Option<Arc<Path>>,
    pub(super) cycle: Cycle,
    /// Claimed earlier, and not read yet.
    pub(super) unread: Vec<Claimed>,
    pub(super) question: Option<Question>,
}

/// A cycle that is back.
pub(super) struct Landed {
    /// Before the transaction: leases that it gave or extended run from no earlier moment.
    pub(super) began: Instant,
    /// How long all of it took, without the ways between threads.
    pub(super) took: Duration,
    pub(super) cycle: Cycle,
    pub(super) result: Result<Cycled, Error>,
    /// Ready to run.
    pub(super) ready: Vec<Ready>,
    /// Claimed, and not read because of this error.
    pub(super) unread: Vec<Claimed>,
    pub(super) body_error: Option<Error>,
    /// What the adopted attempts need, and what those of agents go on from.
    pub(super) orphan_bodies: Vec<(JobBody, Earlier)>,
    /// Lost fences whose process tree another worker has taken over as it is.
    pub(super) taken_over: Vec<Fence>,
    /// The answer to the question is yes.
    pub(super) is_done: bool,
}

/// A claimed job with what it needs to run; without it, where the job is gone by now.
pub(super) struct Ready {
    pub(super) claimed: Claimed,
    pub(super) body: Option<JobBody>,
    /// The agent it calls, if it calls one.
    pub(super) call: Option<Box<Call>>,
    /// Why it is not started after all.
    pub(super) refused: Option<Box<Report>>,
    /// What said no to the attempt before, with what it printed.
    pub(super) complaint: Option<String>,
    /// Its cancel was asked for between the claim and now.
    pub(super) is_cancelled: bool,
}

impl Ready {
    pub(super) fn new(
        claimed: Claimed,
        body: Option<JobBody>,
        call: Option<Box<Call>>,
        refused: Option<Box<Report>>,
    ) -> Self {
        Self {
            claimed,
            body,
            call,
            refused,
            complaint: None,
            is_cancelled: false,
        }
    }
}

impl Flight {
    /// Goes as far as it can without waiting for anybody: not at all while somebody else has the
    /// store, and no further than the transaction where more is to be done than to read and to start.
    pub(super) fn at_once(self) -> Stage {
        let began = Instant::now();
        let answer = self.store.cycle_at_once(&self.cycle, &self.clock.now());
        let Some(result) = answer.transpose() else {
            return Stage::Untold(self);
        };
        let told = Told::of(self, began, result);
        if told.may_take_long() {
            Stage::Told(told)
        } else {
            Stage::Landed(told.land())
        }
    }

    /// Makes the transaction, and waits for the store as long as need be.
    fn tell(self) -> Told {
        let began = Instant::now();
        let result = self.store.cycle(&self.cycle, &self.clock.now());
        Told::of(self, began, result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue_core::attempt::{KEPT_UNCOUNTED, Outcome};
    use queue_core::store::Claim;
    use queue_core::store::sqlite::{OpenOptions, SqliteStore};
    use queue_core::worker::NewWorker;
    use queue_core::{NewJob, StoppedClock};
    use std::fs;

    #[test]
    fn the_logs_of_tries_that_are_forgotten_go_with_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queue.db");
        let store = Arc::new(SqliteStore::open(&path, &OpenOptions::default()).unwrap());
        let layout = Arc::new(Layout::beside(&path).unwrap());
        let clock = Arc::new(StoppedClock::new());
        let about = NewWorker {
            name: "w".to_owned(),
            host: "here".to_owned(),
            pid: 1,
            concurrency: 1,
            queues: Vec::new(),
            version: "0".to_owned(),
        };
        let worker = store.register_worker(&about, &clock.now()).unwrap();
        let spares = Arc::new(Spares::of(&layout, worker));
        let job = store
            .enqueue(NewJob::argv(["x"]), &clock.now())
            .unwrap()
            .id();
        let mut ended = Vec::new();
        let tries = u64::from(KEPT_UNCOUNTED) + 10;
        for _ in 0..tries {
            let flight = Flight {
                store: store.clone(),
                clock: clock.clone(),
                layout: Arc::clone(&layout),
                spares: Arc::clone(&spares),
                config: None,
                cycle: Cycle {
                    ended: std::mem::take(&mut ended),
                    claim: Some(Claim::default()),
                    ..Cycle::of(worker)
                },
                unread: Vec::new(),
                question: None,
            };
            let fence = Stage::Untold(flight)
                .land()
                .ready
                .pop()
                .unwrap()
                .claimed
                .lease
                .fence();
            fs::write(layout.log(job, fence.epoch), "x").unwrap();
            ended.push((fence, Report::new(Outcome::HandedBack, clock.now().wall)));
        }
        let kept = store.detail(job, &clock.now()).unwrap().attempts;
        let any = layout.log(job, kept[0].epoch);
        assert_eq!(
            fs::read_dir(any.parent().unwrap()).unwrap().count(),
            kept.len()
        );
        assert!(kept.iter().all(|one| layout.log(job, one.epoch).exists()));
        assert!((kept.len() as u64) < tries, "some are forgotten");
    }
}
