//! Coding agents as jobs: real workers, and programs that act like the agents.
//!
//! `rows` plays each scenario in `tests/fixtures/agents` and judges its log; `corpus` judges endings as
//! they were captured; `reading` cuts the same bytes in every way. `start`, `sessions`, `questions`, `limits`,
//! `crowds`, `fallback`, `directories` and `ending` have jobs of agents done by workers, `budget` and `midnight` bound what
//! they cost, `proof` has them prove what they claim, `explain` asks why they were judged so, and `saying` reads what they
//! said.

mod budget;
mod corpus;
mod crowds;
mod directories;
mod dying;
mod ending;
mod explain;
mod fallback;
mod limits;
mod midnight;
mod proof;
mod questions;
mod reading;
mod rows;
mod saying;
mod scene;
mod sessions;
mod stage;
mod start;
