//! What an examination of the store looked at, and found.
//!
//! Answer of [`Store::examine`](super::Store::examine), one for each check, also for those that found
//! nothing wrong.

/// One thing that an examination looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// What was found.
    pub detail: String,
    /// Whether all is well.
    pub ok: bool,
}
