//! `qcli doctor`: whether the store is well.

use std::os::unix::fs::PermissionsExt as _;

#[test]
fn a_store_that_was_worked_on_is_well() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.enqueue(&["--", "false"]);
    env.drain();
    let answer = env.json(&["doctor"]);
    assert_eq!(answer["ok"], true, "{answer}");
    let checks = answer["checks"].as_array().unwrap();
    let modes = checks
        .iter()
        .find(|check| check["check"] == "only you can read it")
        .unwrap();
    assert_eq!(modes["status"], "ok", "{modes}");
    env.qcli(&["doctor"]).ok().prints("the file is whole");
}

#[test]
fn whether_bounds_are_enforced_is_said_either_way() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    let answer = env.json(&["doctor"]);
    let checks = answer["checks"].as_array().unwrap();
    for what in [
        "--mem binds jobs",
        "--cpu binds jobs",
        "no process escapes its job",
    ] {
        let check = checks.iter().find(|check| check["check"] == what);
        let check = check.unwrap_or_else(|| panic!("{what}: {answer}"));
        let detail = check["detail"].as_str().unwrap();
        match check["status"].as_str().unwrap() {
            "ok" => assert!(detail.starts_with("control groups, version "), "{check}"),
            "warning" => assert!(
                detail.starts_with("not under a worker started from here"),
                "{check}"
            ),
            other => panic!("{other}: {check}"),
        }
    }
}

#[test]
fn what_is_wrong_is_named_and_is_exit_code_5() {
    // L5
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    std::fs::set_permissions(env.db(), std::fs::Permissions::from_mode(0o644)).unwrap();
    env.qcli(&["doctor"])
        .exits(5)
        .prints("not ok")
        .prints("chmod 600");
}

#[test]
fn a_file_that_is_no_store_is_looked_at_all_the_same() {
    let env = support::test_env!();
    let file = env.file(
        "notes.db",
        "this is no database, but it is long enough to be looked at as one.\n".repeat(40),
    );
    env.qcli(&["doctor", "--db", file.to_str().unwrap()])
        .exits(5)
        .prints("the store opens")
        .prints("is not a SQLite database");
}

#[test]
fn a_log_without_a_job_is_a_warning() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.drain();
    let logs = format!("{}-logs", env.db().display());
    std::fs::write(format!("{logs}/99-1.log"), "").unwrap();
    let answer = env.qcli(&["doctor", "--json"]).json();
    let checks = answer["checks"].as_array().unwrap();
    let check = checks
        .iter()
        .find(|check| check["check"] == "every log belongs to a job")
        .unwrap();
    assert_eq!(check["status"], "warning");
    assert!(
        check["detail"].as_str().unwrap().contains("99-1.log"),
        "{check}"
    );
}

#[test]
fn a_damaged_store_is_reported_check_by_check() {
    use std::os::unix::fs::FileExt as _;
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    let file = std::fs::OpenOptions::new().write(true).open(env.db());
    let file = file.unwrap();
    file.write_all_at(&[0xa5; 4_096 * 4], 4_096 * 2).unwrap();
    drop(file);
    env.qcli(&["doctor"])
        .exits(5)
        .prints("its disk has room")
        .prints("not ok  the file is whole")
        .prints("somebody works");
}
