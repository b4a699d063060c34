//! States under test as a whole: every pair of state and verb, and random sequences of verbs.
//!
//! [`pairs`] visits each pair once, by plan. [`sequences`] draws verbs at random and compares the
//! store after each with [`model`], which is written apart from the engine and holds nothing but
//! what the documents say.

#![expect(clippy::unwrap_used, reason = "in a test a failure is the answer")]

mod model;
mod pairs;
mod sequences;
