//! `qcli`: how people and programs reach the queue.
//!
//! Each command translates between a person and `queue-core` and holds no rules of its own. What a command may say goes
//! through three doors: [`output`] is the only one to standard output, [`error`] the only form of an error, and
//! [`exit_code`] the only list of exit codes. Where the store is and who said so is [`config`]; how people write jobs,
//! moments and environment files is [`selector`], [`moment`] and [`env_file`].

pub mod args;
pub mod config;
pub mod env_file;
pub mod error;
pub mod exit_code;
pub mod moment;
pub mod output;
pub mod selector;
