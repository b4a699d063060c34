//! What every command works with: options, settings, the two streams, the clock and the store.
//!
//! [`crate::run`] makes one per process and hands it to the command. The store is opened on first use, so a command that
//! needs none (`completions`) never touches one; what this process stands in is read once, so nothing else reads the
//! environment.

use std::sync::Arc;

use queue_core::{Clock, Now, Store, SystemClock};

use crate::agents::Agents;
use crate::args::GlobalArgs;
use crate::config::{Config, Surroundings};
use crate::error::CliError;
use crate::open;
use crate::output::{Output, View};

/// What every command works with.
pub(crate) struct Context {
    /// The options that every command understands.
    pub(crate) global: GlobalArgs,
    /// The settings, and who made each.
    pub(crate) config: Config,
    /// The environment, and where this process runs.
    pub(crate) around: Surroundings,
    /// The agents that are known here.
    pub(crate) agents: Agents,
    /// The two streams.
    pub(crate) out: Output,
    clock: Box<dyn Clock>,
    store: Option<Arc<dyn Store>>,
}

/// Makes the context of this process.
///
/// # Errors
/// When the settings cannot be settled (exit code 2).
pub(crate) fn of_process(global: GlobalArgs) -> Result<Context, CliError> {
    let around = Surroundings::of_process()?;
    let config = Config::load(&global, &around)?;
    let view = View::of_process(config.color.value, global.json, global.quiet);
    Ok(Context {
        global,
        config,
        agents: Agents::of(around.config_folder()),
        around,
        out: Output::of_process(view),
        clock: Box::new(SystemClock::new()),
        store: None,
    })
}

impl Context {
    /// Looks at the clock.
    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Opens the store, and makes it where there is none: for commands that put something into it.
    ///
    /// # Errors
    /// When it cannot be opened or made (exit code 5).
    pub(crate) fn store(&mut self) -> Result<Arc<dyn Store>, CliError> {
        self.open(open::Wanted::ThereOrMade)
    }

    /// Opens the store that must be there already: for commands that look, or change what is there. The one in the
    /// user's data directory is made all the same, since to look into it before the first job is no mistake.
    ///
    /// # Errors
    /// When there is none or it cannot be opened (exit code 5).
    pub(crate) fn existing_store(&mut self) -> Result<Arc<dyn Store>, CliError> {
        self.open(open::Wanted::There)
    }

    fn open(&mut self, wanted: open::Wanted) -> Result<Arc<dyn Store>, CliError> {
        if let Some(store) = &self.store {
            return Ok(Arc::clone(store));
        }
        let durability = self.global.durability.map(Into::into).unwrap_or_default();
        let opened = open::open(&self.config, wanted, durability)?;
        if let Some(notice) = opened.notice {
            self.out.note(notice);
        }
        self.store = Some(Arc::clone(&opened.store));
        Ok(opened.store)
    }
}
