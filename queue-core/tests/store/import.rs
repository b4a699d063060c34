//! Files from elsewhere, odd or hostile: refused as a whole, or harmless.

use super::*;
use queue_core::store::Archived;
use serde_json::{Value, json};

/// A job as another store would have exported it.
fn exported() -> Archived {
    let other = Q::new();
    other.add(&[]);
    let mut archived = other.store.export(JobId(0), 10).unwrap();
    archived.pop().unwrap()
}

fn with(table: &str, column: &str, value: Value) -> Archived {
    let mut archived = exported();
    let rows = archived.rows.get_mut(table).unwrap();
    rows[0].insert(column.to_owned(), value);
    archived
}

/// Whatever came in: jobs can still be added, claimed, finished, listed and exported.
fn assert_it_still_works(q: &Q) {
    q.add(&[]);
    q.complete_all();
    q.store.promote(q.worker, 100, &q.now).unwrap();
    let listed = q.store.list(&Filter::default(), &q.now).unwrap();
    for summary in listed {
        q.store.detail(summary.job.id, &q.now).unwrap();
    }
    for finding in q.store.examine(&q.now).unwrap() {
        assert!(finding.ok, "{}: {}", finding.check, finding.detail);
    }
}

#[test]
fn no_number_in_a_job_row_breaks_the_store() {
    let far = [
        i64::MIN,
        -1,
        0,
        i64::from(u32::MAX),
        i64::from(u32::MAX) + 1,
        i64::MAX,
    ];
    for column in [
        "id",
        "epoch",
        "holder",
        "attempt",
        "max_attempts",
        "stalls",
        "max_stalls",
        "waiting_on",
        "priority",
        "position",
        "queued_at",
        "run_at",
        "held_at",
        "expires_at",
        "created_at",
        "cancel_requested_at",
    ] {
        for value in far {
            let q = Q::new();
            // Taken in or refused: what counts is what comes after.
            let _ = q
                .store
                .import(vec![with("job", column, json!(value))], &q.now);
            assert_it_still_works(&q);
        }
    }
}

#[test]
fn no_attempt_row_breaks_the_store() {
    let whole = json!({
        "job": 1, "epoch": 1, "number": 1, "worker": 1, "claimed_at": 1, "started_at": 2, "pid": 3, "ended_at": 4
    });
    for (column, value) in [
        ("epoch", json!(1)),
        ("epoch", json!(-1)),
        ("epoch", json!(7)),
        ("epoch", json!(i64::MAX)),
        ("number", json!(-1)),
        ("number", json!(i64::MAX)),
        ("pid", json!(-1)),
        ("pid", json!(null)),
        ("pid_started", json!(-1)),
        ("exit_code", json!(i64::MAX)),
        ("user_ms", json!(5)),
        ("user_ms", json!(-5)),
    ] {
        let q = Q::new();
        let mut archived = exported();
        let mut row = whole.as_object().unwrap().clone();
        row.insert(column.to_owned(), value.clone());
        archived.rows.insert("attempt".to_owned(), vec![row]);
        let _ = q.store.import(vec![archived], &q.now);
        assert_it_still_works(&q);
    }
}

#[test]
fn jobs_that_wait_for_each_other_are_refused() {
    let q = Q::new();
    let mut pair = [with("job", "id", json!(1)), with("job", "id", json!(2))];
    for (archived, (job, parent)) in pair.iter_mut().zip([(1, 2), (2, 1)]) {
        let row = json!({"job": job, "parent": parent, "needs": "success", "met": 0});
        archived.rows.insert(
            "dependency".to_owned(),
            vec![row.as_object().unwrap().clone()],
        );
    }
    let answer = q.store.import(pair.to_vec(), &q.now);
    assert!(
        matches!(answer, Err(Error::DependencyCycle { .. })),
        "{answer:?}"
    );
    assert_it_still_works(&q);
}

#[test]
fn no_settings_that_come_along_break_the_store() {
    let of = |table: &str, row: Value| {
        let mut archived = exported();
        let row = row.as_object().unwrap().clone();
        archived.rows.insert(table.to_owned(), vec![row]);
        archived
    };
    for number in [-1, 0, i64::from(u32::MAX) + 1, i64::MAX] {
        for archived in [
            of("concurrency_key", json!({"key": "k", "places": number})),
            of(
                "queue",
                json!({"name": "q", "paused_at": number, "concurrency": 1, "ageing_ms": 1}),
            ),
            of(
                "queue",
                json!({"name": "q", "concurrency": number, "ageing_ms": 1}),
            ),
            of("queue", json!({"name": "q", "ageing_ms": number})),
            of(
                "limit_bucket",
                json!({"name": "l", "count": number, "per_ms": 1, "burst": 1}),
            ),
            of(
                "limit_bucket",
                json!({"name": "l", "count": 1, "per_ms": number, "burst": 1}),
            ),
            of(
                "limit_bucket",
                json!({"name": "l", "count": 1, "per_ms": 1, "burst": number}),
            ),
        ] {
            let q = Q::new();
            let _ = q.store.import(vec![archived], &q.now);
            q.store.queues().unwrap();
            q.store.limits(&q.now).unwrap();
            q.store.keys().unwrap();
            assert_it_still_works(&q);
        }
    }
    for archived in [
        of("queue", json!({"name": "", "ageing_ms": 1})),
        of("queue", json!({"ageing_ms": 1})),
        of("queue", json!({"name": "q", "ageing_ms": 1, "gravity": 9})),
        of(
            "limit_bucket",
            json!({"name": "a=b", "count": 1, "per_ms": 1, "burst": 1}),
        ),
    ] {
        let q = Q::new();
        let answer = q.store.import(vec![archived.clone()], &q.now);
        assert!(answer.is_err(), "{archived:?}");
        assert_it_still_works(&q);
    }
}
