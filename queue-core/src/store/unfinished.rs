//! An attempt that ended and could not be written down.
//!
//! What [`Store::finish`](super::Store::finish) answers instead of a `Finished`. The lease is in it for
//! as long as it is still worth something.

use crate::lease::Lease;

/// An attempt that could not be ended.
#[derive(Debug)]
pub struct Unfinished {
    /// The lease, where it is still to be used: the store failed and may do better later.
    pub lease: Option<Lease>,
    /// Why.
    pub error: Box<crate::Error>,
}
