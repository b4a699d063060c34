//! Files that nobody but their owner can read: what a job is told, what it saved, what is noted about it.
//!
//! Owns how such a file is made; whoever writes one whole calls it. What always holds: the file is made with its rights,
//! never opened to all for a moment first; one that is there is emptied and keeps the rights it has.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Makes a file, or empties the one that is there.
///
/// # Errors
/// When it cannot be opened.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    open(path, 0o600)
}

/// Writes a file whole.
///
/// # Errors
/// When it cannot be written; then a part of it may be there.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    create(path)?.write_all(text.as_bytes())
}

/// Writes a file whole that its owner can run.
///
/// # Errors
/// As [`write()`].
pub(crate) fn write_script(path: &Path, text: &str) -> io::Result<()> {
    open(path, 0o700)?.write_all(text.as_bytes())
}

fn open(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
}
