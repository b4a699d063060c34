//! A tree is made once for its job, whoever else makes one, and whatever breaks it off.

use crate::repository::{git_in, shop};
use queue_core::failpoint;
use serde_json::Value;
use std::{collections::BTreeSet, fs};
use support::Stopped;

#[test]
fn twenty_jobs_at_once_have_twenty_trees_and_branches() {
    // W1
    let shop = shop!();
    let line = "echo $QUEUE_JOB_ID > mine; git add mine; git commit -qm mine; \
                git branch --show-current >> $SHARED/branches; echo $QUEUE_PORT_BASE >> $SHARED/ports";
    let shared = format!("SHARED={}", shop.env.work().display());
    let jobs: Vec<i64> = (0..20)
        .map(|_| shop.enqueue(&["--env", &shared], line))
        .collect();
    let worker = ["--drain", "--concurrency", "20"];
    shop.env.run(shop.env.worker_command(&worker)).ok();
    for job in &jobs {
        assert_eq!(shop.env.state(*job), "completed", "{}", shop.env.scene());
        let mine = shop.git(&["show", &format!("queue/{job}:mine")]);
        assert_eq!(mine, job.to_string());
    }
    for shared in ["branches", "ports"] {
        let listed = shop.env.read(shared);
        let all: BTreeSet<&str> = listed.lines().collect();
        assert_eq!(all.len(), 20, "{shared}: {listed}");
    }
    assert_eq!(shop.branches().len(), 21);
    assert_eq!(shop.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_job_stands_in_its_own_tree_where_it_stood_in_the_checkout() {
    let shop = shop!();
    fs::create_dir(shop.path().join("below")).unwrap();
    shop.commit("below/here", "");
    let env = &shop.env;
    let job = env.enqueue(&[
        "-C",
        "shop/below",
        "--worktree",
        "--",
        "sh",
        "-c",
        "pwd; ls",
    ]);
    env.drain();
    let log = env.qcli(&["logs", &job.to_string()]).ok().stdout;
    let below = shop.tree(job).join("below");
    assert_eq!(log, format!("{}\nhere\n", below.display()));
}

#[test]
fn variables_that_point_git_elsewhere_do_not_reach_the_job() {
    // W6: the job's commit must not land in the checkout that the variable names.
    let shop = shop!();
    let dot_git = shop.path().join(".git");
    let point = format!("GIT_DIR={}", dot_git.display());
    let work = format!("GIT_WORK_TREE={}", shop.path().display());
    let before = shop.git(&["rev-parse", "main"]);
    let line = "echo x > x; git add x; git commit -qm x; git rev-parse --show-toplevel";
    let job = shop.enqueue(&["--env", &point, "--env", &work], line);
    shop.env.drain();
    assert_eq!(shop.env.state(job), "completed", "{}", shop.env.scene());
    assert_eq!(shop.git(&["rev-parse", "main"]), before);
    assert_eq!(shop.git(&["status", "--porcelain"]), "");
    assert_eq!(shop.git(&["show", &format!("queue/{job}:x")]), "x");
}

#[test]
fn a_retry_has_the_same_tree_with_what_the_first_attempt_left() {
    // W8, W9
    let shop = shop!();
    let line = "pwd; test -e left && exit 0; touch left; exit 1";
    let job = shop.enqueue(&[], line);
    shop.env.drain();
    let shown = shop.env.show(job);
    assert_eq!(shown["state"], "completed", "{shown:#}");
    let attempts = shown["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2);
    let logs = [1, 2].map(|number| {
        let args = ["logs", &job.to_string(), "--attempt", &number.to_string()];
        shop.env.qcli(&args).ok().stdout
    });
    assert_eq!(logs[0], logs[1]);
    assert_eq!(shop.branches(), ["main".to_owned(), format!("queue/{job}")]);
}

#[test]
fn what_a_job_makes_in_its_tree_is_found_where_it_is_expected() {
    let shop = shop!();
    let proof = [
        "--expect",
        "file:f.txt",
        "--expect",
        "diff",
        "--max-attempts",
        "1",
    ];
    let job = shop.enqueue(&proof, "echo made > f.txt");
    let idle = shop.enqueue(&proof, "true");
    shop.env.drain();
    assert_eq!(shop.env.state(job), "completed");
    assert_eq!(shop.env.show(idle)["class"], "check_failed");
}

#[test]
fn a_worker_killed_at_any_step_of_the_making_leaves_a_tree_that_the_next_one_finishes() {
    // W5, W8
    let making = |name: &&&str| name.starts_with("tree.");
    for name in failpoint::OF_WORKTREES.iter().filter(making) {
        let shop = shop!();
        fs::write(shop.path().join(".gitignore"), ".env\n").unwrap();
        fs::write(shop.path().join(".worktreeinclude"), ".env\n").unwrap();
        fs::write(shop.path().join(".env"), "A=1").unwrap();
        let job = shop.enqueue(&[], "cat .env list.txt; touch ran; git add -f ran");
        let mut worker = shop.env.worker_command(&["--drain"]);
        worker.env("QUEUE_FAILPOINT", name);
        let mut killed = shop.env.spawn(worker);
        assert_eq!(killed.wait(), Stopped::Killed(9), "{name} was not reached");
        assert!(!shop.tree(job).join("ran").exists());
        shop.env.drain();
        let shown = shop.env.show(job);
        assert_eq!(shown["state"], "completed", "{name}: {}", shop.env.scene());
        assert_eq!(shown["attempt"], 1, "{name}");
        let log = shop.env.qcli(&["logs", &job.to_string()]).ok();
        assert_eq!(log.stdout, "A=1one\ntwo\nthree\n", "{name}");
        assert_eq!(shop.branches().len(), 2, "{name}");
        shop.env.qcli(&["discard", &job.to_string()]).ok();
        let trees = shop.git(&["worktree", "list"]);
        assert_eq!(trees.lines().count(), 1, "{name}: {trees}");
    }
}

#[test]
fn ignored_files_that_the_repository_names_are_in_each_tree_and_no_others() {
    let shop = shop!();
    let write = |name: &str, text: &str| {
        let path = shop.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(".gitignore", "*.env\nsecret\n");
    write(".worktreeinclude", "*.env\nnotes\n");
    write("deep/er/local.env", "B=2");
    write("secret", "ignored, not named");
    write("notes", "named, not ignored");
    let job = shop.enqueue(&[], "find . -type f -not -path './.git*' | sort");
    shop.env.drain();
    let log = shop.env.qcli(&["logs", &job.to_string()]).ok().stdout;
    assert_eq!(log, "./deep/er/local.env\n./list.txt\n");
}

#[test]
fn set_up_runs_until_it_has_succeeded_once() {
    let shop = shop!();
    let setup = "echo setting up; echo x >> $QUEUE_REPOSITORY/../set; \
                 test $(wc -l < $QUEUE_REPOSITORY/../set) -ge 2";
    let line = "echo job; test $QUEUE_ATTEMPT -ge 3";
    let job = shop.enqueue(&["--setup", setup, "--max-attempts", "4"], line);
    shop.env.drain();
    let shown = shop.env.show(job);
    assert_eq!(shown["state"], "completed", "{shown:#}");
    assert_eq!(
        shown["attempt"], 3,
        "set up failed, job failed, job succeeded"
    );
    assert_eq!(shop.env.read("set"), "x\nx\n");
    let id = job.to_string();
    let logs = |side| {
        shop.env
            .qcli(&["logs", &id, "--attempt", "1", side])
            .ok()
            .stdout
    };
    assert_eq!(
        logs("--stdout"),
        "",
        "away from what readers of the output look for"
    );
    let said = logs("--stderr");
    assert!(
        said.contains("the set-up command of the worktree failed with exit code 1"),
        "{said}"
    );
}

#[test]
fn a_branch_of_an_earlier_stores_job_is_left_alone() {
    let shop = shop!();
    shop.git(&["branch", "queue/1"]);
    let before = shop.git(&["rev-parse", "queue/1"]);
    shop.commit("later", "");
    let job = shop.enqueue(&[], "touch x; git add x; git commit -qm x");
    shop.env.drain();
    assert_eq!(job, 1);
    assert_eq!(shop.git(&["rev-parse", "queue/1"]), before);
    assert_eq!(shop.env.show(job)["worktree"]["branch"], "queue/1-2");
}

#[test]
fn the_base_is_settled_when_the_job_is_handed_in() {
    let shop = shop!();
    let job = shop.enqueue(&[], "ls");
    let of_branch = {
        shop.git(&["branch", "side"]);
        shop.commit("later", "");
        shop.enqueue(&["--base", "side"], "ls")
    };
    shop.env.drain();
    for job in [job, of_branch] {
        let log = shop.env.qcli(&["logs", &job.to_string()]).ok().stdout;
        assert_eq!(log, "list.txt\n");
    }
}

#[test]
fn what_cannot_have_a_worktree_is_refused_before_it_is_added() {
    let shop = shop!();
    let env = &shop.env;
    let bad = |args: &[&str], code: i32, words: &str| {
        let args = [&["enqueue"], args, &["--", "true"]].concat();
        env.qcli(&args).exits(code).says(words);
    };
    bad(&["--worktree"], 2, "is in no git repository");
    bad(&["-C", "shop", "--base", "main"], 2, "--worktree");
    bad(
        &["-C", "shop", "--worktree", "--base", "nope"],
        2,
        "names no commit",
    );
    bad(
        &["-C", "shop", "--worktree", "--branch", "main"],
        4,
        "is there already",
    );
    bad(
        &["-C", "shop", "--worktree", "--branch", "a..b"],
        2,
        "no branch named",
    );
    fs::create_dir(env.work().join("fresh")).unwrap();
    git_in(&env.work().join("fresh"), &["init", "--quiet"]);
    bad(&["-C", "fresh", "--worktree"], 2, "has no commit yet");
    assert!(!env.db().exists(), "nothing was added");
}

#[test]
fn uncommitted_work_that_the_job_will_not_see_is_said_so() {
    let shop = shop!();
    let args = ["enqueue", "-C", "shop", "--worktree", "--", "true"];
    assert!(!shop.env.qcli(&args).ok().stderr.contains("not committed"));
    fs::write(shop.path().join("new"), "").unwrap();
    shop.env
        .qcli(&args)
        .ok()
        .says("is not in the job's worktree");
}

#[test]
fn a_repository_that_is_gone_when_the_job_starts_fails_it_with_the_reason() {
    let shop = shop!();
    let job = shop.enqueue(&[], "true");
    fs::rename(shop.path(), shop.env.work().join("moved")).unwrap();
    fs::create_dir(shop.path()).unwrap();
    shop.env.drain();
    let shown = shop.env.show(job);
    assert_eq!(
        (&shown["state"], &shown["class"]),
        (&"failed".into(), &"bad_cwd".into())
    );
    let message = shown["attempts"][0]["message"].as_str().unwrap();
    assert!(message.contains("is in no git repository"), "{message}");
}

#[test]
fn lines_of_a_file_ask_for_worktrees_too() {
    let shop = shop!();
    let lines = "{\"argv\": [\"pwd\"], \"cwd\": \"shop\", \"worktree\": true, \"branch\": \"mine\"}\n\
                 {\"argv\": [\"pwd\"], \"cwd\": \"shop\"}\n";
    let args = ["enqueue", "--from-file", "-"];
    shop.env.qcli_with_input(&args, lines).ok();
    shop.env.drain();
    assert_eq!(shop.env.show(1)["worktree"]["branch"], "mine");
    assert_eq!(shop.env.show(2)["worktree"], Value::Null);
    let bad = "{\"argv\": [\"pwd\"], \"base\": \"main\"}\n";
    let refused = shop.env.qcli_with_input(&args, bad).exits(2);
    refused.says("say nothing without `worktree`");
}
