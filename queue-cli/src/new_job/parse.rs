//! How the parts of a new job are written: durations, policies, variables, dependencies.
//!
//! The options of `enqueue` and the fields of a line of `--from-file` read them here, so both accept and refuse the same.
//! What is refused names the input and the accepted forms; whoever calls adds the option or the field.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::builder::TypedValueParser;
use queue_core::Store;
use queue_core::job::{After, ParentEnd};
use queue_core::raw_text::RawText;
use queue_core::retry::Backoff;
use queue_core::units::{about_bytes, parse_bytes, parse_cpus, parse_duration};

use crate::error::{CliError, reason_of};
use crate::resolve;
use crate::selector::Selector;

/// Reads a priority.
pub(crate) fn priority(text: &str) -> Result<i32, String> {
    let number = text.trim().parse().ok();
    number
        .filter(|number| (-1_000..=1_000).contains(number))
        .ok_or_else(|| "write a whole number from -1000 to 1000; higher goes first".to_owned())
}

/// A job that has to end first, as a person names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AfterArg {
    /// Which job.
    pub(crate) job: Selector,
    /// How it has to end.
    pub(crate) end: ParentEnd,
}

impl AfterArg {
    /// Finds the job in the store.
    ///
    /// # Errors
    /// When it does not exist (exit code 3).
    pub(crate) fn find(&self, store: &dyn Store) -> Result<After, CliError> {
        Ok(After {
            parent: resolve::job(store, &self.job)?,
            end: self.end,
        })
    }
}

impl FromStr for AfterArg {
    type Err = String;

    /// Reads `JOB`, `JOB:success`, `JOB:failure` or `JOB:any`. A colon before any other word belongs to the name.
    fn from_str(text: &str) -> Result<Self, String> {
        let (job, end) = match text.rsplit_once(':') {
            Some((job, word)) => match word.parse() {
                Ok(end) => (job, end),
                Err(_) if job.bytes().all(|byte| byte.is_ascii_digit()) || job.starts_with('@') => {
                    return Err(format!(
                        "`{word}` is no end of a job: write `{job}`, `{job}:success`, `{job}:failure` or `{job}:any`"
                    ));
                }
                Err(_) => (text, ParentEnd::Success),
            },
            None => (text, ParentEnd::Success),
        };
        let job = job.parse().map_err(with_causes)?;
        Ok(Self { job, end })
    }
}

/// Reads a duration.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(with_causes)
}

/// Reads a duration of more than nothing.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err(format!(
            "`{text}` is no time at all: write at least 1ms, or leave it out"
        )),
        span => Ok(span),
    }
}

/// Reads a line for `sh -c` that checks a job.
pub(crate) fn check(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err(
            "an empty line checks nothing: write a command, such as 'cargo test'".to_owned(),
        );
    }
    if text.contains('\0') {
        return Err("a line with a NUL byte is no command".to_owned());
    }
    Ok(text.to_owned())
}

/// Reads a byte size.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    parse_bytes(text).map_err(with_causes)
}

/// The least memory a job may be bound to: in less than this a program does not even start.
const LEAST_MEMORY: u64 = 4 << 20;

/// Reads the most memory that a job may use.
pub(crate) fn memory(text: &str) -> Result<u64, String> {
    match bytes(text)? {
        little if little < LEAST_MEMORY => Err(format!(
            "`{text}` is too little to start a program in: write at least {}",
            about_bytes(LEAST_MEMORY)
        )),
        memory => Ok(memory),
    }
}

/// Reads the number of processors that a job may use, in thousandths.
pub(crate) fn cpus(text: &str) -> Result<u32, String> {
    parse_cpus(text).map_err(with_causes)
}

/// Reads a backoff policy.
pub(crate) fn backoff(text: &str) -> Result<Backoff, String> {
    text.parse().map_err(with_causes)
}

/// Reads a label, `KEY=VALUE`.
pub(crate) fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some(("", _)) | None => Err(format!("`{text}` is no label: write `key=value`")),
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
    }
}

