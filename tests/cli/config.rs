//! `qcli config`, `qcli completions`, and the command line itself.

use std::process::Command;

#[test]
fn every_setting_says_who_made_it() {
    let env = support::test_env!();
    env.qcli(&["config", "show", "--origin"])
        .ok()
        .prints("environment variable QUEUE_DB");
    assert_eq!(
        env.json(&["config", "show"])["settings"]["queue"]["value"],
        "default"
    );
    assert_eq!(
        env.qcli(&["config", "path"]).ok().stdout.trim(),
        env.db().to_string_lossy()
    );
    env.file(".queue.toml", "queue = \"project\"\n");
    env.enqueue(&["--", "true"]);
    assert_eq!(env.show(1)["queue"], "project");
}

#[test]
fn a_project_has_one_store_from_all_its_folders_and_worktrees_and_whoever_asks() {
    // S7
    let env = support::test_env!();
    env.file("main/.queue.toml", "db = \"project.db\"\n");
    env.file("main/src/deep/file", "");
    let line = "cd main && git init -q && git add .queue.toml src && \
         git -c user.name=a -c user.email=a@example.org commit -q -m one && \
         git worktree add -q ../tree";
    let mut git = Command::new("sh");
    let made = git.args(["-c", line]).current_dir(env.work()).status();
    assert!(made.unwrap().success(), "{}", env.scene());

    let from = |folder: &str, args: &[&str]| {
        let mut command = env.command(args);
        command.env_remove("QUEUE_DB");
        command.current_dir(env.work().join(folder));
        command
    };
    let add = ["enqueue", "--", "true"];
    let first = env.run(from("main/src", &add)).ok();
    let notice = "created a new store";
    assert_eq!(first.says(notice).id(), 1);
    for (folder, id) in [
        ("main", 2),
        ("main/src/deep", 3),
        ("tree", 4),
        ("tree/src/deep", 5),
    ] {
        let mut command = from(folder, &add);
        command.env("HOME", env.root().join(format!("home-of-{id}")));
        let added = env.run(command).ok();
        assert!(!added.stderr.contains(notice), "{folder}: {}", added.stderr);
        assert_eq!(added.id(), id, "{folder}");
    }
    // Outside of it another one is meant, which nobody gets in silence.
    let listed = env.run(from("", &["list", "--json"])).ok();
    assert_eq!(listed.says(notice).json(), serde_json::json!([]));
}

#[test]
fn completions_know_every_verb() {
    let env = support::test_env!();
    for shell in ["bash", "zsh", "fish"] {
        env.qcli(&["completions", shell])
            .ok()
            .prints("enqueue")
            .prints("requeue");
    }
}

#[test]
fn help_goes_to_standard_output_and_mistakes_to_standard_error() {
    let env = support::test_env!();
    assert_eq!(env.qcli(&["--help"]).ok().stderr, "");
    let wrong = env.qcli(&["enqueu"]).exits(2).says("enqueue");
    assert_eq!(wrong.stdout, "");
}
