//! Reading: one job, all about it, or many.

use super::{causes, fault::Done, ledger, questions, rows, sql, tx};
use crate::{
    attempt::Attempt,
    checkpoint::Checkpoint,
    clock::{Now, Timestamp},
    error::Error,
    job::{After, Job, JobBody, JobId},
    lease::Epoch,
    store::{Detail, Filter, Outlook, Spread, Stats, Summary},
};
use rusqlite::{Connection, ToSql, named_params};
use std::time::Duration;

/// One job's row.
pub(super) fn job(c: &Connection, id: JobId) -> Done<Job> {
    let job = tx::one(c, sql::JOB_ROW, named_params! {":job": id.0}, rows::job)?;
    Ok(job.ok_or(Error::JobNotFound(id))?)
}

/// What attempts of these jobs need.
pub(super) fn bodies(c: &Connection, jobs: &[JobId]) -> Done<Vec<JobBody>> {
    let mut bodies = Vec::with_capacity(jobs.len());
    for job in jobs {
        let body = tx::one(c, sql::BODY, named_params! {":job": job.0}, rows::body)?;
        if let Some(body) = body {
            let answers = questions::answered(c, *job)?;
            bodies.push(JobBody { answers, ..body });
        }
    }
    Ok(bodies)
}

/// All about one job.
pub(super) fn detail(c: &Connection, id: JobId, now: &Now) -> Done<Detail> {
    let job = job(c, id)?;
    let body = tx::one(c, sql::BODY, named_params! {":job": id.0}, rows::body)?
        .ok_or(Error::JobNotFound(id))?;
    let answers = questions::answered(c, id)?;
    let body = JobBody { answers, ..body };
    let causes = causes::of(c, &job, now.wall)?;
    let after = tx::all(c, sql::PARENTS, named_params! {":job": id.0}, |row| {
        let parent = JobId(row.get("parent")?);
        let after = After {
            parent,
            end: rows::word(row, "needs")?,
        };
        Ok((after, rows::optional_word(row, "state")?, row.get("met")?))
    })?;
    let dependants = tx::all(c, sql::DEPENDANTS, named_params! {":job": id.0}, |row| {
        Ok((
            JobId(row.get("job")?),
            rows::word(row, "needs")?,
            rows::word(row, "state")?,
        ))
    })?;
    Ok(Detail {
        attempts: tx::all(
            c,
            sql::ATTEMPTS,
            named_params! {":job": id.0},
            rows::attempt,
        )?,
        questions: questions::all(c, id)?,
        checkpoints: checkpoints(c, id, None)?,
        summary: summary(c, job, body.clone(), causes.first().cloned())?,
        body,
        after,
        dependants,
        causes,
        spent: ledger::spent(c, id, None)?,
    })
}

