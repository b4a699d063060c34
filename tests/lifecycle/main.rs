//! Real workers and real signals: what happens to jobs when processes come and go.

mod adoption;
mod attempts;
mod cancelling;
mod clock_steps;
mod crowds;
mod dead_workers;
mod gates;
mod home;
mod late_workers;
mod meddling;
mod namespaces;
mod neighbours;
mod proof;
mod questions;
mod reserve;
mod resources;
mod shims;
mod shortage;
mod stopping;
mod store_trouble;
mod trees;
