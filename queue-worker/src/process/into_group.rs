//! Starts a process that is born in a control group (Linux 5.7: clone3(2) with `CLONE_INTO_CGROUP`).
//!
//! Used in place of std's `posix_spawn`, which cannot do that before glibc 2.39. What always holds: the child runs
//! nothing but system calls between its birth and its `exec`, with what was laid out for it before; the parent's thread
//! stands still until then (`CLONE_VFORK`), so what the child reads stays there; signals are blocked meanwhile, and no
//! handler of ours runs in the child (`CLONE_CLEAR_SIGHAND`).

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, waitpid};

use super::{Launch, Pipes};

/// Linux 5.5 and 5.7 (include/uapi/linux/sched.h).
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Why nothing was started.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The system puts no child into this group: another way is to be taken.
    NoBirth(io::Error),
    /// The program, the directory, or the system's room.
    Start(io::Error),
}

/// `struct clone_args` up to the member that we need (clone(2)).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// All that the child needs, laid out before it is born.
struct Luggage {
    program: CString,
    args: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
    /// What becomes its standard input, output and error, and where it reports a failure.
    streams: [RawFd; 3],
    report: RawFd,
}

/// Starts a process in its own process group and in the control group `birthplace`.
pub(super) fn spawn(
    launch: &Launch<'_>,
    stdin: &File,
    birthplace: BorrowedFd<'_>,
) -> Result<(Pid, Pipes), Refusal> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|errno| Refusal::Start(errno.into()));
    let ((stdout, out), (stderr, err)) = (pipe()?, pipe()?);
    let (report, told) = pipe()?;
    let luggage = Luggage::pack(
        launch,
        [stdin.as_fd(), out.as_fd(), err.as_fd()],
        told.as_fd(),
    )
    .map_err(Refusal::Start)?;
    let pid = bear(&luggage, birthplace).map_err(Refusal::NoBirth)?;
    drop((told, out, err));
    match read_report(report) {
        None => Ok((pid, Pipes { stdout, stderr })),
        Some(error) => {
            // It has ended by itself, and nobody else waits for it.
            let _ = waitpid(Some(pid), WaitOptions::empty());
            Err(Refusal::Start(error))
        }
    }
}

/// The number that the child reports; nothing where its end of the pipe was closed by `exec`.
fn read_report(report: OwnedFd) -> Option<io::Error> {
    let mut number = [0; 4];
    File::from(report).read_exact(&mut number).ok()?;
    Some(io::Error::from_raw_os_error(i32::from_ne_bytes(number)))
}

impl Luggage {
    fn pack(
        launch: &Launch<'_>,
        streams: [BorrowedFd<'_>; 3],
        report: BorrowedFd<'_>,
    ) -> io::Result<Self> {
        let text = |text: &OsStr| CString::new(text.as_bytes()).map_err(|_| nul());
        let program = text(launch.program.as_os_str())?;
        let mut args = vec![program.clone()];
        for arg in launch.args {
            args.push(text(arg)?);
        }
        let mut env = Vec::with_capacity(launch.env.len());
        for (name, value) in launch.env {
            let pair = [name.as_bytes(), b"=", value.as_bytes()].concat();
            env.push(CString::new(pair).map_err(|_| nul())?);
        }
        Ok(Self {
            program,
            args,
            env,
            cwd: text(launch.cwd.as_os_str())?,
            streams: streams.map(|fd| fd.as_raw_fd()),
            report: report.as_raw_fd(),
        })
    }
}

fn nul() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a NUL byte")
}

fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    let ends = std::iter::once(std::ptr::null());
    texts.iter().map(|text| text.as_ptr()).chain(ends).collect()
}

/// Makes the child; returns in the parent alone.
fn bear(luggage: &Luggage, birthplace: BorrowedFd<'_>) -> io::Result<Pid> {
    let (args, env) = (pointers(&luggage.args), pointers(&luggage.env));
    let flags = CLONE_INTO_CGROUP | CLONE_CLEAR_SIGHAND | libc::CLONE_VFORK.unsigned_abs() as u64;
    let request = CloneArgs {
        flags,
        exit_signal: libc::SIGCHLD.unsigned_abs().into(),
        cgroup: u64::from(birthplace.as_raw_fd().unsigned_abs()),
        ..CloneArgs::default()
    };
    #[expect(
        unsafe_code,
        reason = "rustix has no clone3, and std starts nothing in a control group"
    )]
    // SAFETY: `request` is as the kernel reads it (a prefix of its `clone_args`, with its size). No memory is shared with
    // the child, and no stack is given, so it goes on here on a copy of ours, as after fork; it calls nothing but
    // `unpack`, which makes system calls only and does not return. The masks are plain data that the calls fill.
    let answer = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let answer = libc::syscall(libc::SYS_clone3, &raw const request, size_of::<CloneArgs>());
        if answer == 0 {
            unpack(luggage, &args, &env);
        }
        let error = io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        if answer < 0 { Err(error) } else { Ok(answer) }
    };
    let pid = i32::try_from(answer?).ok().and_then(Pid::from_raw);
    Ok(pid.expect("the kernel gives a child a number above 0"))
}

/// In the child: becomes the program, or reports why not and ends.
#[expect(
    unsafe_code,
    reason = "between clone3 and exec there is nothing but system calls"
)]
// SAFETY: to be called in a child of `clone3` alone. All pointers are to NUL-terminated texts of `luggage` and to arrays
// that end with a null pointer, in memory that is a copy of the parent's; each call is async-signal-safe (signal-safety(7)).
unsafe fn unpack(
    luggage: &Luggage,
    args: &[*const libc::c_char],
    env: &[*const libc::c_char],
) -> ! {
    // SAFETY: see above.
    unsafe {
        if set_out(luggage) {
            libc::execve(luggage.program.as_ptr(), args.as_ptr(), env.as_ptr());
        }
        let number = (*libc::__errno_location()).to_ne_bytes();
        libc::write(luggage.report, number.as_ptr().cast(), number.len());
        libc::_exit(127)
    }
}

/// The same things in the same order as std's `posix_spawn`: group, streams, directory, signals.
#[expect(
    unsafe_code,
    reason = "between clone3 and exec there is nothing but system calls"
)]
// SAFETY: as for `unpack`.
unsafe fn set_out(luggage: &Luggage) -> bool {
    // SAFETY: as for `unpack`.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::setpgid(0, 0) == 0
            // The ends of our pipes have numbers above 2: those up to it are always open in our programs.
            && (0..).zip(luggage.streams).all(|(number, fd)| libc::dup2(fd, number) == number)
            && libc::chdir(luggage.cwd.as_ptr()) == 0
            && libc::signal(libc::SIGPIPE, libc::SIG_DFL) != libc::SIG_ERR
            && libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) == 0
    }
}
