//! The settings of `qcli`, and who made each.
//!
//! Owns the order of precedence (flag, environment, project file, user's file, default) and the keys of both files.
//! Commands load a [`Config`] once and open the store it names; `qcli config show` prints each value with its origin. A
//! file is only ever read, an unknown key is refused, and what a URL holds besides its scheme is never printed.

pub mod file;
pub mod project;
pub mod store;

use std::collections::HashMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

use crate::args::GlobalArgs;
use crate::error::CliError;
use crate::output::color::ColorChoice;
use file::ConfigFile;
use store::StoreLocation;

/// The environment variable that names the store.
pub const DB_VARIABLE: &str = "QUEUE_DB";
/// The queue that jobs go to when nobody says otherwise.
pub const DEFAULT_QUEUE: &str = "default";
/// The folder of ours in the user's configuration and data directories.
const FOLDER: &str = "qcli";

/// Who made a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag on the command line.
    Flag(&'static str),
    /// A variable of the environment.
    Variable(&'static str),
    /// The project file found in or above the current directory.
    Project(PathBuf),
    /// The user's own file.
    User(PathBuf),
    /// Nobody: it is the default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Project(path) => write!(f, "project file {}", path.display()),
            Self::User(path) => write!(f, "user file {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Who said so.
    pub origin: Origin,
}

/// What the process stands in: taken once, so that settings follow from values and not from the moment of asking.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The current directory, absolute.
    pub cwd: PathBuf,
    /// The environment.
    pub variables: HashMap<OsString, OsString>,
    /// Where users keep configuration, usually `~/.config`; none without a home.
    pub config_home: Option<PathBuf>,
    /// Where users keep data, usually `~/.local/share`; none without a home.
    pub data_home: Option<PathBuf>,
    /// The home directory.
    pub home: Option<PathBuf>,
}

impl Surroundings {
    /// Looks at this process.
    ///
    /// # Errors
    /// When the current directory is gone or cannot be read (exit code 2).
    pub fn of_process() -> Result<Self, CliError> {
        let cwd = env::current_dir().map_err(|cause| {
            CliError::file("find the current directory", Path::new("."), &cause)
                .hint("change to a directory that exists, such as `cd ~`")
        })?;
        let folders = etcetera::base_strategy::Xdg::new().ok();
        Ok(Self {
            cwd,
            variables: env::vars_os().collect(),
            config_home: folders.as_ref().map(etcetera::BaseStrategy::config_dir),
            data_home: folders.as_ref().map(etcetera::BaseStrategy::data_dir),
            home: folders.map(|folders| folders.home_dir().to_owned()),
        })
    }

    /// Gives the path of a file of the user's configuration; none without a home.
    #[must_use]
    pub fn user_file(&self, name: &str) -> Option<PathBuf> {
        Some(self.config_folder()?.join(name))
    }

    /// Where our files lie in the user's configuration; none without a home.
    #[must_use]
    pub fn config_folder(&self) -> Option<PathBuf> {
        self.config_home.as_ref().map(|home| home.join(FOLDER))
    }

    /// Gives a variable; one that is set to nothing counts as absent.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        let value = self.variables.get(OsStr::new(name))?;
        Some(value.as_os_str()).filter(|value| !value.is_empty())
    }
}

/// All settings of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The store.
    pub store: Setting<StoreLocation>,
    /// The queue that new jobs go to.
    pub queue: Setting<String>,
    /// When to use colour.
    pub color: Setting<ColorChoice>,
}

/// One line of `qcli config show`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, as in the files.
    pub key: &'static str,
    /// The value in force.
    pub value: String,
    /// Who said so.
    pub origin: Origin,
}

impl Config {
    /// Settles every setting.
    ///
    /// # Errors
    /// When a file cannot be read or has an unknown key or a value of the wrong kind, when the store is one this
    /// release cannot use, or when nothing says where it is (exit code 2).
    pub fn load(args: &GlobalArgs, around: &Surroundings) -> Result<Self, CliError> {
        let store_is_named = args.db.is_some() || around.variable(DB_VARIABLE).is_some();
        let project = project_file(around, store_is_named)?;
        let user = user_file(around)?;
        let files = [project, user];
        Ok(Self {
            store: store_setting(args, around, &files)?,
            queue: from_files(&files, |file| file.queue.clone())
                .unwrap_or_else(|| default(DEFAULT_QUEUE.to_owned())),
            color: color_setting(args, &files),
        })
    }

