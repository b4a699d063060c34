//! `docs/reference/json.md` lists the fields that `qcli` prints and reads.

use crate::pages;
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeSet;

/// The fields of the table below a heading of the page.
fn named(heading: &str) -> BTreeSet<String> {
    let page = pages::read("docs/reference/json.md");
    let (_, section) = page
        .split_once(&format!("\n## {heading}\n"))
        .expect("the heading is there");
    let section = section.split("\n## ").next().unwrap_or_default();
    let word = Regex::new("`([a-z_]+)`").expect("the pattern is a constant");
    let firsts = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split('|').nth(1));
    let words = firsts.flat_map(|cell| word.captures_iter(cell).map(|found| found[1].to_owned()));
    words.collect()
}

fn fields(value: &Value) -> BTreeSet<String> {
    let object = value.as_object().expect("it is an object");
    object.keys().cloned().collect()
}

#[test]
fn the_page_names_every_field_of_a_job_and_of_an_attempt() {
    let env = support::test_env!();
    env.enqueue(&["--max-attempts", "1", "--", "false"]);
    let script = env.file("script", "exit 0");
    env.enqueue(&["--shell", "true"]);
    let text = std::fs::read(script).expect("it was just written");
    env.qcli_with_input(&["enqueue", "-"], text).ok();
    env.enqueue(&["--hold", "--agent", "claude", "--prompt", "x"]);
    env.drain();
    let mut of_list = BTreeSet::new();
    for job in env
        .json(&["list"])
        .as_array()
        .expect("list prints an array")
    {
        of_list.append(&mut fields(job));
    }
    of_list.remove("schema");
    assert_eq!(of_list, named("A job"));

    let shown = env.json(&["show", "1", "--env"]);
    let only_shown: BTreeSet<_> = &fields(&shown) - &of_list;
    assert_eq!(without_schema(only_shown), named("All about a job"));
    assert_eq!(fields(&shown["attempts"][0]), named("An attempt"));

    let failed = env.json(&["failed"]);
    let only_failed = without_schema(&fields(&failed[0]) - &of_list);
    assert_eq!(only_failed, ["last_lines".to_owned()].into());
}

fn without_schema(mut fields: BTreeSet<String>) -> BTreeSet<String> {
    fields.remove("schema");
    fields
}

#[test]
fn the_page_names_every_field_of_a_line_of_jobs() {
    let env = support::test_env!();
    let line = r#"{"argv": ["true"], "nonsense": 1}"#;
    let refused = env.qcli_with_input(&["enqueue", "--from-file", "-"], line);
    let refused = refused.exits(2).says("expected one of");
    let (_, list) = refused
        .stderr
        .split_once("expected one of")
        .expect("the text was just seen");
    let list = list.lines().next().unwrap_or_default();
    let word = Regex::new("`([a-z_]+)`").expect("the pattern is a constant");
    let known: BTreeSet<String> = word.captures_iter(list).map(|w| w[1].to_owned()).collect();
    assert_eq!(known, named("A line of a file of jobs"));
}

#[test]
fn the_page_names_every_field_of_a_verdict() {
    let env = support::test_env!();
    let file = env.file("saved", "hello");
    let file = file.to_str().expect("the path is text");
    let verdict = env.json(&["agent", "classify", file, "--agent", "aider"]);
    let named = named("A verdict on an agent");
    assert_eq!(without_schema(fields(&verdict)), named);
}

#[test]
fn the_page_names_every_field_of_an_explanation() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.drain();
    let told = without_schema(fields(&env.json(&["explain"])));
    assert_eq!(told, named("An explanation"));
}

#[test]
fn the_page_names_every_field_of_a_gate() {
    let env = support::test_env!();
    let closed = env.json(&["gate", "close", "claude"]);
    let listed = env.qcli(&["gate", "list", "--jsonl"]).ok().json_lines();
    assert_eq!(fields(&listed[0]), fields(&closed));
    let of_status = env.json(&["status"])["gates"][0].clone();
    for gate in [closed, of_status] {
        assert_eq!(without_schema(fields(&gate)), named("A gate"));
    }
}

#[test]
fn the_page_names_every_field_of_what_is_asked() {
    let env = support::test_env!();
    let qcli = env
        .command(&[])
        .get_program()
        .to_string_lossy()
        .into_owned();
    env.enqueue(&["--shell", &format!("'{qcli}' ask 'Which?'")]);
    env.drain();
    let asking = &env.json(&["status"])["asking"][0];
    assert_eq!(fields(asking), named("What jobs ask"));
}
