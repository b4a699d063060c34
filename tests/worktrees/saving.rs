//! Whatever is taken away is saved first: every kind of work, every way to lose it.

use crate::repository::{Files, Shop, files_in, git_in, shop};
use queue_core::failpoint;
use std::fs;
use support::Stopped;

/// Every kind of dirty end, as lines of shell in the tree.
const ENDS: [(&str, &str); 9] = [
    ("staged", "echo new > s; git add s"),
    ("unstaged", "echo more >> list.txt"),
    (
        "untracked",
        "mkdir -p a/b; echo u > a/b/u; printf 'x' > \"$(printf 'odd\\nname')\"",
    ),
    ("committed", "echo c > c; git add c; git commit -qm c"),
    ("removed", "git rm -q list.txt; touch other"),
    (
        "links and modes",
        "ln -s /nowhere l; echo '#!' > run; chmod +x run; chmod +x list.txt",
    ),
    (
        "line ends and filters",
        "printf '* text=auto eol=lf\\n' > .gitattributes; printf 'a\\r\\nb\\r\\n' > crlf; \
         printf '\\000\\001' > bytes; git add crlf",
    ),
    (
        "detached",
        "git checkout -q --detach; echo d > d; git add d; git commit -qm d; echo e > e",
    ),
    (
        "amid a conflict",
        "git checkout -q -b other; echo 1 > list.txt; git commit -qam 1; git checkout -q -; \
         echo 2 > list.txt; git commit -qam 2; git merge -q other || true; echo u > u",
    ),
];

#[test]
fn discard_keeps_every_byte_of_every_dirty_end() {
    // W2
    every_end_is_kept(|shop, jobs| {
        let ids: Vec<String> = jobs.iter().map(i64::to_string).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        shop.env.qcli(&[&["discard"], &ids[..]].concat()).ok();
    });
}

#[test]
fn prune_keeps_every_byte_of_every_dirty_end() {
    // W2
    every_end_is_kept(|shop, jobs| {
        let pruned = shop.env.json(&["prune", "--older-than", "0s"]);
        assert_eq!(pruned["worktrees"], jobs.len(), "{pruned:#}");
    });
}

fn every_end_is_kept(take_away: impl Fn(&Shop, &[i64])) {
    let shop = shop!();
    let jobs = ENDS.map(|(_, line)| shop.enqueue(&[], line));
    shop.env.drain();
    let before: Vec<Files> = jobs.map(|job| files_in(&shop.tree(job))).into();
    let trees = jobs.map(|job| shop.tree(job));
    let tips = jobs.map(|job| shop.git(&["rev-parse", &format!("queue/{job}")]));
    take_away(&shop, &jobs);
    for (number, (end, _)) in ENDS.iter().enumerate() {
        let job = jobs[number];
        assert!(!trees[number].exists(), "{end}: the tree is there still");
        let rescues = shop.rescues(job);
        let newest = rescues
            .first()
            .unwrap_or_else(|| panic!("{end}: nothing was saved"));
        assert_eq!(shop.files_of(newest), before[number], "{end}");
        let keeps_tip = |name: &String| {
            let base = shop.git(&["merge-base", name, &tips[number]]);
            base == tips[number]
        };
        assert!(rescues.iter().any(keeps_tip), "{end}: the branch is lost");
    }
    assert_eq!(shop.branches(), ["main", "other"]);
    assert_eq!(shop.git(&["worktree", "list"]).lines().count(), 1);
}

#[test]
fn what_was_staged_is_told_from_what_was_not() {
    let shop = shop!();
    let job = shop.enqueue(&[], "echo staged > f; git add f; echo later > f");
    shop.env.drain();
    shop.env.qcli(&["discard", &job.to_string()]).ok();
    let rescue = &shop.rescues(job)[0];
    assert_eq!(shop.git(&["show", &format!("{rescue}:f")]), "later");
    assert_eq!(shop.git(&["show", &format!("{rescue}^2:f")]), "staged");
}

#[test]
fn a_tree_without_work_leaves_no_rescue() {
    let shop = shop!();
    let job = shop.enqueue(&[], "true");
    shop.env.drain();
    let said = shop.env.qcli(&["discard", &job.to_string()]).ok();
    assert!(!said.stdout.contains("rescue"), "{said:?}");
    assert!(shop.rescues(job).is_empty());
}

#[test]
fn killed_at_any_step_of_a_removal_nothing_is_lost_and_the_next_try_ends_it() {
    const KEPT: &str = "echo c > c; git add c; git commit -qm c; echo s > s; git add s; echo u > u";
    let removing = |name: &&&str| !name.starts_with("tree.");
    for name in failpoint::OF_WORKTREES.iter().filter(removing) {
        let shop = shop!();
        let job = shop.enqueue(&[], KEPT);
        shop.env.drain();
        let before = files_in(&shop.tree(job));
        let args = ["discard", &job.to_string()];
        let mut discard = shop.env.command(&args);
        discard.env("QUEUE_FAILPOINT", name);
        let mut killed = shop.env.spawn(discard);
        assert_eq!(killed.wait(), Stopped::Killed(9), "{name} was not reached");
        let mut again = shop.env.command(&args);
        again.env("GIT_COMMITTER_DATE", "2001-01-01T00:00:00Z");
        shop.env.run(again).ok();
        let rescues = shop.rescues(job);
        // Once, however many tries it took and whatever the clock showed at each.
        let kept = rescues.iter().map(|name| shop.files_of(name));
        assert_eq!(kept.collect::<Vec<_>>(), [before], "{name}: {rescues:?}");
        assert_eq!(shop.branches(), ["main"], "{name}");
        assert_eq!(shop.git(&["worktree", "list"]).lines().count(), 1, "{name}");
    }
}

#[test]
fn rescued_work_is_listed_and_comes_back_as_a_branch() {
    let shop = shop!();
    let job = shop.enqueue(&[], "echo precious > p");
    shop.env.drain();
    shop.env.qcli(&["discard", &job.to_string()]).ok();
    let listed = shop.env.json(&["rescue", "list", "--repo", "shop"]);
    assert_eq!(listed[0]["job"], job);
    assert_eq!(listed[0]["ref"], format!("refs/queue/rescue/{job}/1"));
    let restore = ["rescue", "restore", &job.to_string(), "--repo", "shop"];
    shop.env.qcli(&restore).ok();
    assert_eq!(
        shop.git(&["show", &format!("rescue/{job}-1:p")]),
        "precious"
    );
    // A second time it would take somebody's branch.
    shop.env.qcli(&restore).exits(4).says("is there already");
    let unknown = ["rescue", "restore", "77", "--repo", "shop"];
    shop.env.qcli(&unknown).exits(3).says("nothing was rescued");
    shop.env.qcli(&["rescue", "list"]).exits(2).says("--repo");
}

#[test]
fn a_repository_inside_the_tree_keeps_the_tree() {
    let shop = shop!();
    let line = "git init -q inner; cd inner; git config user.name A; git config user.email a@b; \
                echo i > i; git add i; git commit -qm i";
    let job = shop.enqueue(&[], line);
    shop.env.drain();
    let tree = shop.tree(job);
    let discard = ["discard", &job.to_string()];
    shop.env
        .qcli(&discard)
        .exits(4)
        .says("repository of its own");
    assert_eq!(git_in(&tree.join("inner"), &["show", "HEAD:i"]), b"i\n");
    fs::rename(tree.join("inner"), shop.env.work().join("inner")).unwrap();
    shop.env.qcli(&discard).ok();
}
