//! Looks whether what is expected of a job is so.
//!
//! Called once its process has ended well, before its checks, in the directory that it ran in. What
//! always holds: each expectation gets an answer with what was found; what cannot be told is not
//! met; nothing that lies there is changed, and no file is waited for.

use std::ffi::OsString;
use std::fs;
use std::io::{BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use queue_core::proof::{Expectation, Expected};
use serde::de::IgnoredAny;

use super::beginning::{Origin, changed_ns};
use super::{glob, printed, tree};
use crate::worktree::git::Git;

/// The largest file that is read to see whether it holds JSON, in bytes.
const LARGEST_JSON: u64 = 256 << 20;
/// So many files are named where there is no room for all.
const NAMED: usize = 5;
/// How much of the name of a commit people need.
const SHORT: usize = 10;

/// What there is to look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The directory that the job ran in.
    pub(crate) cwd: &'a Path,
    /// What is not meant, whatever becomes of it: the store and what lies beside it.
    pub(crate) spare: &'a [PathBuf],
    /// Where files for a moment may be made.
    pub(crate) scratch: &'a Path,
    /// What was there when the job first began.
    pub(crate) origin: Option<&'a Origin>,
}

/// An answer: whether it is so, and what was found.
type Answer = Result<(bool, String), String>;

/// Looks at all of them.
pub(crate) fn look(expect: &[Expectation], place: Place<'_>) -> Vec<Expected> {
    let answers = expect.iter().map(|expectation| {
        let answer = place.look(expectation);
        // What cannot be told is not met.
        let (met, found) = answer.unwrap_or_else(|trouble| (false, trouble));
        Expected {
            expect: expectation.clone(),
            met,
            found: printed::one_line(&found),
        }
    });
    answers.collect()
}

impl Place<'_> {
    fn look(&self, expectation: &Expectation) -> Answer {
        match expectation {
            Expectation::Commit => self.commit(),
            Expectation::Diff => self.diff(),
            Expectation::Clean => self.clean(),
            Expectation::File(pattern) => self.file(pattern),
            Expectation::Json(path) => json(&self.cwd.join(path)),
        }
    }

    /// What was there, as git told it.
    fn origin(&self) -> Result<&Origin, String> {
        const UNKNOWN: &str = "what was there when the job first began is not known";
        let origin = self.origin.ok_or(UNKNOWN)?;
        match &origin.trouble {
            Some(trouble) => Err(format!("{UNKNOWN}: {trouble}")),
            None => Ok(origin),
        }
    }

    fn commit(&self) -> Answer {
        let before = self.origin()?.head.as_deref();
        let git = Git::at(self.cwd);
        let told = |error: crate::worktree::git::GitError| error.to_string();
        let Some(now) = tree::head(&git).map_err(told)? else {
            return Ok((false, "there is no commit yet".to_owned()));
        };
        let Some(before) = before else {
            return Ok((true, format!("{} is the first commit", short(&now))));
        };
        if now == before {
            return Ok((false, format!("no commit since {}", short(before))));
        }
        let range = format!("{before}..{now}");
        let count = git.text(&["rev-list", "--count", &range]).map_err(told)?;
        let (now, before) = (short(&now), short(before));
        Ok(match count.as_str() {
            "0" => (
                false,
                format!("{now} is checked out, which is older than {before}"),
            ),
            "1" => (true, format!("1 commit since {before}")),
            many => (true, format!("{many} commits since {before}")),
        })
    }

    fn diff(&self) -> Answer {
        let before = self.origin()?.tree.as_deref();
        let before = before.ok_or("the files when the job first began are not known")?;
        let now = tree::of_files(&Git::at(self.cwd), self.scratch, self.spare);
        let differs = now.map_err(|error| error.to_string())? != before;
        let found = match differs {
            true => "files differ from when the job first began",
            false => "no file differs from when the job first began",
        };
        Ok((differs, found.to_owned()))
    }

    fn clean(&self) -> Answer {
        let git = Git::at(self.cwd);
        let words = [
            "--no-optional-locks",
            "status",
            "--porcelain=v1",
            "-z",
            "--no-renames",
        ];
        let listed = tree::without(&git, self.spare).and_then(|limits| {
            let words = words.map(OsString::from).into_iter();
            git.bytes(&words.chain(limits).collect::<Vec<_>>())
        });
        let listed = listed.map_err(|error| error.to_string())?;
        // `XY PATH`
        let entries = listed.split(|byte| *byte == 0).filter(|it| it.len() > 3);
        let names: Vec<_> = entries
            .map(|entry| String::from_utf8_lossy(&entry[3..]).into_owned())
            .collect();
        if names.is_empty() {
            return Ok((true, "nothing is uncommitted".to_owned()));
        }
        let mut found = format!(
            "not committed: {}",
            names[..names.len().min(NAMED)].join(", ")
        );
        if names.len() > NAMED {
            found += &format!(" and {} more", names.len() - NAMED);
        }
        Ok((false, found))
    }

    /// Whether a file is one that the queue writes. Worktrees lie among those, and what lies in the job's
    /// own is the job's.
    fn is_queues_own(&self, path: &Path) -> bool {
        let mut around = self
            .spare
            .iter()
            .filter(|spare| !self.cwd.starts_with(spare));
        around.any(|spare| path.starts_with(spare))
    }

    fn file(&self, pattern: &str) -> Answer {
        let since = match self.origin {
            Some(origin) => origin.since_ns,
            None => return Err("when the job first began is not known".to_owned()),
        };
        let mut old = 0_u64;
        let found = glob::each(self.cwd, pattern, &mut |path, file| {
            if self.is_queues_own(path) {
                return ControlFlow::Continue(());
            }
            if changed_ns(file) >= since {
                return ControlFlow::Break(path.to_owned());
            }
            old += 1;
            ControlFlow::Continue(())
        });
        Ok(match (found, old) {
            (ControlFlow::Break(path), _) => {
                let shown = path.strip_prefix(self.cwd).unwrap_or(&path);
                (true, shown.display().to_string())
            }
            (ControlFlow::Continue(()), 0) => (false, "there is no such file".to_owned()),
            (ControlFlow::Continue(()), 1) => (
                false,
                "1 file of such a name was there before and has not changed".to_owned(),
            ),
            (ControlFlow::Continue(()), many) => (
                false,
                format!("{many} files of such a name were there before and have not changed"),
            ),
        })
    }
}

