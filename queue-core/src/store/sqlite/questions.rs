//! Questions of jobs: asked while they run, answered whenever, and what they make of an end.
//!
//! Called for the verbs `ask`, `take_answer` and `answer`, and by [`outcome`](super::outcome) for an
//! attempt that ends with a question. What always holds: a job has one open question at the most; an
//! answer reaches the attempt that asked or the one after it.

use super::{fault::Done, lease, moves, rows, sql, tx, tx::Tx};
use crate::{
    attempt::{Outcome, Report},
    error::Error,
    job::{Job, JobId, RunOptions},
    lease::{Epoch, Fence},
    question::{
        Answer, AnsweredBy, Asked, NewQuestion, NotAsking, OnQuestion, Question, check_answer,
    },
    state::{Class, State, Verb},
    store::{Answered, Asking},
};
use rusqlite::{Connection, Row, named_params};

/// A question, and whether the job was requeued since.
fn question(row: &Row<'_>) -> rusqlite::Result<(Question, bool)> {
    let answer = match row.get::<_, Option<String>>("answer")? {
        None => None,
        Some(text) => Some(Answer {
            text,
            at: rows::at(row, "answered_at")?,
            by: rows::word(row, "answered_by")?,
            is_taken: row.get("is_taken")?,
        }),
    };
    let question = Question {
        number: row.get("number")?,
        epoch: Epoch(row.get("epoch")?),
        text: row.get("text")?,
        choices: rows::json(row, "choices")?,
        asked_at: rows::at(row, "asked_at")?,
        answer,
    };
    Ok((question, row.get("is_past")?))
}

/// All that a job asked, oldest first.
pub(super) fn all(c: &Connection, job: JobId) -> Done<Vec<Question>> {
    let found = tx::all(c, sql::QUESTIONS, named_params! {":job": job.0}, question)?;
    Ok(found.into_iter().map(|(question, _)| question).collect())
}

/// What a job was told since it was last requeued, oldest first.
pub(super) fn answered(c: &Connection, job: JobId) -> Done<Vec<Question>> {
    let mut found = tx::all(c, sql::QUESTIONS, named_params! {":job": job.0}, question)?;
    found.retain(|(question, is_past)| !is_past && question.answer.is_some());
    Ok(found.into_iter().map(|(question, _)| question).collect())
}

fn last(c: &Connection, job: JobId) -> Done<Option<(Question, bool)>> {
    tx::one(
        c,
        sql::LAST_QUESTION,
        named_params! {":job": job.0},
        question,
    )
}

/// What the job asks now and nobody has answered.
pub(super) fn open(c: &Connection, job: &Job) -> Done<Option<Question>> {
    if job.state != State::InProgress && job.asked_at.is_none() {
        return Ok(None);
    }
    let open = last(c, job.id)?.filter(|(question, is_past)| {
        !is_past && question.epoch == job.epoch && question.answer.is_none()
    });
    Ok(open.map(|(question, _)| question))
}

/// What all jobs ask now, the longest asked first.
pub(super) fn asking(c: &Connection) -> Done<Vec<Asking>> {
    tx::all(c, sql::OPEN_QUESTIONS, [], |row| {
        Ok(Asking {
            job: JobId(row.get("job")?),
            name: row.get("name")?,
            state: rows::word(row, "state")?,
            question: question(row)?.0,
        })
    })
}

/// What becomes of the job when it asks.
fn policy(tx: &Tx<'_>, job: JobId) -> Done<OnQuestion> {
    let options: Option<RunOptions> = tx.one(sql::BODY, named_params! {":job": job.0}, |row| {
        rows::json(row, "options")
    })?;
    Ok(options.and_then(|it| it.on_question).unwrap_or_default())
}

