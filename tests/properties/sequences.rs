//! Random sequences of verbs, compared with the model after each.
//!
//! Numbers in a step choose among what is there, so every sequence means something and shrinks to
//! a short one. `PROPTEST_CASES=5000` looks further.

use crate::model::{BACKOFF, End, Fence, LEASE, Model, Needs, New};
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, TestRunner},
};
use queue_core::{
    Class, Epoch, Error, Holder, JobId, Lease, NewJob, State, Verb, WaitReason,
    attempt::Outcome,
    job::{After, ParentEnd, StartAt},
    question::NewQuestion,
    retry::Backoff,
    state::transition,
    store::{Claim, Cycle, Edit, Place, Requeue},
};
use std::{cell::Cell, time::Duration};
use support::{MANY, TestQueue, failed, job};

/// The fewest steps that one run takes.
const STEPS: usize = 10_000;

/// The worker that claims, and the one that takes over.
const CLAIMS: &str = "a";
const ADOPTS: &str = "b";

/// One step.
#[derive(Debug, Clone)]
enum Step {
    /// Odd spans, so that no two moments fall together by chance.
    Advance(u8),
    Enqueue {
        delay: Option<u8>,
        is_held: bool,
        parent: Option<(Index, Needs)>,
        max_attempts: u32,
        max_stalls: u32,
        max_wait: Option<u8>,
    },
    Claim,
    Promote,
    Adopt,
    Heartbeat(Index),
    Checkpoint(Index),
    Started(Index),
    Ask(Index),
    Answer(Index),
    Finish(Index, End),
    Cancel(Index),
    Hold(Index),
    Release(Index),
    Edit(Index),
    Move(Index),
    Requeue(Index, Option<u8>),
}

fn needs() -> impl Strategy<Value = Needs> {
    prop_oneof![Just(Needs::Success), Just(Needs::Failure), Just(Needs::Any)]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        3 => Just(End::Completed),
        3 => Just(End::Crashed),
        1 => Just(End::Refused),
        1 => (1_i64..60).prop_map(|span| End::Snoozed(span * 1_013)),
        1 => Just(End::HandedBack),
        2 => Just(End::Stalled),
        1 => Just(End::Aborted),
        1 => Just(End::Asks),
    ]
}

