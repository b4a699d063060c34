//! How a worker makes itself known to a store that may not let it yet.
//!
//! Asked once, before the worker begins. What always holds: a store that others hold up, or whose
//! disk is full, is waited for with one message; one that no later try can use ends the wait at
//! once, and so does a signal.

use std::sync::Arc;
use std::time::Duration;

use queue_core::worker::NewWorker;
use queue_core::{Clock, Store, WorkerId};

use crate::dispatcher::is_final;
use crate::signals::Stop;
use crate::worker::WorkerError;

/// How long until a store that does not let a worker begin is told of, and tried again.
const BEGIN_AGAIN: Duration = Duration::from_secs(5);

/// Makes the worker known as soon as that can be done. None when it is to stop before.
pub(crate) async fn register(
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    about: &NewWorker,
    stop: &Stop,
) -> Result<Option<WorkerId>, WorkerError> {
    let mut level = stop.watch();
    let mut is_told = false;
    let mut tell = |problem: &str| {
        if !std::mem::replace(&mut is_told, true) {
            tracing::error!(
                worker = %about.name,
                "the store cannot be used: {problem}; worker {} begins when it can",
                about.name
            );
        }
    };
    loop {
        let (store, clock, me) = (Arc::clone(store), Arc::clone(clock), about.clone());
        let mut trying =
            tokio::task::spawn_blocking(move || store.register_worker(&me, &clock.now()));
        let answer = loop {
            tokio::select! {
                answer = &mut trying => break answer,
                _ = level.changed() => return Ok(None),
                () = tokio::time::sleep(BEGIN_AGAIN) => {
                    tell("it does not answer, another program may hold its lock");
                }
            }
        };
        match answer.map_err(|error| WorkerError::Broken(error.to_string()))? {
            Ok(worker) => return Ok(Some(worker)),
            Err(error) if is_final(&error) => return Err(WorkerError::Store(error)),
            Err(error) => tell(&error.to_string()),
        }
        tokio::select! {
            _ = level.changed() => return Ok(None),
            () = tokio::time::sleep(BEGIN_AGAIN) => {}
        }
    }
}
