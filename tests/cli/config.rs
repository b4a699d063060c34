//! `qcli config`, `qcli completions`, and the command line itself.

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
