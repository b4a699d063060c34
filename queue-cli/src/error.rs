//! What a command says when it cannot do what was asked.
//!
//! Owns [`CliError`]: its kind, its exit code and its two forms, words and JSON, both for standard error. Every command
//! returns it and [`crate::output::Output`] writes it. It always says what happened, to which job or file; the hint is a
//! command that can be pasted, or a file and key to look at.

mod core;
mod worktree;

use std::fmt;
use std::io;
use std::path::Path;

use serde_json::json;

use crate::exit_code::ExitCode;
use crate::output::color::{Paint, Role};
use crate::output::sanitize::sanitize;

/// Why a command ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The command line, a setting or a file it names cannot be understood.
    Usage,
    /// What was named does not exist.
    NotFound,
    /// The state of the job, or a name or key in use, does not allow it.
    Conflict,
    /// The store, or standard output, cannot be read or written.
    Store,
    /// The job still runs or waits; not an error of anybody, yet not done.
    StillGoing,
    /// The time to wait is over.
    TimedOut,
    /// A signal ended the command.
    Interrupted,
    /// Whoever reads our standard output went away: a normal end, without a word.
    ClosedPipe,
}

impl ErrorKind {
    /// Gives the exit code that belongs to this kind.
    #[must_use]
    pub const fn exit_code(self) -> ExitCode {
        match self {
            Self::Usage => ExitCode::Usage,
            Self::NotFound => ExitCode::NotFound,
            Self::Conflict => ExitCode::Conflict,
            Self::Store => ExitCode::Store,
            Self::StillGoing => ExitCode::StillGoing,
            Self::TimedOut => ExitCode::TimedOut,
            Self::Interrupted => ExitCode::Interrupted,
            Self::ClosedPipe => ExitCode::Ok,
        }
    }
}

/// An error as a person or a program meets it.
///
/// Texts are lower-case and without a full stop, as they stand after `error: `.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    kind: ErrorKind,
    message: String,
    details: Vec<String>,
    hint: Option<String>,
}

impl CliError {
    /// Makes an error of a kind; `message` says what happened, to which job or file.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            details: Vec::new(),
            hint: None,
        }
    }

    /// The command line, a setting or a file it names cannot be understood (exit code 2).
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// What was named does not exist (exit code 3).
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// The state does not allow it (exit code 4).
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// The store cannot be opened, read or written (exit code 5).
    pub fn store(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Store, message)
    }

    /// A file named on the command line cannot be used (exit code 2): `cannot read /a/b: no such file`.
    pub fn file(doing: &str, path: &Path, cause: &io::Error) -> Self {
        Self::usage(format!(
            "cannot {doing} {}: {}",
            path.display(),
            reason_of(cause)
        ))
    }

    /// Standard output cannot be written. A closed pipe is a normal end; anything else is an error of exit code 5.
    #[must_use]
    pub fn stdout(cause: &io::Error) -> Self {
        if cause.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(
                ErrorKind::ClosedPipe,
                "the reader of standard output went away",
            );
        }
        Self::store(format!(
            "cannot write to standard output: {}",
            reason_of(cause)
        ))
    }

    /// Adds a line of detail below the message.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// Sets what to do next: a command that can be pasted, or a file and key to look at.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Gives the kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Gives what happened, without details and hint.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Gives the exit code of the process that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        self.kind.exit_code()
    }

    /// Tells whether the reader of our output merely went away, so that nothing is to be said.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        self.kind == ErrorKind::ClosedPipe
    }

    /// Renders the words for standard error, each line ended. Control bytes that came in with a name or a path are
    /// made harmless.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        // A cause may speak in several lines: the first is the message, the others are details.
        let mut lines = self.message.lines();
        let first = sanitize(lines.next().unwrap_or_default());
        let mut text = format!("{} {first}\n", paint.apply(Role::Error, "error:"));
        for line in lines.chain(self.details.iter().flat_map(|detail| detail.lines())) {
            text.push_str("  ");
            text.push_str(&sanitize(line));
            text.push('\n');
        }
        if let Some(hint) = &self.hint {
            let mut hint_lines = hint.lines();
            let first = sanitize(hint_lines.next().unwrap_or_default());
            text.push_str(&format!("{} {first}\n", paint.apply(Role::Hint, "hint:")));
            for line in hint_lines {
                text.push_str(&format!("      {}\n", sanitize(line)));
            }
        }
        text
    }

    /// Gives the JSON for standard error under `--json`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "schema": 1,
            "error": {
                "kind": self.exit_code().name(),
                "message": self.message,
                "details": self.details,
                "hint": self.hint,
            },
        })
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}

