//! Follows a log that is still being written.
//!
//! Used by `qcli logs -f` and `qcli run`, which sleep between two calls. What always holds: each
//! entry comes once, also when the file is written anew under the same name; a log that is not there
//! yet is an empty one.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::reader::Reader;
use super::{Entry, Stream};

/// Gives the entries of a log as they come.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    reader: Option<Reader>,
    /// Where to begin when there is a file.
    start: u64,
    only: Option<Stream>,
}

impl Follower {
    /// Follows the log at `path` from its beginning.
    #[must_use]
    pub fn new(path: &Path, only: Option<Stream>) -> Self {
        Self {
            path: path.to_owned(),
            reader: None,
            start: 0,
            only,
        }
    }

    /// Follows the log at `path` from an offset that [`Follower::offset`] gave.
    #[must_use]
    pub fn from_offset(path: &Path, start: u64) -> Self {
        Self {
            start,
            ..Self::new(path, None)
        }
    }

    /// Goes on where `reader` stands, which reads the log at `path`.
    #[must_use]
    pub fn after(path: &Path, reader: Reader, only: Option<Stream>) -> Self {
        Self {
            path: path.to_owned(),
            reader: Some(reader.only(only)),
            start: 0,
            only,
        }
    }

    /// The offset behind the last entry.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn offset(&mut self) -> io::Result<u64> {
        match &mut self.reader {
            Some(reader) => reader.offset(),
            None => Ok(self.start),
        }
    }

    /// The next entry, or `None` if there is none at the moment.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        let Some(reader) = &mut self.reader else {
            return self.open();
        };
        if let Some(entry) = reader.next_whole()? {
            return Ok(Some(entry));
        }
        if !is_replaced(&reader.file, &self.path) {
            return Ok(None);
        }
        // Whoever put a new file in place wrote nothing to the old one since: look there once more,
        // because it may have grown between our look at it and the change.
        if let Some(entry) = reader.next_whole()? {
            return Ok(Some(entry));
        }
        let offset = reader.offset()?;
        let reader = Reader::at_offset(File::open(&self.path)?, offset)?.only(self.only);
        self.reader.insert(reader).next_whole()
    }

    fn open(&mut self) -> io::Result<Option<Entry>> {
        let opened = match self.start {
            0 => Reader::open(&self.path),
            start => Reader::open_at(&self.path, start),
        };
        match opened {
            Ok(reader) => self.reader.insert(reader.only(self.only)).next_whole(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether another file has the name by now. A name that is gone is not another file.
fn is_replaced(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(named)) = (file.metadata(), path.metadata()) else {
        return false;
    };
    (ours.dev(), ours.ino()) != (named.dev(), named.ino())
}
