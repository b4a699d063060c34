//! What the suites share: a queue with a stopped clock, a hermetic `qcli`, and waiting for facts.
//!
//! [`TestQueue`] is for what can be said in the verbs of a store, [`TestEnv`] a home of its own for tests
//! that start processes; [`wait_until`] is the only
//! way in which a test waits. Each test owns its directory, database, environment and names, so
//! all of them run beside each other.

mod clock;
mod engine;
mod fake_agent;
mod outcome;
pub mod programs;
mod running;
mod stop_at_end;
mod terminal;
mod test_env;
mod test_queue;
mod wait;

pub use clock::SetClock;
pub use engine::Engine;
pub use fake_agent::{FakeAgents, fixture};
pub use outcome::Outcome;
pub use running::{Running, Stopped};
pub use stop_at_end::StopAtEnd;
pub use test_env::TestEnv;
pub use test_queue::{
    HOUR, IntoJob, LEASE, MANY, MINUTE, SECOND, TestQueue, failed, job, new_worker, quota,
};
pub use wait::{PATIENCE, wait_for, wait_until};