/// Says why the system refused, in words without an error number.
#[must_use]
pub fn reason_of(cause: &io::Error) -> String {
    let text = cause.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => "unknown reason".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict() -> CliError {
        CliError::conflict("job 42 cannot be retried: it is in progress")
            .detail("attempt 2 runs on worker `mac-7f3a`, lease until 14:03:11")
            .hint("stop it with `qcli cancel 42`, or wait for it with `qcli wait 42`")
    }

    #[test]
    fn error_reads_as_message_detail_and_hint() {
        assert_eq!(
            conflict().render(Paint::plain()),
            "error: job 42 cannot be retried: it is in progress\n\
             \x20 attempt 2 runs on worker `mac-7f3a`, lease until 14:03:11\n\
             hint: stop it with `qcli cancel 42`, or wait for it with `qcli wait 42`\n"
        );
    }

    #[test]
    fn colour_adds_to_the_words_and_replaces_none() {
        let painted = conflict().render(Paint::colored());
        assert!(
            painted.contains("error:") && painted.contains("hint:"),
            "{painted:?}"
        );
        assert!(painted.starts_with("\x1b["), "{painted:?}");
    }

    #[test]
    fn json_names_kind_message_and_hint() {
        let json = conflict().to_json();
        assert_eq!(json["schema"], 1);
        assert_eq!(json["error"]["kind"], "conflict");
        assert_eq!(
            json["error"]["message"],
            "job 42 cannot be retried: it is in progress"
        );
        assert!(
            json["error"]["hint"]
                .as_str()
                .unwrap()
                .contains("qcli cancel 42")
        );
    }

    #[test]
    fn a_message_of_several_lines_keeps_its_form() {
        let error = CliError::usage("bad pattern\nunclosed group\n").detail("one\ntwo");
        assert_eq!(
            error.render(Paint::plain()),
            "error: bad pattern\n  unclosed group\n  one\n  two\n"
        );
    }

    #[test]
    fn a_job_name_cannot_speak_to_the_terminal_through_an_error() {
        let text =
            CliError::not_found("no job is named \u{1b}]0;owned\u{7}").render(Paint::plain());
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{7}'),
            "{text:?}"
        );
    }

    #[test]
    fn every_kind_has_the_exit_code_of_the_list() {
        let code = |error: CliError| error.exit_code().number();
        assert_eq!(code(CliError::usage("")), 2);
        assert_eq!(code(CliError::not_found("")), 3);
        assert_eq!(code(CliError::conflict("")), 4);
        assert_eq!(code(CliError::store("")), 5);
        assert_eq!(ErrorKind::StillGoing.exit_code().number(), 75);
        assert_eq!(ErrorKind::TimedOut.exit_code().number(), 124);
        assert_eq!(ErrorKind::Interrupted.exit_code().number(), 130);
    }

    #[test]
    fn a_closed_pipe_is_a_normal_end_and_a_full_disk_is_not() {
        let closed = CliError::stdout(&io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(closed.is_closed_pipe());
        assert_eq!(closed.exit_code(), ExitCode::Ok);
        let full = CliError::stdout(&io::Error::from_raw_os_error(28));
        assert_eq!(full.exit_code(), ExitCode::Store);
        assert_eq!(
            full.message(),
            "cannot write to standard output: no space left on device"
        );
    }
}
