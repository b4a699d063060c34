//! Whatever a page names is there: files, folders, links, verbs.

use crate::pages;
use regex::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Folders of the workspace in which a path in a page may start.
const FOLDERS: &str = "queue-core|queue-worker|queue-cli|migrations|tests|docs|examples|\\.ci";

#[test]
fn every_path_that_a_page_names_exists() {
    let path = Regex::new(&format!("`((?:{FOLDERS})/[^`\\s]*)`")).unwrap();
    let mut missing = Vec::new();
    let mut seen = 0;
    for page in pages::all() {
        for found in path.captures_iter(&pages::read(&page)) {
            for name in alternatives(&found[1]) {
                seen += 1;
                if !pages::root().join(&name).exists() {
                    missing.push(format!("{page} names {name}"));
                }
            }
        }
    }
    assert!(seen > 30, "only {seen} paths were found");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// `src/{a,b}.rs` stands for two paths.
fn alternatives(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else {
        return vec![path.to_owned()];
    };
    let (inside, after) = rest.split_once('}').expect("the brace is closed");
    inside
        .split(',')
        .map(|part| format!("{before}{part}{after}"))
        .collect()
}

#[test]
fn every_suite_has_its_row_in_contributing() {
    let text = pages::read("CONTRIBUTING.md");
    let entries = fs::read_dir(pages::root().join("tests")).expect("the suites are there");
    let mut unnamed = Vec::new();
    for entry in entries.map(|entry| entry.expect("it can be listed")) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && !text.contains(&format!("| `tests/{name}/` |")) {
            unnamed.push(name);
        }
    }
    assert!(unnamed.is_empty(), "no row for {unnamed:?}");
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut broken = Vec::new();
    for page in pages::all() {
        let folder = Path::new(&page)
            .parent()
            .unwrap_or(Path::new(""))
            .to_owned();
        for found in link.captures_iter(&without_code(&pages::read(&page))) {
            let target = &found[1];
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() {
                Path::new(&page).to_owned()
            } else {
                folder.join(file)
            };
            let is_there = pages::root().join(&file).exists();
            if !is_there || (!anchor.is_empty() && !anchors(&file).contains(anchor)) {
                broken.push(format!("{page} links to {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The anchors of a page's headings, as a viewer makes them.
fn anchors(page: &Path) -> BTreeSet<String> {
    let text = pages::read(&page.display().to_string());
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let words = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = words
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.collect::<String>().replace(' ', "-")
        })
        .collect()
}

/// The text without its blocks of code, which hold examples and no links.
fn without_code(text: &str) -> String {
    let outside = text.split("```").step_by(2);
    outside.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_verb_that_a_page_names_exists() {
    let verb = Regex::new(r"(?m)(?:^\s*(?:\$ )?|`)qcli ([a-z][a-z-]*)").unwrap();
    let command = queue_cli::command();
    let mut unknown = BTreeSet::new();
    for page in pages::all() {
        for found in verb.captures_iter(&pages::read(&page)) {
            if command.find_subcommand(&found[1]).is_none() {
                unknown.insert(format!("{page} names `qcli {}`", &found[1]));
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn no_page_speaks_of_one_machine() {
    for page in pages::all() {
        let text = pages::read(&page);
        for private in ["/work/", "/root/", "/home/"] {
            assert!(!text.contains(private), "{page} has a path below {private}");
        }
    }
}
