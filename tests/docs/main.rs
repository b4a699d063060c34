//! Documents that stay true: generated parts are current, what a page names exists, what it shows
//! happens, and the examples run.
//!
//! `UPDATE_DOCS=1 cargo test -p queue-tests --test docs` writes the generated parts anew.

mod command_lines;
mod concepts;
mod decisions;
mod environment;
mod examples;
mod generated;
mod json;
mod pages;
mod paths;
mod promises;
mod tour;
