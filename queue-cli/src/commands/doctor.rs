//! `qcli doctor`: whether the store and what belongs to it are well.

mod bounds;

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use queue_core::store::Finding;
use queue_core::{JobId, State, Store, Timestamp};
use serde::Serialize;

use crate::context::Context;
use crate::error::{CliError, reason_of};
use crate::exit_code::ExitCode;
use crate::output::color::Role;
use crate::output::table::{Cell, Column, Table};
use crate::output::time::distance;
use crate::probe;
use crate::view::worker::Life;

/// With less room than this on its disk, a queue is about to stop.
const LEAST_ROOM: u64 = 64 << 20;

/// With less room than this it is time to look.
const LITTLE_ROOM: u64 = 1 << 30;

/// A write-ahead log of this size is not shortened as it should be: SQLite starts it over at 8 MiB when nobody reads
/// what is in it, and keeps 16 MiB of its file.
const LONG_LOG: u64 = 64 << 20;

const LOGS: &str = "every log belongs to a job";
const WORKERS: &str = "somebody works";

/// Look for damage and for what is about to go wrong
///
/// Checks that the store's file is whole and free of contradictions, that nobody else may read it, that its file system
/// keeps locks and has room, that its write-ahead log is short, that logs and jobs belong together, that somebody
/// works, and whether a worker started from here could enforce `--mem` and `--cpu`. Nothing is changed. Exit code 5
/// when something is not well; a warning does not count.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli doctor
  qcli doctor --db /backup/queue.db
  qcli doctor --json | jq '.checks[] | select(.status != \"ok\")'")]
pub(crate) struct Args {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    Warning,
    NotOk,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    check: String,
    status: Status,
    detail: String,
}

impl Check {
    fn new(check: &str, status: Status, detail: impl Into<String>) -> Self {
        Self {
            check: check.to_owned(),
            status,
            detail: detail.into(),
        }
    }

    /// A check that is well unless `wrong` says something.
    fn unless(check: &str, well: &str, bad: Status, wrong: &[String]) -> Self {
        match wrong {
            [] => Self::new(check, Status::Ok, well),
            wrong => Self::new(check, bad, some_of(wrong)),
        }
    }
}

impl From<Finding> for Check {
    fn from(finding: Finding) -> Self {
        let status = if finding.ok {
            Status::Ok
        } else {
            Status::NotOk
        };
        Self::new(finding.check, status, finding.detail)
    }
}

/// Prints what was looked at.
pub(crate) fn run(_: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let named = context.config.store.value.path();
    let path = std::fs::canonicalize(named).unwrap_or_else(|_| named.to_owned());
    // Only the names of the files are looked at: to open them would drop the locks of SQLite.
    let mut checks = vec![
        modes(&path),
        file_system(&path),
        room(&path),
        write_ahead_log(&path),
    ];
    checks.extend(bounds::checks());
    match context.existing_store() {
        Ok(store) => checks.extend(of_store(context, &*store, &path)?),
        Err(error) if error.exit_code() == ExitCode::Store && path.exists() => {
            checks.push(Check::new(
                "the store opens",
                Status::NotOk,
                error.message(),
            ));
        }
        Err(error) => return Err(error),
    }
    let is_well = checks.iter().all(|check| check.status != Status::NotOk);
    if context.out.is_json() {
        context.out.json(&serde_json::json!({ "ok": is_well, "store": path.to_string_lossy(), "checks": checks }))?;
    } else {
        print(context, &checks)?;
    }
    Ok(if is_well {
        ExitCode::Ok
    } else {
        ExitCode::Store
    })
}

fn print(context: &mut Context, checks: &[Check]) -> Result<(), CliError> {
    let mut table = Table::new(["", "CHECK", "FOUND"].map(Column::left));
    for check in checks {
        let status = match check.status {
            Status::Ok => Cell::colored("ok", Role::Good),
            Status::Warning => Cell::colored("warning", Role::Waiting),
            Status::NotOk => Cell::colored("not ok", Role::Bad),
        };
        table.row([
            status,
            Cell::from(check.check.as_str()),
            Cell::from(check.detail.as_str()),
        ]);
    }
    // Never cut: whoever looks here needs the whole of it.
    let view = *context.out.view();
    context
        .out
        .document(&table.render(None, view.paint, !view.quiet))
}

