//! A home with a git repository in it, and looks at both.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
};
use support::{Running, TestEnv};

/// A home with the repository `shop` in its working directory.
pub(crate) struct Shop {
    pub(crate) env: TestEnv,
}

/// What lies at a path: the mode git knows, and the contents or the target of a link.
pub(crate) type Files = BTreeMap<Vec<u8>, (String, Vec<u8>)>;

impl Shop {
    pub(crate) fn of(env: TestEnv) -> Self {
        let shop = Self { env };
        fs::create_dir(shop.path()).expect("the home is ours alone, and git is there");
        shop.git(&["init", "--quiet", "--initial-branch=main"]);
        for (key, value) in [("user.name", "Ada"), ("user.email", "ada@example.org")] {
            shop.git(&["config", key, value]);
        }
        fs::write(shop.path().join("list.txt"), "one\ntwo\nthree\n")
            .expect("the home is ours alone, and git is there");
        shop.git(&["add", "."]);
        shop.git(&["commit", "--quiet", "-m", "start"]);
        shop
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.env.work().join("shop")
    }

    /// Runs git in the repository and gives what it prints.
    #[track_caller]
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let text = String::from_utf8(git_in(&self.path(), args))
            .expect("the home is ours alone, and git is there");
        text.trim_end().to_owned()
    }

    /// Commits this file in the repository.
    pub(crate) fn commit(&self, name: &str, contents: &str) {
        fs::write(self.path().join(name), contents)
            .expect("the home is ours alone, and git is there");
        self.git(&["add", name]);
        self.git(&["commit", "--quiet", "-m", name]);
    }

    /// Enqueues a job with a worktree that runs this line of shell.
    #[track_caller]
    pub(crate) fn enqueue(&self, options: &[&str], line: &str) -> i64 {
        let place = ["-C", "shop", "--worktree", "--backoff", "none"];
        let run = ["--", "sh", "-ec", line];
        self.env.enqueue(&[&place, options, &run].concat())
    }

    pub(crate) fn worker(&self, args: &[&str]) -> Running {
        self.env.spawn_worker(args)
    }

    /// The tree of a job that is there.
    #[track_caller]
    pub(crate) fn tree(&self, job: i64) -> PathBuf {
        let shown = self.env.show(job);
        let path = shown["worktree"]["path"].as_str();
        PathBuf::from(path.unwrap_or_else(|| panic!("job {job} has no tree: {shown:#}")))
    }

    /// What git has under a revision, as it lies in its objects.
    pub(crate) fn files_of(&self, revision: &str) -> Files {
        let listed = git_in(&self.path(), &["ls-tree", "-r", "-z", revision]);
        let entries = listed
            .split(|byte| *byte == 0)
            .filter(|one| !one.is_empty());
        entries
            .map(|entry| {
                let tab = entry
                    .iter()
                    .position(|byte| *byte == b'\t')
                    .expect("the home is ours alone, and git is there");
                let about = std::str::from_utf8(&entry[..tab])
                    .expect("the home is ours alone, and git is there");
                let mut about = about.split(' ');
                let mode = about
                    .next()
                    .expect("the home is ours alone, and git is there")
                    .to_owned();
                let object = about
                    .nth(1)
                    .expect("the home is ours alone, and git is there");
                let contents = git_in(&self.path(), &["cat-file", "blob", object]);
                (entry[tab + 1..].to_vec(), (mode, contents))
            })
            .collect()
    }

    /// The refs that keep rescued work of a job.
    pub(crate) fn rescues(&self, job: i64) -> Vec<String> {
        let below = format!("refs/queue/rescue/{job}/");
        let listed = self.git(&["for-each-ref", "--format=%(refname)", &below]);
        listed.lines().map(str::to_owned).collect()
    }

    pub(crate) fn branches(&self) -> Vec<String> {
        let listed = self.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads"]);
        listed.lines().map(str::to_owned).collect()
    }
}

/// Runs git in a directory, with nothing of the machine's own settings.
#[track_caller]
pub(crate) fn git_in(directory: &Path, args: &[&str]) -> Vec<u8> {
    let output = Command::new("git")
        .args(args)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .expect("the home is ours alone, and git is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {said}");
    output.stdout
}

/// All that lies in a tree, git's own file aside.
pub(crate) fn files_in(tree: &Path) -> Files {
    let mut files = Files::new();
    walk(tree, tree, &mut files);
    files
}

fn walk(top: &Path, directory: &Path, files: &mut Files) {
    for entry in fs::read_dir(directory).expect("the home is ours alone, and git is there") {
        let path = entry
            .expect("the home is ours alone, and git is there")
            .path();
        let name = path
            .strip_prefix(top)
            .expect("the home is ours alone, and git is there");
        let about = fs::symlink_metadata(&path).expect("the home is ours alone, and git is there");
        if name == Path::new(".git") {
            continue;
        }
        if about.is_dir() {
            walk(top, &path, files);
            continue;
        }
        let (mode, contents) = if about.is_symlink() {
            let target = fs::read_link(&path).expect("the home is ours alone, and git is there");
            ("120000", target.as_os_str().as_bytes().to_vec())
        } else if about.permissions().mode() & 0o100 != 0 {
            (
                "100755",
                fs::read(&path).expect("the home is ours alone, and git is there"),
            )
        } else {
            (
                "100644",
                fs::read(&path).expect("the home is ours alone, and git is there"),
            )
        };
        files.insert(
            name.as_os_str().as_bytes().to_vec(),
            (mode.to_owned(), contents),
        );
    }
}

/// A repository of its own for one test.
macro_rules! shop {
    () => {
        crate::repository::Shop::of(support::test_env!())
    };
    ($($name:expr => $value:expr),+) => {
        crate::repository::Shop::of(support::test_env!()$(.with($name, $value))+)
    };
}
pub(crate) use shop;
