//! What people see: one file per command, the text held by snapshots.

mod backup;
mod cancel;
mod checkpoint;
mod config;
mod doctor;
mod edit;
mod enqueue;
mod enqueue_from_file;
mod failed;
mod help;
mod hold;
mod import;
mod limit;
mod list;
mod logs;
mod r#move;
mod prune;
mod queue;
mod requeue;
mod run;
mod show;
mod status;
mod terminal;
mod wait;
mod why;
mod work;
