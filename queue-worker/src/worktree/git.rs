//! Runs git, the program: in one directory, in one language, and without a terminal.
//!
//! All of the module's work on repositories goes through [`Git`]. What always holds: no variable
//! that points git at another repository is passed on, nothing waits for a password or an editor,
//! and a failure carries the command and what git said.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Variables by which git finds a repository, an index or objects elsewhere than where it stands:
/// what `git rev-parse --local-env-vars` prints. With them a job would write to another checkout.
pub const LOCAL_VARIABLES: [&str; 17] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// Git in one directory.
#[derive(Debug, Clone)]
pub struct Git {
    directory: PathBuf,
    variables: Vec<(OsString, OsString)>,
}

/// Git could not be run, or said no.
#[derive(Debug, thiserror::Error)]
#[error("`{command}` in `{}` failed: {said}", .directory.display())]
pub struct GitError {
    /// The command line, for people.
    pub command: String,
    /// Where it ran.
    pub directory: PathBuf,
    /// What it said, or why it did not run.
    pub said: String,
    /// Its exit code, where it ran and was not killed.
    pub code: Option<i32>,
}

impl Git {
    /// Git in `directory`.
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            variables: Vec::new(),
        }
    }

    /// The same in another directory.
    #[must_use]
    pub fn in_directory(mut self, directory: &Path) -> Self {
        directory.clone_into(&mut self.directory);
        self
    }

    /// The same with one variable more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Runs git and returns what it wrote to its standard output, without the last newline.
    ///
    /// # Errors
    /// When it cannot be run, exits with another code than 0, or writes what is no UTF-8.
    pub fn text<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String, GitError> {
        let bytes = self.bytes(args)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| self.error(args, "its answer is no UTF-8".to_owned(), None))?;
        Ok(text.trim_end_matches('\n').to_owned())
    }

    /// Runs git and returns what it wrote to its standard output.
    ///
    /// # Errors
    /// When it cannot be run or exits with another code than 0.
    pub fn bytes<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Vec<u8>, GitError> {
        let output = self.output(args)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(self.refused(args, &output))
    }

    /// Runs git and tells whether it exited with 0; 1 is no.
    ///
    /// # Errors
    /// When it cannot be run or exits with any other code.
    pub fn says<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<bool, GitError> {
        let output = self.output(args)?;
        match output.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(self.refused(args, &output)),
        }
    }

    /// Puts all files that `limits` (`--` and paths) name and git does not ignore into the index,
    /// whatever this repository is set to warn of or to ask a monitor about.
    ///
    /// # Errors
    /// When git cannot be run, or cannot read a file.
    pub fn add_all<S: AsRef<OsStr>>(&self, limits: &[S]) -> Result<(), GitError> {
        const WORDS: [&str; 8] = [
            "-c",
            "core.safecrlf=false",
            "-c",
            "core.fsmonitor=false",
            "-c",
            "advice.addEmbeddedRepo=false",
            "add",
            "--all",
        ];
        let words = WORDS.iter().map(OsStr::new);
        let args: Vec<&OsStr> = words.chain(limits.iter().map(AsRef::as_ref)).collect();
        self.bytes(&args).map(drop)
    }

    /// Runs git with `input` to read, and returns what it wrote to its standard output.
    ///
    /// # Errors
    /// When it cannot be run or exits with another code than 0.
    pub fn fed<S: AsRef<OsStr>>(&self, args: &[S], input: &[u8]) -> Result<Vec<u8>, GitError> {
        let failed = |error: io::Error| self.error(args, error.to_string(), None);
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut stdin = child.stdin.take();
        // Git may write before it has read all: one thread feeds, the other takes.
        let output = std::thread::scope(|scope| {
            scope.spawn(move || {
                // A git that ends early says why by its exit code.
                let _ = stdin.take().map(|mut pipe| pipe.write_all(input));
            });
            child.wait_with_output()
        });
        let output = output.map_err(failed)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(self.refused(args, &output))
    }

    /// Runs git and returns whatever came of it.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn output<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Output, GitError> {
        self.command(args).output().map_err(|error| {
            let said = match error.kind() {
                io::ErrorKind::NotFound if self.directory.is_dir() => {
                    "git is not on the PATH; install it".to_owned()
                }
                _ => error.to_string(),
            };
            self.error(args, said, None)
        })
    }

    /// The command, ready to run.
    #[must_use]
    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new("git");
        command
            .args(args)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            // Messages are shown and looked at: one language. A hook must not ask anybody.
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_EDITOR", "true");
        for name in LOCAL_VARIABLES {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn refused<S: AsRef<OsStr>>(&self, args: &[S], output: &Output) -> GitError {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let stdout = String::from_utf8_lossy(&output.stdout);
        let said = [stderr.trim(), stdout.trim()]
            .into_iter()
            .find(|text| !text.is_empty())
            .map_or_else(|| output.status.to_string(), shorten);
        self.error(args, said, output.status.code())
    }

    fn error<S: AsRef<OsStr>>(&self, args: &[S], said: String, code: Option<i32>) -> GitError {
        let words = args.iter().map(|arg| arg.as_ref().to_string_lossy());
        GitError {
            command: words.fold("git".to_owned(), |line, word| line + " " + &word),
            directory: self.directory.clone(),
            said,
            code,
        }
    }
}

/// The last lines of what git said, where it gives its reasons.
fn shorten(text: &str) -> String {
    const LINES: usize = 4;
    let lines = text.lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    // After a colon comes what it announces.
    last.join("; ").replace(":; ", ": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_said_in_several_lines_is_one() {
        let said = "error: files would be overwritten by merge:\n\tREADME.md\nAborting\n";
        assert_eq!(
            shorten(said),
            "error: files would be overwritten by merge: README.md; Aborting"
        );
    }

    #[test]
    fn a_refusal_says_what_was_tried_where_and_why() {
        let dir = tempfile::tempdir().unwrap();
        let error = Git::at(dir.path())
            .text(&["rev-parse", "HEAD"])
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("git rev-parse HEAD"), "{text}");
        assert!(text.contains(dir.path().to_str().unwrap()), "{text}");
        assert!(text.contains("not a git repository"), "{text}");
        assert_eq!(error.code, Some(128));
    }
}
