//! The disk of the worktrees fills up, while the store and the repository have room.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apart;
use support::{TestEnv, test_env};

/// Room for a small tree, and not for what the job writes.
const ROOM: &str = "400k";

/// A home with a repository, whose worktrees lie on a disk of their own.
fn on(disk: &Path) -> TestEnv {
    let env = test_env!();
    let trees = PathBuf::from(format!("{}-worktrees", env.db().display()));
    fs::create_dir_all(&trees).expect("it can be made");
    let bound = Command::new("mount")
        .arg("--bind")
        .args([disk, &trees])
        .status();
    assert!(bound.expect("mount is there").success());
    fs::create_dir(env.work().join("shop")).expect("it can be made");
    git(&env, &["init", "--quiet", "--initial-branch=main"]);
    for (key, value) in [("user.name", "Ada"), ("user.email", "ada@example.org")] {
        git(&env, &["config", key, value]);
    }
    env.file("shop/list.txt", "one\n");
    git(&env, &["add", "."]);
    git(&env, &["commit", "--quiet", "-m", "start"]);
    env
}

#[track_caller]
fn git(env: &TestEnv, args: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args(["-C", "shop"]).args(args).current_dir(env.work());
    let output = git.output().expect("git is there");
    assert!(output.status.success(), "git {args:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

fn enqueue(env: &TestEnv, line: &str) -> i64 {
    let place = ["-C", "shop", "--worktree", "--max-attempts", "1"];
    env.enqueue(&[&place[..], &["--", "sh", "-ec", line]].concat())
}

#[test]
fn a_job_that_fills_the_disk_of_its_tree_fails_and_what_it_wrote_is_saved() {
    let test = "full_tree::a_job_that_fills_the_disk_of_its_tree_fails_and_what_it_wrote_is_saved";
    apart::with_own_disk(test, ROOM, |disk| {
        let env = on(disk);
        let line =
            "echo mine > mine; git add mine; echo loose > loose; head -c 4000000 /dev/zero > big";
        let full = enqueue(&env, line);
        env.drain();
        let shown = env.show(full);
        assert_eq!(
            (&shown["state"], &shown["class"]),
            (&"failed".into(), &"exit_code".into()),
            "{shown:#}"
        );
        let log = env.qcli(&["logs", &full.to_string()]).ok().stdout;
        assert!(log.contains("No space left on device"), "{log}");

        // There is no room for another tree. Nothing runs without its own, least of all in the checkout.
        let late = enqueue(&env, "touch ran");
        env.drain();
        let shown = env.show(late);
        assert_eq!(shown["state"], "failed", "{shown:#}");
        let message = shown["attempts"][0]["message"]
            .as_str()
            .expect("it says why");
        assert!(message.contains("No space left on device"), "{message}");
        assert!(!env.work().join("shop/ran").exists());
        assert_eq!(git(&env, &["status", "--porcelain"]), "");

        // What was written goes into the repository, which has room, before the tree goes.
        env.qcli(&["discard", &full.to_string()]).ok();
        let saved = |name: &str| {
            git(
                &env,
                &["show", &format!("refs/queue/rescue/{full}/1:{name}")],
            )
        };
        assert_eq!(
            (saved("mine"), saved("loose")),
            ("mine".to_owned(), "loose".to_owned())
        );
        env.qcli(&["requeue", &late.to_string()]).ok();
        env.drain();
        assert_eq!(env.state(late), "completed", "{}", env.scene());
    });
}
