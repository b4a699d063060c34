//! Blocks of ports, one for each worktree, so that the servers of two jobs do not meet.
//!
//! Leased when a tree is made and given back when it is removed. What always holds: a block has
//! one owner, by a file that only one can create; all of them lie below the ports that the kernel
//! gives to outgoing connections.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use queue_core::JobId;

use super::WorktreeError;
use super::marker::private_directory;

/// How many ports a job has: `QUEUE_PORT_BASE` and those after it.
pub(super) const BLOCK: u16 = 10;

/// Linux gives 32768 and up to outgoing connections, unless it is told otherwise.
const RANGE: RangeInclusive<u16> = 20_000..=32_750;

/// Leases a block for `job`: the one it has already, or the first that nobody has.
pub(super) fn lease(root: &Path, job: JobId) -> Result<u16, WorktreeError> {
    let directory = root.join("ports");
    let failed = || WorktreeError::io("cannot make", &directory);
    private_directory(&directory).map_err(failed())?;
    if let Some(base) = held_by(&directory, job) {
        return Ok(base);
    }
    for base in RANGE.step_by(usize::from(BLOCK)) {
        let taken = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(directory.join(base.to_string()));
        match taken {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed()(error)),
            Ok(mut file) => {
                write!(file, "{job}").map_err(failed())?;
                // Somebody outside of the queue may have it; the block stays set aside until then.
                if is_free(base) {
                    return Ok(base);
                }
                release(root, base);
            }
        }
    }
    Err(WorktreeError::NoPorts(RANGE))
}

/// Gives a block back.
pub(super) fn release(root: &Path, base: u16) {
    let file = root.join("ports").join(base.to_string());
    if let Err(error) = fs::remove_file(&file)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(file = %file.display(), %error, "a block of ports cannot be given back");
    }
}

fn held_by(directory: &Path, job: JobId) -> Option<u16> {
    let owner = job.to_string();
    let mut files = fs::read_dir(directory).ok()?.flatten();
    files.find_map(|entry| {
        let path: PathBuf = entry.path();
        let base = path.file_name()?.to_str()?.parse().ok()?;
        (fs::read_to_string(&path).ok()? == owner).then_some(base)
    })
}

fn is_free(base: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, base)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_job_has_a_block_of_its_own_and_keeps_it() {
        let root = tempfile::tempdir().unwrap();
        let first = lease(root.path(), JobId(1)).unwrap();
        let second = lease(root.path(), JobId(2)).unwrap();
        assert!(second >= first + BLOCK, "{first} {second}");
        assert_eq!(lease(root.path(), JobId(1)).unwrap(), first);
        release(root.path(), first);
        assert_eq!(lease(root.path(), JobId(3)).unwrap(), first);
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let first = lease(root.path(), JobId(1)).unwrap();
        release(root.path(), first);
        let _theirs = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).unwrap();
        assert_ne!(lease(root.path(), JobId(1)).unwrap(), first);
    }
}