fn enqueue() -> impl Strategy<Value = Step> {
    (
        proptest::option::weighted(0.3, any::<u8>()),
        proptest::bool::weighted(0.1),
        proptest::option::weighted(0.3, (any::<Index>(), needs())),
        1_u32..4,
        0_u32..3,
        proptest::option::weighted(0.2, any::<u8>()),
    )
        .prop_map(
            |(delay, is_held, parent, max_attempts, max_stalls, max_wait)| Step::Enqueue {
                delay,
                is_held,
                parent,
                max_attempts,
                max_stalls,
                max_wait,
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    let any_job = any::<Index>;
    prop_oneof![
        3 => (1_u8..60).prop_map(Step::Advance),
        4 => enqueue(),
        6 => Just(Step::Claim),
        1 => Just(Step::Promote),
        2 => Just(Step::Adopt),
        2 => any_job().prop_map(Step::Heartbeat),
        1 => any_job().prop_map(Step::Checkpoint),
        1 => any_job().prop_map(Step::Started),
        2 => any_job().prop_map(Step::Ask),
        3 => any_job().prop_map(Step::Answer),
        6 => (any_job(), end()).prop_map(|(lease, end)| Step::Finish(lease, end)),
        1 => any_job().prop_map(Step::Cancel),
        1 => any_job().prop_map(Step::Hold),
        2 => any_job().prop_map(Step::Release),
        1 => any_job().prop_map(Step::Edit),
        1 => any_job().prop_map(Step::Move),
        2 => (any_job(), proptest::option::weighted(0.3, any::<u8>()))
            .prop_map(|(id, delay)| Step::Requeue(id, delay)),
    ]
}

/// Store and model side by side.
struct Both {
    q: TestQueue,
    model: Model,
    ids: Vec<JobId>,
    /// Every lease that was ever given, late ones among them, and to whom.
    leases: Vec<(Fence, &'static str)>,
    /// A job was moved, so the order of the line is the store's alone.
    is_reordered: bool,
}

impl Both {
    fn new() -> Self {
        Self {
            q: TestQueue::new(),
            model: Model::default(),
            ids: Vec::new(),
            leases: Vec::new(),
            is_reordered: false,
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Advance(seconds) => {
                let millis = i64::from(*seconds) * 1_009;
                self.model.now += millis;
                self.q.advance(span(millis));
            }
            Step::Enqueue { .. } => self.enqueue(step),
            Step::Claim => self.claim(),
            Step::Promote => {
                self.q.promote();
                self.model.promote();
            }
            Step::Adopt => self.adopt(),
            Step::Heartbeat(at) | Step::Checkpoint(at) | Step::Started(at) | Step::Ask(at) => {
                self.write(step, *at);
            }
            Step::Finish(at, end) => self.finish(*at, *end),
            Step::Answer(at) => self.answer(*at),
            Step::Cancel(at)
            | Step::Hold(at)
            | Step::Release(at)
            | Step::Edit(at)
            | Step::Move(at)
            | Step::Requeue(at, _) => self.wish(step, *at),
        }
        self.compare_counts();
    }

    fn enqueue(&mut self, step: &Step) {
        let Step::Enqueue {
            delay,
            is_held,
            parent,
            max_attempts,
            max_stalls,
            max_wait,
        } = step
        else {
            return;
        };
        let parent = parent
            .filter(|_| !self.ids.is_empty())
            .map(|(at, needs)| (at.index(self.ids.len()), needs));
        let new = New {
            delay: delay.map(|delay| i64::from(delay) * 1_019 + 1),
            is_held: *is_held,
            parent,
            max_attempts: *max_attempts,
            max_stalls: *max_stalls,
            max_wait: max_wait.map(|wait| i64::from(wait) * 1_021 + 3),
        };
        let id = self.q.enqueue(NewJob {
            start: new
                .delay
                .map_or(StartAt::Now, |delay| StartAt::After(span(delay))),
            hold: new.is_held,
            after: parent
                .iter()
                .map(|(parent, needs)| After {
                    parent: self.ids[*parent],
                    end: parent_end(*needs),
                })
                .collect(),
            max_attempts: new.max_attempts.try_into().unwrap(),
            max_stalls: new.max_stalls,
            max_wait: new.max_wait.map(span),
            backoff: Backoff::Fixed(span(BACKOFF)),
            ..job("x")
        });
        self.ids.push(id);
        let added = self.model.enqueue(new);
        self.compare(added);
    }

    /// A cycle that promotes and then claims one job.
    fn claim(&mut self) {
        let cycle = Cycle {
            lease_for: span(LEASE),
            promote: MANY,
            claim: Some(Claim::default()),
            ..self.q.cycle_of(CLAIMS)
        };
        let claimed = self.q.cycle(&cycle).claimed.pop();
        self.model.promote();
        let Some(claimed) = claimed else {
            assert_eq!(self.model.next(), None, "a pending job was not claimed");
            return;
        };
        let id = self.place_of(claimed.lease.job());
        assert_eq!(self.model.jobs[id].state, State::Pending);
        if !self.is_reordered {
            assert_eq!(Some(id), self.model.next(), "another was in front");
        }
        let fence = self.model.claim(id);
        assert_eq!(self.fence(&claimed.lease), fence);
        assert_eq!(claimed.lease.attempt(), self.model.jobs[id].attempt);
        self.leases.push((fence, CLAIMS));
        self.compare(id);
    }

    fn adopt(&mut self) {
        let worker = self.q.worker(ADOPTS);
        let orphans = self
            .q
            .store()
            .adopt(worker, MANY, span(LEASE), &self.q.now())
            .unwrap();
        let mut adopted: Vec<Fence> = orphans
            .iter()
            .map(|orphan| self.fence(&orphan.lease))
            .collect();
        adopted.sort_by_key(|fence| fence.job);
        let expected: Vec<Fence> = self
            .model
            .expired()
            .into_iter()
            .map(|id| self.model.adopt(id))
            .collect();
        assert_eq!(adopted, expected);
        for fence in expected {
            self.leases.push((fence, ADOPTS));
            self.compare(fence.job);
        }
    }

    /// What a worker or a job writes without ending the attempt.
    fn write(&mut self, step: &Step, at: Index) {
        let Some((fence, worker)) = self.lease_at(at) else {
            return;
        };
        let lease = self.lease(fence, worker);
        let (answer, may) = match step {
            Step::Heartbeat(_) => {
                let store = self.q.store();
                let beat = store.heartbeat(&lease, span(LEASE), &self.q.now());
                if let Ok(is_cancel_asked) = beat {
                    assert_eq!(is_cancel_asked, self.model.jobs[fence.job].is_cancel_asked);
                    self.model.heartbeat(fence);
                }
                (beat.map(drop), self.model.holds(fence))
            }
            Step::Started(_) => (self.q.started(&lease), self.model.holds(fence)),
            Step::Ask(_) => {
                let asked = self.q.ask(&lease, "Which?").map(drop);
                if asked.is_ok() {
                    self.model.ask(fence.job);
                }
                (asked, self.model.runs_under(fence))
            }
            _ => (self.q.checkpoint(&lease, "x"), self.model.runs_under(fence)),
        };
        self.expect_fenced(fence, answer, may);
        self.compare(fence.job);
    }

    fn finish(&mut self, at: Index, end: End) {
        let Some((fence, worker)) = self.lease_at(at) else {
            return;
        };
        let outcome = match end {
            End::Completed => Outcome::Completed { result: None },
            End::Crashed => failed(Class::Crash),
            End::Refused => failed(Class::Auth),
            End::Snoozed(millis) => Outcome::Snoozed {
                until: self.q.now().wall.saturating_add(span(millis)),
            },
            End::HandedBack => Outcome::HandedBack,
            End::Stalled => Outcome::Stalled {
                class: Class::WorkerDied,
            },
            End::Aborted => Outcome::Cancelled,
            End::Asks => Outcome::NeedsInput {
                question: NewQuestion::new("Which?", Vec::new()).unwrap(),
            },
        };
        let answer = self.q.finish(self.lease(fence, worker), outcome).map(drop);
        let may = self.model.holds(fence);
        self.expect_fenced(fence, answer, may);
        if may {
            self.model.finish(fence.job, end);
        }
        self.compare_family(fence.job);
    }

    /// A person answers, whether or not something was asked.
    fn answer(&mut self, at: Index) {
        if self.ids.is_empty() {
            return;
        }
        let place = at.index(self.ids.len());
        let answer = self.q.answer(self.ids[place], "this");
        if self.model.asks(place) {
            self.model.answer(place);
            let answered = answer.unwrap();
            assert_eq!(answered.state, self.model.jobs[place].state);
        } else {
            let state = self.model.jobs[place].state;
            let refused = matches!(&answer, Err(Error::NotAsking(why)) if why.state == state);
            assert!(
                refused,
                "{answer:?} of a job that is {state} and asks nothing"
            );
        }
        self.compare(place);
    }

    /// What a person asks for.
    fn wish(&mut self, step: &Step, at: Index) {
        if self.ids.is_empty() {
            return;
        }
        let place = at.index(self.ids.len());
        let id = self.ids[place];
        let q = &self.q;
        let (verb, answer) = match step {
            Step::Cancel(_) => (Verb::Cancel, q.cancel(id).map(drop)),
            Step::Hold(_) => (Verb::Hold, q.hold(id).map(drop)),
            Step::Release(_) => (Verb::Release, q.release(id).map(drop)),
            Step::Edit(_) => {
                let edit = Edit {
                    name: Some(Some("edited".to_owned())),
                    ..Edit::default()
                };
                (Verb::Edit, q.edit(id, &edit).map(drop))
            }
            Step::Move(_) => (Verb::Move, q.reposition(id, Place::First)),
            Step::Requeue(_, delay) => {
                let requeue = Requeue {
                    delay: delay.map(|delay| span(i64::from(delay) * 1_019 + 1)),
                    ..Requeue::default()
                };
                (Verb::Requeue, q.requeue_with(id, &requeue).map(drop))
            }
            other => unreachable!("{other:?} is nobody's wish"),
        };
        let state = self.model.jobs[place].state;
        let is_allowed = self.model.allows(place, verb);
        assert_eq!(
            is_allowed,
            transition(state, verb).is_some(),
            "{verb} {state}"
        );
        if !is_allowed {
            match answer {
                Err(Error::Refused {
                    job,
                    state: named,
                    verb: asked,
                }) => assert_eq!((job, named, asked), (id, state, verb)),
                other => panic!("{verb} of a job that is {state}: {other:?}"),
            }
        } else {
            answer.unwrap_or_else(|error| panic!("{verb} of a job that is {state}: {error}"));
            match step {
                Step::Cancel(_) => self.model.cancel(place),
                Step::Hold(_) => self.model.hold(place),
                Step::Release(_) => self.model.release(place),
                Step::Edit(_) => self.model.edit(place),
                Step::Move(_) => self.is_reordered = true,
                Step::Requeue(_, delay) => {
                    let delay = delay.map(|delay| i64::from(delay) * 1_019 + 1);
                    self.model.requeue(place, delay);
                }
                other => unreachable!("{other:?} is nobody's wish"),
            }
        }
        self.compare_family(place);
    }

    // ── Comparing ───────────────────────────────────────────────────────────────────────────

    fn expect_fenced(&self, fence: Fence, answer: Result<(), Error>, may: bool) {
        match answer {
            Ok(()) => assert!(may, "{fence:?} is lost, but wrote"),
            Err(Error::LeaseLost { job, state, .. }) => {
                assert!(!may, "{fence:?} holds, but was refused");
                assert_eq!(job, self.ids[fence.job]);
                assert_eq!(state, self.model.jobs[fence.job].state);
            }
            Err(other) => panic!("{fence:?}: {other}"),
        }
    }

    /// Compares a job and those that come after it.
    fn compare_family(&self, place: usize) {
        self.compare(place);
        for (child, job) in self.model.jobs.iter().enumerate() {
            if job.parent.is_some_and(|(parent, ..)| parent == place) {
                self.compare(child);
            }
        }
    }

    fn compare(&self, place: usize) {
        let (there, here) = (self.q.job(self.ids[place]), &self.model.jobs[place]);
        assert_eq!(there.state, here.state, "state of job {}", there.id);
        assert_eq!(
            (there.attempt, there.stalls),
            (here.attempt, here.stalls),
            "attempt and stalls of job {}",
            there.id
        );
        assert_eq!(
            (there.epoch.0, there.holder.0),
            (here.epoch, here.holder),
            "fence of job {}",
            there.id
        );
        assert_eq!(there.held_at.is_some(), here.is_held, "job {}", there.id);
        let is_unmet = here.parent.is_some_and(|(_, _, met)| !met);
        assert_eq!(there.waiting_on, u32::from(is_unmet), "job {}", there.id);
        assert_eq!(there.finished_at.is_some(), there.state.is_ended());
        if there.state == State::Blocked {
            let reason = if here.is_held {
                WaitReason::Hold
            } else if here.is_parked {
                WaitReason::Answer
            } else {
                WaitReason::Dependency
            };
            assert_eq!(there.wait_reason, Some(reason), "job {}", there.id);
        }
    }

    fn compare_counts(&self) {
        let queues = self.q.store().queues().unwrap();
        for state in State::ALL {
            let there: u64 = queues.iter().map(|queue| queue.count(*state)).sum();
            let here = self.model.jobs.iter().filter(|job| job.state == *state);
            assert_eq!(there, here.count() as u64, "jobs that are {state}");
        }
    }

    /// Compares everything, and lets the store examine itself.
    fn compare_all(&self) {
        for place in 0..self.ids.len() {
            self.compare(place);
            let ended = self.model.jobs[place].attempts_ended;
            let attempts = self.q.attempts(self.ids[place]);
            let there = attempts.iter().filter(|tried| tried.ended_at.is_some());
            assert_eq!(there.count(), ended, "attempts of job {}", self.ids[place]);
            assert!(
                attempts
                    .windows(2)
                    .all(|pair| pair[0].epoch < pair[1].epoch)
            );
        }
        self.q.examine();
    }

    // ── Names on both sides ─────────────────────────────────────────────────────────────────

    fn place_of(&self, id: JobId) -> usize {
        self.ids.iter().position(|known| *known == id).unwrap()
    }

    fn fence(&self, lease: &Lease) -> Fence {
        Fence {
            job: self.place_of(lease.job()),
            epoch: lease.fence().epoch.0,
            holder: lease.fence().holder.0,
        }
    }

    fn lease_at(&self, at: Index) -> Option<(Fence, &'static str)> {
        (!self.leases.is_empty()).then(|| self.leases[at.index(self.leases.len())])
    }

    /// The lease once more: a late worker has one that nothing took from it.
    fn lease(&self, fence: Fence, worker: &str) -> Lease {
        let numbers = queue_core::Fence {
            job: self.ids[fence.job],
            epoch: Epoch(fence.epoch),
            holder: Holder(fence.holder),
        };
        Lease::granted(numbers, self.q.worker(worker), 1, self.q.now().wall)
    }
}

fn span(millis: i64) -> Duration {
    Duration::from_millis(millis.try_into().unwrap())
}

fn parent_end(needs: Needs) -> ParentEnd {
    match needs {
        Needs::Success => ParentEnd::Success,
        Needs::Failure => ParentEnd::Failure,
        Needs::Any => ParentEnd::Any,
    }
}

#[test]
fn a_random_sequence_of_verbs_agrees_with_the_model() {
    let config = Config {
        cases: Config::default().cases.max(160),
        max_shrink_iters: 500,
        failure_persistence: None,
        ..Config::default()
    };
    let steps = Cell::new(0);
    let sequences = proptest::collection::vec(step(), 60..140);
    let result = TestRunner::new(config).run(&sequences, |sequence| {
        let mut both = Both::new();
        for step in &sequence {
            both.take(step);
        }
        both.compare_all();
        steps.set(steps.get() + sequence.len());
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(
        steps.get() >= STEPS,
        "only {} steps were taken",
        steps.get()
    );
}
