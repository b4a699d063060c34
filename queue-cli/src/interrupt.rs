//! Counts how often Ctrl-C was pressed.
//!
//! `run` asks it, because there Ctrl-C means the job and not only this process; every other command is ended by the signal
//! itself. From [`Interrupts::listen`] on the signal no longer ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use crate::error::{CliError, reason_of};

/// A count of interrupts, for as long as the process runs.
#[derive(Debug, Clone)]
pub(crate) struct Interrupts {
    count: Arc<AtomicUsize>,
}

impl Interrupts {
    /// Begins to count.
    ///
    /// # Errors
    /// When the system does not let us listen (exit code 5).
    pub(crate) fn listen() -> Result<Self, CliError> {
        let refuse = |cause: std::io::Error| {
            CliError::store(format!("cannot listen to Ctrl-C: {}", reason_of(&cause)))
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(refuse)?;
        let mut interrupt = {
            let _within = runtime.enter();
            signal(SignalKind::interrupt()).map_err(refuse)?
        };
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        std::thread::Builder::new()
            .name("interrupts".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    while interrupt.recv().await.is_some() {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                });
            })
            .map_err(refuse)?;
        Ok(Self { count })
    }

    /// How often it was pressed so far.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}
