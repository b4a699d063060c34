//! The platform part: `posix_spawn` through std, pidfd and `/proc` on Linux, `wait4` everywhere.
//!
//! Called through [`super`]. What always holds: a [`Child`] is its own process group; it is reaped
//! here and nowhere else; dropped before that, its group is killed. Unix without pidfd (macOS, old
//! kernels) has no [`Child::exit_fd`], so the caller looks every few milliseconds instead.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::{Exit, SpawnClass, SpawnProblem, Usage};

/// What to start.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// Absolute path of the program.
    pub program: &'a Path,
    /// Its arguments, without the program's own name.
    pub args: &'a [OsString],
    /// Its whole environment.
    pub env: &'a [(OsString, OsString)],
    /// Its working directory.
    pub cwd: &'a Path,
    /// The file it reads as standard input; the null device when `None`.
    pub stdin: Option<&'a Path>,
}

/// Our ends of the process's two output pipes, non-blocking.
#[derive(Debug)]
pub struct Pipes {
    /// Its standard output.
    pub stdout: OwnedFd,
    /// Its standard error.
    pub stderr: OwnedFd,
}

/// A started process, leader of its own group.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    pidfd: Option<OwnedFd>,
    is_reaped: bool,
}

/// How often, and how long, a start is tried while the program file is "busy".
///
/// A script that was written a moment ago may still be open for writing in a child another thread
/// is just starting (between its clone and its exec); the system then says `ETXTBSY`.
const BUSY_TRIES: u32 = 50;
const BUSY_WAIT: Duration = Duration::from_millis(10);

/// Starts a process in its own group, with pipes for its output.
///
/// # Errors
/// A [`SpawnProblem`]; nothing has run then.
pub fn spawn(launch: &Launch<'_>) -> Result<(Child, Pipes), SpawnProblem> {
    if !launch.program.is_absolute() {
        return Err(SpawnProblem::new(
            SpawnClass::NotFound,
            format!("`{}` is not an absolute path", launch.program.display()),
        ));
    }
    #[cfg(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))]
    if let Ok(answer) = clone(launch, None) {
        return answer;
    }
    spawn_portably(launch)
}

/// The same through std, on every Unix.
fn spawn_portably(launch: &Launch<'_>) -> Result<(Child, Pipes), SpawnProblem> {
    let mut command = Command::new(launch.program);
    command
        .args(launch.args)
        .env_clear()
        .envs(launch.env.iter().map(|(name, value)| (name, value)))
        .current_dir(launch.cwd)
        .stdin(open_stdin(launch.stdin)?)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut process = unless_busy(|| command.spawn())
        .map_err(|error| SpawnProblem::explain(&error, launch.program, launch.cwd))?;
    let pid = Pid::from_child(&process);
    let pipes = Pipes {
        stdout: process
            .stdout
            .take()
            .expect("stdout was asked for as a pipe")
            .into(),
        stderr: process
            .stderr
            .take()
            .expect("stderr was asked for as a pipe")
            .into(),
    };
    take_over(pid, pipes)
}

/// The same for a process that is born in the control group `birthplace`.
///
/// # Errors
/// The outer one where the system puts no process into that group; nothing has run then either.
#[cfg(target_os = "linux")]
pub(crate) fn spawn_in(
    launch: &Launch<'_>,
    birthplace: BorrowedFd<'_>,
) -> io::Result<Result<(Child, Pipes), SpawnProblem>> {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    return clone(launch, Some(birthplace));
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    Err(io::ErrorKind::Unsupported.into())
}

