//! Turns what went wrong with a worktree into what a person reads.
//!
//! The texts of the worker's module say what happened and what to do; here they get their exit code.

use queue_worker::worktree::{AcceptError, WorktreeError};

use super::CliError;

impl From<WorktreeError> for CliError {
    fn from(error: WorktreeError) -> Self {
        let message = error.to_string();
        match error {
            WorktreeError::NoRepository(_) | WorktreeError::Io { .. } => Self::usage(message),
            WorktreeError::None(_) => Self::not_found(message),
            WorktreeError::BranchExists(_)
            | WorktreeError::NotOurs { .. }
            | WorktreeError::InUse { .. }
            | WorktreeError::NestedRepository(_)
            | WorktreeError::Teardown { .. }
            | WorktreeError::NoPorts(_)
            | WorktreeError::Git(_) => Self::conflict(message),
        }
    }
}

impl From<AcceptError> for CliError {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Worktree(error) => error.into(),
            AcceptError::NoTarget(_) => Self::usage(error.to_string()),
            AcceptError::NoBranch { .. } => Self::not_found(error.to_string()),
            AcceptError::InTheWay { ref checkout, .. } => {
                let checkout = checkout.display().to_string();
                Self::conflict(error.to_string()).hint(format!(
                    "commit or stash it first: `git -C {checkout} status`"
                ))
            }
        }
    }
}
