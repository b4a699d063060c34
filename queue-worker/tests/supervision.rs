//! What `supervise` promises, shown on real processes.

#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml lets tests unwrap, but not what they share"
)]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use queue_worker::log::{Entry, Line, Reader, Stream};
use queue_worker::process::{SpawnClass, SpawnProblem};
use queue_worker::supervisor::{
    Control, Ended, Spec, State, Status, StopCause, StopSignal, supervise,
};
use tempfile::TempDir;

/// Longer than anything here takes, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of its own, and a job that runs in it.
struct Job {
    dir: TempDir,
    spec: Spec,
    control: Control,
}

impl Job {
    /// A job that is a line of shell.
    fn shell(line: &str) -> Self {
        let mut job = Self::program("/bin/sh");
        job.spec.args = vec!["-c".into(), line.into()];
        job
    }

    fn program(program: impl Into<PathBuf>) -> Self {
        let dir = TempDir::new().unwrap();
        let mut spec = Spec::new(41, 7, 1, program, dir.path(), dir.path().join("log"));
        spec.env = vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())];
        Self {
            dir,
            spec,
            control: Control::new().unwrap(),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Spec)) -> Self {
        change(&mut self.spec);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self) -> Status {
        let status = supervise(&self.spec, &self.control);
        assert_eq!(self.control.snapshot().state, State::Done);
        status
    }

    /// Runs the job and, beside it, `meanwhile`.
    fn run_while(&self, meanwhile: impl FnOnce() + Send) -> Status {
        thread::scope(|scope| {
            scope.spawn(|| {
                let _guard = EndIfPanicking(&self.control);
                meanwhile();
            });
            self.run()
        })
    }

    fn lines(&self) -> Vec<Line> {
        let entries = Reader::open(&self.spec.log).unwrap();
        let line = |entry| match entry {
            Ok(Entry::Line(line)) => line,
            other => panic!("{other:?} in the log"),
        };
        entries.map(line).collect()
    }

    /// The bytes of one stream, as the log has them.
    fn output(&self, stream: Stream) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in self.lines().iter().filter(|line| line.stream == stream) {
            line.write_raw(&mut bytes).unwrap();
        }
        bytes
    }

    fn stdout(&self) -> String {
        String::from_utf8(self.output(Stream::Stdout)).unwrap()
    }
}

/// Ends the job of a test that failed beside it, so that the test ends too.
struct EndIfPanicking<'a>(&'a Control);

impl Drop for EndIfPanicking<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop(StopCause::Cancelled);
            self.0.stop(StopCause::Cancelled);
        }
    }
}

