//! Reads what a coding agent printed and judges how its attempt ended.
//!
//! The worker feeds the attempt's log to a [`stream::Reader`], which gathers [`facts::Facts`]; at the
//! end [`detect::judge`] runs the ordered [`rules::Rules`] over them. `qcli agent classify` does the
//! same with a saved log. What always holds: structured fields come before words, words are taken
//! only from what the program itself wrote and never from a model's prose, and nothing here touches
//! the store, the clock or a process.

pub mod detect;
pub mod facts;
pub mod reset_time;
pub mod rules;
pub mod saved;
pub mod stream;
pub mod text;
