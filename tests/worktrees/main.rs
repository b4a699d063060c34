//! Worktrees of jobs: real repositories, real workers, and not a byte lost.

mod accepting;
mod making;
mod removing;
mod repository;
mod saving;
