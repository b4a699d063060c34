//! Takes the work of a tree over into another branch.
//!
//! Called by `qcli accept`. What always holds: whether it fits is found out before anything is
//! changed, on git's objects alone; with conflicts nothing changes, and the tree keeps its work.

use std::path::{Path, PathBuf};

use super::WorktreeError;
use super::git::{Git, GitError};
use super::marker::Place;
use super::repository::Repository;
use super::snapshot::{self, Bytes};

/// How work is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// By a merge commit that keeps the history of the branch.
    Merge,
    /// By one new commit with all of it.
    Squash,
    /// By its commits, one by one, on top of the other branch.
    CherryPick,
}

/// What is taken over where.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The branch that takes it; the one the tree started from, where none is given.
    pub onto: Option<String>,
    /// How.
    pub manner: Manner,
    /// The message of the commit, and of the one for what was not committed.
    pub message: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// There was nothing to take over.
    Nothing,
    /// It is in.
    Into {
        /// The branch.
        onto: String,
        /// Its new tip.
        commit: String,
        /// How many commits of the job are in it.
        commits: u64,
    },
    /// It does not fit, and nothing was changed.
    Conflicts(Conflicts),
}

/// Why work does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflicts {
    /// The branch that was to take it.
    pub onto: String,
    /// The branch that has it.
    pub branch: String,
    /// The files that both changed.
    pub files: Vec<String>,
}

/// Why nothing was taken over, conflicts aside.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// It is not known where the work is meant to go.
    #[error(
        "job {0} was started from a commit that is no branch's tip: say where its work goes, as in `qcli accept {0} --onto main`"
    )]
    NoTarget(i64),
    /// The branch is not there.
    #[error("there is no branch `{branch}` to take the work of job {job}; choose one with --onto")]
    NoBranch {
        /// The branch.
        branch: String,
        /// The job.
        job: i64,
    },
    /// The branch is checked out, and what is not committed there is in the way.
    #[error("`{branch}` is checked out in `{}`, and git will not touch what is not committed there: {said}", .checkout.display())]
    InTheWay {
        /// The branch.
        branch: String,
        /// Where.
        checkout: PathBuf,
        /// What git said.
        said: String,
    },
    /// The tree failed.
    #[error(transparent)]
    Worktree(#[from] WorktreeError),
}

impl From<GitError> for AcceptError {
    fn from(error: GitError) -> Self {
        Self::Worktree(error.into())
    }
}

/// Commits what is not committed in the tree at `place`, and takes its branch over.
///
/// # Errors
/// [`AcceptError`]; nothing was changed but for that commit on the job's own branch.
pub fn accept(place: &Place, offer: &Offer) -> Result<Accepted, AcceptError> {
    let marker = place.expect()?;
    let tree = place.tree(&marker);
    let repository = Repository::containing(&tree)?;
    let job = marker.job;
    let onto = offer
        .onto
        .clone()
        .or_else(|| marker.onto.clone())
        .ok_or(AcceptError::NoTarget(job))?;
    if !repository.has_branch(&onto)? {
        return Err(AcceptError::NoBranch { branch: onto, job });
    }
    commit_rest(&tree, offer)?;
    let git = Git::at(&tree);
    let work = git.text(&["rev-parse", "HEAD"])?;
    let target = git.text(&["rev-parse", &format!("refs/heads/{onto}")])?;
    let commits = count(&git, &target, &work)?;
    if commits == 0 {
        return Ok(Accepted::Nothing);
    }
    let conflict = |files| {
        Ok(Accepted::Conflicts(Conflicts {
            onto: onto.clone(),
            branch: marker.branch.clone(),
            files,
        }))
    };
    let commit = match offer.manner {
        Manner::CherryPick => match pick(&git, &target, &work)? {
            Ok(commit) => commit,
            Err(files) => return conflict(files),
        },
        Manner::Merge | Manner::Squash => {
            let files = match merged(&git, &target, &work)? {
                Ok(files) => files,
                Err(files) => return conflict(files),
            };
            let parents = match offer.manner {
                Manner::Merge => vec![target.as_str(), work.as_str()],
                _ => vec![target.as_str()],
            };
            person_commits(&git, &files, &parents, &offer.message)?
        }
    };
    advance(&git, &onto, &target, &commit)?;
    Ok(Accepted::Into {
        onto,
        commit,
        commits,
    })
}

