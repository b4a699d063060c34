//! Documents that stay true: generated parts are current, and what a page names exists.
//!
//! `UPDATE_DOCS=1 cargo test -p queue-tests --test docs` writes the generated parts anew.

mod concepts;
mod decisions;
mod generated;
mod pages;
mod paths;
