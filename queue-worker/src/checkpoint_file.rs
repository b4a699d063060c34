//! The file behind `$QUEUE_CHECKPOINT`: what a job leaves in it is saved for its next attempt.
//!
//! An attempt makes it with the last saved value; the dispatcher looks at it about once a second,
//! and the attempt a last time at its end. What always holds: only a whole, regular file that is
//! not empty counts, so neither a half-written nor a truncated one replaces what was saved.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use queue_core::checkpoint::MAX_BYTES;
use rustix::fs::OFlags;

use crate::private_file;

/// The checkpoint file of one attempt.
#[derive(Debug)]
pub struct CheckpointFile {
    path: PathBuf,
    stamp: Option<Stamp>,
    value: Option<Vec<u8>>,
    /// Whether the job left any.
    is_new: bool,
    is_too_large: bool,
}

/// What changes about a file when it is written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl CheckpointFile {
    /// Makes the file with the value that was saved last; without one there is no file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(path: &Path, saved: Option<Vec<u8>>) -> io::Result<Self> {
        let mut stamp = None;
        if let Some(value) = &saved {
            let mut file = private_file::create(path)?;
            file.write_all(value)?;
            stamp = Some(Stamp::of(&file.metadata()?));
        }
        Ok(Self {
            path: path.to_owned(),
            stamp,
            value: saved,
            is_new: false,
            is_too_large: false,
        })
    }

    /// The file that an attempt of a dead worker had; what was saved of it is not known.
    #[must_use]
    pub fn left_at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            stamp: None,
            value: None,
            is_new: false,
            is_too_large: false,
        }
    }

    /// A new value, if the job left one since the last look.
    pub fn look(&mut self) -> Option<Vec<u8>> {
        let found = std::fs::symlink_metadata(&self.path).ok()?;
        if self.stamp == Some(Stamp::of(&found)) {
            return None;
        }
        self.read()
    }

    /// The last value that the job left, now that it has ended: the contents decide, because two
    /// writes within one tick of the file system's clock look like one.
    ///
    /// One that an earlier look found is given once more: whoever brings that one may come after
    /// the end of the attempt was told, and then it would count no more.
    pub fn last_look(&mut self) -> Option<Vec<u8>> {
        self.read()
            .or_else(|| self.value.clone().filter(|_| self.is_new))
    }

    fn read(&mut self) -> Option<Vec<u8>> {
        // A link or a pipe that the job put there is not followed and not waited for.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(i32::try_from(flags.bits()).expect("flags of open fit its argument"))
            .open(&self.path)
            .ok()?;
        let before = file.metadata().ok()?;
        if !before.is_file() || self.refuses(before.len()) {
            return None;
        }
        let value = read_at_most(&mut file, MAX_BYTES)?;
        let stamp = Stamp::of(&before);
        if Stamp::of(&file.metadata().ok()?) != stamp {
            // Written while we read: the next look finds it whole.
            return None;
        }
        self.stamp = Some(stamp);
        if value.is_empty() || self.value.as_ref() == Some(&value) {
            return None;
        }
        self.value = Some(value.clone());
        self.is_new = true;
        Some(value)
    }

    /// Whether the file is larger than a checkpoint may be; said once.
    fn refuses(&mut self, size: u64) -> bool {
        let is_too_large = size > MAX_BYTES as u64;
        if is_too_large && !self.is_too_large {
            let path = self.path.display();
            tracing::warn!(
                "the checkpoint {path} has {size} bytes and is not saved; {MAX_BYTES} is the most"
            );
        }
        self.is_too_large = is_too_large;
        is_too_large
    }
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self {
            inode: found.ino(),
            size: found.len(),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

fn read_at_most(file: &mut File, most: usize) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut value).ok()?;
    (value.len() <= most).then_some(value)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoint");
        (dir, path)
    }

    #[test]
    fn it_starts_with_the_saved_value_which_is_no_news() {
        let (_dir, path) = place();
        let mut file = CheckpointFile::create(&path, Some(b"page 7".to_vec())).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"page 7");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(file.look(), None);
        assert_eq!(file.last_look(), None);
    }

    #[test]
    fn a_write_and_a_rename_are_each_seen_once() {
        let (dir, path) = place();
        let mut file = CheckpointFile::create(&path, None).unwrap();
        assert!(!path.exists());
        assert_eq!(file.look(), None);
        fs::write(&path, "one").unwrap();
        assert_eq!(file.look(), Some(b"one".to_vec()));
        assert_eq!(file.look(), None);
        let fresh = dir.path().join("fresh");
        fs::write(&fresh, "two").unwrap();
        fs::rename(&fresh, &path).unwrap();
        assert_eq!(file.look(), Some(b"two".to_vec()));
        assert_eq!(file.look(), None);
    }

    #[test]
    fn the_last_look_gives_what_an_earlier_one_found_once_more() {
        // The attempt ends between the earlier look and the moment when its value is told.
        // The values have different lengths: within one tick of the file system's clock (Linux before 6.13) nothing
        // else about the file tells them apart.
        let (_dir, path) = place();
        let mut file = CheckpointFile::create(&path, Some(b"one".to_vec())).unwrap();
        fs::write(&path, "page 2").unwrap();
        assert_eq!(file.look(), Some(b"page 2".to_vec()));
        assert_eq!(file.last_look(), Some(b"page 2".to_vec()));
        fs::write(&path, "one").unwrap();
        assert_eq!(file.look(), Some(b"one".to_vec()));
        assert_eq!(file.last_look(), Some(b"one".to_vec()));
    }

    #[test]
    fn a_truncated_or_removed_file_leaves_the_saved_value() {
        let (_dir, path) = place();
        let mut file = CheckpointFile::create(&path, Some(b"kept".to_vec())).unwrap();
        fs::write(&path, "").unwrap();
        assert_eq!(file.look(), None);
        assert_eq!(file.last_look(), None);
        fs::remove_file(&path).unwrap();
        assert_eq!(file.last_look(), None);
        fs::write(&path, "next").unwrap();
        assert_eq!(file.last_look(), Some(b"next".to_vec()));
    }

    #[test]
    fn what_is_no_plain_file_or_too_large_is_left_alone() {
        let (dir, path) = place();
        let secret = dir.path().join("secret");
        fs::write(&secret, "not for the store").unwrap();
        symlink(&secret, &path).unwrap();
        let mut file = CheckpointFile::left_at(&path);
        assert_eq!(file.look(), None);
        fs::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(file.look(), None);
        fs::remove_file(&path).unwrap();
        fs::write(&path, vec![b'x'; MAX_BYTES + 1]).unwrap();
        assert_eq!(file.look(), None);
        fs::write(&path, vec![b'x'; MAX_BYTES]).unwrap();
        assert_eq!(file.look().map(|value| value.len()), Some(MAX_BYTES));
    }
}