fn summary(
    c: &Connection,
    job: Job,
    body: JobBody,
    cause: Option<crate::why::Cause>,
) -> Done<Summary> {
    let of_job = named_params! {":job": job.id.0};
    let tags = tx::all(c, sql::TAGS, of_job, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let last: Option<Attempt> = tx::one(c, sql::LAST_ATTEMPT, of_job, rows::attempt)?;
    let started_at: Option<i64> = tx::one(c, sql::FIRST_CLAIM, of_job, |row| {
        row.get::<_, Option<i64>>(0)
    })?
    .flatten();
    Ok(Summary {
        cause,
        command: body.command,
        cwd: body.cwd,
        tags: tags.into_iter().collect(),
        last,
        started_at: started_at.map(Timestamp::from_millis),
        job,
    })
}

/// What a job has saved: under one name, or all of it.
pub(super) fn checkpoints(c: &Connection, job: JobId, name: Option<&str>) -> Done<Vec<Checkpoint>> {
    tx::all(
        c,
        sql::CHECKPOINTS,
        named_params! {":job": job.0, ":name": name},
        |row| {
            Ok(Checkpoint {
                name: row.get("name")?,
                value: row.get("value")?,
                epoch: Epoch(row.get("epoch")?),
                at: rows::at(row, "at")?,
            })
        },
    )
}

/// The jobs that `filter` lets through.
pub(super) fn list(c: &Connection, filter: &Filter, now: &Now) -> Done<Vec<Summary>> {
    let mut found = Vec::new();
    for id in ids(c, filter)? {
        let job = job(c, id)?;
        let cause = causes::of(c, &job, now.wall)?.into_iter().next();
        if let Some(body) = tx::one(c, sql::BODY, named_params! {":job": id.0}, rows::body)? {
            found.push(summary(c, job, body, cause)?);
        }
    }
    Ok(found)
}

/// The ids of the jobs that `filter` lets through. The one statement that is put together at run
/// time: every combination of conditions is another one.
pub(super) fn ids(c: &Connection, filter: &Filter) -> Done<Vec<JobId>> {
    let mut conditions = Conditions::default();
    conditions.one_of(
        "job.state",
        filter.states.iter().map(|state| state.as_str().to_owned()),
    );
    conditions.one_of("job.queue", filter.queues.iter().cloned());
    conditions.equal("job.name", filter.name.clone());
    conditions.equal(
        "job.class",
        filter.class.map(|class| class.as_str().to_owned()),
    );
    conditions.equal("job.worker", filter.worker.map(|worker| worker.0));
    conditions.add(
        "job.created_at >= ?",
        filter.created_since.map(Timestamp::as_millis),
    );
    conditions.add(
        "job.finished_at >= ?",
        filter.finished_since.map(Timestamp::as_millis),
    );
    conditions.add("job.id < ?", filter.before.map(|job| job.0));
    for (key, value) in &filter.tags {
        conditions.tag(key, value.as_deref());
    }
    if let Some(text) = &filter.text {
        conditions.text(text);
    }
    let direction = if filter.oldest_first { "asc" } else { "desc" };
    let most = filter
        .most
        .and_then(|most| i64::try_from(most).ok())
        .unwrap_or(-1);
    let statement = format!(
        "select job.id from job where {} order by job.id {direction} limit {most}",
        conditions.clause()
    );
    let mut statement = c.prepare(&statement)?;
    let values: Vec<&dyn ToSql> = conditions.values.iter().map(AsRef::as_ref).collect();
    let rows = statement.query_map(values.as_slice(), |row| row.get(0).map(JobId))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

#[derive(Default)]
struct Conditions {
    clauses: Vec<String>,
    values: Vec<Box<dyn ToSql>>,
}

impl Conditions {
    fn clause(&self) -> String {
        if self.clauses.is_empty() {
            "true".to_owned()
        } else {
            self.clauses.join(" and ")
        }
    }

    fn add(&mut self, clause: &str, value: Option<impl ToSql + 'static>) {
        if let Some(value) = value {
            self.clauses.push(clause.to_owned());
            self.values.push(Box::new(value));
        }
    }

    fn equal(&mut self, column: &str, value: Option<impl ToSql + 'static>) {
        self.add(&format!("{column} = ?"), value);
    }

    fn one_of(&mut self, column: &str, values: impl Iterator<Item = String>) {
        let before = self.values.len();
        self.values
            .extend(values.map(|value| Box::new(value) as Box<dyn ToSql>));
        let marks = vec!["?"; self.values.len() - before].join(", ");
        if !marks.is_empty() {
            self.clauses.push(format!("{column} in ({marks})"));
        }
    }

    fn tag(&mut self, key: &str, value: Option<&str>) {
        let mut clause =
            "exists (select 1 from tag where tag.job = job.id and tag.key = ?".to_owned();
        self.values.push(Box::new(key.to_owned()));
        if let Some(value) = value {
            clause.push_str(" and tag.value = ?");
            self.values.push(Box::new(value.to_owned()));
        }
        self.clauses.push(clause + ")");
    }

    fn text(&mut self, text: &str) {
        self.clauses.push(
            "(instr(job.name, ?) > 0 or exists (select 1 from job_body \
             where job_body.job = job.id and instr(job_body.command, ?) > 0))"
                .to_owned(),
        );
        // Commands are stored as JSON, so a text is looked for as JSON spells it.
        let quoted = serde_json::Value::from(text).to_string();
        self.values.push(Box::new(text.to_owned()));
        self.values
            .push(Box::new(quoted[1..quoted.len() - 1].to_owned()));
    }
}

/// What stands before a worker.
pub(super) fn outlook(
    c: &Connection,
    queues: &[String],
    kind: &str,
    now: Timestamp,
) -> Done<Outlook> {
    let queues = serde_json::to_string(queues)?;
    let values = named_params! {":queues": queues, ":kind": kind};
    let outlook = tx::one(c, sql::OUTLOOK, values, |row| {
        Ok(Outlook {
            pending: row.get("pending")?,
            paused: row.get("paused")?,
            in_progress: row.get("in_progress")?,
            scheduled: row.get("scheduled")?,
            next_at: rows::optional_at(row, "next_at")?,
            blocked: row.get("blocked")?,
        })
    })?;
    let mut outlook = outlook.unwrap_or_default();
    let values = named_params! {":queues": queues, ":kind": kind, ":now": now.as_millis()};
    for statement in [sql::GATED, sql::BUDGETED] {
        let shut = tx::one(c, statement, values, |row| {
            let counts: (u64, u64) = (row.get("for_person")?, row.get("for_time")?);
            Ok((counts, rows::optional_at(row, "next_at")?))
        })?;
        let ((for_person, for_time), next_at) = shut.unwrap_or_default();
        outlook.pending = outlook.pending.saturating_sub(for_person + for_time);
        outlook.paused += for_person;
        outlook.scheduled += for_time;
        outlook.next_at = [outlook.next_at, next_at].into_iter().flatten().min();
    }
    Ok(outlook)
}

/// What ended since a moment.
pub(super) fn stats(c: &Connection, queue: Option<&str>, since: Timestamp) -> Done<Stats> {
    let mut stats = Stats::default();
    let (mut waited, mut ran): (Vec<i64>, Vec<i64>) = Default::default();
    let values = named_params! {":since": since.as_millis(), ":queue": queue};
    tx::all(c, sql::ENDED_SINCE, values, |row| {
        *stats.ended.entry(rows::word(row, "state")?).or_default() += 1;
        if let Some(class) = rows::optional_word(row, "class")? {
            *stats.classes.entry(class).or_default() += 1;
        }
        waited.extend(row.get::<_, Option<i64>>("waited")?);
        ran.extend(row.get::<_, Option<i64>>("ran")?);
        Ok(())
    })?;
    tx::one(c, sql::ATTEMPTS_SINCE, values, |row| {
        (stats.attempts, stats.retries) = (row.get("attempts")?, row.get("retries")?);
        Ok(())
    })?;
    stats.waited = spread(waited);
    stats.ran = spread(ran);
    Ok(stats)
}

/// The nearest-rank percentiles of durations in milliseconds.
fn spread(mut millis: Vec<i64>) -> Spread {
    millis.sort_unstable();
    let rank = |percent: usize| {
        let place = (millis.len() * percent).div_ceil(100).max(1) - 1;
        Duration::from_millis(
            millis
                .get(place)
                .map_or(0, |ms| u64::try_from(*ms).unwrap_or(0)),
        )
    };
    Spread {
        median: rank(50),
        p95: rank(95),
        max: rank(100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_take_the_nearest_rank() {
        let found = spread((1..=20).rev().collect());
        assert_eq!(found.median, Duration::from_millis(10));
        assert_eq!(found.p95, Duration::from_millis(19));
        assert_eq!(found.max, Duration::from_millis(20));
        assert_eq!(spread(vec![]), Spread::default());
    }
}
