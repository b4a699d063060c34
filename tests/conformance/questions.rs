//! Jobs that ask a person: parked at the cost of nothing, answered once, and told once.

use queue_core::{
    Class, Error, JobId, NewJob, State, WaitReason,
    attempt::{Finished, Outcome},
    job::{After, Enqueued, OnConflict, ParentEnd, Unique, UniqueWhile},
    question::{AnsweredBy, NewQuestion, OnQuestion, Question},
    store::{Cancelled, Edit},
    why::Cause,
};
use support::{HOUR, LEASE, MINUTE, SECOND, TestQueue, failed, job};

fn new(text: &str) -> NewQuestion {
    NewQuestion::new(text, Vec::new()).unwrap()
}

fn needs_input(text: &str) -> Outcome {
    let question = new(text);
    Outcome::NeedsInput { question }
}

/// A job whose first attempt ended with a question.
fn parked(q: &TestQueue) -> JobId {
    let id = q.enqueue("x");
    let lease = q.claim("a");
    assert_eq!(lease.job(), id);
    q.ask(&lease, "Which?").unwrap();
    assert_eq!(q.complete(lease).unwrap(), Finished::Asks);
    id
}

fn with_policy(on_question: OnQuestion) -> NewJob {
    let mut job = job("x");
    job.options.on_question = Some(on_question);
    job
}

fn questions(q: &TestQueue, id: JobId) -> Vec<Question> {
    q.detail(id).questions
}

fn answer_of(question: &Question) -> Option<&str> {
    Some(question.answer.as_ref()?.text.as_str())
}

#[test]
fn a_job_that_asks_waits_without_a_slot_and_lost_no_attempt() {
    let q = TestQueue::new();
    let id = parked(&q);
    let job = q.job(id);
    assert_eq!(
        (job.state, job.wait_reason),
        (State::Blocked, Some(WaitReason::Answer))
    );
    assert_eq!((job.attempt, job.stalls, job.worker), (0, 0, None));
    assert_eq!(job.asked_at, Some(q.now().wall));
    assert_eq!(q.attempts(id)[0].class, Some(Class::NeedsInput));
    assert_eq!(
        q.why(id),
        [Cause::Asks {
            question: "Which?".to_owned(),
            choices: Vec::new(),
            since: q.now().wall,
        }]
    );
    assert_eq!(q.try_claim("a"), None);
    q.examine();
}

#[test]
fn however_an_attempt_ends_its_question_stays_open() {
    let gate = "claude".parse().unwrap();
    for outcome in [
        Outcome::Completed { result: None },
        failed(Class::ExitCode),
        failed(Class::Usage),
        failed(Class::Timeout),
        Outcome::Snoozed {
            until: TestQueue::new().now().wall.saturating_add(HOUR),
        },
        Outcome::Limited {
            gate,
            class: Class::Limit,
            until: None,
            evidence: String::new(),
        },
        Outcome::HandedBack,
        Outcome::Stalled {
            class: Class::WorkerDied,
        },
        needs_input("Which?"),
    ] {
        let q = TestQueue::new();
        let mut job = job("x");
        job.max_attempts = std::num::NonZeroU32::MIN;
        job.max_stalls = 0;
        let id = q.enqueue(job);
        let lease = q.claim("a");
        q.ask(&lease, "Which?").unwrap();
        let what = format!("{outcome:?}");
        assert_eq!(q.finish(lease, outcome).unwrap(), Finished::Asks, "{what}");
        let job = q.job(id);
        assert_eq!((job.attempt, job.stalls), (0, 0), "{what}");
        assert_eq!(questions(&q, id).len(), 1, "{what}");
        q.answer(id, "this").unwrap();
        assert_eq!(q.state(id), State::Pending, "{what}");
        q.examine();
    }
}

#[test]
fn money_that_is_used_up_is_no_matter_of_an_answer() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    q.ask(&lease, "Which?").unwrap();
    q.fail(lease, Class::OverBudget).unwrap();
    assert_eq!(q.state(id), State::Failed);
}