/// Starts a process by clone3(2). The outer error says that the system does not do it in this way.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
fn clone(
    launch: &Launch<'_>,
    birthplace: Option<BorrowedFd<'_>>,
) -> io::Result<Result<(Child, Pipes), SpawnProblem>> {
    use super::clone::{self, Refusal};

    let stdin = match input(launch.stdin) {
        Ok(stdin) => stdin,
        Err(problem) => return Ok(Err(problem)),
    };
    let mut no_birth = None;
    let born = unless_busy(|| match clone::spawn(launch, &stdin, birthplace) {
        Ok(born) => Ok(Some(born)),
        Err(Refusal::Start(error)) => Err(error),
        Err(Refusal::NoBirth(error)) => {
            no_birth = Some(error);
            Ok(None)
        }
    });
    match (born, no_birth) {
        (_, Some(error)) => Err(error),
        (Ok(Some((pid, pipes))), None) => Ok(take_over(pid, pipes)),
        (Ok(None), None) => Err(io::ErrorKind::Other.into()),
        (Err(error), None) => {
            let problem = SpawnProblem::explain(&error, launch.program, launch.cwd);
            Ok(Err(problem))
        }
    }
}

/// Makes a process that was just started, and our ends of its pipes, ours.
fn take_over(pid: Pid, pipes: Pipes) -> Result<(Child, Pipes), SpawnProblem> {
    let child = Child {
        pid,
        pidfd: open_pidfd(pid),
        is_reaped: false,
    };
    for pipe in [&pipes.stdout, &pipes.stderr] {
        rustix::io::ioctl_fionbio(pipe, true).map_err(|errno| {
            SpawnProblem::from_io(
                SpawnClass::Other,
                "its pipe cannot be set up",
                &errno.into(),
            )
        })?;
    }
    Ok((child, pipes))
}

fn unless_busy<T>(mut start: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..BUSY_TRIES {
        match start() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(BUSY_WAIT);
            }
            answer => return answer,
        }
    }
    start()
}

fn open_stdin(path: Option<&Path>) -> Result<Stdio, SpawnProblem> {
    match path {
        None => Ok(Stdio::null()),
        Some(path) => open_input(path).map(Stdio::from),
    }
}

#[cfg(target_os = "linux")]
fn input(path: Option<&Path>) -> Result<File, SpawnProblem> {
    open_input(path.unwrap_or(Path::new("/dev/null")))
}

fn open_input(path: &Path) -> Result<File, SpawnProblem> {
    File::open(path).map_err(|error| {
        SpawnProblem::from_io(
            SpawnClass::BadStdin,
            format!("the input file `{}` cannot be read", path.display()),
            &error,
        )
    })
}