fn of_store(context: &Context, store: &dyn Store, path: &Path) -> Result<Vec<Check>, CliError> {
    let now = context.now();
    let mut checks: Vec<Check> = store.examine(&now)?.into_iter().map(Check::from).collect();
    checks.push(or_unknown(LOGS, logs(store, path))?);
    checks.push(or_unknown(WORKERS, workers(store, now.wall))?);
    Ok(checks)
}

/// A check that damage leaves without an answer is told with the others.
fn or_unknown(check: &str, found: Result<Check, CliError>) -> Result<Check, CliError> {
    match found {
        Err(error) if error.exit_code() == ExitCode::Store => Ok(Check::new(
            check,
            Status::NotOk,
            format!("cannot be told: {}", error.message()),
        )),
        found => found,
    }
}

/// A file of the store: the store itself, what SQLite and the workers keep beside it.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Nobody else may read jobs, their environments and their output.
fn modes(path: &Path) -> Check {
    let mut wrong = Vec::new();
    for suffix in ["", "-wal", "-shm", "-wake", "-logs", "-run"] {
        let file = beside(path, suffix);
        if let Ok(metadata) = file.metadata()
            && is_open_to_others(&metadata)
        {
            let mode = metadata.permissions().mode() & 0o777;
            let right = if metadata.is_dir() { "700" } else { "600" };
            let file = file.to_string_lossy();
            wrong.push(format!(
                "{file} has mode {mode:o}; `chmod {right} {}`",
                shell_words::quote(&file)
            ));
        }
    }
    Check::unless(
        "only you can read it",
        "no file is open to others",
        Status::NotOk,
        &wrong,
    )
}

fn is_open_to_others(metadata: &Metadata) -> bool {
    metadata.mode() & 0o077 != 0
}

/// SQLite's locks do not hold between machines.
fn file_system(path: &Path) -> Check {
    let what = "its file system keeps locks";
    match network_file_system(path) {
        Some(name) => Check::new(
            what,
            Status::Warning,
            format!(
                "{name} is a network file system: use the store from one machine only, or move it to a local disk"
            ),
        ),
        None => Check::new(what, Status::Ok, "it is local"),
    }
}

/// The name of the network file system that holds a file; none where it is local, or not to be told.
#[cfg(target_os = "linux")]
fn network_file_system(path: &Path) -> Option<&'static str> {
    // From linux/magic.h and statfs(2).
    const NETWORK: [(u32, &str); 9] = [
        (0x6969, "NFS"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB2"),
        (0x517b, "SMB"),
        (0x0102_1997, "9P"),
        (0x00c3_6400, "Ceph"),
        (0x5346_414f, "AFS"),
        (0x0bd0_0bd0, "Lustre"),
        (0x7375_7245, "Coda"),
    ];
    let directory = path.parent()?;
    let statistics = rustix::fs::statfs(directory).ok()?;
    // The type is a long on some platforms and an unsigned int on others; the magic numbers have 32 bits.
    let magic = (i128::from(statistics.f_type) & 0xffff_ffff) as u32;
    NETWORK
        .iter()
        .find(|(number, _)| *number == magic)
        .map(|(_, name)| *name)
}

#[cfg(not(target_os = "linux"))]
fn network_file_system(_: &Path) -> Option<&'static str> {
    None
}

fn room(path: &Path) -> Check {
    let what = "its disk has room";
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let statistics = match rustix::fs::statvfs(directory) {
        Ok(statistics) => statistics,
        Err(error) => {
            return Check::new(
                what,
                Status::Warning,
                format!("cannot be told: {}", reason_of(&error.into())),
            );
        }
    };
    let free = statistics.f_bavail.saturating_mul(statistics.f_frsize);
    let status = match free {
        0..LEAST_ROOM => Status::NotOk,
        LEAST_ROOM..LITTLE_ROOM => Status::Warning,
        _ => Status::Ok,
    };
    let (size, unit) = if free >= 10 << 30 {
        (free >> 30, "GiB")
    } else {
        (free >> 20, "MiB")
    };
    Check::new(what, status, format!("{size} {unit} free"))
}

/// What somebody still reads has to stay in the write-ahead log, and it grows meanwhile.
fn write_ahead_log(path: &Path) -> Check {
    let what = "its write-ahead log is short";
    let size = beside(path, "-wal").metadata().map_or(0, |log| log.len());
    if size < LONG_LOG {
        return Check::new(what, Status::Ok, format!("{} MiB", size >> 20));
    }
    let file = path.to_string_lossy();
    let detail = format!(
        "{} MiB: a program that reads the store without coming to an end keeps it from being shortened; `fuser -v {}` names those that have it open",
        size >> 20,
        shell_words::quote(&file)
    );
    Check::new(what, Status::Warning, detail)
}

