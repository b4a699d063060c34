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
