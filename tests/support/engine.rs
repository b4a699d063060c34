//! The engines that keep a queue, as the suites open them.
//!
//! [`crate::TestQueue`] asks [`Engine::under_test`], so the same tests run once per engine: SQLite
//! unless the variable `QUEUE_TEST_ENGINE` names another one. A new engine is one case here, and
//! one line in `./test`.

use queue_core::{
    Store,
    store::sqlite::{Durability, OpenOptions, SqliteStore},
};
use std::{env, path::Path, sync::Arc};

/// Names the engine that the suites run against.
const VARIABLE: &str = "QUEUE_TEST_ENGINE";

/// An engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// One file.
    Sqlite,
}

impl Engine {
    /// The engine that this run of the suites is about.
    ///
    /// # Panics
    /// Where the variable names one that does not exist.
    pub fn under_test() -> Self {
        match env::var(VARIABLE).as_deref() {
            Err(_) | Ok("sqlite") => Engine::Sqlite,
            Ok(other) => panic!("{VARIABLE} is `{other}`; the only engine is sqlite"),
        }
    }

    /// Opens the store in `dir`, and makes it where there is none.
    ///
    /// # Panics
    /// Where it cannot be opened.
    pub fn open(self, dir: &Path, durability: Durability) -> Arc<dyn Store> {
        match self {
            Engine::Sqlite => {
                let options = OpenOptions {
                    create: true,
                    durability,
                    ..OpenOptions::default()
                };
                match SqliteStore::open(&dir.join("queue.db"), &options) {
                    Ok(store) => Arc::new(store),
                    Err(error) => panic!("could not open a store in {}: {error}", dir.display()),
                }
            }
        }
    }
}