/// Logs of jobs that are gone: left when a prune was interrupted.
fn logs(store: &dyn Store, path: &Path) -> Result<Check, CliError> {
    let what = LOGS;
    let directory = beside(path, "-logs");
    let mut orphans = Vec::new();
    let mut count = 0_u64;
    let mut known: Option<(JobId, bool)> = None;
    let Ok(files) = std::fs::read_dir(&directory) else {
        return Ok(Check::new(what, Status::Ok, "there are none"));
    };
    for file in files.flatten() {
        count += 1;
        let name = file.file_name();
        let Some(job) = job_of_log(&name.to_string_lossy()) else {
            continue;
        };
        let is_there = match known {
            Some((last, is_there)) if last == job => is_there,
            _ => is_there(store, job)?,
        };
        known = Some((job, is_there));
        if !is_there {
            orphans.push(file.path().to_string_lossy().into_owned());
        }
    }
    if orphans.is_empty() {
        return Ok(Check::new(what, Status::Ok, format!("{count} looked at")));
    }
    let detail = format!(
        "{} of {count} belong to no job: {}",
        orphans.len(),
        some_of(&orphans)
    );
    Ok(Check::new(what, Status::Warning, detail))
}

/// `12-3.log` is of job 12.
fn job_of_log(name: &str) -> Option<JobId> {
    let (job, _) = name.strip_suffix(".log")?.split_once('-')?;
    job.parse().ok().map(JobId)
}

fn is_there(store: &dyn Store, job: JobId) -> Result<bool, CliError> {
    match store.job(job) {
        Ok(_) => Ok(true),
        Err(queue_core::Error::JobNotFound(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether somebody does the work that is there.
fn workers(store: &dyn Store, now: Timestamp) -> Result<Check, CliError> {
    let what = WORKERS;
    let workers = probe::workers(store, now)?;
    let alive = workers
        .iter()
        .filter(|(_, life)| *life == Life::Alive)
        .count();
    let wrong: Vec<String> = workers
        .iter()
        .filter(|(worker, life)| *life == Life::Dead && worker.in_progress > 0)
        .map(|(worker, _)| {
            let silent = distance(now.since(worker.seen_at));
            format!(
                "worker {} is silent for {silent} and holds {} jobs",
                worker.about.name, worker.in_progress
            )
        })
        .collect();
    let waiting: u64 = store
        .queues()?
        .iter()
        .filter(|queue| queue.queue.paused_at.is_none())
        .map(|queue| queue.count(State::Pending))
        .sum();
    Ok(match (alive, waiting) {
        (0, 1..) => Check::new(
            what,
            Status::Warning,
            format!(
                "{} and no worker is alive; `qcli work` starts one",
                jobs_are_pending(waiting)
            ),
        ),
        (0, 0) if wrong.is_empty() => Check::new(
            what,
            Status::Ok,
            "no worker is alive, and nothing is pending",
        ),
        _ => Check::unless(what, &format!("{alive} alive"), Status::Warning, &wrong),
    })
}

fn jobs_are_pending(count: u64) -> String {
    match count {
        1 => "1 job is pending".to_owned(),
        count => format!("{count} jobs are pending"),
    }
}

/// The first few, and how many more.
fn some_of(all: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = all
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_named_for_its_job() {
        assert_eq!(job_of_log("12-3.log"), Some(JobId(12)));
        assert_eq!(job_of_log("12-3.log.tmp"), None);
        assert_eq!(job_of_log("notes.log"), None);
    }

    #[test]
    fn a_file_that_others_can_read_is_not_ok() {
        // L5
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("queue.db");
        std::fs::write(&path, "").unwrap();
        let set =
            |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        set(0o600);
        assert_eq!(modes(&path).status, Status::Ok);
        set(0o640);
        let check = modes(&path);
        assert_eq!(check.status, Status::NotOk);
        assert!(
            check.detail.contains("has mode 640; `chmod 600 "),
            "{}",
            check.detail
        );
    }

    #[test]
    fn of_many_the_first_few_are_named_and_the_others_counted() {
        let names: Vec<String> = (1..=5).map(|number| number.to_string()).collect();
        assert_eq!(some_of(&names), "1; 2; 3; and 2 more");
        assert_eq!(some_of(&names[..2]), "1; 2");
    }
}
