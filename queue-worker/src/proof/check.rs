//! How one check of an attempt is run: what the supervisor gets, and where it meets its worker.
//!
//! Called on the attempt's thread, one check after the other. What always holds: the directory of a
//! check is made by whoever begins it and by nobody else, so that it is begun once; what it prints
//! goes into the attempt's log, behind a line that names it.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use chrono::Utc;
use queue_core::Command;
use queue_core::failpoint;
use queue_core::job::{JobBody, OnLeftover, RunOptions};
use queue_core::proof::Checked;
use queue_core::units::{about_bytes, format_duration};

use super::printed;
use crate::log::Stream;
use crate::output::LogWriter;
use crate::post::Post;
use crate::supervisor::{Ended, Spec, Status, StopCause};

/// The file that says where in the log the output of a check begins.
const BEGINS: &str = "begins";

/// The body of a job that is a check of another one: its line, in the same place.
pub(crate) fn body(of: &JobBody, line: &str) -> JobBody {
    JobBody {
        command: Ok(Command::Shell(line.to_owned())),
        options: RunOptions {
            grace_ms: of.options.grace_ms,
            log_cap: of.options.log_cap,
            // What a check leaves behind belongs to nobody.
            on_leftover: Some(OnLeftover::Kill),
            ..RunOptions::default()
        },
        ..of.clone()
    }
}

/// Makes the check's directory and notes where its output begins, behind a line that names it.
/// False where somebody has begun it.
pub(crate) fn begin(post: &Post, line: &str, spec: &Spec) -> io::Result<bool> {
    match DirBuilder::new().mode(0o700).create(post.directory()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        made => made?,
    }
    failpoint::hit("check.begun");
    remark(
        &spec.log,
        spec.log_cap,
        &format!("check `{}`", printed::one_line(line)),
    );
    let begins = fs::metadata(&spec.log).map_or(0, |log| log.len());
    File::create(post.directory().join(BEGINS))?.write_all(begins.to_string().as_bytes())?;
    failpoint::hit("check.noted");
    Ok(true)
}

/// Puts a line of ours into the log. One that cannot be written is missed by nobody.
pub(crate) fn remark(log: &Path, cap: u64, words: &str) {
    if let Ok(mut writer) = LogWriter::open(log, cap) {
        writer.take(
            Stream::Stderr,
            format!("qcli: {words}\n").as_bytes(),
            Utc::now(),
        );
        writer.finish();
    }
}

/// The variable that names what said no to the attempt before.
pub(crate) const COMPLAINT: &str = "QUEUE_CHECK_OUTPUT";

/// Lets a process find what said no to the attempt before; one of another job's, that enqueued this
/// one, it does not get.
pub(crate) fn tell(env: &mut Vec<(OsString, OsString)>, complaint: Option<&Path>) {
    env.retain(|(name, _)| name != COMPLAINT);
    if let Some(path) = complaint {
        env.push((COMPLAINT.into(), path.into()));
    }
}

/// What came of a check that ended by itself, or took longer than `most`.
pub(crate) fn found(
    post: &Post,
    line: &str,
    status: &Status,
    log: &Path,
    most: Option<Duration>,
) -> Checked {
    let passed = status.is_success();
    let begins = fs::read_to_string(post.directory().join(BEGINS));
    let begins = begins.ok().and_then(|text| text.parse().ok());
    let output = || printed::end_of(log, begins.unwrap_or(u64::MAX), status.log.file_bytes);
    Checked {
        check: line.to_owned(),
        passed,
        exit_code: status.exit_code(),
        how: printed::one_line(&how(status, most)),
        took_ms: status.ran_for_ms,
        output: (!passed).then(output),
    }
}

/// How a check ended, for people.
fn how(status: &Status, most: Option<Duration>) -> String {
    let mut words = match (&status.ended, status.stopped_by) {
        (_, Some(StopCause::Timeout)) => match most {
            Some(most) => format!("it took longer than {}", format_duration(most)),
            None => "it took too long".to_owned(),
        },
        (Ended::Exited { code }, _) => format!("exit code {code}"),
        (Ended::Signalled { signal }, _) => format!("ended by signal {signal}"),
        (Ended::SpawnFailed { problem }, _) => format!("it could not be started: {problem}"),
        (Ended::NeverStarted, _) => "it was not started".to_owned(),
        (Ended::Lost { text }, _) => format!("its exit status is lost: {text}"),
    };
    if let Some(memory) = status.memory.filter(|memory| memory.oom_kills > 0) {
        words += ", out of memory";
        if let Some(allowed) = memory.allowed {
            words += &format!(" ({} allowed)", about_bytes(allowed));
        }
    }
    words
}