fn json(path: &Path) -> Answer {
    // Asked first: to open a pipe would wait for a writer.
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok((false, "there is no such file".to_owned()));
        }
        Err(error) => return Err(format!("it cannot be looked at: {error}")),
        Ok(file) if !file.is_file() => return Ok((false, "it is no file".to_owned())),
        Ok(file) if file.len() > LARGEST_JSON => {
            return Ok((
                false,
                format!("it has {} bytes: too many to read", file.len()),
            ));
        }
        Ok(_) => {}
    }
    let file = fs::File::open(path).map_err(|error| format!("it cannot be read: {error}"))?;
    let source = BufReader::new(file.take(LARGEST_JSON));
    Ok(match serde_json::from_reader::<_, IgnoredAny>(source) {
        Ok(_) => (true, "it holds JSON".to_owned()),
        Err(error) => (false, format!("it holds no JSON: {error}")),
    })
}

fn short(commit: &str) -> &str {
    commit.get(..SHORT).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(place: Place<'_>, text: &str) -> (bool, String) {
        let expected = look(&[text.parse().unwrap()], place).remove(0);
        (expected.met, expected.found)
    }

    #[test]
    fn a_file_counts_if_it_is_younger_than_the_job() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("old.md"), "").unwrap();
        let origin = Origin {
            since_ns: changed_ns(&fs::metadata(dir.path().join("old.md")).unwrap()) + 1,
            head: None,
            tree: None,
            trouble: None,
        };
        let place = |origin| Place {
            cwd: dir.path(),
            spare: &[],
            scratch: dir.path(),
            origin,
        };
        let (met, text) = found(place(Some(&origin)), "file:*.md");
        assert!(!met && text.contains("has not changed"), "{text}");
        let (met, text) = found(place(Some(&origin)), "file:*.html");
        assert!(!met && text.contains("no such file"), "{text}");
        assert!(!found(place(None), "file:*.md").0);
        let older = Origin {
            since_ns: origin.since_ns - 1,
            ..origin.clone()
        };
        assert_eq!(
            found(place(Some(&older)), "file:*.md"),
            (true, "old.md".into())
        );
    }

    #[test]
    fn json_is_read_and_nothing_else_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place {
            cwd: dir.path(),
            spare: &[],
            scratch: dir.path(),
            origin: None,
        };
        assert!(!found(place, "json:a.json").0);
        for (text, holds) in [
            ("{\"a\": [1]}", true),
            ("", false),
            ("{} x", false),
            ("{", false),
        ] {
            fs::write(dir.path().join("a.json"), text).unwrap();
            assert_eq!(found(place, "json:a.json").0, holds, "{text}");
        }
        let pipe = dir.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
        assert_eq!(found(place, "json:pipe"), (false, "it is no file".into()));
    }

    #[test]
    fn without_a_known_beginning_nothing_is_taken_for_proven() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place {
            cwd: dir.path(),
            spare: &[],
            scratch: dir.path(),
            origin: None,
        };
        for text in ["commit", "diff", "clean"] {
            assert!(!found(place, text).0, "{text}");
        }
    }
}