/// Notes what a running attempt asks. Who answers itself is told at once.
pub(super) fn ask(tx: &Tx<'_>, id: JobId, epoch: Epoch, asked: &NewQuestion) -> Done<Asked> {
    let job = moves::read(tx, id)?;
    if job.state != State::InProgress || job.epoch != epoch {
        return Err(lease::lost(tx, id, epoch)?.into());
    }
    let on_question = policy(tx, id)?;
    if let Some(open) = open(tx.connection(), &job)? {
        if open.text != asked.text() || open.choices != asked.choices() {
            let (job, text) = (id, open.first_line().to_owned());
            return Err(Error::AsksAlready { job, text }.into());
        }
        let question = open;
        return Ok(Asked {
            question,
            on_question,
        });
    }
    insert(tx, id, epoch, asked)?;
    let question = last_of(tx, id)?;
    if let OnQuestion::Default(text) = &on_question {
        write_answer(tx, id, question.number, text, AnsweredBy::Default, true)?;
    }
    Ok(Asked {
        question: last_of(tx, id)?,
        on_question,
    })
}

fn insert(tx: &Tx<'_>, id: JobId, epoch: Epoch, asked: &NewQuestion) -> Done<()> {
    tx.run(
        sql::INSERT_QUESTION,
        named_params! {
            ":job": id.0, ":epoch": epoch.0, ":text": asked.text(),
            ":choices": serde_json::to_string(asked.choices())?, ":asked_at": tx.wall(),
        },
    )?;
    Ok(())
}

/// The question that was written in this transaction.
fn last_of(tx: &Tx<'_>, id: JobId) -> Done<Question> {
    let found = last(tx.connection(), id)?;
    Ok(found
        .map(|(question, _)| question)
        .ok_or(Error::JobNotFound(id))?)
}

fn write_answer(
    tx: &Tx<'_>,
    id: JobId,
    number: u32,
    text: &str,
    by: AnsweredBy,
    is_taken: bool,
) -> Done<()> {
    tx.run(
        sql::ANSWER_QUESTION,
        named_params! {
            ":job": id.0, ":number": number, ":answer": text, ":now": tx.wall(),
            ":by": by.as_str(), ":is_taken": is_taken,
        },
    )?;
    Ok(())
}

/// The answer to a question of the attempt that runs, which from then on has it. `None` as long as
/// nobody has answered.
pub(super) fn take_answer(
    tx: &Tx<'_>,
    id: JobId,
    epoch: Epoch,
    number: u32,
) -> Done<Option<String>> {
    let job = moves::read(tx, id)?;
    if job.state != State::InProgress || job.epoch != epoch {
        return Err(lease::lost(tx, id, epoch)?.into());
    }
    tx.run(
        sql::TAKE_ANSWER,
        named_params! {":job": id.0, ":number": number, ":epoch": epoch.0},
    )?;
    let found = all(tx.connection(), id)?;
    let asked = found.into_iter().find(|question| question.number == number);
    Ok(asked.and_then(|question| Some(question.answer?.text)))
}

/// A person answers what the job asks. One that waits for it goes back to its place in the line.
pub(super) fn answer(tx: &Tx<'_>, id: JobId, text: &str) -> Done<Answered> {
    check_answer(text)?;
    let before = moves::read(tx, id)?;
    let Some(asked) = open(tx.connection(), &before)? else {
        let last = last(tx.connection(), id)?.map(|(question, _)| question);
        let state = before.state;
        let job = id;
        return Err(Error::NotAsking(Box::new(NotAsking { job, state, last })).into());
    };
    write_answer(tx, id, asked.number, text, AnsweredBy::Person, false)?;
    let state = if before.state == State::InProgress {
        before.state
    } else {
        let mut after = before.clone();
        after.asked_at = None;
        moves::settle(&mut after, moves::delay_of(&before), tx.now.wall);
        moves::apply(tx, Verb::Answer, &before, &after)?;
        after.state
    };
    Ok(Answered {
        question: last_of(tx, id)?,
        state,
    })
}