#[test]
fn an_answer_puts_the_job_back_to_its_old_place_and_is_for_its_next_attempts() {
    let q = TestQueue::new();
    let id = parked(&q);
    let later = q.enqueue("y");
    q.advance(MINUTE);
    let answered = q.answer(id, "this").unwrap();
    assert_eq!(answered.state, State::Pending);
    assert_eq!(answer_of(&answered.question), Some("this"));
    let lease = q.claim("a");
    assert_eq!((lease.job(), lease.attempt()), (id, 1), "before {later}");
    let told = || q.store().bodies(&[id]).unwrap().remove(0).answers;
    let [asked] = &told()[..] else {
        panic!("{:?}", told());
    };
    assert_eq!(
        (asked.text.as_str(), answer_of(asked)),
        ("Which?", Some("this"))
    );
    let answer = asked.answer.as_ref().unwrap();
    assert_eq!(
        (answer.by, answer.at, answer.is_taken),
        (AnsweredBy::Person, q.now().wall, false)
    );
    q.exit(lease, 1).unwrap();
    q.advance(HOUR);
    assert_eq!(told().len(), 1, "a retry is told as well");
    q.complete(q.claim("a")).unwrap();
    assert_eq!(q.state(id), State::Completed);
    q.requeue(id).unwrap();
    assert!(told().is_empty(), "a requeued job begins anew");
    assert_eq!(questions(&q, id).len(), 1, "its history stays");
}

#[test]
fn an_answer_to_what_is_not_asked_is_refused_and_says_what_was_asked_before() {
    let q = TestQueue::new();
    let never = q.enqueue("x");
    let refused = |id| match q.answer(id, "this").unwrap_err() {
        Error::NotAsking(why) => (why.state, why.last),
        other => panic!("{other}"),
    };
    assert_eq!(refused(never), (State::Pending, None));
    q.complete(q.claim("a")).unwrap();
    let id = parked(&q);
    q.answer(id, "this").unwrap();
    let (state, last) = refused(id);
    assert_eq!(state, State::Pending);
    assert_eq!(answer_of(&last.unwrap()), Some("this"));
    for text in ["", " \n", "a\0b"] {
        assert!(q.answer(id, text).is_err());
    }
    assert!(matches!(
        q.answer(JobId(99), "this"),
        Err(Error::JobNotFound(JobId(99)))
    ));
}

#[test]
fn an_old_epoch_cannot_ask_and_is_told_nothing() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let old = q.claim("a");
    q.advance(LEASE + SECOND);
    q.rescue("b");
    let lost = |answer: Result<(), Error>| {
        assert!(matches!(answer, Err(Error::LeaseLost { .. })), "{answer:?}");
    };
    lost(q.ask(&old, "Which?").map(drop));
    let fresh = q.claim("b");
    lost(q.ask(&old, "Which?").map(drop));
    let asked = q.ask(&fresh, "Which?").unwrap();
    q.answer(id, "this").unwrap();
    let take = |epoch| {
        let number = asked.question.number;
        q.store().take_answer(id, epoch, number, &q.now())
    };
    lost(take(old.fence().epoch).map(drop));
    assert_eq!(questions(&q, id).len(), 1);
    assert_eq!(take(fresh.fence().epoch).unwrap().as_deref(), Some("this"));
}

#[test]
fn an_adopted_attempt_may_ask_and_its_question_survives_the_adoption() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    q.ask(&lease, "Which?").unwrap();
    q.advance(LEASE + SECOND);
    let adopted = q.adopt("b").remove(0).lease;
    assert_eq!(q.ask(&adopted, "Which?").unwrap().question.number, 1);
    assert_eq!(q.complete(adopted).unwrap(), Finished::Asks);
    assert_eq!(q.state(id), State::Blocked);
}

#[test]
fn a_job_asks_one_thing_at_a_time_and_the_same_again_is_the_same_question() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    q.ask(&lease, "Which?").unwrap();
    q.ask(&lease, " Which? ").unwrap();
    let second = q.ask(&lease, "And when?");
    assert!(
        matches!(&second, Err(Error::AsksAlready { text, .. }) if text == "Which?"),
        "{second:?}"
    );
    q.answer(id, "this").unwrap();
    assert_eq!(q.ask(&lease, "And when?").unwrap().question.number, 2);
    assert_eq!(q.complete(lease).unwrap(), Finished::Asks);
    q.answer(id, "now").unwrap();
    let told = q.store().bodies(&[id]).unwrap().remove(0).answers;
    let texts: Vec<_> = told.iter().map(answer_of).collect();
    assert_eq!(texts, [Some("this"), Some("now")], "both are told");
}

#[test]
fn an_answer_while_the_attempt_runs_is_for_the_next_one() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    q.ask(&lease, "Which?").unwrap();
    assert_eq!(q.answer(id, "this").unwrap().state, State::InProgress);
    assert!(q.answer(id, "that").is_err(), "it has one answer");
    assert_eq!(q.complete(lease).unwrap(), Finished::Answered);
    let job = q.job(id);
    assert_eq!((job.state, job.attempt), (State::Pending, 0));
    let lease = q.claim("a");
    assert_eq!(q.complete(lease).unwrap(), Finished::Completed, "told once");
}

