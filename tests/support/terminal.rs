//! Running `qcli` on a terminal, to see what a person sees there.
//!
//! Owns a pseudo-terminal of a given width for one command, whose three streams it is. What
//! comes back is what the terminal was sent, escapes included.

use crate::TestEnv;
use rustix::{
    fs::{Mode, OFlags, open},
    io::{FdFlags, fcntl_setfd},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use std::{fs::File, io::Read, os::fd::OwnedFd};

impl TestEnv {
    /// Runs `qcli` to its end on a terminal that is `columns` wide, and gives what it shows.
    #[track_caller]
    pub fn on_terminal(&self, columns: u16, args: &[&str]) -> String {
        let (mut ours, theirs) = pair(columns).expect("the system has pseudo-terminals");
        let mut command = self.command(args);
        let stream = || theirs.try_clone().expect("a descriptor can be doubled");
        command.stdin(stream()).stdout(stream()).stderr(stream());
        let mut child = command.spawn().expect("qcli was built beside the test");
        // Only the child's are left then, so that reading ends with it.
        drop((command, theirs));
        let mut shown = Vec::new();
        // Linux tells the end of a terminal by an error, others by an empty read.
        let _ = ours.read_to_end(&mut shown);
        child.wait().expect("it was started here");
        String::from_utf8_lossy(&shown).replace("\r\n", "\n")
    }
}

/// A terminal: the end that a test reads, and the one that a program has.
fn pair(columns: u16) -> rustix::io::Result<(File, OwnedFd)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    // What other tests start meanwhile must not keep it open.
    fcntl_setfd(&ours, FdFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = ptsname(&ours, Vec::new())?;
    let theirs = open(
        name,
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&theirs, size)?;
    Ok((ours.into(), theirs))
}
