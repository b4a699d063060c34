//! `docs/reference/environment.md` names the variables that a job really finds.

use crate::pages;
use regex::Regex;
use std::collections::BTreeSet;

#[test]
fn a_job_finds_the_variables_that_the_page_names_and_no_others_of_ours() {
    let env = support::test_env!();
    let job = env.enqueue(&["--", "env"]);
    env.drain();
    let output = env.qcli(&["logs", &job.to_string()]).ok().stdout;
    let names = output.lines().filter_map(|line| line.split_once('='));
    let found: BTreeSet<String> = names
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.starts_with("QUEUE_"))
        .collect();

    let page = pages::read("docs/reference/environment.md");
    let (_, section) = page
        .split_once("The worker adds")
        .expect("the section is there");
    let (section, _) = section
        .split_once("\n## ")
        .expect("another section follows");
    let row = Regex::new(r"(?m)^\| `(QUEUE_[A-Z_]+)` \|").expect("the pattern is a constant");
    let named: BTreeSet<String> = row
        .captures_iter(section)
        .map(|row| row[1].to_owned())
        .collect();
    assert_eq!(found, named, "\n{output}");
}