#[test]
fn an_answer_that_the_attempt_took_itself_leads_to_no_other_attempt() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    let number = q.ask(&lease, "Which?").unwrap().question.number;
    let take = || {
        let epoch = lease.fence().epoch;
        q.store().take_answer(id, epoch, number, &q.now()).unwrap()
    };
    assert_eq!(take(), None);
    q.answer(id, "this").unwrap();
    assert_eq!(take().as_deref(), Some("this"));
    assert_eq!(q.complete(lease).unwrap(), Finished::Completed);
}

#[test]
fn a_job_that_answers_itself_goes_on_without_a_person() {
    let q = TestQueue::new();
    let id = q.enqueue(with_policy(OnQuestion::Default("yes".to_owned())));
    let lease = q.claim("a");
    let asked = q.ask(&lease, "Go on?").unwrap().question;
    assert_eq!(answer_of(&asked), Some("yes"));
    assert_eq!(q.complete(lease).unwrap(), Finished::Completed);
    let answer = questions(&q, id).remove(0).answer.unwrap();
    assert_eq!((answer.by, answer.is_taken), (AnsweredBy::Default, true));
}

#[test]
fn an_agent_that_is_answered_by_default_is_bounded_by_its_attempts() {
    let q = TestQueue::new();
    let id = q.enqueue(with_policy(OnQuestion::Default("yes".to_owned())));
    for number in 1..=2 {
        let lease = q.claim("a");
        assert_eq!(lease.attempt(), number);
        let end = q.finish(lease, needs_input("Go on?")).unwrap();
        assert_eq!(end, Finished::Answered);
    }
    let end = q.finish(q.claim("a"), needs_input("Go on?")).unwrap();
    assert_eq!(end, Finished::Failed);
    assert_eq!(q.job(id).class, Some(Class::NeedsInput));
    assert_eq!(questions(&q, id).len(), 3);
}

#[test]
fn a_job_that_nobody_answers_fails_with_the_question() {
    let q = TestQueue::new();
    for is_found in [false, true] {
        let id = q.enqueue(with_policy(OnQuestion::Fail));
        let lease = q.claim("a");
        let outcome = if is_found {
            needs_input("Which?\nThis or that?")
        } else {
            q.ask(&lease, "Which?\nThis or that?").unwrap();
            Outcome::Completed { result: None }
        };
        assert_eq!(q.finish(lease, outcome).unwrap(), Finished::Failed);
        let attempt = q.attempts(id).remove(0);
        assert_eq!(attempt.class, Some(Class::NeedsInput));
        assert_eq!(attempt.message.as_deref(), Some("asked: Which?"));
        assert_eq!(q.job(id).class, Some(Class::NeedsInput));
    }
}

#[test]
fn a_parked_job_is_cancelled_held_and_moved_as_any_that_waits() {
    let q = TestQueue::new();
    let id = parked(&q);
    assert_eq!(q.hold(id).unwrap(), State::Blocked);
    assert_eq!(q.job(id).wait_reason, Some(WaitReason::Hold));
    assert_eq!(q.answer(id, "this").unwrap().state, State::Blocked);
    assert_eq!(q.release(id).unwrap(), State::Pending);
    q.complete(q.claim("a")).unwrap();

    let id = parked(&q);
    assert_eq!(q.release(id).unwrap(), State::Blocked, "it still asks");
    q.edit(id, &Edit::default()).unwrap();
    assert_eq!(q.job(id).wait_reason, Some(WaitReason::Answer));
    assert_eq!(q.cancel(id).unwrap(), Cancelled::Now);
    assert_eq!(q.job(id).asked_at, None);
    assert!(q.answer(id, "this").is_err());
    q.requeue(id).unwrap();
    assert_eq!(q.state(id), State::Pending, "it begins anew");
    assert!(q.answer(id, "this").is_err(), "what it asked then is past");
    assert_eq!(answer_of(&questions(&q, id)[0]), None);
    q.examine();
}

#[test]
fn a_cancel_that_was_asked_for_wins_over_a_question() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    q.ask(&lease, "Which?").unwrap();
    q.cancel(id).unwrap();
    assert_eq!(q.complete(lease).unwrap(), Finished::Cancelled);
}