/// Reads a name of a job: any text that a [`Selector`] reads as a name.
pub(crate) fn name(text: &str) -> Result<String, String> {
    match text.parse::<Selector>() {
        Ok(Selector::Name(name)) => Ok(name),
        Ok(_) | Err(_) if text.starts_with('@') => Err(format!(
            "`{text}` would hide behind `@`, the job added last: begin the name with something else"
        )),
        Ok(_) => Err(format!(
            "`{text}` would be taken for a number: put a letter into the name"
        )),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads `KEY=VALUE` for the environment; the value may be any bytes but NUL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VariableParser;

impl TypedValueParser for VariableParser {
    type Value = (String, RawText);

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        variable(value).map_err(|why| {
            let option = arg.map(ToString::to_string).unwrap_or_default();
            clap::Error::raw(
                clap::error::ErrorKind::ValueValidation,
                format!("invalid value for '{option}': {why}\n"),
            )
            .with_cmd(command)
        })
    }
}

/// Never shows the value, which may be a secret.
fn variable(text: &OsStr) -> Result<(String, RawText), String> {
    let bytes = text.as_bytes();
    let equals = bytes.iter().position(|&byte| byte == b'=').ok_or(
        "it has no `=`: write KEY=VALUE, or `--env-pass KEY` to pass on a variable of this shell",
    )?;
    let name = std::str::from_utf8(&bytes[..equals]).map_err(|_| "its name is not UTF-8")?;
    if name.is_empty() {
        return Err("its name is empty: write KEY=VALUE".to_owned());
    }
    Ok((
        name.to_owned(),
        OsString::from_vec(bytes[equals + 1..].to_vec()).into(),
    ))
}

/// Makes a directory that a job is to run in absolute, as seen from `base`.
///
/// # Errors
/// When it is missing or no directory (exit code 2): a job that can never start is refused while somebody looks on.
pub(crate) fn directory(dir: &Path, base: &Path) -> Result<PathBuf, CliError> {
    let path = absolute(dir, base);
    match std::fs::metadata(&path) {
        Ok(about) if about.is_dir() => Ok(path),
        Ok(_) => Err(CliError::usage(format!(
            "the job cannot run in {}: it is not a directory",
            path.display()
        ))
        .hint("name a directory with `--cwd DIR`")),
        Err(cause) => Err(CliError::usage(format!(
            "the job cannot run in {}: {}",
            path.display(),
            reason_of(&cause)
        ))
        .hint(format!(
            "make it with `mkdir -p {}`, or name another with `--cwd DIR`",
            shell_words::quote(&path.to_string_lossy())
        ))),
    }
}

/// Makes a file that a job is to read absolute, as seen from `base`.
///
/// # Errors
/// When it cannot be opened, or is a directory (exit code 2).
pub(crate) fn input_file(file: &Path, base: &Path) -> Result<PathBuf, CliError> {
    let path = absolute(file, base);
    let refuse =
        |cause: &std::io::Error| CliError::file("read the job's standard input", &path, cause);
    let about = std::fs::metadata(&path).map_err(|cause| refuse(&cause))?;
    if about.is_dir() {
        return Err(refuse(&std::io::ErrorKind::IsADirectory.into()));
    }
    // Opening a pipe waits for a writer, so only plain files are tried.
    if about.is_file() {
        std::fs::File::open(&path).map_err(|cause| refuse(&cause))?;
    }
    Ok(path)
}

fn absolute(path: &Path, base: &Path) -> PathBuf {
    let joined = base.join(path);
    std::path::absolute(&joined).unwrap_or(joined)
}

/// An error with its causes in one line: options and fields have no room for more.
fn with_causes(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, ": {error}").expect("writing to a String cannot fail");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Result<(String, ParentEnd), String> {
        text.parse::<AfterArg>()
            .map(|after| (after.job.to_string(), after.end))
    }

    #[test]
    fn a_dependency_names_a_job_and_how_it_has_to_end() {
        assert_eq!(after("41"), Ok(("41".into(), ParentEnd::Success)));
        assert_eq!(after("41:any"), Ok(("41".into(), ParentEnd::Any)));
        assert_eq!(after("@:failure"), Ok(("@".into(), ParentEnd::Failure)));
        assert_eq!(
            after("build:web"),
            Ok(("build:web".into(), ParentEnd::Success))
        );
        assert_eq!(
            after("build:web:any"),
            Ok(("build:web".into(), ParentEnd::Any))
        );
        assert!(after("41:done").unwrap_err().contains("41:failure"));
        assert!(after("").is_err());
    }

    #[test]
    fn a_name_cannot_hide_a_job() {
        assert_eq!(name("nightly"), Ok("nightly".into()));
        for text in ["42", "@", "@x", "", "a\nb", "0"] {
            assert!(name(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_wrong_variable_is_refused_without_its_value() {
        let bytes = OsStr::from_bytes(b"KEY=a=\xff");
        let (name, value) = variable(bytes).unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("KEY", &b"a=\xff"[..]));
        let error = variable(OsStr::new("hunter2")).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_wait_that_cannot_be_read_tells_the_accepted_forms() {
        assert!(backoff("fixed:90").unwrap_err().contains("200ms, 30s"));
        assert!(span("0s").is_err());
        assert_eq!(span("2h30m"), Ok(Duration::from_secs(9_000)));
    }

    #[test]
    fn a_directory_that_is_missing_is_named() {
        let error = directory(Path::new("no/such"), Path::new("/")).unwrap_err();
        assert!(error.message().contains("/no/such"), "{error}");
        assert_eq!(error.exit_code().number(), 2);
        assert_eq!(
            directory(Path::new("."), Path::new("/usr")).unwrap(),
            Path::new("/usr")
        );
    }
}