/// What is not committed becomes the last commit of whatever is checked out in the tree.
fn commit_rest(tree: &Path, offer: &Offer) -> Result<(), WorktreeError> {
    let taken = snapshot::take(tree, Bytes::Committed)?;
    let Some(head) = taken.head.filter(|_| taken.is_dirty) else {
        return Ok(());
    };
    let git = Git::at(tree);
    let commit = person_commits(&git, &taken.files, &[&head], &offer.message)?;
    git.bytes(&["update-ref", "-m", "qcli accept", "HEAD", &commit, &head])?;
    // The index still speaks of the old commit; the files are as they were.
    git.bytes(&["reset", "--quiet", "--mixed"])?;
    Ok(())
}

fn count(git: &Git, from: &str, to: &str) -> Result<u64, GitError> {
    let range = format!("{from}..{to}");
    let counted = git.text(&["rev-list", "--count", &range])?;
    Ok(counted.parse().unwrap_or(0))
}

/// The files of a merge, or those that conflict. Needs git 2.38.
fn merged(git: &Git, target: &str, work: &str) -> Result<Result<String, Vec<String>>, GitError> {
    let args = [
        "merge-tree",
        "--write-tree",
        "--name-only",
        "--no-messages",
        "-z",
        target,
        work,
    ];
    let output = git.output(&args)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut fields = text.split('\0').filter(|field| !field.is_empty());
    let files = fields.next().unwrap_or_default().to_owned();
    match output.status.code() {
        Some(0) => Ok(Ok(files)),
        Some(1) => Ok(Err(fields.map(str::to_owned).collect())),
        // Says why, in git's words.
        _ => git.text(&args).map(Ok),
    }
}

/// Puts the commits of the work on top of `target`, in the job's own tree, where no branch is
/// checked out meanwhile. Returns the last of them, or the files of the first that conflicts.
fn pick(git: &Git, target: &str, work: &str) -> Result<Result<String, Vec<String>>, GitError> {
    let before = git.output(&["symbolic-ref", "--quiet", "HEAD"])?;
    let before = String::from_utf8_lossy(&before.stdout).trim().to_owned();
    git.bytes(&["checkout", "--quiet", "--detach", target])?;
    let range = format!("{target}..{work}");
    let args = [
        "cherry-pick",
        "--allow-empty",
        "--keep-redundant-commits",
        &range,
    ];
    let picked = match git.bytes(&args) {
        Ok(_) => git.text(&["rev-parse", "HEAD"]).map(Ok),
        Err(error) => {
            let files = git.text(&["diff", "--name-only", "--diff-filter=U"])?;
            git.output(&["cherry-pick", "--abort"])?;
            match files.is_empty() {
                true => Err(error),
                false => Ok(Err(files.lines().map(str::to_owned).collect())),
            }
        }
    };
    match before.strip_prefix("refs/heads/") {
        Some(branch) => git.bytes(&["checkout", "--quiet", branch])?,
        None => git.bytes(&["checkout", "--quiet", "--detach", work])?,
    };
    picked
}

/// Commits in the name of whoever accepts.
fn person_commits(
    git: &Git,
    files: &str,
    parents: &[&str],
    message: &str,
) -> Result<String, GitError> {
    let mut args = vec!["commit-tree", files, "-m", message];
    for parent in parents {
        args.extend(["-p", parent]);
    }
    git.text(&args)
}

/// Moves `onto` from `target` to `commit`, and with it the checkout that has it.
fn advance(git: &Git, onto: &str, target: &str, commit: &str) -> Result<(), AcceptError> {
    let full = format!("refs/heads/{onto}");
    let Some(checkout) = checkout_of(git, &full)? else {
        git.bytes(&["update-ref", "-m", "qcli accept", &full, commit, target])?;
        return Ok(());
    };
    // A fast-forward: git moves branch, index and files together, or nothing.
    Git::at(&checkout)
        .bytes(&["merge", "--quiet", "--ff-only", commit])
        .map_err(|error| AcceptError::InTheWay {
            branch: onto.to_owned(),
            checkout,
            said: error.said,
        })?;
    Ok(())
}

/// The checkout that a branch is checked out in.
fn checkout_of(git: &Git, full: &str) -> Result<Option<PathBuf>, GitError> {
    let listed = git.text(&["worktree", "list", "--porcelain"])?;
    let found = listed.split("\n\n").find_map(|entry| {
        let path = entry
            .lines()
            .find_map(|line| line.strip_prefix("worktree "))?;
        let branch = entry
            .lines()
            .find_map(|line| line.strip_prefix("branch "))?;
        (branch == full).then(|| PathBuf::from(path))
    });
    Ok(found)
}
