//! Finds the program a job names, as a shell would.
//!
//! Called by the worker before it builds a `Spec`. What always holds: the answer is an absolute
//! path to a file that could be executed a moment ago. The worker resolves names itself because a
//! bare name together with a changed `PATH` sends std down the slow fork path.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::{SpawnClass, SpawnProblem};

/// Where a job without `PATH` looks: the usual default of a shell.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Finds the absolute path of `name` by the `PATH` and working directory of the job.
///
/// A name with a slash is a path, relative to `cwd`. An empty or relative entry of `PATH` is
/// relative to `cwd` too.
///
/// # Errors
/// [`SpawnClass::BadCwd`] when `cwd` is no directory, [`SpawnClass::NotFound`] when nothing by
/// that name exists, [`SpawnClass::NotExecutable`] when all that exists cannot be executed.
pub fn resolve_program(
    name: &OsStr,
    path: Option<&OsStr>,
    cwd: &Path,
) -> Result<PathBuf, SpawnProblem> {
    check_cwd(cwd)?;
    if name.is_empty() {
        return Err(SpawnProblem::new(
            SpawnClass::NotFound,
            "the command is empty; name a program after `--`",
        ));
    }
    if name.as_bytes().contains(&b'/') {
        resolve_path(&cwd.join(name))
    } else {
        search(name, path.unwrap_or(OsStr::new(DEFAULT_PATH)), cwd)
    }
}

/// Refuses a working directory that cannot be entered.
pub(super) fn check_cwd(cwd: &Path) -> Result<(), SpawnProblem> {
    match std::fs::metadata(cwd) {
        Err(error) => Err(SpawnProblem::bad_cwd(cwd, &error)),
        Ok(found) if !found.is_dir() => Err(SpawnProblem::bad_cwd(
            cwd,
            &io::Error::from(rustix::io::Errno::NOTDIR),
        )),
        Ok(_) => rustix::fs::access(cwd, Access::EXEC_OK)
            .map_err(|errno| SpawnProblem::bad_cwd(cwd, &errno.into())),
    }
}

fn resolve_path(path: &Path) -> Result<PathBuf, SpawnProblem> {
    let name = path.display();
    match executable(path) {
        Ok(()) => Ok(path.to_owned()),
        Err(error) if is_missing(&error) => Err(SpawnProblem::from_io(
            SpawnClass::NotFound,
            format!("`{name}` does not exist; correct the path"),
            &error,
        )),
        Err(error) => Err(SpawnProblem::from_io(
            SpawnClass::NotExecutable,
            format!("`{name}` cannot be executed; try `chmod +x`"),
            &error,
        )),
    }
}

fn search(name: &OsStr, path: &OsStr, cwd: &Path) -> Result<PathBuf, SpawnProblem> {
    let mut refused = None;
    for directory in std::env::split_paths(path) {
        let candidate = cwd.join(directory).join(name);
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) if is_missing(&error) => {}
            Err(error) => {
                refused.get_or_insert((candidate, error));
            }
        }
    }
    let shown = name.display();
    Err(match refused {
        Some((candidate, error)) => SpawnProblem::from_io(
            SpawnClass::NotExecutable,
            format!(
                "`{shown}` was found as `{}`, which cannot be executed; try `chmod +x`",
                candidate.display()
            ),
            &error,
        ),
        None => SpawnProblem::new(
            SpawnClass::NotFound,
            format!(
                "`{shown}` is in no directory of the job's PATH ({}); install it, give its absolute path, or set PATH with `--env`",
                path.display()
            ),
        ),
    })
}

/// Whether `path` is a file we may execute.
fn executable(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.is_dir() {
        return Err(rustix::io::Errno::ISDIR.into());
    }
    Ok(rustix::fs::access(path, Access::EXEC_OK)?)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn program(dir: &Path, name: &str, mode: u32) -> PathBuf {
        let path = dir.join(name);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn class(name: &str, path: &Path, cwd: &Path) -> SpawnClass {
        resolve_program(OsStr::new(name), Some(path.as_os_str()), cwd)
            .unwrap_err()
            .class
    }

    #[test]
    fn a_bare_name_is_sought_in_path_and_directories_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::create_dir_all(a.join("tool")).unwrap();
        fs::create_dir_all(&b).unwrap();
        let tool = program(&b, "tool", 0o755);
        let path = std::env::join_paths([&a, &b]).unwrap();
        assert_eq!(
            resolve_program(OsStr::new("tool"), Some(&path), dir.path()).unwrap(),
            tool
        );
    }

    #[test]
    fn a_relative_name_and_a_relative_path_entry_start_at_the_working_directory() {
        let dir = tempfile::tempdir().unwrap();
        program(dir.path(), "tool", 0o755);
        let by_name = resolve_program(OsStr::new("./tool"), None, dir.path()).unwrap();
        let by_path =
            resolve_program(OsStr::new("tool"), Some(OsStr::new("")), dir.path()).unwrap();
        assert!(by_name.is_absolute() && by_name.exists());
        assert!(by_path.is_absolute() && by_path.exists());
    }

    #[test]
    fn each_way_a_program_can_be_missing_has_its_class() {
        let dir = tempfile::tempdir().unwrap();
        program(dir.path(), "plain", 0o644);
        let here = dir.path();
        assert_eq!(class("nowhere", here, here), SpawnClass::NotFound);
        assert_eq!(class("./nowhere", here, here), SpawnClass::NotFound);
        assert_eq!(class("", here, here), SpawnClass::NotFound);
        assert_eq!(class("plain", here, here), SpawnClass::NotExecutable);
        assert_eq!(class("./plain", here, here), SpawnClass::NotExecutable);
        assert_eq!(class("/", here, here), SpawnClass::NotExecutable);
        assert_eq!(class("sh", here, &here.join("gone")), SpawnClass::BadCwd);
        assert_eq!(class("sh", here, &here.join("plain")), SpawnClass::BadCwd);
    }

    #[test]
    fn the_text_names_the_file_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        let problem = resolve_program(OsStr::new("true"), None, &gone).unwrap_err();
        assert!(problem.text.contains(gone.to_str().unwrap()), "{problem}");
        assert!(problem.text.contains("--cwd"), "{problem}");
    }
}
