//! Work that was saved before its tree was removed: commits under `refs/queue/rescue/JOB/…`.
//!
//! A removal saves here; `qcli rescue` lists and restores. What always holds: a rescue ref that is
//! there is never moved; the queue deletes none.

use std::path::Path;

use queue_core::{JobId, failpoint};

use super::WorktreeError;
use super::git::{Git, GitError};
use super::marker::Marker;
use super::repository::Repository;
use super::snapshot::{self, Bytes, Snapshot};

/// Where rescues are kept.
const REFS: &str = "refs/queue/rescue";

/// One rescue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescue {
    /// Its full ref.
    pub name: String,
    /// The job.
    pub job: i64,
    /// The commit.
    pub commit: String,
    /// When it was saved, in seconds since the Unix epoch.
    pub at: i64,
    /// What it is, in one line.
    pub subject: String,
}

/// Saves all of a tree's work that no branch will keep, and returns the refs that were made.
///
/// `attempt` is the last attempt of the job. The files of the tree, with what was never committed,
/// become a commit on top of what is checked out; what was staged stands beside it as its second
/// parent. The tip of the job's branch is saved where no other branch has it.
///
/// # Errors
/// When git fails, or part of the tree cannot be saved.
pub fn save(tree: &Path, marker: &Marker, attempt: u32) -> Result<Vec<String>, WorktreeError> {
    let git = Git::at(tree);
    let taken = snapshot::take(tree, Bytes::Raw)?;
    failpoint::hit("rescue.taken");
    let job = marker.job;
    let mut saved = Vec::new();
    let top = if taken.is_dirty || taken.staged.is_some() {
        Some(match earlier(&git, job, &taken)? {
            Some(commit) => commit,
            None => commit(&git, job, attempt, &taken)?,
        })
    } else {
        taken.head
    };
    let branch = tip(&git, &marker.branch)?;
    for commit in [top, branch].into_iter().flatten() {
        if !is_kept(&git, &commit, &marker.branch, &saved)? {
            saved.push(refer(&git, job, attempt, &commit)?);
            failpoint::hit("rescue.referred");
        }
    }
    Ok(saved)
}

/// The rescue of the same work that a removal which did not get to its end has left. To look at the
/// work again makes another commit as soon as the clock shows another second.
fn earlier(git: &Git, job: i64, taken: &Snapshot) -> Result<Option<String>, GitError> {
    let below = format!("{REFS}/{job}");
    let format = "--format=%(objectname) %(tree) %(parent)";
    for line in git.text(&["for-each-ref", format, &below])?.lines() {
        let mut fields = line.split_ascii_whitespace().map(str::to_owned);
        let (commit, files) = (fields.next(), fields.next());
        let parents: Vec<String> = fields.collect();
        let (on, beside) = parents.split_at(parents.len().min(usize::from(taken.head.is_some())));
        let staged = match beside.first() {
            Some(staged) => Some(git.text(&["rev-parse", &format!("{staged}^{{tree}}")])?),
            None => None,
        };
        if files.as_ref() == Some(&taken.files)
            && on.first() == taken.head.as_ref()
            && staged == taken.staged
        {
            return Ok(commit);
        }
    }
    Ok(None)
}

/// Makes a commit of work that was never committed, with what was staged as its second parent.
fn commit(git: &Git, job: i64, attempt: u32, taken: &Snapshot) -> Result<String, GitError> {
    let on: Vec<&str> = taken.head.as_deref().into_iter().collect();
    let message = format!("uncommitted work of job {job}, attempt {attempt}");
    let Some(staged) = &taken.staged else {
        return snapshot::commit(git, &taken.files, &on, &message);
    };
    let beside = format!("staged by job {job}, attempt {attempt}");
    let beside = snapshot::commit(git, staged, &on, &beside)?;
    let parents: Vec<&str> = on.into_iter().chain([beside.as_str()]).collect();
    snapshot::commit(git, &taken.files, &parents, &message)
}

/// Whether a rescue, or anything but the job's own branch, keeps `commit`.
fn is_kept(git: &Git, commit: &str, own: &str, saved: &[String]) -> Result<bool, GitError> {
    let own = format!("refs/heads/{own}");
    let args = ["for-each-ref", "--format=%(refname)", "--contains", commit];
    let listed = git.text(&args)?;
    let mut keepers = listed.lines().filter(|name| *name != own);
    Ok(keepers.any(|name| !name.starts_with(REFS) || saved.iter().any(|one| one == name)))
}

fn tip(git: &Git, branch: &str) -> Result<Option<String>, GitError> {
    let full = format!("refs/heads/{branch}");
    let output = git.output(&["rev-parse", "--verify", "--quiet", &full])?;
    let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok((output.status.success() && !commit.is_empty()).then_some(commit))
}

/// Refers to `commit` by the first name that is free; one that has it already will do.
fn refer(git: &Git, job: i64, attempt: u32, commit: &str) -> Result<String, GitError> {
    const NONE: &str = "";
    let mut name = format!("{REFS}/{job}/{attempt}");
    for number in 2.. {
        let there = git.output(&["rev-parse", "--verify", "--quiet", &name])?;
        let there = String::from_utf8_lossy(&there.stdout).trim().to_owned();
        if there == commit {
            break;
        }
        if there.is_empty() {
            // The empty old value: only if nobody made it in between.
            git.bytes(&["update-ref", &name, commit, NONE])?;
            break;
        }
        name = format!("{REFS}/{job}/{attempt}-{number}");
    }
    Ok(name)
}

/// The rescues in a repository, the newest first; of one job, where that is given.
///
/// # Errors
/// When git fails.
pub fn list(repository: &Repository, job: Option<JobId>) -> Result<Vec<Rescue>, GitError> {
    const FORMAT: &str = "%(refname)%00%(objectname)%00%(committerdate:unix)%00%(subject)";
    let below = match job {
        Some(job) => format!("{REFS}/{job}"),
        None => REFS.to_owned(),
    };
    let format = format!("--format={FORMAT}");
    let text =
        repository
            .git()
            .text(&["for-each-ref", "--sort=-committerdate", &format, &below])?;
    Ok(text.lines().filter_map(read_line).collect())
}

fn read_line(line: &str) -> Option<Rescue> {
    let mut fields = line.split('\0');
    let name = fields.next()?.to_owned();
    let job = name
        .strip_prefix(REFS)?
        .trim_start_matches('/')
        .split('/')
        .next()?
        .parse()
        .ok()?;
    Some(Rescue {
        name,
        job,
        commit: fields.next()?.to_owned(),
        at: fields.next()?.parse().ok()?,
        subject: fields.next()?.to_owned(),
    })
}

/// Makes a new branch at a rescue.
///
/// # Errors
/// [`WorktreeError::BranchExists`], or when git fails.
pub fn restore(
    repository: &Repository,
    rescue: &Rescue,
    branch: &str,
) -> Result<(), WorktreeError> {
    if repository.has_branch(branch)? {
        return Err(WorktreeError::BranchExists(branch.to_owned()));
    }
    let args = ["branch", "--no-track", branch, &rescue.commit];
    repository.git().bytes(&args)?;
    Ok(())
}
