//! Rows that cannot be read: only somebody who edited the file by hand can have written them.
//!
//! A cycle takes many jobs along. Each step about one of them stands in a savepoint of its own
//! here, and a job whose row cannot be read is failed, or passed over with a warning where even
//! that cannot be written. What always holds: the other jobs of the cycle go on.

use super::{
    dependencies,
    fault::{Done, Fault},
    sql,
    tx::Tx,
};
use crate::{job::JobId, retry::Backoff, state::State};
use rusqlite::{ErrorCode, named_params};

/// What came of a step about one job.
pub(super) enum Step<T> {
    /// It was done.
    Done(T),
    /// The job could not be read, and has failed for that.
    Failed,
    /// The job could neither be read nor failed. It is as it was.
    Skipped,
}

/// Runs a step about one job. What cannot be read then is that job's own problem.
pub(super) fn own<T>(tx: &Tx<'_>, job: JobId, step: impl FnOnce() -> Done<T>) -> Done<Step<T>> {
    match alone(tx, step)? {
        Ok(done) => Ok(Step::Done(done)),
        Err(why) => give_up(tx, job, &why),
    }
}

/// Ends a job that cannot be read, whatever it was doing.
fn give_up<T>(tx: &Tx<'_>, job: JobId, why: &str) -> Done<Step<T>> {
    match alone(tx, || fail(tx, job, why))? {
        Ok(true) => {
            tracing::warn!(
                job = job.0,
                why,
                "job {job} cannot be read and has failed for that"
            );
            Ok(Step::Failed)
        }
        Ok(false) => Ok(Step::Skipped),
        Err(second) => {
            tracing::warn!(
                job = job.0,
                why,
                second,
                "job {job} can be neither read nor failed"
            );
            Ok(Step::Skipped)
        }
    }
}

/// Runs a step in a savepoint. Says what was wrong where the row is to blame.
fn alone<T>(tx: &Tx<'_>, step: impl FnOnce() -> Done<T>) -> Done<Result<T, String>> {
    tx.run("savepoint own", [])?;
    let outcome = match step() {
        Ok(done) => Ok(done),
        Err(fault) => {
            let why = blame(&fault).ok_or(fault)?;
            tx.run("rollback to own", [])?;
            Err(why)
        }
    };
    tx.run("release own", [])?;
    Ok(outcome)
}

/// What is wrong with the row, where it is that and not the store.
fn blame(fault: &Fault) -> Option<String> {
    match fault {
        Fault::Engine(error) => {
            let is_refused = error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation);
            (is_refused || is_conversion(error)).then(|| error.to_string())
        }
        Fault::Answer(crate::Error::Store(_)) => None,
        Fault::Answer(error) => Some(error.to_string()),
    }
}

/// Whether a value is not what its column should hold.
fn is_conversion(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..)
    )
}

fn fail(tx: &Tx<'_>, job: JobId, why: &str) -> Done<bool> {
    let of_job = named_params! {":job": job.0};
    let written: String = tx
        .one(sql::BACKOFF_OF, of_job, |row| row.get(0))?
        .unwrap_or_default();
    // With what could not be read it could not be shown or requeued either.
    let backoff = written.parse::<Backoff>().unwrap_or_default();
    let message = format!("its row cannot be read: {why}");
    let values = named_params! {":job": job.0, ":now": tx.wall(), ":message": message};
    tx.run(sql::END_UNREADABLE_ATTEMPT, values)?;
    let values = named_params! {
        ":job": job.0, ":now": tx.wall(), ":backoff": backoff.to_string(),
    };
    if tx.run(sql::FAIL_UNREADABLE, values)? == 0 {
        return Ok(false);
    }
    tx.touch_lane_of(job)?;
    dependencies::parent_ended(tx, job, State::Failed)?;
    Ok(true)
}
