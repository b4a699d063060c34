//! What worker and shim say to each other over the line between them, a pair of sockets.
//!
//! The worker hands over an attempt's lock, an open file (unix(7), `SCM_RIGHTS`); the shim answers
//! when it has taken it, and once more when the attempt is over. What always holds: a lock on its
//! way is held, whatever becomes of the two, until it has arrived or the line is gone.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// What a shim says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// It has the attempt's lock; the attempt is its own from now on.
    Taken,
    /// The attempt has its status, its lock is free, and nothing of it is left.
    Over,
    /// Nothing more: it has ended.
    Gone,
}

const TAKEN: u8 = b't';
const OVER: u8 = b'o';
/// What goes with a lock: a message needs a byte.
const ATTEMPT: u8 = b'a';

/// Hands over an attempt.
pub(crate) fn give(line: &UnixStream, lock: &File) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    let fds = [lock.as_fd()];
    rights.push(SendAncillaryMessage::ScmRights(&fds));
    // No SIGPIPE where the shim has died: std ignores it for the whole program.
    sendmsg(
        line,
        &[IoSlice::new(&[ATTEMPT])],
        &mut rights,
        SendFlags::empty(),
    )?;
    Ok(())
}

/// Waits until the worker has given an attempt, has closed the line or died, or the time is over. Whether
/// it was not the time.
pub(crate) fn wait(line: &UnixStream, at_most: Option<Duration>) -> bool {
    let mut fds = [PollFd::new(line, PollFlags::IN)];
    let timeout = at_most.map(|span| Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    });
    loop {
        match poll(&mut fds, timeout.as_ref()) {
            Err(Errno::INTR) => {}
            // Short of memory: the read that follows waits as well.
            answer => return answer.is_ok() && !fds[0].revents().is_empty(),
        }
    }
}

/// Waits for an attempt; none when the worker has closed the line or died.
pub(crate) fn receive(line: &UnixStream) -> io::Result<Option<File>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    loop {
        match recvmsg(
            line,
            &mut [IoSliceMut::new(&mut byte)],
            &mut rights,
            close_on_exec(),
        ) {
            Err(Errno::INTR) => {}
            received => {
                if received?.bytes == 0 {
                    return Ok(None);
                }
                break;
            }
        }
    }
    let lock = rights.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let lock = lock.ok_or_else(|| io::Error::other("an attempt without its lock"))?;
    Ok(Some(File::from(lock)))
}

#[cfg(target_os = "linux")]
fn close_on_exec() -> RecvFlags {
    RecvFlags::CMSG_CLOEXEC
}

/// Elsewhere there is no such flag; a job may inherit the lock, which its shim holds as well.
#[cfg(not(target_os = "linux"))]
fn close_on_exec() -> RecvFlags {
    RecvFlags::empty()
}

/// Says a word to the worker; one that is gone need not hear it.
pub(crate) fn say(mut line: &UnixStream, word: Word) {
    let letter = match word {
        Word::Taken => TAKEN,
        Word::Over => OVER,
        Word::Gone => return,
    };
    let _ = line.write_all(&[letter]);
}

/// Waits for the next word of a shim.
pub(crate) fn hear(mut line: &UnixStream) -> Word {
    let mut letter = [0];
    match line.read_exact(&mut letter) {
        Ok(()) if letter[0] == TAKEN => Word::Taken,
        Ok(()) if letter[0] == OVER => Word::Over,
        _ => Word::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{FlockOperation, flock};

    fn is_free(path: &std::path::Path) -> bool {
        let file = File::open(path).unwrap();
        flock(&file, FlockOperation::NonBlockingLockShared).is_ok()
    }

    #[test]
    fn a_lock_on_its_way_is_held_until_it_arrived_or_nobody_can_take_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let locked = || {
            let file = File::create(&path).unwrap();
            flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
            file
        };
        let (worker, shim) = UnixStream::pair().unwrap();
        give(&worker, &locked()).unwrap();
        drop(worker);
        assert!(!is_free(&path), "on its way");
        let taken = receive(&shim).unwrap().unwrap();
        assert!(!is_free(&path), "taken");
        drop(taken);
        assert!(is_free(&path));
        assert!(receive(&shim).unwrap().is_none(), "the worker is gone");

        let (worker, shim) = UnixStream::pair().unwrap();
        give(&worker, &locked()).unwrap();
        drop(shim);
        assert!(is_free(&path), "nobody can take it");
        assert_eq!(hear(&worker), Word::Gone);
        assert!(give(&worker, &locked()).is_err());
    }

    #[test]
    fn words_arrive_in_their_order() {
        let (worker, shim) = UnixStream::pair().unwrap();
        say(&shim, Word::Taken);
        say(&shim, Word::Over);
        drop(shim);
        assert_eq!(
            [hear(&worker), hear(&worker), hear(&worker)],
            [Word::Taken, Word::Over, Word::Gone]
        );
    }
}
