//! Each promise of the README names tests, and these are there.

use crate::pages;
use regex::Regex;
use std::fs;
use std::path::Path;

/// The text of all files of a suite.
fn suite(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let texts = paths.map(|path| {
        if path.is_dir() {
            suite(&path)
        } else {
            fs::read_to_string(path).unwrap_or_default()
        }
    });
    texts.collect()
}

#[test]
fn every_promise_names_tests_that_exist() {
    let sections = assert_promises("docs/promises.md");
    assert_eq!(sections, 7);
}

#[test]
fn every_promise_says_how_far_it_reaches_and_names_a_test() {
    let sections = assert_promises("docs/reliability.md");
    assert!(sections > 7, "promises, and what stands beside them");
}

/// Asserts that the first seven sections of a page are the promises of the README, and that each
/// names tests, which are there. Returns how many sections there are.
fn assert_promises(page: &str) -> usize {
    let page = pages::read(page);
    let readme = pages::read("README.md");
    let test = Regex::new(r"(?m)^- `(tests/[a-z]+/)`: `([a-z_0-9]+)`$").expect("it is a constant");
    let sections: Vec<&str> = page.split("\n## ").skip(1).collect();
    for (index, section) in sections.iter().take(7).enumerate() {
        let title = section.lines().next().expect("a section has a title");
        let number = format!("{}. ", index + 1);
        let promise = title
            .strip_prefix(&number)
            .unwrap_or_else(|| panic!("{title} does not begin with {number}"));
        assert!(
            readme.contains(&format!("**{promise}.**")),
            "README: {promise}"
        );
        let mut named = 0;
        for found in test.captures_iter(section) {
            let text = suite(&pages::root().join(&found[1]));
            let is_there = text.contains(&format!("fn {}(", &found[2]));
            assert!(is_there, "{title}: no test {} in {}", &found[2], &found[1]);
            named += 1;
        }
        assert!(named > 0, "{title} names no test");
    }
    sections.len()
}

/// The letters of the collected failures of others that have to do with agents.
const PITFALLS: [&str; 17] = [
    "W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W9", "A1", "A2", "A3", "A4", "A5", "A6", "A8",
    "T24",
];

#[test]
fn every_pitfall_is_kept_out_by_tests_that_exist() {
    let page = pages::read("docs/pitfalls.md");
    let tests = suite(&pages::root().join("tests"));
    let name = Regex::new("`([a-z][a-z0-9]*(?:_[a-z0-9]+){3,})`").expect("it is a constant");
    for named in name.captures_iter(&page) {
        let is_there = tests.contains(&format!("fn {}(", &named[1]));
        assert!(is_there, "there is no test {}", &named[1]);
    }
    for letter in PITFALLS {
        let begins = |line: &&str| line.starts_with(&format!("| {letter} |"));
        let line = page.lines().find(begins);
        let line = line.unwrap_or_else(|| panic!("{letter} is not there"));
        assert!(name.is_match(line), "{letter} names no test");
        // The letter stands beside the test, so that who changes it knows what it guards.
        let beside =
            Regex::new(&format!(r"// .*\b{letter}\b|//[/!].*\b{letter}\b")).expect("it is one");
        assert!(
            beside.is_match(&tests),
            "no test says that it guards {letter}"
        );
    }
}
