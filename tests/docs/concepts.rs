//! `docs/concepts.md` defines each word once.

use crate::pages;
use regex::Regex;
use std::collections::BTreeMap;

/// The words that stand for the ideas of the queue.
const WORDS: [&str; 45] = [
    "Adopt",
    "Ageing",
    "Attempt",
    "Backoff",
    "Budget",
    "Checkpoint",
    "Claim",
    "Concurrency key",
    "Condition",
    "Dependency",
    "Direct",
    "Directory",
    "Epoch",
    "Failed",
    "Failure class",
    "Gate",
    "Hand back",
    "Heartbeat",
    "Hold",
    "Holder",
    "Job",
    "Lane",
    "Lease",
    "Ledger",
    "Let go",
    "Limit",
    "Outcome",
    "Priority",
    "Question",
    "Queue",
    "Release",
    "Requeue",
    "Rescue",
    "Retry",
    "Shim",
    "Slot",
    "Snooze",
    "Stall",
    "State",
    "Store",
    "Unique key",
    "Wait reason",
    "Way",
    "Worker",
    "Worker death",
];

#[test]
fn every_word_is_defined_once() {
    let definition = Regex::new(r"(?m)^\*\*([^*]+)\.\*\* ").unwrap();
    let text = pages::read("docs/concepts.md");
    let mut defined: BTreeMap<&str, usize> = BTreeMap::new();
    for found in definition.captures_iter(&text) {
        *defined
            .entry(found.get(1).expect("the group is there").as_str())
            .or_default() += 1;
    }
    let expected: BTreeMap<&str, usize> = WORDS.iter().map(|word| (*word, 1)).collect();
    assert_eq!(defined, expected);
}
