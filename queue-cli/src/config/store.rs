//! Where the store is, and whether it is there yet.
//!
//! Owns the spellings of a store (a path, `sqlite:PATH`) and the looks at its place before it is opened; every command
//! that opens a store goes through it. It only looks at names and never opens the file, because closing a second handle
//! would drop SQLite's locks; and whoever makes a new store gets to know it, so that no empty one appears in silence.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Component, Path, PathBuf};

use super::{Origin, Setting};
use crate::error::{CliError, reason_of};

/// The name of the store in the data directory.
const FILE_NAME: &str = "queue.db";

/// The place of a store: an absolute path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreLocation {
    path: PathBuf,
    /// Whether the directory is ours, so that we make it; a directory that somebody named must be there.
    in_data_home: bool,
}

/// A store that can be opened now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a store that was not there before is worth a note to the person"]
pub struct Prepared {
    /// The path to open.
    pub path: PathBuf,
    /// Whether opening it makes a new store.
    pub created: bool,
    origin: Origin,
}

impl Prepared {
    /// Gives the line for standard error when a new store comes to be.
    #[must_use]
    pub fn notice(&self) -> Option<String> {
        self.created.then(|| {
            format!(
                "created a new store at {} ({})",
                self.path.display(),
                self.origin
            )
        })
    }
}

impl StoreLocation {
    /// Reads what a person wrote. A relative path starts from `base`; `origin` is for the error.
    ///
    /// # Errors
    /// When it is a URL of an engine that this release does not have, or names nothing (exit code 2).
    pub fn parse(text: &OsStr, base: &Path, origin: &Origin) -> Result<Self, CliError> {
        let path = match scheme_and_rest(text) {
            None => Path::new(text),
            Some(("sqlite", rest)) => Path::new(OsStr::from_bytes(without_slashes(rest))),
            Some((scheme, _)) => return Err(no_engine(scheme, origin)),
        };
        if path.file_name().is_none() {
            return Err(
                CliError::usage(format!("{origin} names no file for the store"))
                    .hint("give the path of a file, such as `--db jobs/queue.db`"),
            );
        }
        Ok(Self {
            path: without_dots(&base.join(path)),
            in_data_home: false,
        })
    }

    /// Gives the store in a directory of our own.
    #[must_use]
    pub fn in_data_home(folder: &Path) -> Self {
        Self {
            path: folder.join(FILE_NAME),
            in_data_home: true,
        }
    }

    /// Gives the path of the database.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Setting<StoreLocation> {
    /// Makes sure that the store can be opened where it is said to be, or made there. The directory in the user's data
    /// home is made; any other must be there, since a wrong letter in a path is no wish for a new directory.
    ///
    /// # Errors
    /// When the path is a directory or the way to it is missing or closed (exit code 5).
    pub fn prepare(&self) -> Result<Prepared, CliError> {
        let created = !self.is_there()?;
        if created {
            self.prepare_folder()?;
        }
        Ok(Prepared {
            path: self.value.path.clone(),
            created,
            origin: self.origin.clone(),
        })
    }

    /// Finds a store that must be there already, for commands that only look.
    ///
    /// # Errors
    /// When there is none, the path is a directory or the way to it is closed (exit code 5).
    pub fn existing(&self) -> Result<Prepared, CliError> {
        if !self.is_there()? {
            return Err(CliError::store(format!(
                "there is no store at {}",
                self.value.path.display()
            ))
            .detail(format!("named by: {}", self.origin))
            .hint("`qcli enqueue -- COMMAND` makes it; `--db PATH` names another"));
        }
        Ok(Prepared {
            path: self.value.path.clone(),
            created: false,
            origin: self.origin.clone(),
        })
    }

    /// Tells whether something is at the path that can be a store.
    ///
    /// # Errors
    /// When it is a directory or cannot be looked at (exit code 5).
    pub fn is_there(&self) -> Result<bool, CliError> {
        match fs::metadata(&self.value.path) {
            Ok(found) if found.is_dir() => Err(self.refuse("it is a directory").hint(format!(
                "name a file in it, such as `--db {}`",
                shell_words::quote(&self.value.path.join(FILE_NAME).to_string_lossy())
            ))),
            Ok(_) => Ok(true),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(cause) => Err(self.refuse(&reason_of(&cause))),
        }
    }

    fn prepare_folder(&self) -> Result<(), CliError> {
        let Some(folder) = self.value.path.parent() else {
            return Ok(());
        };
        if self.value.in_data_home {
            // Jobs hold command lines and environments: nobody else's business.
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            return made.map_err(|cause| self.refuse(&reason_of(&cause)));
        }
        match fs::metadata(folder) {
            Ok(found) if found.is_dir() => Ok(()),
            Ok(_) => Err(self.refuse(&format!("{} is not a directory", folder.display()))),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                let shown = folder.to_string_lossy();
                Err(self
                    .refuse(&format!("the directory {shown} does not exist"))
                    .hint(format!(
                        "make it with `mkdir -p {}`",
                        shell_words::quote(&shown)
                    )))
            }
            Err(cause) => Err(self.refuse(&reason_of(&cause))),
        }
    }

    fn refuse(&self, why: &str) -> CliError {
        CliError::store(format!(
            "cannot open the store {}: {why}",
            self.value.path.display()
        ))
        .detail(format!("named by: {}", self.origin))
    }
}

/// Splits a URL. `sqlite:` needs no slashes; any other scheme has `://`, so that a file name with a colon stays a path.
fn scheme_and_rest(text: &OsStr) -> Option<(&str, &[u8])> {
    let bytes = text.as_bytes();
    let colon = bytes.iter().position(|&byte| byte == b':')?;
    let (scheme, rest) = (
        std::str::from_utf8(&bytes[..colon]).ok()?,
        &bytes[colon + 1..],
    );
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    (is_scheme && (scheme == "sqlite" || rest.starts_with(b"//"))).then_some((scheme, rest))
}

/// `sqlite:///a/b` and `sqlite:/a/b` are `/a/b`; `sqlite://a` and `sqlite:a` are `a`.
fn without_slashes(rest: &[u8]) -> &[u8] {
    rest.strip_prefix(b"//").unwrap_or(rest)
}

/// What follows the scheme may hold a password, so it is left out.
fn no_engine(scheme: &str, origin: &Origin) -> CliError {
    let hint = "name a SQLite file: a path, or `sqlite:PATH`";
    match scheme {
        "postgres" | "postgresql" => CliError::usage(format!(
            "{origin} names a PostgreSQL store ({scheme}://…), which is not in this release"
        )),
        _ => CliError::usage(format!(
            "{origin} names a store of an unknown kind ({scheme}://…)"
        )),
    }
    .hint(hint)
}

/// Takes `.` and `dir/..` out of an absolute path by name alone; the file need not be there. `..` stays where a link
/// could lead elsewhere: in front of it only what the path itself says is taken away.
fn without_dots(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if !clean.is_symlink() && clean.file_name().is_some() => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}
