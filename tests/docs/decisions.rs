//! Decision pages have one form, so that a reader finds what was chosen, instead of what, and why.

use crate::pages;
use regex::Regex;

#[test]
fn every_decision_says_context_choice_alternatives_cost_and_date() {
    let pages_found: Vec<String> = pages::all()
        .into_iter()
        .filter(|page| page.starts_with("docs/decisions/"))
        .collect();
    assert!(pages_found.len() >= 11, "{pages_found:?}");
    let date = Regex::new(r"(?m)^Last true: \d{4}-\d{2}-\d{2}$").unwrap();
    for (index, page) in pages_found.iter().enumerate() {
        let text = pages::read(page);
        let name = page.trim_start_matches("docs/decisions/");
        assert!(
            name.starts_with(&format!("{:04}-", index + 1)),
            "{page} is number {} of the pages",
            index + 1
        );
        assert!(
            date.is_match(&text),
            "{page} has no line `Last true: YYYY-MM-DD`"
        );
        for part in ["Context", "Choice", "Alternatives", "Cost"] {
            let heading = format!("\n## {part}\n");
            assert_eq!(text.matches(&heading).count(), 1, "{page}: {part}");
        }
        let architecture = pages::read("docs/architecture.md");
        assert!(
            architecture.contains(name),
            "docs/architecture.md does not link to {name}"
        );
    }
}
