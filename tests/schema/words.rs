//! The `check` lists of the schema spell the same words as the enums.

use crate::{fresh, schema};
use queue_core::{
    Class, State, WaitReason,
    gate::{GateReason, GateState},
    job::{ParentEnd, UniqueWhile},
};
use regex::Regex;
use std::collections::BTreeSet;

/// The words that every `check (column in (…))` and `check (column = … or column = …)` of the schema
/// allows.
fn lists(schema: &str, column: &str) -> Vec<BTreeSet<String>> {
    let one_of = format!(r"{column} in\s*\([^)]*\)|{column} = [^)]*");
    let pattern = format!(r"{column}\s[^,]*?check \(\s*({one_of})\)");
    let list = Regex::new(&pattern).unwrap();
    let word = Regex::new("'([^']*)'").unwrap();
    list.captures_iter(schema)
        .map(|found| {
            word.captures_iter(&found[1])
                .map(|word| word[1].to_owned())
                .collect()
        })
        .collect()
}

fn agree<T: ToString>(column: &str, tables: usize, words: &[T]) {
    let (_dir, connection) = fresh();
    let lists = lists(&schema(&connection), column);
    assert_eq!(lists.len(), tables, "tables that check {column}");
    let expected: BTreeSet<String> = words.iter().map(ToString::to_string).collect();
    for list in lists {
        assert_eq!(list, expected, "{column}");
    }
}

#[test]
fn states_are_those_of_the_table() {
    agree("state", 1, State::ALL);
}

#[test]
fn wait_reasons_are_those_of_the_enum() {
    agree("wait_reason", 1, WaitReason::ALL);
}

#[test]
fn classes_are_those_of_the_enum_for_jobs_and_for_attempts() {
    agree("class", 2, Class::ALL);
}

#[test]
fn stands_and_reasons_of_gates_are_those_of_the_enums() {
    agree("stand", 1, GateState::ALL);
    agree("reason", 1, GateReason::ALL);
}

#[test]
fn spans_of_uniqueness_are_those_of_the_enum() {
    agree("unique_while", 1, UniqueWhile::ALL);
}

#[test]
fn kinds_of_dependency_are_those_of_the_enum() {
    agree("needs", 1, ParentEnd::ALL);
}

#[test]
fn ended_states_are_those_that_have_a_time_of_their_end() {
    let (_dir, connection) = fresh();
    let ended: Vec<_> = State::ENDED
        .iter()
        .map(|state| format!("state = '{state}'"))
        .collect();
    let check = format!(
        "check ((finished_at is not null) = ({}))",
        ended.join(" or ")
    );
    let schema = schema(&connection);
    let words: Vec<_> = schema.split_whitespace().collect();
    assert!(words.join(" ").contains(&check), "no `{check}`");
}
