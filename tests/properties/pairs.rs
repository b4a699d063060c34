//! Every pair of state and verb either leads where the table says, or is refused with an error
//! that names the job and its state, and changes nothing.

use queue_core::{
    Class, Error, JobId, Lease, NewJob, State, Verb,
    attempt::Outcome,
    job::{After, ParentEnd, StartAt},
    question::NewQuestion,
    state::transition,
    store::{Cancelled, Edit, Place},
};
use support::{HOUR, LEASE, MINUTE, SECOND, TestQueue, failed, job};

/// The queue of the parents, which are claimed apart.
const PARENTS: &str = "parents";

/// A job in one of the states. Its parent has ended, unless it is the one it waits for; it is due
/// in ten minutes where it is scheduled, and given up after an hour where it waits.
struct Case {
    q: TestQueue,
    parent: JobId,
    id: JobId,
}

impl Case {
    fn new(state: State) -> Self {
        let q = TestQueue::new();
        let parent = q.enqueue(NewJob {
            queue: PARENTS.to_owned(),
            ..job("parent")
        });
        if state != State::Blocked {
            complete_parent(&q, parent);
        }
        let start = match state {
            State::Scheduled => StartAt::After(10 * MINUTE),
            _ => StartAt::Now,
        };
        let id = q.enqueue(NewJob {
            start,
            after: vec![After {
                parent,
                end: ParentEnd::Any,
            }],
            max_wait: Some(HOUR),
            ..job("x")
        });
        let case = Case { q, parent, id };
        case.bring_to(state);
        assert_eq!(case.q.state(id), state);
        case
    }

    fn bring_to(&self, state: State) {
        let q = &self.q;
        match state {
            State::Scheduled | State::Pending | State::Blocked => Ok(None),
            State::InProgress => {
                q.start("a");
                Ok(None)
            }
            State::Completed => q.complete(q.claim("a")).map(Some),
            State::Failed => q.fail(q.claim("a"), Class::Auth).map(Some),
            State::Cancelled => q.abort(q.claim("a")).map(Some),
        }
        .unwrap();
    }

    /// A lease with the very numbers that stand in the job's row, whether or not it runs: the
    /// state alone has to keep its writes out.
    fn lease(&self) -> Lease {
        let row = self.q.job(self.id);
        let fence = queue_core::Fence {
            job: self.id,
            epoch: row.epoch,
            holder: row.holder,
        };
        Lease::granted(fence, self.q.worker("a"), row.attempt, self.q.now().wall)
    }

    fn finish(&self, outcome: Outcome) -> Result<(), Error> {
        self.q.finish(self.lease(), outcome).map(drop)
    }

    /// Does what `verb` stands for, as far as it concerns this job.
    fn attempt(&self, verb: Verb) -> Result<(), Error> {
        let (q, id) = (&self.q, self.id);
        match verb {
            Verb::Promote => {
                q.advance(10 * MINUTE);
                q.promote();
                Ok(())
            }
            Verb::Unblock => {
                if q.state(self.parent).is_ended() {
                    q.requeue(self.parent)?;
                }
                complete_parent(q, self.parent);
                Ok(())
            }
            Verb::Expire => {
                q.advance(HOUR + SECOND);
                q.promote();
                Ok(())
            }
            Verb::Claim => {
                // No promotion before it, as a cycle would do.
                let claimed = q.store().claim(q.worker("b"), 9, LEASE, &q.now())?;
                assert!(
                    claimed
                        .iter()
                        .all(|claimed| claimed.lease.job() == id
                            || claimed.lease.job() == self.parent)
                );
                Ok(())
            }
            Verb::Adopt => {
                q.advance(LEASE + SECOND);
                q.adopt("b");
                Ok(())
            }
            Verb::Heartbeat => q.heartbeat(&self.lease()).map(drop),
            Verb::Complete => self.finish(Outcome::Completed { result: None }),
            Verb::Fail => self.finish(failed(Class::Auth)),
            Verb::Retry => self.finish(failed(Class::Crash)),
            Verb::Snooze => self.finish(Outcome::Snoozed {
                until: q.now().wall.saturating_add(MINUTE),
            }),
            Verb::Limit => self.finish(Outcome::Limited {
                gate: "claude".parse().unwrap(),
                class: Class::Limit,
                until: None,
                evidence: String::new(),
            }),
            Verb::Ask => q.ask(&self.lease(), "Which?").map(drop),
            Verb::Park => self.finish(Outcome::NeedsInput {
                question: NewQuestion::new("Which?", Vec::new()).unwrap(),
            }),
            Verb::Answer => {
                self.let_it_ask();
                q.answer(id, "this").map(drop)
            }
            Verb::HandBack => self.finish(Outcome::HandedBack),
            Verb::Rescue => self.finish(Outcome::Stalled {
                class: Class::WorkerDied,
            }),
            Verb::Abort => self.finish(Outcome::Cancelled),
            Verb::Cancel => q.cancel(id).map(drop),
            Verb::Hold => q.hold(id).map(drop),
            Verb::Release => q.release(id).map(drop),
            Verb::Edit => {
                let edit = Edit {
                    name: Some(Some("edited".to_owned())),
                    ..Edit::default()
                };
                q.edit(id, &edit).map(drop)
            }
            Verb::Move => q.reposition(id, Place::First),
            Verb::Requeue => q.requeue(id).map(drop),
        }
    }
}

