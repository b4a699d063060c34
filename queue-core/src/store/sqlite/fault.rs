//! What goes wrong inside the engine, before it is told to anybody.
//!
//! A [`Fault`] is either a plain answer to the caller (no such job, key taken) or a failure of
//! SQLite. The latter is translated here, once, into what happened to which file.

use crate::error::{Error, StoreError};
use rusqlite::ErrorCode;
use std::{
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

/// Whether writing must stop for good: what the disk holds is not what was asked for, so nothing
/// may be acknowledged any more.
pub(super) fn is_fatal(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Io { .. } | StoreError::Corrupt { .. } | StoreError::NotADatabase(_)
    )
}