fn wait_until(what: &str, fact: impl Fn() -> bool) {
    let start = Instant::now();
    while !fact() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn is_alive(pid_file: &Path) -> bool {
    let pid = fs::read_to_string(pid_file).unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap().trim_start().chars().next();
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

fn spawn_problem(status: Status) -> SpawnProblem {
    match status.ended {
        Ended::SpawnFailed { problem } => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_exit_code_is_reported_with_times_and_usage() {
    let job = Job::shell("exit 3");
    let status = job.run();
    assert_eq!(status.ended, Ended::Exited { code: 3 });
    assert_eq!((status.exit_code(), status.stopped_by), (Some(3), None));
    assert_eq!((status.job, status.epoch, status.attempt), (41, 7, 1));
    assert!(status.started_at > 1_700_000_000_000 && status.ended_at >= status.started_at);
    assert!(status.usage.unwrap().max_rss_kb > 0);
    assert!(!status.is_success() && Job::shell("true").run().is_success());
}

#[test]
fn a_signal_is_reported_as_such() {
    assert_eq!(
        Job::shell("kill -SEGV $$").run().ended,
        Ended::Signalled { signal: 11 }
    );
}

#[test]
fn usage_counts_the_work_of_children() {
    let status =
        Job::shell("sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; true").run();
    let usage = status.usage.unwrap();
    assert!(usage.user_ms + usage.system_ms > 0, "{usage:?}");
}

#[test]
fn a_status_survives_json() {
    let failed = Job::program("/nowhere/at/all").run();
    for status in [Job::shell("kill -9 $$").run(), failed] {
        let text = serde_json::to_string(&status).unwrap();
        assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), status);
    }
}

// P9
#[test]
fn standard_input_is_empty_unless_given() {
    let job = Job::shell("wc -c");
    assert_eq!(job.run().exit_code(), Some(0));
    assert_eq!(job.stdout().trim(), "0");

    let job = Job::shell("cat");
    fs::write(job.path("in"), "given").unwrap();
    let input = job.path("in");
    let job = job.with(|spec| spec.stdin = Some(input));
    assert_eq!(job.run().exit_code(), Some(0));
    assert_eq!(job.stdout(), "given");
}

#[test]
fn nothing_is_inherited_but_the_environment_given() {
    let odd = OsString::from("a=b\nc ä");
    let job = Job::program("/usr/bin/env").with(|spec| {
        spec.args = vec!["-0".into()];
        spec.env = vec![("ODD".into(), odd), ("EMPTY".into(), "".into())];
    });
    assert_eq!(job.run().exit_code(), Some(0));
    let mut variables: Vec<_> = job
        .stdout()
        .split_terminator('\0')
        .map(str::to_owned)
        .collect();
    variables.sort();
    assert_eq!(variables, ["EMPTY=", "ODD=a=b\nc ä"]);
}

// P13
#[test]
fn a_missing_directory_is_told_from_a_missing_program() {
    let job = Job::shell("true").with(|spec| spec.cwd = "/nowhere/at/all".into());
    let problem = spawn_problem(job.run());
    assert_eq!(problem.class, SpawnClass::BadCwd);
    assert!(
        problem.text.contains("/nowhere/at/all") && problem.text.contains("--cwd"),
        "{problem}"
    );
    assert!(!problem.class.is_passing());
}

#[test]
fn a_program_that_cannot_start_has_the_code_of_a_shell() {
    let status = Job::program("/nowhere/tool").run();
    assert_eq!(status.exit_code(), Some(127));
    assert_eq!(spawn_problem(status).class, SpawnClass::NotFound);

    for (text, mode) in [
        ("#!/bin/sh\n", 0o644),
        ("#!/nowhere/sh\n", 0o755),
        ("no program", 0o755),
    ] {
        let job = Job::shell("");
        let tool = job.path("tool");
        fs::write(&tool, text).unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(mode)).unwrap();
        let job = job.with(|spec| spec.program = tool.clone());
        let status = job.run();
        assert_eq!(status.exit_code(), Some(126), "{text}");
        let problem = spawn_problem(status);
        assert!(
            problem.text.contains("tool") && problem.errno.is_some(),
            "{problem}"
        );
    }
}

#[test]
fn bad_arguments_input_and_log_have_their_classes() {
    let class = |job: Job| spawn_problem(job.run()).class;
    let nul = Job::shell("true").with(|spec| spec.args.push("a\0b".into()));
    assert_eq!(class(nul), SpawnClass::BadArgument);
    let long = Job::shell("true").with(|spec| spec.args.push("x".repeat(8 << 20).into()));
    assert_eq!(class(long), SpawnClass::BadArgument);
    let input = Job::shell("true").with(|spec| spec.stdin = Some("/nowhere/in".into()));
    assert_eq!(class(input), SpawnClass::BadStdin);
    let log = Job::shell("true").with(|spec| spec.log = "/nowhere/log".into());
    assert_eq!(class(log), SpawnClass::BadLog);
}

#[test]
fn a_job_stopped_before_its_start_never_starts() {
    let job = Job::shell("touch ran");
    job.control.stop(StopCause::Cancelled);
    let status = job.run();
    assert_eq!(
        (status.ended, status.stopped_by),
        (Ended::NeverStarted, Some(StopCause::Cancelled))
    );
    assert!(!job.path("ran").exists());
}

// P3
#[test]
fn a_stopped_job_gets_its_grace_to_save() {
    let job = Job::shell(
        "trap 'sleep 0.3; echo kept > saved; exit 9' TERM; touch ready; while :; do sleep 0.05; done",
    );
    let status = job.run_while(|| {
        wait_until("the job is ready", || job.path("ready").exists());
        job.control.stop(StopCause::Cancelled);
    });
    assert_eq!(status.ended, Ended::Exited { code: 9 });
    assert_eq!(
        (status.stopped_by, status.was_killed),
        (Some(StopCause::Cancelled), false)
    );
    assert_eq!(fs::read_to_string(job.path("saved")).unwrap(), "kept\n");
}

// P3: the shell ends at once; what it started still saves.
#[test]
fn the_grace_holds_for_the_group_and_not_only_its_leader() {
    let save =
        "trap 'sleep 0.3; touch saved; exit' TERM; touch ready; while :; do sleep 0.05; done";
    let job = Job::shell(&format!("sh -c \"{save}\"; true"));
    let status = job.run_while(|| {
        wait_until("the job is ready", || job.path("ready").exists());
        job.control.stop(StopCause::Interrupted);
    });
    assert_eq!(status.stopped_by, Some(StopCause::Interrupted));
    assert!(
        job.path("saved").exists() && !status.was_killed,
        "{status:?}"
    );
}

#[test]
fn the_stop_signal_can_be_int() {
    let job = Job::shell(
        "trap 'exit 5' INT; trap 'exit 6' TERM; touch ready; while :; do sleep 0.05; done",
    )
    .with(|spec| spec.stop_signal = StopSignal::Int);
    let status = job.run_while(|| {
        wait_until("the job is ready", || job.path("ready").exists());
        job.control.stop(StopCause::Cancelled);
    });
    assert_eq!(status.ended, Ended::Exited { code: 5 });
}

#[test]
fn a_job_that_ignores_the_signal_is_killed_after_its_grace() {
    let job = Job::shell("trap '' TERM; touch ready; while :; do sleep 0.05; done")
        .with(|spec| spec.grace = Duration::from_millis(300));
    let stopped_at = std::sync::Mutex::new(None);
    let status = job.run_while(|| {
        wait_until("the job is ready", || job.path("ready").exists());
        *stopped_at.lock().unwrap() = Some(Instant::now());
        job.control.stop(StopCause::LeaseLost);
    });
    assert_eq!(status.ended, Ended::Signalled { signal: 9 });
    assert_eq!(
        (status.stopped_by, status.was_killed),
        (Some(StopCause::LeaseLost), true)
    );
    assert!(stopped_at.lock().unwrap().unwrap().elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_second_stop_kills_at_once_and_the_first_cause_stays() {
    let job = Job::shell("trap '' TERM; touch ready; while :; do sleep 0.05; done")
        .with(|spec| spec.grace = Duration::from_secs(3600));
    let status = job.run_while(|| {
        wait_until("the job is ready", || job.path("ready").exists());
        job.control.stop(StopCause::Interrupted);
        wait_until("it stops", || {
            job.control.snapshot().state == State::Stopping
        });
        // While stopping it still answers.
        assert!(job.control.snapshot().pid.is_some());
        job.control.stop(StopCause::Cancelled);
    });
    assert_eq!(status.ended, Ended::Signalled { signal: 9 });
    assert_eq!(status.stopped_by, Some(StopCause::Interrupted));
}

#[test]
fn two_stops_that_come_at_once_are_both_heard() {
    for _ in 0..5 {
        let job = Job::shell("trap '' TERM; touch ready; while :; do sleep 0.05; done")
            .with(|spec| spec.grace = Duration::from_secs(30));
        let status = job.run_while(|| {
            wait_until("the job is ready", || job.path("ready").exists());
            job.control.stop(StopCause::Interrupted);
            job.control.stop(StopCause::Interrupted);
        });
        assert_eq!(status.ended, Ended::Signalled { signal: 9 });
        assert!(status.ran_for_ms < 20_000, "it had all its grace");
    }
}

#[test]
fn a_job_suspended_by_a_signal_can_still_be_stopped() {
    let job =
        Job::shell("trap 'exit 4' TERM; touch ready; kill -STOP $$; while :; do sleep 0.05; done");
    let status = job.run_while(|| {
        wait_until("the job is ready", || job.path("ready").exists());
        job.control.stop(StopCause::Cancelled);
    });
    assert_eq!(status.ended, Ended::Exited { code: 4 });
}

// P1, as far as the group reaches.
#[test]
fn cancel_ends_the_grandchildren_too() {
    let job =
        Job::shell("sh -c 'trap \"\" TERM; echo $$ > pid; while :; do sleep 0.05; done' & wait")
            .with(|spec| spec.grace = Duration::from_millis(100));
    let status = job.run_while(|| {
        wait_until("the grandchild is there", || {
            fs::read_to_string(job.path("pid")).is_ok_and(|pid| pid.ends_with('\n'))
        });
        job.control.stop(StopCause::Cancelled);
    });
    assert!(status.was_killed);
    assert!(!is_alive(&job.path("pid")), "{status:?}");
}

// P2
#[test]
fn what_a_job_leaves_behind_is_ended_and_reported() {
    let job = Job::shell("sleep 3600 & echo $! > pid; exit 0");
    let status = job.run();
    assert_eq!(status.ended, Ended::Exited { code: 0 });
    assert_eq!(
        (
            status.stopped_by,
            status.leftovers.found,
            status.leftovers.survived
        ),
        (None, 1, 0)
    );
    assert!(status.is_success() && !status.drain_cut);
    assert!(!is_alive(&job.path("pid")));
}

#[test]
fn who_ends_a_moment_after_the_job_may_finish_its_output() {
    let job = Job::shell("(sleep 0.05; echo last) & echo first");
    let status = job.run();
    assert_eq!(
        (job.stdout().as_str(), status.leftovers.found),
        ("first\nlast\n", 0)
    );
}

// P8: in the group, the one who holds the pipe is ended; outside of it, the pipe is let go of.
#[test]
fn a_grandchild_that_holds_the_output_does_not_hold_up_the_job() {
    let start = Instant::now();
    let job = Job::shell("echo before; sleep 600 & exit 0");
    assert_eq!(job.run().exit_code(), Some(0));
    assert_eq!(job.stdout(), "before\n");

    let job = Job::shell(
        "echo before; setsid sh -c 'echo $$ > pid; exec sleep 600' & while ! [ -s pid ]; do sleep 0.01; done",
    );
    let status = job.run();
    assert_eq!(status.exit_code(), Some(0));
    assert!(status.drain_cut);
    assert_eq!(job.stdout(), "before\n");
    assert!(start.elapsed() < PATIENCE);
    let pid = fs::read_to_string(job.path("pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_job_that_takes_too_long_is_stopped() {
    let job = Job::shell("while :; do echo tick; sleep 0.02; done")
        .with(|spec| spec.timeout = Some(Duration::from_millis(400)));
    let status = job.run();
    assert_eq!(status.stopped_by, Some(StopCause::Timeout));
    assert!(status.ran_for_ms >= 400, "{status:?}");
    assert!(!job.lines().is_empty());
}

#[test]
fn a_silent_job_is_stopped_and_one_that_speaks_is_not() {
    let idle = |spec: &mut Spec| spec.idle_timeout = Some(Duration::from_millis(1500));
    let status = Job::shell("echo hello; sleep 600").with(idle).run();
    assert_eq!(status.stopped_by, Some(StopCause::IdleTimeout));
    assert!(status.ran_for_ms >= 1500);

    let job = Job::shell("for i in 1 2 3 4 5 6 7 8; do sleep 0.3; echo $i >&2; done").with(idle);
    let status = job.run();
    assert_eq!((status.stopped_by, status.exit_code()), (None, Some(0)));
    assert!(
        status.ran_for_ms >= 2000,
        "longer in all than the silence allowed"
    );
}

#[test]
fn both_streams_are_in_the_log_in_order_and_with_times() {
    let job = Job::shell("echo one; sleep 0.2; echo two >&2; sleep 0.2; echo three");
    job.run();
    let lines = job.lines();
    let said: Vec<_> = lines
        .iter()
        .map(|line| (line.stream, line.text.as_slice()))
        .collect();
    let (out, err) = (Stream::Stdout, Stream::Stderr);
    assert_eq!(said, [(out, &b"one"[..]), (err, b"two"), (out, b"three")]);
    assert!(lines.is_sorted_by_key(|line| line.at));
    let age = chrono::Utc::now() - lines[0].at;
    assert!(
        age.num_seconds() < 60 && age.num_milliseconds() >= 400,
        "{age}"
    );
    assert_eq!(fs::metadata(&job.spec.log).unwrap().mode() & 0o777, 0o600);
}

// L3, and nothing lost at the end.
#[test]
fn last_bytes_without_a_line_feed_are_kept() {
    let job = Job::shell("printf 'a\\nlast'; printf 'err' >&2; kill -9 $$");
    let status = job.run();
    assert_eq!(status.ended, Ended::Signalled { signal: 9 });
    assert_eq!(job.output(Stream::Stdout), b"a\nlast");
    assert_eq!(job.output(Stream::Stderr), b"err");
    assert_eq!((status.log.output_bytes, status.log.omitted_bytes), (9, 0));
    assert_eq!(
        status.log.file_bytes,
        fs::metadata(&job.spec.log).unwrap().len()
    );
}

#[test]
fn a_prompt_without_a_line_feed_is_in_the_log_while_the_job_waits() {
    let job = Job::shell("printf 'Continue? '; while ! [ -e go ]; do sleep 0.02; done; echo yes");
    job.run_while(|| {
        wait_until("the prompt is in the log", || {
            fs::read(&job.spec.log).is_ok_and(|log| log.ends_with(b"Continue? \n"))
        });
        fs::write(job.path("go"), "").unwrap();
    });
    assert_eq!(job.stdout(), "Continue? yes\n");
}

// L6
#[test]
fn a_character_written_in_two_halves_comes_out_whole() {
    let job = Job::shell(
        r"printf 'gr\303'; sleep 0.4; printf '\274n \342'; sleep 0.05; printf '\202\254\n'",
    );
    job.run();
    assert_eq!(job.stdout(), "grün €\n");
}

#[test]
fn bytes_that_are_no_text_are_kept_as_they_are() {
    let job = Job::shell(r"printf '\377\376\0\001\r\n\0\n\033[31m'");
    job.run();
    assert_eq!(
        job.output(Stream::Stdout),
        b"\xff\xfe\0\x01\r\n\0\n\x1b[31m"
    );
}

#[test]
fn a_huge_line_is_kept_whole() {
    let job = Job::shell("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo after");
    let status = job.run();
    let out = job.stdout();
    assert_eq!(out.len(), 3_000_007);
    assert!(
        out.trim_end_matches("\nafter\n")
            .bytes()
            .all(|byte| byte == b'x')
    );
    assert_eq!(status.log.output_bytes, 3_000_007);
}

#[test]
fn much_output_at_the_end_is_read_to_the_last_byte() {
    let job = Job::shell("seq 1 200000; seq 1 200000 >&2");
    job.run();
    let numbers: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    assert!(job.stdout() == numbers);
    assert!(job.output(Stream::Stderr) == numbers.as_bytes());
}

// L1
#[test]
fn an_endless_job_fills_no_disk_and_keeps_both_ends_of_its_output() {
    let cap = 1 << 20;
    let job = Job::shell("seq 1 100000000").with(|spec| spec.log_cap = cap);
    let status = job.run_while(|| {
        wait_until("50 MB are written", || {
            job.control.snapshot().output_bytes > 50_000_000
        });
        let disk = fs::metadata(&job.spec.log).unwrap().blocks() * 512;
        assert!(disk < 8 * cap, "{disk} bytes of disk");
        job.control.stop(StopCause::Cancelled);
    });
    let file = fs::metadata(&job.spec.log).unwrap();
    assert!(file.len() < 2 * cap, "{} bytes", file.len());
    assert_eq!(file.mode() & 0o777, 0o600);
    assert_eq!(status.log.file_bytes, file.len());

    let (mut kept, mut omitted, mut numbers) = (0, 0, Vec::new());
    for entry in Reader::open(&job.spec.log).unwrap() {
        match entry.unwrap() {
            Entry::Line(line) => {
                kept += line.text.len() as u64 + u64::from(line.is_full);
                if line.is_full {
                    numbers.push(
                        String::from_utf8(line.text)
                            .unwrap()
                            .parse::<u64>()
                            .unwrap(),
                    );
                }
            }
            Entry::Omitted { bytes } => {
                omitted += bytes;
                numbers.push(0);
            }
            damaged @ Entry::Damaged { .. } => panic!("{damaged:?}"),
        }
    }
    assert_eq!(
        (kept + omitted, omitted),
        (status.log.output_bytes, status.log.omitted_bytes)
    );
    let gap = numbers.iter().position(|number| *number == 0).unwrap();
    assert!(
        numbers[..gap].iter().copied().eq(1..=gap as u64),
        "the head is whole"
    );
    let tail = &numbers[gap + 1..];
    assert!(
        tail.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "the tail is whole"
    );
    assert!(tail.len() > 1000 && gap > 1000);
    assert_eq!(
        fs::read_dir(job.dir.path()).unwrap().count(),
        1,
        "no file is left beside the log"
    );
}

#[test]
fn a_disk_that_takes_nothing_does_not_end_the_job() {
    let job =
        Job::shell("seq 1 300000; echo done > done").with(|spec| spec.log = "/dev/full".into());
    let status = job.run();
    assert_eq!(status.ended, Ended::Exited { code: 0 });
    assert!(job.path("done").exists());
    assert!(
        status.log.trouble.as_ref().unwrap().contains("/dev/full"),
        "{status:?}"
    );
    assert_eq!(status.log.omitted_bytes, status.log.output_bytes);
}

#[test]
fn a_script_written_a_moment_ago_starts_while_others_start_too() {
    let others = Job::shell("true");
    thread::scope(|scope| {
        let busy = scope.spawn(|| (0..200).for_each(|_| assert!(others.run().is_success())));
        for round in 0.. {
            let job = Job::shell("");
            let script = job.path("script");
            fs::write(&script, format!("#!/bin/sh\nexit {}\n", round % 100)).unwrap();
            fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
            let job = job.with(|spec| spec.program = script);
            assert_eq!(job.run().exit_code(), Some(round % 100));
            if busy.is_finished() {
                break;
            }
        }
    });
}
