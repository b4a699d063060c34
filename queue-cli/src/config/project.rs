//! Finds the project file `.queue.toml` from wherever a person stands in the project.
//!
//! Owns the walk upward and what a linked git worktree means for it; [`super::Config`] calls it. From every sub-directory
//! and every worktree of a repository the same store comes out: a worktree stands for the place in the main checkout that
//! it mirrors, because a store per worktree would hide the jobs of one from the other.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::error::CliError;

/// The name of the file.
pub const FILE_NAME: &str = ".queue.toml";

/// Where a project file was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The directory its relative paths start from: its own, or the one it mirrors in the main checkout.
    pub base: PathBuf,
}

/// Walks up from `cwd`, nearest first.
#[must_use]
pub fn find(cwd: &Path) -> Option<Place> {
    let Some(worktree) = LinkedWorktree::around(cwd) else {
        return cwd.ancestors().find_map(|folder| at(folder, folder));
    };
    let inside = cwd
        .ancestors()
        .take_while(|folder| folder.starts_with(&worktree.root));
    let in_repository = inside.into_iter().find_map(|folder| {
        let mirrored = worktree.mirror(folder)?;
        // The main checkout goes first: its file is the one that everybody else reads.
        at(&mirrored, &mirrored).or_else(|| at(folder, &mirrored))
    });
    in_repository.or_else(|| {
        let above = worktree.main.ancestors().skip(1);
        above.into_iter().find_map(|folder| at(folder, folder))
    })
}

/// Refuses a file that belongs to somebody else than this user and root, as `git` does with a repository.
///
/// # Errors
/// When it belongs to somebody else, or cannot be looked at (exit code 2).
pub fn check_owner(file: &Path) -> Result<(), CliError> {
    let owner = fs::metadata(file)
        .map_err(|cause| CliError::file("read the configuration", file, &cause))?
        .uid();
    refuse_foreign(file, owner, rustix::process::geteuid().as_raw())
}

fn refuse_foreign(file: &Path, owner: u32, own: u32) -> Result<(), CliError> {
    if owner == own || owner == 0 {
        return Ok(());
    }
    Err(
        CliError::usage(format!("{} belongs to another user", file.display()))
            .detail(format!(
                "its owner has the user id {owner}, this process has {own}"
            ))
            .hint("name the store with `--db PATH` or $QUEUE_DB, and the file is passed over"),
    )
}

fn at(folder: &Path, base: &Path) -> Option<Place> {
    let file = folder.join(FILE_NAME);
    // Anything of that name counts: a directory or an unreadable file is then an error and not another store.
    file.symlink_metadata().ok()?;
    Some(Place {
        file,
        base: base.to_owned(),
    })
}

/// A worktree made by `git worktree add`, and the main checkout it belongs to.
struct LinkedWorktree {
    root: PathBuf,
    main: PathBuf,
}

impl LinkedWorktree {
    /// Finds the worktree around a directory; nothing in a main checkout, a submodule, or outside of git.
    fn around(cwd: &Path) -> Option<Self> {
        let root = cwd
            .ancestors()
            .find(|folder| folder.join(".git").exists())?;
        let main = main_checkout(root).ok()??;
        Some(Self {
            root: root.to_owned(),
            main,
        })
    }

    fn mirror(&self, folder: &Path) -> Option<PathBuf> {
        let inside = folder.strip_prefix(&self.root).ok()?;
        // Joining an empty path would end in a slash.
        Some(if inside.as_os_str().is_empty() {
            self.main.clone()
        } else {
            self.main.join(inside)
        })
    }
}

