//! The pages of the project, as the tests read them.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the suites lie in the workspace")
        .to_owned()
}

/// Reads a page by its path from the root.
pub(crate) fn read(page: &str) -> String {
    let path = root().join(page);
    match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// The pages that speak to people, by their path from the root.
pub(crate) fn all() -> Vec<String> {
    let mut pages: Vec<String> = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
        .map(str::to_owned)
        .into();
    for folder in ["docs", "docs/decisions", "docs/reference"] {
        let entries = fs::read_dir(root().join(folder)).expect("the folder is there");
        let names = entries.map(|entry| entry.expect("it can be listed").file_name());
        let names = names.filter_map(|name| name.into_string().ok());
        pages.extend(
            names
                .filter(|name| name.ends_with(".md"))
                .map(|name| format!("{folder}/{name}")),
        );
    }
    pages.sort();
    pages
}
