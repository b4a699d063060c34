//! How jobs are shown: from what the store answers to JSON, to a line, to a page.
//!
//! Owns the shape of a job in JSON ([`json`]) and its words for people ([`mod@line`], [`page`], [`cause`]); the reading
//! commands call it and print what it returns. Everything here is a plain function: it asks no store, no clock and no
//! terminal, and it never lets the value of a secret variable out.

pub mod agent;
pub mod cause;
pub mod command;
pub mod ended;
pub mod env;
pub mod json;
pub(crate) mod ladder;
pub mod line;
pub mod next;
pub mod page;
pub mod proof;
pub mod question;
#[cfg(test)]
mod samples;
pub mod worker;
