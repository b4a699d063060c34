//! `qcli backup`: a whole copy of the store while others work on it.

use std::path::PathBuf;

use serde_json::json;

use crate::context::Context;
use crate::error::{CliError, reason_of};
use crate::exit_code::ExitCode;

/// Write a whole copy of the store to a new file
///
/// The copy is consistent although workers go on meanwhile. It is a store itself: `qcli --db COPY list` reads it. Logs
/// of attempts are not in it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli backup ~/queue-2026-03-01.db
  qcli --db ~/queue-2026-03-01.db list")]
pub(crate) struct Args {
    /// The new file; one that is there is not overwritten
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Writes the copy.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let to = context.around.cwd.join(&args.file);
    let store = context.existing_store()?;
    if to.symlink_metadata().is_ok() {
        return Err(CliError::conflict(format!(
            "{} is there already and is not overwritten",
            to.display()
        ))
        .hint("name a new file, or remove that one first"));
    }
    store.backup(&to)?;
    let bytes = std::fs::metadata(&to)
        .map_err(|cause| {
            CliError::store(format!(
                "the copy {} cannot be read: {}",
                to.display(),
                reason_of(&cause)
            ))
        })?
        .len();
    if context.out.is_json() {
        context
            .out
            .json(&json!({ "file": to.display().to_string(), "bytes": bytes }))?;
    } else {
        context.out.note(format!(
            "wrote {}, {}",
            to.display(),
            queue_core::units::format_bytes(bytes)
        ));
    }
    Ok(ExitCode::Ok)
}
