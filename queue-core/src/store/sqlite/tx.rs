//! One write transaction: short words for running statements, and the lanes that were touched.
//!
//! Whoever moves a job into or out of `pending` touches its lane; [`Tx::settle`] then notes the
//! new head of each touched lane, once, before the commit.

use super::{fault::Done, lanes, sql};
use crate::{clock::Now, job::JobId};
use rusqlite::{Connection, OptionalExtension, Params, Row, named_params};
use std::{cell::RefCell, collections::BTreeSet};

/// How far apart two neighbours stand, so that others fit in between.
pub(super) const SPACING: i64 = 1 << 20;

pub(super) struct Tx<'c> {
    connection: &'c Connection,
    pub(super) now: &'c Now,
    touched: RefCell<BTreeSet<i64>>,
}

impl<'c> Tx<'c> {
    pub(super) fn new(connection: &'c Connection, now: &'c Now) -> Self {
        Self {
            connection,
            now,
            touched: RefCell::new(BTreeSet::new()),
        }
    }

    /// The connection, for queries that are read row by row.
    pub(super) fn connection(&self) -> &'c Connection {
        self.connection
    }

    /// The wall clock in milliseconds.
    pub(super) fn wall(&self) -> i64 {
        self.now.wall.as_millis()
    }

    /// Runs a statement and returns how many rows it changed.
    pub(super) fn run(&self, statement: &str, values: impl Params) -> Done<usize> {
        Ok(self.connection.prepare_cached(statement)?.execute(values)?)
    }

    /// The row that a statement gives, if it gives one.
    pub(super) fn one<T>(
        &self,
        statement: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Done<Option<T>> {
        one(self.connection, statement, values, read)
    }

    /// All rows that a statement gives.
    pub(super) fn all<T>(
        &self,
        statement: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Done<Vec<T>> {
        all(self.connection, statement, values, read)
    }

    /// Notes that a job joined or left the pending ones of a lane.
    pub(super) fn touch(&self, lane: i64) {
        self.touched.borrow_mut().insert(lane);
    }

    /// Notes that a job joined or left the pending ones of its lane.
    pub(super) fn touch_lane_of(&self, job: JobId) -> Done<()> {
        let lane = self.one(sql::LANE_OF_JOB, named_params! {":job": job.0}, |row| {
            row.get(0)
        })?;
        if let Some(lane) = lane {
            self.touch(lane);
        }
        Ok(())
    }

    /// Brings the touched lanes up to date. The last step of every change.
    pub(super) fn settle(&self) -> Done<()> {
        for lane in self.touched.take() {
            lanes::refresh(self, lane)?;
        }
        Ok(())
    }

    /// The next place at the end of the line: position and time of joining.
    pub(super) fn join_line(&self) -> Done<(i64, i64)> {
        let place = self.one(sql::JOIN_LINE, named_params! {":now": self.wall()}, |row| {
            Ok((row.get::<_, i64>(0)? * SPACING, row.get(1)?))
        })?;
        Ok(place.expect("the migration writes the one row of `line`"))
    }
}

/// The row that a statement gives, if it gives one.
pub(super) fn one<T>(
    connection: &Connection,
    statement: &str,
    values: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Done<Option<T>> {
    Ok(connection
        .prepare_cached(statement)?
        .query_row(values, read)
        .optional()?)
}

/// All rows that a statement gives.
pub(super) fn all<T>(
    connection: &Connection,
    statement: &str,
    values: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Done<Vec<T>> {
    let mut statement = connection.prepare_cached(statement)?;
    let rows = statement
        .query_map(values, read)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(rows)
}