#[cfg(target_os = "linux")]
fn open_pidfd(pid: Pid) -> Option<OwnedFd> {
    // The process is not reaped, so the number still names it.
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn open_pidfd(_pid: Pid) -> Option<OwnedFd> {
    None
}

impl Child {
    /// The number of the process and of its group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// A descriptor that becomes readable when the process has ended, where the system has one.
    #[must_use]
    pub fn exit_fd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Makes it a child on a system without pidfd.
    #[cfg(test)]
    pub(crate) fn forget_pidfd(&mut self) {
        self.pidfd = None;
    }

    /// Takes the exit status if the process has ended; does not wait.
    ///
    /// # Errors
    /// When the system has no such child: someone else reaped it.
    pub fn try_reap(&mut self) -> io::Result<Option<(Exit, Usage)>> {
        let found = wait_without_waiting(self.pid)?;
        self.is_reaped |= found.is_some();
        Ok(found)
    }

    /// Sends `signal` to the whole group. Says whether anybody was there to get it.
    ///
    /// The leader is meant even if it moved to another group, so long as it is not reaped.
    pub fn signal_group(&self, signal: Signal) -> bool {
        let reached = self.reach_group(Some(signal));
        if !self.is_reaped && (!reached || signal == Signal::KILL) {
            // Not reaped, so the number still is this process.
            return rustix::process::kill_process(self.pid, signal).is_ok() || reached;
        }
        reached
    }

    /// The processes of the group that still run, the leader included.
    ///
    /// Zombies do not count: where nobody reaps orphans they would stay for ever.
    #[must_use]
    pub fn live_members(&self) -> u32 {
        if self.reach_group(None) {
            count_live(self.pid).unwrap_or(1)
        } else {
            0
        }
    }

    /// Sends a signal, or none, to the group; `false` when the group is empty.
    fn reach_group(&self, signal: Option<Signal>) -> bool {
        match self.signal_group_by_pidfd(signal) {
            Ok(()) | Err(rustix::io::Errno::PERM) => true,
            Err(rustix::io::Errno::SRCH) => false,
            Err(_) => self.signal_group_by_number(signal),
        }
    }

    /// Signals the group by number. Between reaping and this call the number could in theory be
    /// taken by a stranger, which needs the system to run through all numbers in that moment.
    fn signal_group_by_number(&self, signal: Option<Signal>) -> bool {
        let answer = match signal {
            Some(signal) => rustix::process::kill_process_group(self.pid, signal),
            None => rustix::process::test_kill_process_group(self.pid),
        };
        !matches!(answer, Err(rustix::io::Errno::SRCH))
    }

    /// Signals the group that the pidfd stands for (Linux 6.9): no number, so nothing to recycle,
    /// even after the leader is reaped.
    #[cfg(target_os = "linux")]
    fn signal_group_by_pidfd(&self, signal: Option<Signal>) -> rustix::io::Result<()> {
        use std::os::fd::AsRawFd;
        const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 1 << 2;

        let Some(pidfd) = &self.pidfd else {
            return Err(rustix::io::Errno::NOSYS);
        };
        #[expect(unsafe_code, reason = "rustix has no flags for pidfd_send_signal")]
        // SAFETY: the descriptor is open for the whole call; the third argument may be null.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                pidfd.as_raw_fd(),
                signal.map_or(0, Signal::as_raw),
                std::ptr::null::<libc::siginfo_t>(),
                PIDFD_SIGNAL_PROCESS_GROUP,
            )
        };
        if answer == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        Err(rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::INVAL))
    }

    #[cfg(not(target_os = "linux"))]
    fn signal_group_by_pidfd(&self, _signal: Option<Signal>) -> rustix::io::Result<()> {
        Err(rustix::io::Errno::NOSYS)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Only a supervisor that failed half-way drops a child it did not reap.
        if !self.is_reaped {
            self.signal_group(Signal::KILL);
            let _ = self.try_reap();
        }
    }
}

/// `wait4` gives the resources of this one child; `getrusage` only knows all children together.
fn wait_without_waiting(pid: Pid) -> io::Result<Option<(Exit, Usage)>> {
    let mut status: libc::c_int = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    #[expect(unsafe_code, reason = "rustix has no wait4")]
    // SAFETY: both pointers are valid for the call, and all-zero bytes are a valid rusage.
    let (answer, usage) = unsafe {
        let number = pid.as_raw_nonzero().get();
        let answer = libc::wait4(number, &raw mut status, libc::WNOHANG, usage.as_mut_ptr());
        (answer, usage.assume_init())
    };
    match answer {
        0 => Ok(None),
        -1 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            error => Err(error),
        },
        _ => Ok(Some((exit_of(status), usage_of(&usage)))),
    }
}

fn exit_of(status: libc::c_int) -> Exit {
    if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    }
}

fn usage_of(usage: &libc::rusage) -> Usage {
    let max_rss = u64::try_from(usage.ru_maxrss).unwrap_or(0);
    Usage {
        user_ms: milliseconds(usage.ru_utime),
        system_ms: milliseconds(usage.ru_stime),
        // macOS counts bytes, the others KiB.
        max_rss_kb: if cfg!(target_os = "macos") {
            max_rss / 1024
        } else {
            max_rss
        },
        read_bytes: blocks(usage.ru_inblock),
        written_bytes: blocks(usage.ru_oublock),
    }
}

/// Linux counts in blocks of 512 bytes, whatever the disk (getrusage(2)); macOS in operations, which are no bytes.
fn blocks(count: libc::c_long) -> u64 {
    if cfg!(target_os = "linux") {
        u64::try_from(count).unwrap_or(0).saturating_mul(512)
    } else {
        0
    }
}