    /// Lists every setting with its origin, in the order of the reference.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let entry = |key, value, origin: &Origin| Entry {
            key,
            value,
            origin: origin.clone(),
        };
        vec![
            entry(
                "db",
                self.store.value.path().display().to_string(),
                &self.store.origin,
            ),
            entry("queue", self.queue.value.clone(), &self.queue.origin),
            entry("color", self.color.value.to_string(), &self.color.origin),
        ]
    }
}

type Files = [Option<Found>; 2];

/// A file that was read, and what it is.
struct Found {
    file: ConfigFile,
    origin: Origin,
}

/// Reads the project file. One of another user could send a worker to a store full of that user's jobs, so it is
/// refused, and passed over when the store is named otherwise.
fn project_file(around: &Surroundings, store_is_named: bool) -> Result<Option<Found>, CliError> {
    let Some(place) = project::find(&around.cwd) else {
        return Ok(None);
    };
    match project::check_owner(&place.file) {
        Err(_) if store_is_named => return Ok(None),
        checked => checked?,
    }
    let file = ConfigFile::read(&place.file, &place.base, around.home.as_deref())?;
    Ok(Some(Found {
        file,
        origin: Origin::Project(place.file),
    }))
}

fn user_file(around: &Surroundings) -> Result<Option<Found>, CliError> {
    let Some(folder) = around.config_folder() else {
        return Ok(None);
    };
    let path = folder.join("config.toml");
    if !path.exists() {
        return Ok(None);
    }
    let file = ConfigFile::read(&path, &folder, around.home.as_deref())?;
    Ok(Some(Found {
        file,
        origin: Origin::User(path),
    }))
}

fn store_setting(
    args: &GlobalArgs,
    around: &Surroundings,
    files: &Files,
) -> Result<Setting<StoreLocation>, CliError> {
    if let Some(text) = &args.db {
        let origin = Origin::Flag("--db");
        return settle(
            StoreLocation::parse(OsStr::new(text), &around.cwd, &origin),
            origin,
        );
    }
    if let Some(text) = around.variable(DB_VARIABLE) {
        let origin = Origin::Variable(DB_VARIABLE);
        return settle(StoreLocation::parse(text, &around.cwd, &origin), origin);
    }
    if let Some(found) = files.iter().flatten().find(|found| found.file.db.is_some()) {
        let text = found.file.db.as_deref().unwrap_or_default();
        let location = StoreLocation::parse(OsStr::new(text), &found.file.base, &found.origin);
        return settle(location, found.origin.clone());
    }
    let data = around.data_home.as_ref().ok_or_else(|| {
        CliError::usage("nothing says where the store is, and there is no home directory")
            .hint("name it with `--db PATH` or in $QUEUE_DB")
    })?;
    Ok(default(StoreLocation::in_data_home(&data.join(FOLDER))))
}

fn color_setting(args: &GlobalArgs, files: &Files) -> Setting<ColorChoice> {
    match args.color {
        Some(value) => Setting {
            value,
            origin: Origin::Flag("--color"),
        },
        None => from_files(files, |file| file.color).unwrap_or_else(|| default(ColorChoice::Auto)),
    }
}

fn settle<T>(value: Result<T, CliError>, origin: Origin) -> Result<Setting<T>, CliError> {
    Ok(Setting {
        value: value?,
        origin,
    })
}

fn default<T>(value: T) -> Setting<T> {
    Setting {
        value,
        origin: Origin::Default,
    }
}

/// Takes a value from the first file that has it.
fn from_files<T>(files: &Files, value: impl Fn(&ConfigFile) -> Option<T>) -> Option<Setting<T>> {
    files.iter().flatten().find_map(|found| {
        Some(Setting {
            value: value(&found.file)?,
            origin: found.origin.clone(),
        })
    })
}

#[cfg(test)]
mod tests;
