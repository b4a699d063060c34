//! Opens the store: the one place that knows which engine is used.
//!
//! [`crate::context::Context`] calls it once per process; where the store is was settled by [`crate::config`].

use std::sync::Arc;

use queue_core::store::sqlite::{Durability, OpenOptions};
use queue_core::{SqliteStore, Store};

use crate::config::{Config, Origin};
use crate::error::CliError;

/// Whether a store that is missing is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// It is made.
    ThereOrMade,
    /// It has to be there, unless nobody said where it is.
    There,
}

/// A store that was opened.
pub(crate) struct Opened {
    /// The store.
    pub(crate) store: Arc<dyn Store>,
    /// What to tell the person when it was made.
    pub(crate) notice: Option<String>,
}

/// Opens the store that the settings name.
///
/// # Errors
/// When it cannot be opened (exit code 5).
pub(crate) fn open(
    config: &Config,
    wanted: Wanted,
    durability: Durability,
) -> Result<Opened, CliError> {
    let place = &config.store;
    let prepared = match wanted {
        Wanted::There if place.origin != Origin::Default => place.existing()?,
        Wanted::There | Wanted::ThereOrMade => place.prepare()?,
    };
    // The settings looked a moment ago; only the engine knows who made the file.
    let options = OpenOptions {
        create: wanted == Wanted::ThereOrMade || prepared.created,
        durability,
        readers: 1,
        ..OpenOptions::default()
    };
    let store = SqliteStore::open(&prepared.path, &options)?;
    Ok(Opened {
        notice: prepared.notice().filter(|_| store.was_created()),
        store: Arc::new(store),
    })
}