#[test]
fn who_comes_after_a_parked_job_waits_and_it_is_not_given_up_or_pruned() {
    let q = TestQueue::new();
    let id = q.enqueue(NewJob {
        max_wait: Some(MINUTE),
        ..job("x")
    });
    let lease = q.claim("a");
    q.finish(lease, needs_input("Which?")).unwrap();
    let after = q.enqueue(NewJob {
        after: vec![After {
            parent: id,
            end: ParentEnd::Any,
        }],
        ..job("y")
    });
    q.advance(HOUR);
    q.promote();
    assert_eq!(q.state(id), State::Blocked, "it has started in time");
    assert!(q.prune().is_empty());
    assert_eq!(q.state(after), State::Blocked);
    q.answer(id, "this").unwrap();
    q.complete(q.claim("a")).unwrap();
    assert_eq!(q.state(after), State::Pending);
}

#[test]
fn a_parked_job_frees_its_concurrency_key() {
    let q = TestQueue::new();
    let keyed = || NewJob {
        concurrency_key: Some("repo".to_owned()),
        ..job("x")
    };
    let first = q.enqueue(keyed());
    let second = q.enqueue(keyed());
    let lease = q.claim("a");
    assert_eq!((lease.job(), q.try_claim("a")), (first, None));
    q.finish(lease, needs_input("Which?")).unwrap();
    assert_eq!(q.claim("a").job(), second);
}

#[test]
fn a_gate_that_closes_over_a_question_is_waited_for_after_the_answer() {
    let q = TestQueue::new();
    let id = q.enqueue("x");
    let lease = q.claim("a");
    q.ask(&lease, "Which?").unwrap();
    let until = q.now().wall.saturating_add(HOUR);
    let limited = Outcome::Limited {
        gate: "claude".parse().unwrap(),
        class: Class::Limit,
        until: Some(until),
        evidence: "limit".to_owned(),
    };
    assert_eq!(q.finish(lease, limited).unwrap(), Finished::Asks);
    assert_eq!(q.attempts(id)[0].class, Some(Class::Limit));
    q.answer(id, "this").unwrap();
    assert_eq!(q.try_claim("a"), None, "the gate is closed");
    q.advance(HOUR + MINUTE);
    assert_eq!(q.claim("a").job(), id);
}

#[test]
fn questions_move_to_another_store_and_an_open_one_stays_open() {
    let q = TestQueue::new();
    let done = parked(&q);
    q.answer(done, "this").unwrap();
    q.complete(q.claim("a")).unwrap();
    let waits = parked(&q);
    let runs = q.enqueue("x");
    let lease = q.claim("a");
    assert_eq!(lease.job(), runs);
    q.ask(&lease, "And this one?").unwrap();
    let archived = q.store().export(JobId(0), 99).unwrap();
    let other = TestQueue::new();
    other.clock().set_wall(q.now().wall);
    other.store().import(archived, &other.now()).unwrap();
    for id in [done, waits] {
        assert_eq!(questions(&other, id), questions(&q, id));
    }
    for id in [waits, runs] {
        let job = other.job(id);
        assert_eq!(job.wait_reason, Some(WaitReason::Answer), "job {id}");
        other.answer(id, "that").unwrap();
        assert_eq!(other.state(id), State::Pending);
    }
    other.examine();
}

#[test]
fn all_that_is_asked_now_is_listed_the_longest_asked_first() {
    let q = TestQueue::new();
    let first = parked(&q);
    q.advance(SECOND);
    let gone = parked(&q);
    q.cancel(gone).unwrap();
    let runs = q.enqueue("x");
    q.ask(&q.claim("a"), "And this one?").unwrap();
    let asking = q.store().asking().unwrap();
    let jobs: Vec<_> = asking.iter().map(|one| (one.job, one.state)).collect();
    assert_eq!(jobs, [(first, State::Blocked), (runs, State::InProgress)]);
    q.answer(first, "this").unwrap();
    assert_eq!(q.store().asking().unwrap().len(), 1);
}

#[test]
fn what_a_replaced_job_asked_is_no_matter_of_its_new_contents() {
    let q = TestQueue::new();
    let keyed = |command: &str| NewJob {
        unique: Some(Unique {
            key: "nightly".to_owned(),
            while_: UniqueWhile::Live,
            on_conflict: OnConflict::Replace,
        }),
        ..job(command)
    };
    let id = q.enqueue(keyed("x"));
    let lease = q.claim("a");
    q.finish(lease, needs_input("Which?")).unwrap();
    let replaced = q.try_enqueue(keyed("y")).unwrap();
    assert_eq!(replaced, Enqueued::Replaced(id));
    assert_eq!(q.state(id), State::Pending);
    assert!(q.answer(id, "this").is_err());
    assert_eq!(questions(&q, id).len(), 1, "its history stays");
    q.examine();
}
