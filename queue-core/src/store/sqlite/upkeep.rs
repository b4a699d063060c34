//! Upkeep: removing what ended long ago, copying the store, looking for damage.

use super::{
    budgets,
    fault::{Done, Fault},
    sql,
    tx::{self, Tx},
};
use crate::{
    error::StoreError,
    failpoint,
    job::JobId,
    store::{Finding, Prune, Pruned},
};
use rusqlite::{Connection, ErrorCode, backup::Backup, named_params};
use std::{fs, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

/// The most jobs that one transaction removes: others wait for the lock meanwhile.
pub(super) const MOST_PRUNED: usize = 1_000;

/// Removes up to `most` ended jobs, and says which logs are of no more use.
pub(super) fn prune(tx: &Tx<'_>, prune: &Prune, most: usize) -> Done<Vec<Pruned>> {
    let mut left = most.min(MOST_PRUNED);
    let mut removed = Vec::new();
    let mut lanes: Vec<i64> = Vec::new();
    for state in prune.states.iter().filter(|state| state.is_ended()) {
        let values = named_params! {
            ":state": state.as_str(),
            ":before": prune.ended_before.as_millis(),
            ":queue": prune.queue,
            ":most": i64::try_from(left).unwrap_or(i64::MAX),
        };
        let found = tx.all(sql::PRUNABLE, values, |row| {
            Ok((row.get(0).map(JobId)?, row.get(1)?))
        })?;
        for (id, attempt) in found {
            let of_job = named_params! {":job": id.0};
            lanes.extend(tx.one(sql::LANE_OF_JOB, of_job, |row| row.get::<_, i64>(0))?);
            let logs = tx.all(sql::LOGS_OF_JOB, of_job, |row| row.get(0))?;
            tx.run(sql::REMOVE_JOB, of_job)?;
            failpoint::hit("prune.job_removed");
            removed.push(Pruned {
                job: id,
                attempt,
                logs,
            });
            left -= 1;
        }
    }
    lanes.sort_unstable();
    lanes.dedup();
    tx.run(
        sql::REMOVE_EMPTY_LANES,
        named_params! {":lanes": serde_json::to_string(&lanes)?},
    )?;
    failpoint::hit("prune.lanes_removed");
    Ok(removed)
}

/// Writes a whole copy to `to` while others go on reading and writing.
pub(super) fn backup(from: &Connection, to: &Path) -> Done<()> {
    let refuse = |error: &std::io::Error| StoreError::CannotOpen {
        path: to.to_path_buf(),
        detail: error.to_string(),
    };
    // Made here and now, so that an existing file is never written over and nobody else can read.
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(|error| refuse(&error))?;
    let copied = copy(from, to);
    if copied.is_err() {
        let _ = fs::remove_file(to);
    }
    copied
}

fn copy(from: &Connection, to: &Path) -> Done<()> {
    let mut target = Connection::open(to)?;
    // All in one step: it sees one state of the store. In several, each write of another process
    // in between would start it over, and a busy store would never be copied.
    Backup::new(from, &mut target)?.run_to_completion(i32::MAX, Duration::ZERO, None)?;
    // A copy that is a single file can be moved about.
    target.query_row("pragma journal_mode = delete", [], |_| Ok(()))?;
    Ok(())
}

/// A question whose answer should be no row; the answer lists what is wrong.
struct Question {
    check: &'static str,
    well: &'static str,
    sql: &'static str,
}

const QUESTIONS: &[Question] = &[
    Question {
        check: "every job has its body",
        well: "none is missing",
        sql: "select 'job ' || id || ' has none' from job
               where not exists (select 1 from job_body where job = id) limit 5",
    },
    Question {
        check: "every lane knows its head",
        well: "all heads are right",
        sql: "select 'lane ' || id || ' of queue ' || queue || ' is off' from lane
               where head is not (select min(position) from job
                                   where lane = lane.id and state = 'pending') limit 5",
    },
    Question {
        check: "every job is in the lane of its conditions",
        well: "all are",
        sql: "select 'job ' || job.id || ' is not' from job join lane on lane.id = job.lane
               where job.queue <> lane.queue or job.priority <> lane.priority
                  or job.kind <> lane.kind or job.concurrency_key <> lane.concurrency_key
                  or job.directory <> lane.directory limit 5",
    },
    Question {
        check: "every running job has an attempt that has not ended",
        well: "all have",
        sql: "select 'job ' || id || ' has none' from job
               where state = 'in_progress'
                 and not exists (select 1 from attempt
                                  where job = id and attempt.epoch = job.epoch
                                    and ended_at is null) limit 5",
    },
    Question {
        check: "every attempt that has not ended runs",
        well: "all do",
        sql: "select 'attempt ' || number || ' of job ' || job || ' does not' from attempt
               where ended_at is null
                 and not exists (select 1 from job
                                  where id = attempt.job and state = 'in_progress'
                                    and epoch = attempt.epoch) limit 5",
    },
    Question {
        check: "every job waits for as many jobs as it says",
        well: "all counts are right",
        sql: "select 'job ' || id || ' counts ' || waiting_on from job
               where finished_at is null
                 and waiting_on <> (select count(*) from dependency
                                     where job = id and met = 0) limit 5",
    },
    Question {
        check: "every blocked job has something to wait for",
        well: "all have",
        sql: "select 'job ' || id || ' has not' from job
               where state = 'blocked' and held_at is null and asked_at is null
                 and waiting_on = 0 limit 5",
    },
    Question {
        check: "every job that waits for an answer has asked something",
        well: "all have",
        sql: "select 'job ' || id || ' has not' from job
               where asked_at is not null
                 and not exists (select 1 from question
                                  where job = id and answer is null and is_past = 0) limit 5",
    },
];

/// Looks for damage, and for rows that contradict each other. A question that damage leaves
/// without an answer is a finding too, and the others are asked all the same.
pub(super) fn examine(c: &Connection) -> Done<Vec<Finding>> {
    let references = Question {
        check: "references lead somewhere",
        well: "all do",
        sql: "select 'row ' || coalesce(rowid, '?') || ' of ' || \"table\" || ' refers to nothing'
                from pragma_foreign_key_check limit 5",
    };
    let mut findings = vec![wholeness(c)?, answer(c, &references)?];
    for question in QUESTIONS {
        findings.push(answer(c, question)?);
    }
    let wrong = match budgets::miscounted(c) {
        Ok(wrong) => wrong,
        Err(fault) => vec![format!("cannot be told: {}", damage(fault)?)],
    };
    let check = "every budget has counted what the ledger says";
    findings.push(finding(check, "all have", &wrong));
    Ok(findings)
}

fn wholeness(c: &Connection) -> Done<Finding> {
    let answers = match texts(c, "pragma integrity_check(5)") {
        Ok(answers) => answers,
        Err(fault) => vec![damage(fault)?],
    };
    Ok(Finding {
        check: "the file is whole",
        ok: answers == ["ok"],
        detail: answers.join("; "),
    })
}

fn answer(c: &Connection, question: &Question) -> Done<Finding> {
    let wrong = match texts(c, question.sql) {
        Ok(wrong) => wrong,
        Err(fault) => vec![format!("cannot be told: {}", damage(fault)?)],
    };
    Ok(finding(question.check, question.well, &wrong))
}

/// What SQLite says of a file that it cannot make sense of; any other fault is handed back.
fn damage(fault: Fault) -> Done<String> {
    match fault {
        Fault::Engine(error)
            if matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::DatabaseCorrupt
                        | ErrorCode::NotADatabase
                        | ErrorCode::SystemIoFailure
                )
            ) =>
        {
            Ok(error.to_string())
        }
        fault => Err(fault),
    }
}

fn texts(c: &Connection, statement: &str) -> Done<Vec<String>> {
    tx::all(c, statement, [], |row| row.get(0))
}

fn finding(check: &'static str, well: &str, wrong: &[String]) -> Finding {
    let ok = wrong.is_empty();
    Finding {
        check,
        ok,
        detail: if ok {
            well.to_owned()
        } else {
            wrong.join("; ")
        },
    }
}

/// Copies the write-ahead log into the database and shortens its file, if nobody reads from it.
pub(super) fn shorten_log(c: &Connection) -> Done<()> {
    // A reader that stays is no reason to wait: the next idle moment does as well.
    c.busy_handler(None)?;
    c.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))?;
    Ok(())
}
