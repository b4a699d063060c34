//! Starts a process by clone3(2) (Linux 5.5), also in a control group (5.7, `CLONE_INTO_CGROUP`).
//!
//! Used in place of std's `posix_spawn`, which knows no control groups before glibc 2.39 and asks for the handler of every
//! signal on its way. What always holds: the child shares our memory and runs nothing but system calls, on a stack of
//! its own and with what was laid out for it before; the parent's thread stands still until it has become the program
//! or has ended (`CLONE_VFORK`); signals are blocked meanwhile, and no handler of ours runs in it
//! (`CLONE_CLEAR_SIGHAND`).

use std::arch::asm;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, waitpid};

use super::{Launch, Pipes};

/// Linux 5.5 and 5.7 (include/uapi/linux/sched.h).
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What the child's few calls need, and much more; glibc's own takes as much.
const STACK: usize = 32 * 1024;

/// Why nothing was started.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The system bears no child in this way, or none into this group: another way is to be taken.
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
    /// What becomes its standard input, output and error.
    streams: [RawFd; 3],
}

/// The luggage as the child takes it: pointers, and a place for the number of its failure.
struct Packed<'a> {
    luggage: &'a Luggage,
    args: Vec<*const libc::c_char>,
    env: Vec<*const libc::c_char>,
    failure: AtomicI32,
}

/// Starts a process in its own process group, and in the control group `birthplace` if there is one.
pub(super) fn spawn(
    launch: &Launch<'_>,
    stdin: &File,
    birthplace: Option<BorrowedFd<'_>>,
) -> Result<(Pid, Pipes), Refusal> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|errno| Refusal::Start(errno.into()));
    let ((stdout, out), (stderr, err)) = (pipe()?, pipe()?);
    let streams = [stdin.as_fd(), out.as_fd(), err.as_fd()];
    let luggage = Luggage::pack(launch, streams).map_err(Refusal::Start)?;
    let packed = Packed {
        luggage: &luggage,
        args: pointers(&luggage.args),
        env: pointers(&luggage.env),
        failure: AtomicI32::new(0),
    };
    let pid = bear(&packed, birthplace).map_err(Refusal::NoBirth)?;
    match packed.failure.into_inner() {
        0 => Ok((pid, Pipes { stdout, stderr })),
        number => {
            // It has ended by itself, and nobody else waits for it.
            let _ = waitpid(Some(pid), WaitOptions::empty());
            Err(Refusal::Start(io::Error::from_raw_os_error(number)))
        }
    }
}

impl Luggage {
    fn pack(launch: &Launch<'_>, streams: [BorrowedFd<'_>; 3]) -> io::Result<Self> {
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

/// Makes the child; comes back when that has become the program or has ended.
fn bear(packed: &Packed<'_>, birthplace: Option<BorrowedFd<'_>>) -> io::Result<Pid> {
    // On the heap and not mapped for each child: to unmap it would interrupt the other processors.
    let mut stack = Box::<[u128]>::new_uninit_slice(STACK / size_of::<u128>());
    let sharing = libc::CLONE_VFORK.unsigned_abs() | libc::CLONE_VM.unsigned_abs();
    let group = birthplace.map_or(0, |_| CLONE_INTO_CGROUP);
    let request = CloneArgs {
        flags: u64::from(sharing) | CLONE_CLEAR_SIGHAND | group,
        exit_signal: libc::SIGCHLD.unsigned_abs().into(),
        stack: stack.as_mut_ptr().expose_provenance() as u64,
        stack_size: STACK as u64,
        cgroup: birthplace.map_or(0, |group| group.as_raw_fd().unsigned_abs().into()),
        ..CloneArgs::default()
    };
    #[expect(unsafe_code, reason = "std has no way to block signals")]
    // SAFETY: the masks are plain data that the calls fill. For `clone3`: the stack is 32 KiB, aligned to 16 bytes, and
    // outlives the child's use of it, because this thread stands still until the child has its own memory or has ended;
    // so does all that `packed` points to. Signals are blocked, so nothing else runs in the child.
    let answer = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let answer = clone3(&request, packed);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        answer
    };
    if answer < 0 {
        return Err(io::Error::from_raw_os_error(-answer));
    }
    Ok(Pid::from_raw(answer).expect("the kernel gives a child a number above 0"))
}

/// The call itself: in the parent it returns the child's number, or a negative error; in the child it calls [`unpack`].
///
/// No function of C can do this: the child has an empty stack, so it has nowhere to return to.
#[expect(
    unsafe_code,
    reason = "rustix and libc have no clone3, and a child on a stack of its own cannot return"
)]
// SAFETY: to be called with a `request` that names a stack for the child, aligned to 16 bytes.
unsafe fn clone3(request: &CloneArgs, packed: &Packed<'_>) -> i32 {
    let answer: i64;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the call clobbers what is said here (syscall(2)). The child has a copy of the registers, clears the frame
    // pointer, calls a function that does not return, and touches nothing of the parent's stack.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => answer,
            in("rdi") std::ptr::from_ref(request),
            in("rsi") size_of::<CloneArgs>(),
            in("r12") std::ptr::from_ref(packed),
            in("r13") unpack as unsafe extern "C" fn(&Packed<'_>) -> !,
            out("rcx") _,
            out("r11") _,
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x9",
            "blr x10",
            "brk #1",
            "2:",
            inlateout("x0") std::ptr::from_ref(request) => answer,
            in("x1") size_of::<CloneArgs>(),
            in("x8") libc::SYS_clone3,
            in("x9") std::ptr::from_ref(packed),
            in("x10") unpack as unsafe extern "C" fn(&Packed<'_>) -> !,
        );
    }
    i32::try_from(answer).expect("a process number or an error number")
}

/// In the child: becomes the program, or leaves the number of the failure and ends.
#[expect(
    unsafe_code,
    reason = "between clone3 and exec there is nothing but system calls"
)]
// SAFETY: to be called in a child of `clone3` alone. All pointers are to NUL-terminated texts of the luggage and to arrays
// that end with a null pointer, in memory that the parent leaves alone meanwhile; each call is async-signal-safe
// (signal-safety(7)), and changes no memory but `errno`, which is that of the parent's thread, and `failure`.
unsafe extern "C" fn unpack(packed: &Packed<'_>) -> ! {
    // SAFETY: see above.
    unsafe {
        let luggage = packed.luggage;
        if set_out(luggage) {
            libc::execve(
                luggage.program.as_ptr(),
                packed.args.as_ptr(),
                packed.env.as_ptr(),
            );
        }
        let number = *libc::__errno_location();
        packed.failure.store(number, Ordering::Relaxed);
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