/// Reads git's own links (gitrepository-layout(5)): `.git` of a linked worktree is a file that names its folder, whose
/// file `commondir` names the repository's; a main checkout is where that is called `.git`.
fn main_checkout(root: &Path) -> io::Result<Option<PathBuf>> {
    let dot_git = root.join(".git");
    if !dot_git.is_file() {
        return Ok(None);
    }
    let link = fs::read_to_string(&dot_git)?;
    let Some(own_folder) = link.trim_end().strip_prefix("gitdir: ") else {
        return Ok(None);
    };
    let own_folder = root.join(own_folder);
    let common = fs::read_to_string(own_folder.join("commondir"))?;
    let common = fs::canonicalize(own_folder.join(common.trim_end()))?;
    let is_dot_git = common.file_name().is_some_and(|name| name == ".git");
    Ok(common.parent().filter(|_| is_dot_git).map(Path::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A main checkout `repo` and a worktree `elsewhere/wt`, laid out as git does it.
    struct Checkouts {
        _root: TempDir,
        main: PathBuf,
        worktree: PathBuf,
    }

    fn checkouts(relative: bool) -> Checkouts {
        let root = TempDir::new().unwrap();
        let base = fs::canonicalize(root.path()).unwrap();
        let (main, worktree) = (base.join("repo"), base.join("elsewhere/wt"));
        let own = main.join(".git/worktrees/wt");
        for folder in [&own, &worktree.join("src/deep"), &main.join("src/deep")] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(own.join("commondir"), "../..\n").unwrap();
        let link = if relative {
            PathBuf::from("../../repo/.git/worktrees/wt")
        } else {
            own
        };
        fs::write(
            worktree.join(".git"),
            format!("gitdir: {}\n", link.display()),
        )
        .unwrap();
        Checkouts {
            _root: root,
            main,
            worktree,
        }
    }

    fn put(folder: &Path) -> PathBuf {
        let file = folder.join(FILE_NAME);
        fs::write(&file, "").unwrap();
        file
    }

    // S7
    #[test]
    fn a_sub_directory_finds_the_file_above_it_and_the_nearest_wins() {
        let it = checkouts(false);
        let top = put(&it.main);
        assert_eq!(
            find(&it.main.join("src/deep")),
            Some(Place {
                file: top,
                base: it.main.clone()
            })
        );
        let nearer = put(&it.main.join("src"));
        assert_eq!(find(&it.main.join("src/deep")).unwrap().file, nearer);
    }

    // S7
    #[test]
    fn a_worktree_finds_what_the_main_checkout_finds() {
        for relative in [false, true] {
            let it = checkouts(relative);
            put(&it.main);
            // A committed file is in the worktree as well; taken from there it would mean another store.
            put(&it.worktree);
            for inside in ["", "src", "src/deep"] {
                assert_eq!(
                    find(&it.worktree.join(inside)),
                    find(&it.main.join(inside)),
                    "{inside}"
                );
            }
        }
    }

    // S7
    #[test]
    fn a_file_only_the_worktree_has_means_the_store_of_the_main_checkout() {
        let it = checkouts(false);
        let file = put(&it.worktree);
        assert_eq!(
            find(&it.worktree.join("src")),
            Some(Place {
                file,
                base: it.main
            })
        );
    }

    #[test]
    fn above_a_worktree_the_walk_goes_on_above_the_main_checkout() {
        let it = checkouts(false);
        let above = it.main.parent().unwrap();
        put(&above.join("elsewhere"));
        let file = put(above);
        assert_eq!(
            find(&it.worktree),
            Some(Place {
                file,
                base: above.to_owned()
            })
        );
    }

    #[test]
    fn a_submodule_and_a_broken_link_are_directories_like_any_other() {
        let it = checkouts(false);
        let submodule = it.main.join("sub");
        fs::create_dir_all(&submodule).unwrap();
        fs::create_dir_all(it.main.join(".git/modules/sub")).unwrap();
        fs::write(submodule.join(".git"), "gitdir: ../.git/modules/sub\n").unwrap();
        let file = put(&submodule);
        assert_eq!(
            find(&submodule),
            Some(Place {
                file,
                base: submodule.clone()
            })
        );
        fs::write(submodule.join(".git"), "gitdir: /nowhere/at/all\n").unwrap();
        assert_eq!(find(&submodule).unwrap().base, submodule);
    }

    #[test]
    fn a_file_of_another_user_is_refused_and_one_of_root_is_not() {
        let file = Path::new("/tmp/.queue.toml");
        assert!(refuse_foreign(file, 1000, 1000).is_ok());
        assert!(refuse_foreign(file, 0, 1000).is_ok());
        let error = refuse_foreign(file, 1001, 1000).unwrap_err();
        assert_eq!(error.message(), "/tmp/.queue.toml belongs to another user");
        assert!(refuse_foreign(file, 1001, 0).is_err());
    }
}
