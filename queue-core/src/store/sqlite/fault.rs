//! What goes wrong inside the engine, before it is told to anybody.
//!
//! A [`Fault`] is either a plain answer to the caller (no such job, key taken) or a failure of
//! SQLite. The latter is translated here, once, into what happened to which file.

use super::connection::file_error;
use crate::error::{Error, StoreError};
use rusqlite::{
    ErrorCode,
    ffi::{SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_WRITE},
};
use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

/// The result of a step inside the engine.
pub(super) type Done<T> = Result<T, Fault>;

#[derive(Debug)]
pub(super) enum Fault {
    /// The answer is no; the transaction is fine.
    Answer(Error),
    /// SQLite failed.
    Engine(rusqlite::Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Answer(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::Answer(Error::Store(error))
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::Engine(error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Fault::Engine(rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    }
}

impl Fault {
    /// The fault as callers of the store see it.
    pub(super) fn told(self, path: &Path) -> Error {
        match self {
            Fault::Answer(error) => error,
            Fault::Engine(error) => Error::Store(translate(&error, path)),
        }
    }
}

/// What a failure of SQLite means for the file.
pub(super) fn translate(error: &rusqlite::Error, path: &Path) -> StoreError {
    let path = path.to_path_buf();
    let detail = error.to_string();
    let Some(code) = error.sqlite_error_code() else {
        return StoreError::Engine { path, detail };
    };
    match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy {
            path,
            waited: super::connection::BUSY_FOR,
        },
        ErrorCode::ReadOnly => StoreError::ReadOnly(path),
        ErrorCode::DiskFull => StoreError::DiskFull(path),
        ErrorCode::NotADatabase => StoreError::NotADatabase(path),
        ErrorCode::DatabaseCorrupt => StoreError::Corrupt { path, detail },
        ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            StoreError::PermissionDenied(path)
        }
        ErrorCode::CannotOpen => cannot_open(path, detail),
        ErrorCode::SystemIoFailure if is_for_want_of_room(error, &path) => {
            StoreError::DiskFull(path)
        }
        ErrorCode::SystemIoFailure => StoreError::Io { path, detail },
        ErrorCode::OperationInterrupted => StoreError::Busy {
            path,
            waited: Duration::ZERO,
        },
        _ => StoreError::Engine { path, detail },
    }
}

/// SQLite tells apart neither a directory, nor a disk or a mode that forbids writing: the file and
/// its directory, where the log is to be made beside it, are asked.
fn cannot_open(path: PathBuf, detail: String) -> StoreError {
    use rustix::{
        fs::{Access, access},
        io::Errno,
    };
    if path.is_dir() {
        return StoreError::IsDirectory(path);
    }
    if access(&path, Access::READ_OK) == Err(Errno::ACCESS) {
        return StoreError::PermissionDenied(path);
    }
    let is_closed = |place: &Path| {
        matches!(
            access(place, Access::WRITE_OK),
            Err(Errno::ROFS | Errno::ACCESS)
        )
    };
    if is_closed(&path) || path.parent().is_some_and(is_closed) {
        return StoreError::ReadOnly(path);
    }
    StoreError::CannotOpen { path, detail }
}

/// What SQLite adds to the index of its log at a time, in bytes (sqlite.org/walformat.html).
const INDEX_BLOCK: usize = 32 << 10;

/// SQLite calls a disk full only when write(2) says ENOSPC for the store or its log. A used-up
/// quota (EDQUOT), and an index of the log that finds no room, look like a broken disk there, but
/// nothing was taken that is lost now: it goes on when there is room. The disk is asked. A failed
/// sync is not among them, whatever its cause: what was written before may be gone then.
fn is_for_want_of_room(error: &rusqlite::Error, path: &Path) -> bool {
    let code = error.sqlite_error().map(|found| found.extended_code);
    matches!(code, Some(SQLITE_IOERR_WRITE | SQLITE_IOERR_SHMSIZE))
        && take_room(path)
            .is_err_and(|refused| matches!(file_error(path, &refused), StoreError::DiskFull(_)))
}

/// Writes as much as the index of the log would beside the store. It is gone when this returns.
fn take_room(path: &Path) -> io::Result<()> {
    let name = super::beside(path, &format!(".room-{}", super::connection::unique_mark()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&name)?;
    fs::remove_file(&name)?;
    file.write_all(&[0; INDEX_BLOCK])
}

/// Whether writing must stop for good: what the disk holds is not what was asked for, so nothing
/// may be acknowledged any more.
pub(super) fn is_fatal(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Io { .. } | StoreError::Corrupt { .. } | StoreError::NotADatabase(_)
    )
}
