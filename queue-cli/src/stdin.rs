//! Texts that a command reads from its standard input, where an argument is `-`.

use std::io::Read as _;
use std::path::Path;

use crate::error::CliError;

/// Reads a text. One byte more than `most` is read: whoever takes the text then refuses it by its size.
///
/// # Errors
/// When it cannot be read, or is not UTF-8 (exit code 2).
pub(crate) fn text(what: &str, most: usize) -> Result<String, CliError> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|cause| {
            let place = Path::new("standard input");
            CliError::file(&format!("read {what} on"), place, &cause)
        })?;
    String::from_utf8(bytes)
        .map_err(|_| CliError::usage(format!("{what} on standard input is not UTF-8")))
}
