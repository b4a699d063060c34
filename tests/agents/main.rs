//! Coding agents as jobs: real workers, and programs that act like the agents.

mod scene;
mod sessions;
mod start;
