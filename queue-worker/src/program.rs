//! The program `queue-worker`.
//!
//! Reads its arguments, opens the store and works. What always holds: it exits 0 after an end that
//! was asked for, 2 for arguments it cannot read, and 5 when the store fails.

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory as _, Parser};
use queue_core::Store;
use queue_core::store::sqlite::{Durability, OpenOptions, SqliteStore};

use crate::args::WorkArgs;
use crate::console::Console;
use crate::signals::Stop;
use crate::worker::{self, Summary};

/// The exit code when the store or the machine fails us.
const FAILED: u8 = 5;

/// Runs the jobs of a queue
///
/// The same as `qcli work`, for service managers and scripts. The first INT or TERM lets running
/// jobs end and starts no more. The second ends the worker and leaves them running: the next worker
/// adopts them. Jobs run with `--direct` are stopped then and handed back without costing an attempt;
/// a third signal kills those.
#[derive(Debug, Parser)]
#[command(
    name = "queue-worker",
    version,
    max_term_width = 100,
    after_help = "Examples:
  queue-worker                        work until stopped
  queue-worker --drain                work off what is there and end, for cron
  queue-worker -j 2 --queues builds   two jobs at once, of one queue"
)]
struct Arguments {
    /// The store to use
    ///
    /// A path, or a URL `sqlite:PATH`. Without it: $QUEUE_DB, then the data directory of the user.
    /// Project files are read by `qcli work` only.
    #[arg(
        long,
        value_name = "PATH|URL",
        env = "QUEUE_DB",
        hide_env_values = true
    )]
    db: Option<OsString>,

    #[command(flatten)]
    work: WorkArgs,

    /// What a committed change survives: `full` a power cut, `normal` a crash of the process
    #[arg(long, value_name = "LEVEL", value_parser = ["full", "normal"], default_value = "full")]
    durability: String,

    /// Say only what goes wrong
    #[arg(short, long)]
    quiet: bool,

    /// Say more; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Say it as JSON, one event a line
    #[arg(long)]
    json: bool,
}

/// The command line, as help and the reference page show it.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the program with the arguments and the environment of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    Console {
        is_quiet: arguments.quiet,
        verbosity: arguments.verbose,
        is_json: arguments.json,
    }
    .start(std::env::var("QUEUE_LOG").ok().as_deref());
    match work(&arguments) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            let causes = with_causes(error.as_ref());
            tracing::error!("{causes}");
            ExitCode::from(FAILED)
        }
    }
}

fn work(arguments: &Arguments) -> Result<Summary, Box<dyn Error>> {
    let path = store_path(arguments.db.as_deref().map(Path::new))?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| {
            format!("the directory {} cannot be made: {error}", folder.display())
        })?;
    }
    let options = OpenOptions {
        durability: match arguments.durability.as_str() {
            "normal" => Durability::Normal,
            _ => Durability::Full,
        },
        ..OpenOptions::default()
    };
    let store = SqliteStore::open(&path, &options)?;
    let path = store.path().to_owned();
    let store: Arc<dyn Store> = Arc::new(store);
    Ok(worker::run(
        &store,
        &path,
        arguments.work.options(),
        Stop::new(),
    )?)
}

/// Where the store is, by the rules of `qcli` without its configuration files.
fn store_path(asked: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(asked) = asked.filter(|path| !path.as_os_str().is_empty()) {
        let text = asked.to_str();
        return match text.and_then(|text| text.split_once(':')) {
            Some(("sqlite", path)) => Ok(path.strip_prefix("//").unwrap_or(path).into()),
            Some((scheme, rest)) if rest.starts_with("//") => Err(format!(
                "this release has no store for `{scheme}:` URLs; name a file with `--db PATH`"
            )),
            _ => Ok(asked.to_owned()),
        };
    }
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/share")))
        .ok_or("there is no home directory; name the store with `--db PATH`")?;
    Ok(data.join("qcli").join("queue.db"))
}

fn with_causes(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        command().debug_assert();
    }

    #[test]
    fn a_store_is_a_path_or_a_url() {
        let path = |text: &str| store_path(Some(Path::new(text)));
        assert_eq!(path("a/b.db").unwrap(), Path::new("a/b.db"));
        assert_eq!(path("sqlite:/a/b.db").unwrap(), Path::new("/a/b.db"));
        assert_eq!(path("sqlite:///a/b.db").unwrap(), Path::new("/a/b.db"));
        assert!(path("postgres://host/db").is_err());
    }
}