/// Lets a job go that waits for an answer which nobody needs any more. Others stay as they are.
pub(super) fn withdraw(tx: &Tx<'_>, id: JobId) -> Done<()> {
    let before = moves::read(tx, id)?;
    if before.asked_at.is_none() {
        return Ok(());
    }
    tx.run(sql::CLOSE_QUESTIONS, named_params! {":job": id.0})?;
    let mut after = before.clone();
    after.asked_at = None;
    moves::settle(&mut after, moves::delay_of(&before), tx.now.wall);
    moves::apply(tx, Verb::Edit, &before, &after)
}

/// What an attempt leaves open that ends now.
#[derive(Debug, PartialEq)]
pub(super) enum LeftOpen {
    /// It asked nothing, or was told the answer itself.
    Nothing,
    /// It was answered, and does not know.
    Answered,
    /// It answers itself as it ends.
    ByDefault(Question),
    /// It waits for a person.
    Parked(Question),
    /// Nobody answers it.
    Refused(Question),
}

impl LeftOpen {
    /// What to say of the attempt in one line.
    pub(super) fn message(&self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Answered => Some("it was answered meanwhile".to_owned()),
            Self::ByDefault(question) => {
                let asked = question.first_line();
                Some(format!("asked, and was answered by default: {asked}"))
            }
            Self::Parked(question) | Self::Refused(question) => {
                Some(format!("asked: {}", question.first_line()))
            }
        }
    }
}

/// Finds what an attempt leaves open, and notes what its adapter found.
pub(super) fn left_open(tx: &Tx<'_>, job: &Job, fence: Fence, report: &Report) -> Done<LeftOpen> {
    // What people cancel is over, and an answer is no money.
    let is_over = matches!(
        report.outcome,
        Outcome::Cancelled
            | Outcome::Failed {
                class: Class::OverBudget,
                ..
            }
    );
    if is_over {
        return Ok(LeftOpen::Nothing);
    }
    let asked = last(tx.connection(), job.id)?
        .map(|(question, _)| question)
        .filter(|question| question.epoch == fence.epoch && question.is_unsettled());
    let question = match (&report.outcome, asked) {
        (_, Some(question)) if question.answer.is_none() => question,
        (Outcome::NeedsInput { question }, _) => {
            insert(tx, job.id, fence.epoch, question)?;
            last_of(tx, job.id)?
        }
        (_, Some(_)) => return Ok(LeftOpen::Answered),
        (_, None) => return Ok(LeftOpen::Nothing),
    };
    Ok(match policy(tx, job.id)? {
        OnQuestion::Park => LeftOpen::Parked(question),
        OnQuestion::Fail => LeftOpen::Refused(question),
        OnQuestion::Default(text) => {
            let by = AnsweredBy::Default;
            write_answer(tx, job.id, question.number, &text, by, false)?;
            LeftOpen::ByDefault(question)
        }
    })
}

/// What a job becomes that leaves something open: where the facts alone decide.
pub(super) fn leave(
    job: &Job,
    open: &LeftOpen,
    now: crate::clock::Timestamp,
) -> Option<(Verb, Job)> {
    let mut after = job.clone();
    after.run_at = None;
    after.wait_reason = None;
    after.class = Some(Class::NeedsInput);
    match open {
        LeftOpen::Nothing => return None,
        LeftOpen::Answered => {
            after.attempt = job.attempt.saturating_sub(1);
            after.state = State::Pending;
        }
        LeftOpen::Parked(question) => {
            after.attempt = job.attempt.saturating_sub(1);
            after.asked_at = Some(question.asked_at);
            moves::settle(&mut after, moves::delay_of(job), now);
        }
        // Nobody looks on: only the attempts bound how often it may ask again.
        LeftOpen::ByDefault(_) if job.attempts_left() > 0 => after.state = State::Pending,
        LeftOpen::ByDefault(_) | LeftOpen::Refused(_) => {
            moves::end(&mut after, State::Failed, Some(Class::NeedsInput), now);
            return Some((Verb::Fail, after));
        }
    }
    Some((Verb::Park, after))
}
