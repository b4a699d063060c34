//! The queue: states, leases, policies, storage.

pub mod bucket;
pub mod clock;
pub mod retry;
pub mod units;
pub mod wake;
