//! What people see: one file per command, the text held by snapshots.

mod backup;
mod cancel;
mod checkpoint;
mod config;
mod edit;
mod enqueue;
mod enqueue_from_file;
mod help;
mod hold;
mod import;
mod limit;
mod r#move;
mod prune;
mod queue;
mod requeue;
mod work;
