//! Only trees of ours are removed, and only when nobody needs them.

use crate::repository::{git_in, shop};
use std::{fs, os::unix::fs::symlink, process::Command};

#[test]
fn a_directory_without_our_marker_is_left_alone() {
    // W3
    let shop = shop!();
    let job = shop.enqueue(&[], "true");
    shop.env.drain();
    let tree = shop.tree(job);
    let place = tree.parent().unwrap();
    fs::remove_file(place.join("marker.json")).unwrap();
    shop.env
        .qcli(&["discard", &job.to_string()])
        .exits(4)
        .says("was not made by this queue");
    assert!(tree.join("list.txt").exists());
}

#[test]
fn a_link_in_place_of_a_tree_does_not_lead_to_what_it_points_to() {
    // W3
    let shop = shop!();
    let job = shop.enqueue(&[], "true");
    shop.env.drain();
    let tree = shop.tree(job);
    let precious = shop.env.work().join("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("thesis"), "years of work").unwrap();
    let aside = shop.env.work().join("aside");
    fs::rename(&tree, &aside).unwrap();
    symlink(&precious, &tree).unwrap();
    let discard = ["discard", &job.to_string()];
    shop.env.qcli(&discard).exits(4);
    assert!(precious.join("thesis").exists());
    // The same for the place as a whole.
    fs::remove_file(&tree).unwrap();
    fs::rename(&aside, &tree).unwrap();
    let place = tree.parent().unwrap();
    fs::rename(place, &aside).unwrap();
    symlink(&aside, place).unwrap();
    shop.env
        .qcli(&discard)
        .exits(4)
        .says("was not made by this queue");
    assert!(aside.join("marker.json").exists());
}

#[test]
fn another_jobs_tree_in_its_place_is_left_alone() {
    // W3
    let shop = shop!();
    let [one, two] = [(); 2].map(|()| shop.enqueue(&[], "echo $QUEUE_JOB_ID > mine"));
    shop.env.drain();
    let places = [one, two].map(|job| shop.tree(job).parent().unwrap().to_owned());
    fs::remove_dir_all(&places[0]).unwrap();
    fs::rename(&places[1], &places[0]).unwrap();
    let discard = ["discard", &one.to_string()];
    shop.env
        .qcli(&discard)
        .exits(4)
        .says("was not made by this queue");
    let tree = places[0].join(format!("shop-{two}"));
    assert_eq!(
        fs::read_to_string(tree.join("mine")).unwrap(),
        format!("{two}\n")
    );
}

#[test]
fn a_tree_that_a_process_stands_in_is_not_taken_away_under_it() {
    // W4
    let shop = shop!();
    let job = shop.enqueue(&[], "mkdir deep");
    shop.env.drain();
    let deep = shop.tree(job).join("deep");
    let mut user = Command::new("sleep")
        .arg("600")
        .current_dir(&deep)
        .spawn()
        .unwrap();
    let discard = ["discard", &job.to_string()];
    let refused = shop.env.qcli(&discard).exits(4);
    assert!(
        refused.stderr.contains(&user.id().to_string()),
        "{refused:?}"
    );
    assert!(deep.exists());
    user.kill().unwrap();
    user.wait().unwrap();
    shop.env.qcli(&discard).ok();
    assert!(!deep.exists());
}

#[test]
fn a_job_that_has_not_ended_keeps_its_tree() {
    let shop = shop!();
    let job = shop.enqueue(&["--hold"], "true");
    for verb in ["discard", "accept"] {
        let refused = shop.env.qcli(&[verb, &job.to_string()]).exits(4);
        refused.says("may still need its worktree");
    }
    let plain = shop.env.enqueue(&["--", "true"]);
    shop.env.drain();
    shop.env
        .qcli(&["discard", &plain.to_string()])
        .exits(3)
        .says("has no worktree");
}

#[test]
fn a_teardown_that_fails_keeps_the_tree_and_can_be_left_out() {
    let shop = shop!();
    let works = shop.enqueue(
        &["--teardown", "echo bye > $QUEUE_REPOSITORY/../torn"],
        "true",
    );
    let fails = shop.enqueue(&["--teardown", "echo no >&2; exit 3"], "true");
    shop.env.drain();
    shop.env.qcli(&["discard", &works.to_string()]).ok();
    assert_eq!(shop.env.read("torn"), "bye\n");
    let tree = shop.tree(fails);
    let discard = ["discard", &fails.to_string()];
    shop.env.qcli(&discard).exits(4).says("tear-down command");
    assert!(tree.exists());
    shop.env
        .qcli(&["discard", &fails.to_string(), "--no-teardown"])
        .ok();
    assert!(!tree.exists());
}

#[test]
fn a_branch_that_somebody_checked_out_elsewhere_stays() {
    let shop = shop!();
    let job = shop.enqueue(
        &[],
        "echo c > c; git add c; git commit -qm c; git checkout -q --detach",
    );
    shop.env.drain();
    let branch = format!("queue/{job}");
    shop.git(&["switch", "--quiet", &branch]);
    shop.env.qcli(&["discard", &job.to_string()]).ok();
    assert_eq!(git_in(&shop.path(), &["show", "HEAD:c"]), b"c\n");
    assert!(shop.branches().contains(&branch));
}
