//! Coding agents as jobs: how each is called, what its output says, and what becomes of a session
//! over several attempts.
//!
//! The attempt asks here what to run for an agent's task. While it runs, its log is fed to a
//! [`stream::Reader`] by a [`tail::Tail`], which gathers [`facts::Facts`]; at the end [`detect::judge`] runs the ordered
//! [`rules::Rules`] over them. `qcli agent` shows and tests the same data. What always holds: what
//! is known of an agent is data, in [`adapter`] and [`rules`]; a command line that a person wrote
//! is never changed; structured fields come before words, and words are taken only from what the
//! program itself wrote and never from a model's prose.

pub mod adapter;
pub mod bill;
pub mod call;
pub mod command;
pub mod detect;
pub mod facts;
pub(crate) mod last_words;
mod prompt;
pub(crate) mod reading;
pub mod reset_time;
pub mod rollout;
pub mod rules;
pub mod saved;
pub mod session;
pub mod stream;
pub mod tail;
pub mod text;
pub mod verdict;
pub(crate) mod ways;
