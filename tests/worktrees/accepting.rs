//! The work of a job is looked at and taken over, whole or not at all.

use crate::repository::{Shop, shop};
use std::fs;

/// A commit, and something that was not committed.
const WORK: &str =
    "echo c > c; git add c; git commit -qm 'by the job'; echo four >> list.txt; echo u > u";

fn done(shop: &Shop, options: &[&str], line: &str) -> String {
    let job = shop.enqueue(options, line);
    shop.env.drain();
    job.to_string()
}

#[test]
fn a_merge_brings_all_of_it_and_takes_the_tree_away() {
    let shop = shop!();
    let job = done(&shop, &[], WORK);
    shop.commit("meanwhile", "");
    let tree = shop.tree(job.parse().unwrap());
    let said = shop.env.json(&["accept", &job]);
    assert_eq!(said["onto"], "main");
    assert_eq!(said["commits"], 2);
    assert_eq!(said["commit"], shop.git(&["rev-parse", "main"]));
    for (file, text) in [
        ("c", "c\n"),
        ("u", "u\n"),
        ("list.txt", "one\ntwo\nthree\nfour\n"),
    ] {
        assert_eq!(fs::read_to_string(shop.path().join(file)).unwrap(), text);
    }
    assert_eq!(shop.git(&["log", "--format=%an", "-2", "main"]), "Ada\nAda");
    assert_eq!(shop.git(&["status", "--porcelain"]), "");
    assert!(!tree.exists());
    assert_eq!(shop.branches(), ["main"]);
    assert!(shop.rescues(1).is_empty(), "main keeps it");
}

#[test]
fn a_squash_is_one_commit_and_a_pick_keeps_each_one() {
    let shop = shop!();
    let squashed = done(
        &shop,
        &[],
        "echo a > a; git add a; git commit -qm a; echo b > b",
    );
    shop.env
        .qcli(&["accept", &squashed, "--squash", "-m", "Both"])
        .ok();
    assert_eq!(shop.git(&["log", "--format=%s", "main"]), "Both\nstart");
    let picked = done(&shop, &[], WORK);
    shop.commit("meanwhile", "");
    let pick = ["accept", &picked, "--cherry-pick", "-m", "The rest"];
    shop.env.qcli(&pick).ok();
    let log = shop.git(&["log", "--format=%s", "--no-merges", "main"]);
    assert_eq!(log, "The rest\nby the job\nmeanwhile\nBoth\nstart");
    assert_eq!(shop.git(&["rev-list", "--merges", "--count", "main"]), "0");
}

#[test]
fn a_conflict_names_the_files_and_changes_nothing() {
    for manner in ["--keep", "--squash", "--cherry-pick"] {
        let shop = shop!();
        let job = done(&shop, &[], "echo job > list.txt; git commit -qam job");
        shop.commit("list.txt", "people\n");
        let before = shop.git(&["rev-parse", "main"]);
        let refused = shop.env.qcli(&["accept", &job, manner]).exits(4);
        assert!(
            refused.stderr.contains("both changed list.txt"),
            "{refused:?}"
        );
        assert_eq!(shop.git(&["rev-parse", "main"]), before);
        assert_eq!(shop.git(&["status", "--porcelain"]), "");
        let tree = shop.tree(job.parse().unwrap());
        assert_eq!(fs::read_to_string(tree.join("list.txt")).unwrap(), "job\n");
        let on = format!("queue/{job}");
        let head = crate::repository::git_in(&tree, &["branch", "--show-current"]);
        assert_eq!(String::from_utf8(head).unwrap().trim(), on, "{manner}");
    }
}

#[test]
fn what_is_not_committed_where_the_branch_is_checked_out_is_never_touched() {
    let shop = shop!();
    let job = done(&shop, &[], "echo job > list.txt");
    fs::write(shop.path().join("list.txt"), "mine, not committed\n").unwrap();
    let refused = shop.env.qcli(&["accept", &job]).exits(4);
    assert!(refused.stderr.contains("will not touch"), "{refused:?}");
    let mine = fs::read_to_string(shop.path().join("list.txt")).unwrap();
    assert_eq!(mine, "mine, not committed\n");
    shop.git(&["checkout", "--quiet", "list.txt"]);
    shop.env.qcli(&["accept", &job]).ok();
    let theirs = fs::read_to_string(shop.path().join("list.txt")).unwrap();
    assert_eq!(theirs, "job\n");
}

#[test]
fn work_of_a_detached_base_needs_to_be_told_where_to_go() {
    let shop = shop!();
    shop.git(&["checkout", "--quiet", "--detach"]);
    let job = done(&shop, &[], "echo a > a");
    shop.env.qcli(&["accept", &job]).exits(2).says("--onto");
    let nowhere = ["accept", &job, "--onto", "nope"];
    shop.env.qcli(&nowhere).exits(3).says("no branch `nope`");
    shop.env.qcli(&["accept", &job, "--onto", "main"]).ok();
    // Nobody has it checked out, so no files follow.
    assert_eq!(shop.git(&["show", "main:a"]), "a");
    assert!(!shop.path().join("a").exists());
}

#[test]
fn a_diff_shows_all_that_changed_while_the_job_still_runs() {
    let shop = shop!();
    let go = shop.env.work().join("go");
    let line = format!(
        "{WORK}; git add u; touch ../../../ready; until test -e {}; do sleep 0.1; done",
        go.display()
    );
    let job = shop.enqueue(&[], &line).to_string();
    let _worker = shop.worker(&[]);
    let ready = shop.env.db().with_file_name("ready");
    support::wait_until("the work", || ready.exists());
    let diff = shop.env.json(&["diff", &job]);
    let paths: Vec<_> = diff["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].clone())
        .collect();
    assert_eq!(paths, ["c", "list.txt", "u"]);
    let patch = shop.env.qcli(&["diff", &job]).ok().stdout;
    assert!(patch.contains("+four"), "{patch}");
    fs::write(go, "").unwrap();
    shop.env.qcli(&["wait", &job]).ok();
}
