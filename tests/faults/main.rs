//! What happens to a store when things go wrong: processes killed between any two steps, crowds of
//! them, full disks, damaged files, a clock that moves.
//!
//! A comment with a letter and a number names the entry of the collected failures of other queues
//! (`T…` of engines, `S…` of command-line queues) that a test keeps out.

#![expect(clippy::unwrap_used, reason = "in a test a failure is the answer")]

mod apart;
mod between_steps;
mod broken;
mod bucket;
mod crowd;
mod full_disk;
mod full_tree;
mod killed;
mod large;
mod locked;
mod locks;
mod long_reader;
mod product;
mod replaced;
mod reserve;
mod scene;
mod sources;
mod together;
mod wiring;
