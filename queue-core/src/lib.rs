//! The queue: states, leases, policies, storage.