fn milliseconds(time: libc::timeval) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    seconds * 1000 + micros / 1000
}

/// Counts the processes of a group that run; `None` where `/proc` cannot say so.
#[cfg(target_os = "linux")]
fn count_live(group: Pid) -> Option<u32> {
    let group = group.as_raw_nonzero().get().unsigned_abs();
    let all = super::proc::processes().ok()?.into_iter();
    u32::try_from(all.filter(|process| process.group == group).count()).ok()
}

#[cfg(not(target_os = "linux"))]
fn count_live(_group: Pid) -> Option<u32> {
    None
}

#[cfg(test)]
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod tests {
    use std::io::Read;

    use super::*;

    type Start = fn(&Launch<'_>) -> Result<(Child, Pipes), SpawnProblem>;

    /// The two ways, of which a machine uses one.
    const WAYS: [Start; 2] = [
        |launch| clone(launch, None).expect("clone3 bears a child here"),
        spawn_portably,
    ];

    fn launch<'a>(program: &'a Path, args: &'a [OsString], cwd: &'a Path) -> Launch<'a> {
        Launch {
            program,
            args,
            env: &[],
            cwd,
            stdin: None,
        }
    }

    /// What a process wrote to its two streams before it ended.
    fn streams(start: Start, launch: &Launch<'_>) -> [String; 2] {
        let (mut child, pipes) = start(launch).unwrap();
        let read = |pipe: OwnedFd| {
            rustix::io::ioctl_fionbio(&pipe, false).unwrap();
            let mut text = String::new();
            File::from(pipe).read_to_string(&mut text).unwrap();
            text
        };
        let said = [read(pipes.stdout), read(pipes.stderr)];
        let end = || child.try_reap().unwrap();
        let exit = std::iter::repeat_with(end).flatten().next().unwrap().0;
        assert_eq!(exit, Exit::Code(3), "{said:?}");
        said
    }

    /// Of the ignored signals the last 7 digits are looked at: 1 to 28, without those of the C library.
    /// The blocked ones are read by the shell itself: it blocks all while it starts a program.
    #[test]
    fn a_process_finds_the_same_whichever_way_it_is_started() {
        let line = "pwd; echo \"$0 $1\"; env; readlink /proc/$$/fd/0; ls /proc/$$/fd
            while read -r key mask; do test $key = SigBlk: && echo blocked $mask; done </proc/$$/status
            sed -n 's/^SigIgn:.*\\(.\\{7\\}\\)$/ignored \\1/p' /proc/$$/status
            test $$ = $(cut -d' ' -f5 /proc/$$/stat) && echo leads; echo trouble >&2; exit 3";
        let args = ["-c", line, "name", "a b"].map(OsString::from);
        let launch = Launch {
            env: &[("PATH".into(), "/usr/bin:/bin".into())],
            ..launch(Path::new("/bin/sh"), &args, Path::new("/usr"))
        };
        let [cloned, portable] = WAYS.map(|start| streams(start, &launch));
        assert_eq!(cloned, portable);
        assert!(
            cloned[0].starts_with("/usr\nname a b\n") && cloned[0].ends_with("leads\n"),
            "{cloned:?}"
        );
        assert!(
            cloned[0].contains("\nblocked 0000000000000000\n"),
            "{cloned:?}"
        );
        assert!(cloned[0].contains("\nignored 0000000\n"), "{cloned:?}");
        assert_eq!(cloned[1], "trouble\n");
    }

    #[test]
    fn what_keeps_a_process_from_starting_is_told_alike() {
        let root = Path::new("/");
        for (program, cwd) in [
            ("/nowhere", root),
            ("/etc/passwd", root),
            ("/bin/true", Path::new("/nowhere")),
        ] {
            let launch = launch(Path::new(program), &[], cwd);
            let [cloned, portable] = WAYS.map(|start| start(&launch).unwrap_err());
            assert_eq!(cloned, portable, "{program}");
            assert_ne!(cloned.class, SpawnClass::Other, "{program}");
        }
    }
}
