//! The agents that are known here: those of this release, with the user's `agents.toml` over them.
//!
//! Read when the first command asks. What always holds: a file that cannot be used is an error for whoever names an
//! agent, and none for whoever does not.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use queue_core::raw_text::RawText;
use queue_worker::agent::adapter::{Adapter, AdapterError, Adapters, FILE};

use crate::error::CliError;

/// The agents, read on first use.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    directory: Option<PathBuf>,
    read: OnceCell<Result<Adapters, CliError>>,
}

impl Agents {
    /// Those of the directory's `agents.toml`, over those of this release.
    pub(crate) fn of(directory: Option<PathBuf>) -> Self {
        Self {
            directory,
            read: OnceCell::new(),
        }
    }

    /// The directory of the user's file.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// All of them.
    ///
    /// # Errors
    /// When the user's file cannot be used (exit code 2).
    pub(crate) fn all(&self) -> Result<&Adapters, CliError> {
        let read = || Adapters::load(self.directory()).map_err(|error| self.told(&error));
        self.read.get_or_init(read).as_ref().map_err(Clone::clone)
    }

    /// The agent of that name.
    ///
    /// # Errors
    /// When there is none (exit code 2), or as [`Agents::all`].
    pub(crate) fn get(&self, name: &str) -> Result<&Adapter, CliError> {
        self.all()?.get(name).map_err(|error| self.told(&error))
    }

    /// The agent that a plain command line calls. What the user's file says is passed over where it cannot be used: the
    /// worker will tell.
    pub(crate) fn recognise(&self, argv: &[RawText]) -> Option<String> {
        let found = match self.all() {
            Ok(adapters) => adapters.recognise(argv).map(str::to_owned),
            Err(_) => Adapters::built_in().recognise(argv).map(str::to_owned),
        };
        found.filter(|_| !argv.is_empty())
    }

    fn told(&self, error: &AdapterError) -> CliError {
        let told = CliError::usage(error.to_string());
        match (error, &self.directory) {
            (AdapterError::Unknown { .. }, Some(directory)) => told.hint(format!(
                "`qcli agent list` shows them; others can be described in {}",
                directory.join(FILE).display()
            )),
            (AdapterError::Unknown { .. }, None) => told.hint("`qcli agent list` shows them"),
            _ => told.hint("`qcli agent show claude` shows the form of an agent"),
        }
    }
}
