//! Which directory a job has to itself while it runs.
//!
//! Agents that work in one checkout at the same time write over each other, so the jobs of agents take turns there: those
//! with a worktree of their own and those told to share need not. Settled when a job is handed in or edited, never stored
//! apart from it; plain commands share their directory.

use std::path::{Path, PathBuf};

use queue_core::job::RunOptions;
use queue_core::raw_text::RawText;
use queue_core::{Command, NewJob};

/// Lets a job have its directory to itself, if it is one that should.
pub(crate) fn settle(job: &mut NewJob) {
    job.directory = own(&job.command, &job.options, &job.cwd);
}

/// The directory that a job has to itself.
pub(crate) fn own(command: &Command, options: &RunOptions, cwd: &RawText) -> Option<RawText> {
    let is_agent = matches!(command, Command::Agent(_)) || options.agent.is_some();
    let is_alone = is_agent && options.worktree.is_none() && !options.share_dir;
    is_alone.then(|| {
        written_to(Path::new(cwd.as_os_str()))
            .into_os_string()
            .into()
    })
}

/// What work in `cwd` writes to: the checkout it lies in, else the directory itself; without links in its path, so that
/// two ways to one place are one. What cannot be looked at is taken as it is written.
fn written_to(cwd: &Path) -> PathBuf {
    let real = std::fs::canonicalize(cwd).unwrap_or_else(|_| cwd.to_owned());
    let checkout = real.ancestors().find(|above| is_checkout(above));
    checkout.map(Path::to_owned).unwrap_or(real)
}

/// Whether a directory is the top of a checkout: a repository, or a worktree or submodule, where `.git` is a file
/// (gitrepository-layout(5)).
fn is_checkout(dir: &Path) -> bool {
    let git = dir.join(".git");
    git.is_file() || git.join("HEAD").exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue_core::agent::AgentTask;
    use queue_core::job::Worktree;
    use std::fs;

    #[test]
    fn all_of_a_checkout_is_one_directory_whatever_leads_there() {
        let temp = tempfile::tempdir().unwrap();
        let top = fs::canonicalize(temp.path()).unwrap();
        fs::create_dir_all(top.join("site/.git")).unwrap();
        fs::write(top.join("site/.git/HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::create_dir_all(top.join("site/src/deep")).unwrap();
        fs::create_dir_all(top.join("site/tree")).unwrap();
        fs::write(top.join("site/tree/.git"), "gitdir: elsewhere\n").unwrap();
        fs::create_dir_all(top.join("plain/below/.git")).unwrap();
        std::os::unix::fs::symlink(top.join("site/src"), top.join("link")).unwrap();
        for (cwd, writes_to) in [
            ("site", "site"),
            ("site/src/deep", "site"),
            ("link/deep", "site"),
            ("site/tree", "site/tree"),
            ("plain", "plain"),
            // An empty `.git` makes no repository.
            ("plain/below", "plain/below"),
            ("plain/none", "plain/none"),
        ] {
            assert_eq!(written_to(&top.join(cwd)), top.join(writes_to), "{cwd}");
        }
    }

    #[test]
    fn agents_have_their_directory_to_themselves_unless_they_share_it_or_have_a_tree() {
        let mut job = NewJob::new(Command::Agent(AgentTask::new("claude", "x")));
        job.cwd = "/".into();
        let directory = |change: &dyn Fn(&mut NewJob)| {
            let mut job = job.clone();
            change(&mut job);
            settle(&mut job);
            job.directory.map(|directory| directory.to_lossy())
        };
        assert_eq!(directory(&|_| {}).as_deref(), Some("/"));
        assert_eq!(directory(&|job| job.options.share_dir = true), None);
        assert_eq!(
            directory(&|job| job.options.worktree = Some(Worktree::default())),
            None
        );
        let plain = |job: &mut NewJob| job.command = Command::Argv(vec!["claude".into()]);
        assert_eq!(directory(&plain), None);
        let recognised = |job: &mut NewJob| {
            plain(job);
            job.options.agent = Some("claude".into());
        };
        assert_eq!(directory(&recognised).as_deref(), Some("/"));
    }
}
