//! `qcli diff`: what a job changed in its worktree.

use queue_worker::worktree::WorktreeError;
use queue_worker::worktree::git::Git;
use queue_worker::worktree::snapshot::{self, Bytes};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output::Side;
use crate::resolve;
use crate::selector::Selector;
use crate::worktree;

/// Show what a job changed in its worktree
///
/// All of it since the commit it started from: committed, staged, not staged, and new files. It may still run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli diff 42
  qcli diff @ --stat
  qcli diff 42 --json | jq '.files[].path'
  qcli diff 42 | git apply               here, without accepting it")]
pub(crate) struct Args {
    /// The job: number, name, `@` (the last one) or `@~2`
    #[arg(value_name = "JOB", default_value = "@")]
    job: Selector,

    /// Only how many lines of which file
    #[arg(long)]
    stat: bool,
}

/// Prints the changes.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let store = context.existing_store()?;
    let id = resolve::job(&*store, &args.job)?;
    let place = worktree::place(context, id);
    let marker = place.expect()?;
    let tree = place.tree(&marker);
    let files = snapshot::take(&tree, Bytes::Committed)?.files;
    let git = Git::at(&tree);
    let failed = |error| CliError::from(WorktreeError::Git(error));
    if context.out.is_json() {
        let counted = git
            .bytes(&[
                "diff",
                "--numstat",
                "-z",
                "--no-renames",
                &marker.base,
                &files,
            ])
            .map_err(failed)?;
        let listed = json!({
            "id": id,
            "path": tree,
            "branch": marker.branch,
            "base": marker.base,
            "files": changed_files(&counted),
        });
        context.out.json(&listed)?;
        return Ok(ExitCode::Ok);
    }
    let form = if args.stat { "--stat" } else { "--patch" };
    let shown = git
        .bytes(&["diff", "--no-color", form, &marker.base, &files])
        .map_err(failed)?;
    // A terminal must not obey what is in a file; a patch in a pipe must stay as it is.
    match context.out.shows_on_terminal(Side::Data) {
        true => context.out.document(&String::from_utf8_lossy(&shown))?,
        false => context.out.raw(&shown)?,
    }
    Ok(ExitCode::Ok)
}

/// The files of `git diff --numstat -z`: `ADDED TAB REMOVED TAB PATH NUL`, with `-` for binary ones.
fn changed_files(counted: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(counted);
    let entries = text.split('\0').filter(|entry| !entry.is_empty());
    entries
        .filter_map(|entry| {
            let mut fields = entry.splitn(3, '\t');
            let mut count = || fields.next().map(|count| count.parse::<u64>().ok());
            let (added, removed) = (count()?, count()?);
            Some(json!({ "path": fields.next()?, "added": added, "removed": removed }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_listed_with_their_lines_and_binary_ones_without() {
        let files = changed_files(b"3\t1\tsrc/a b.rs\0-\t-\tlogo.png\0");
        assert_eq!(
            files,
            [
                json!({ "path": "src/a b.rs", "added": 3, "removed": 1 }),
                json!({ "path": "logo.png", "added": null, "removed": null }),
            ]
        );
    }
}
