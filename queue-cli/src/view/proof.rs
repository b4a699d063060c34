//! What has to hold before a job counts as done, and what said no.
//!
//! Owns those lines on the page of a job and in `qcli explain`. What always holds: what a check printed is shown as the
//! text it was, a line each, and never more than fits a page.

use std::time::Duration;

use queue_core::attempt::Attempt;
use queue_core::proof::{Proof, Terms, unproven};
use queue_core::units::format_duration;

use crate::output::table::Fields;

/// So many lines of what a check printed are shown; `qcli logs` has all.
const LINES: usize = 12;

/// Says what has to hold.
pub(super) fn put_terms(facts: &mut Fields, terms: &Terms) {
    let expected: Vec<String> = terms.expect.iter().map(ToString::to_string).collect();
    facts.add_if(
        "expects",
        (!expected.is_empty()).then(|| expected.join(", ")),
    );
    for check in &terms.checks {
        facts.add("check", check.as_str());
    }
    let most = terms.check_timeout_ms.map(Duration::from_millis);
    facts.add_if("check timeout", most.map(format_duration));
    let policy = terms.on_suspect.map(queue_core::proof::OnSuspect::as_str);
    facts.add_if("on suspect", policy);
}

/// Says what said no to the newest attempt that was looked at, and what it printed.
pub(super) fn put_refusal(facts: &mut Fields, attempts: &[Attempt]) {
    if let Some(proof) = unproven(attempts) {
        put(facts, proof, false);
    }
}

/// Says what was found of an attempt.
pub fn put_proof(facts: &mut Fields, proof: &Proof) {
    put(facts, proof, true);
}

fn put(facts: &mut Fields, proof: &Proof, with_what_held: bool) {
    for one in proof
        .expected
        .iter()
        .filter(|one| with_what_held || !one.met)
    {
        let word = if one.met { "met" } else { "not met" };
        facts.add("expected", format!("{}: {word}: {}", one.expect, one.found));
    }
    for one in proof
        .checks
        .iter()
        .filter(|one| with_what_held || !one.passed)
    {
        let word = if one.passed { "passed" } else { "failed" };
        facts.add("checked", format!("{}: {word}: {}", one.check, one.how));
        for line in one.output.as_deref().map(last_lines).unwrap_or_default() {
            facts.add("", line);
        }
    }
}

fn last_lines(output: &str) -> Vec<&str> {
    let lines: Vec<&str> = output.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].to_vec()
}