impl Case {
    /// Has it ask something, where its state can be that of a job that asks.
    fn let_it_ask(&self) {
        let is_blocked = self.q.state(self.id) == State::Blocked;
        if is_blocked {
            complete_parent(&self.q, self.parent);
            self.q.start("a");
        }
        if self.q.state(self.id) == State::InProgress {
            self.q.ask(&self.lease(), "Which?").unwrap();
        }
        if is_blocked {
            self.finish(Outcome::Completed { result: None }).unwrap();
            assert_eq!(self.q.state(self.id), State::Blocked);
        }
    }
}

fn complete_parent(q: &TestQueue, parent: JobId) {
    let lease = q.claim_from("parents", &[PARENTS]).unwrap();
    assert_eq!(lease.job(), parent);
    q.complete(lease).unwrap();
}

/// Whether a verb comes about by time or by others, so that there is nobody to be refused.
fn happens_by_itself(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Promote | Verb::Unblock | Verb::Expire | Verb::Claim | Verb::Adopt
    )
}

/// Whether a verb is a worker's, under a lease.
fn needs_a_lease(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Heartbeat
            | Verb::Complete
            | Verb::Fail
            | Verb::Retry
            | Verb::Snooze
            | Verb::Limit
            | Verb::Ask
            | Verb::Park
            | Verb::HandBack
            | Verb::Rescue
            | Verb::Abort
    )
}

#[test]
fn every_pair_of_state_and_verb_follows_the_table_or_is_refused_by_name() {
    for from in State::ALL {
        for verb in Verb::ALL {
            visit(*from, *verb);
        }
    }
}

fn visit(from: State, verb: Verb) {
    let what = format!("{verb} of a job that is {from}");
    let case = Case::new(from);
    let before = case.q.job(case.id);
    let answer = case.attempt(verb);
    let after = case.q.job(case.id);
    if let Some(to) = transition(from, verb) {
        answer.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(to.contains(&after.state), "{what}: became {}", after.state);
        assert!(
            after.epoch >= before.epoch && after.holder >= before.holder,
            "{what}"
        );
        return;
    }
    assert_eq!(after, before, "{what} changed something");
    match answer {
        Ok(()) => assert!(happens_by_itself(verb), "{what} was not refused"),
        Err(Error::LeaseLost { job, state, .. }) => {
            assert!(needs_a_lease(verb), "{what}");
            assert_eq!((job, state), (case.id, from), "{what}");
        }
        Err(Error::Refused {
            job,
            state,
            verb: named,
        }) => {
            assert!(!needs_a_lease(verb), "{what}");
            assert_eq!((job, state, named), (case.id, from, verb), "{what}");
        }
        Err(Error::NotAsking(why)) => {
            assert_eq!(verb, Verb::Answer, "{what}");
            assert_eq!((why.job, why.state), (case.id, from), "{what}");
        }
        Err(other) => panic!("{what}: {other}"),
    }
    case.q.examine();
}

#[test]
fn a_refusal_names_the_job_its_state_and_the_verb_in_its_text() {
    let case = Case::new(State::InProgress);
    let text = case.q.hold(case.id).unwrap_err().to_string();
    for part in [
        case.id.to_string(),
        "in_progress".to_owned(),
        "hold".to_owned(),
    ] {
        assert!(text.contains(&part), "no `{part}` in: {text}");
    }
}

#[test]
fn cancelling_what_ended_is_answered_with_how_it_ended() {
    for state in State::ENDED {
        let case = Case::new(*state);
        let before = case.q.detail(case.id);
        assert_eq!(case.q.cancel(case.id).unwrap(), Cancelled::Ended(*state));
        assert_eq!(case.q.detail(case.id), before);
    }
}
