//! Every statement fits the schema, and the hot ones find their rows by an index.

use crate::fresh;
use queue_core::store::sqlite::statements;
use rusqlite::Connection;

/// What runs in every cycle, claim, enqueue or outcome. Their plans are held by a snapshot.
const HOT: &[&str] = &[
    "adopt_job",
    "bucket",
    "cancels_of_worker",
    "claim_job",
    "default_checkpoint",
    "due_jobs",
    "end_attempt",
    "expired_leases",
    "expired_waits",
    "extend_leases",
    "first_shut",
    "forget_uncounted",
    "gate",
    "held_job",
    "insert_attempt",
    "insert_job",
    "join_line",
    "key_room",
    "lane_head",
    "lane_of",
    "lane_to_reopen",
    "move_job",
    "next_instant",
    "open_lanes",
    "open_queues",
    "probe_look",
    "prunable",
    "refresh_lane",
    "reopen_lanes",
    "reopen_lanes_of_gate",
    "save_checkpoint",
    "see_worker",
    "shut_lane_head",
    "start_attempt",
    "unique_holder",
    "unmet_dependencies",
];

/// The steps of a plan, as `explain query plan` tells them.
fn plan(connection: &Connection, statement: &str) -> Vec<String> {
    let mut explain = connection
        .prepare(&format!("explain query plan {statement}"))
        .unwrap();
    // Parameters that are not bound are null: a plan does not depend on their values.
    let steps = explain.raw_query().mapped(|row| row.get::<_, String>(3));
    steps.map(Result::unwrap).collect()
}

#[test]
fn every_statement_can_be_prepared_against_a_fresh_schema() {
    let (_dir, connection) = fresh();
    assert!(statements().len() > 50, "{}", statements().len());
    for (name, statement) in statements() {
        if let Err(error) = connection.prepare(statement) {
            panic!("{name}: {error}\n{statement}");
        }
    }
}

#[test]
fn every_statement_says_its_name_and_its_contract_first() {
    for (name, statement) in statements() {
        let header = format!("-- {name}: ");
        assert!(statement.starts_with(&header), "{name} opens otherwise");
        let code = statement
            .lines()
            .filter(|line| !line.starts_with("--"))
            .collect::<String>();
        assert!(!code.trim().is_empty(), "{name} is empty");
    }
}

#[test]
fn plans_of_the_hot_statements_are_as_they_were() {
    let (_dir, connection) = fresh();
    let mut text = String::new();
    for name in HOT {
        let (_, statement) = statements()
            .iter()
            .find(|(known, _)| known == name)
            .unwrap_or_else(|| panic!("there is no statement {name}"));
        text += &format!("{name}\n");
        for step in plan(&connection, statement) {
            text += &format!("    {step}\n");
        }
    }
    insta::assert_snapshot!("plans", text);
}

/// What is written at each transition of a job.
const TRANSITIONS: &[&str] = &[
    "adopt_job",
    "claim_job",
    "end_attempt",
    "insert_attempt",
    "insert_job",
    "move_job",
    "start_attempt",
];

#[test]
fn no_check_of_a_transition_makes_a_table_of_its_words() {
    let (_dir, connection) = fresh();
    for name in TRANSITIONS {
        let mut all = statements().iter();
        let (_, statement) = all.find(|(known, _)| known == name).unwrap();
        let mut explain = connection.prepare(&format!("explain {statement}")).unwrap();
        let codes = explain.raw_query().mapped(|row| row.get::<_, String>(1));
        let tables = codes.filter(|code| code.as_ref().unwrap() == "OpenEphemeral");
        assert_eq!(tables.count(), 0, "tables that {name} makes");
    }
}

#[test]
fn no_hot_statement_reads_all_jobs_or_all_attempts() {
    let (_dir, connection) = fresh();
    for (name, statement) in statements().iter().filter(|(name, _)| HOT.contains(name)) {
        for step in plan(&connection, statement) {
            let reads_all = ["job", "attempt", "lane", "dependency", "checkpoint"]
                .iter()
                .any(|table| step == format!("SCAN {table}"));
            assert!(!reads_all, "{name}: {step}");
        }
    }
}

/// Counts of all jobs, read from an index alone.
const MAY_COUNT: &[&str] = &["outlook", "queue_counts"];

#[test]
fn no_statement_looks_at_every_job() {
    let (_dir, connection) = fresh();
    for (name, statement) in statements() {
        for step in plan(&connection, statement) {
            let mut words = step.split_whitespace();
            let is_scan = words.next() == Some("SCAN");
            let large = ["job", "due", "other", "dependant", "attempt", "job_body"];
            let is_large = words.next().is_some_and(|table| large.contains(&table));
            // As many rows as there are slots; in the order of the index, up to a limit.
            let is_bounded = step.contains("job_running") || step.contains("job_due");
            let is_count = MAY_COUNT.contains(name) && step.contains("COVERING INDEX");
            assert!(
                !is_scan || !is_large || is_bounded || is_count,
                "{name}: {step}"
            );
        }
    }
}

#[test]
fn the_jobs_in_front_are_counted_no_further_than_the_one_asked_for() {
    let (_dir, connection) = fresh();
    let mut all = statements().iter();
    let (_, statement) = all.find(|(name, _)| *name == "jobs_ahead").unwrap();
    let steps = plan(&connection, statement).join("\n");
    assert!(
        steps.contains("job_pending (lane=? AND position<?)"),
        "{steps}"
    );
}
