//! Runs a test in a process of its own, with mounts or limits that others must not see.
//!
//! The test binary starts itself once more for the one test. Where the system does not permit
//! that, the test says so and proves nothing.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// Set in the process apart; names the directory that is its own.
const MARK: &str = "QUEUE_TESTS_APART";

/// Runs `body` with a file system of its own, `size` large (as mount(8) reads it), in its own
/// mount namespace: with the process it is gone. `test` is the path of the calling test.
#[track_caller]
pub(crate) fn with_own_disk(test: &str, size: &str, body: impl FnOnce(&Path)) {
    let script = format!(r#"mount -t tmpfs -o size={size} tmpfs "${MARK}" || exit 77; exec "$@""#);
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
    apart(test, command, body);
}

/// Runs `body` in a process in which a write beyond the size limit is an error, not a signal.
#[track_caller]
pub(crate) fn with_own_limits(test: &str, body: impl FnOnce(&Path)) {
    let mut command = Command::new("sh");
    command.args(["-c", r#"trap '' XFSZ; exec "$@""#, "sh"]);
    apart(test, command, body);
}

#[expect(
    clippy::print_stderr,
    reason = "who runs the tests is to know what was not tested"
)]
#[track_caller]
fn apart(test: &str, mut command: Command, body: impl FnOnce(&Path)) {
    if let Some(dir) = env::var_os(MARK) {
        return body(&PathBuf::from(dir));
    }
    let dir = tempfile::Builder::new()
        .prefix("queue-faults-")
        .tempdir()
        .unwrap();
    let output = command
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(MARK, dir.path())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            eprintln!("note: {test} was not tried: {command:?} does not start: {error}");
            return;
        }
    };
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    if output.status.code() == Some(77) || err.starts_with("unshare:") {
        eprintln!("note: {test} was not tried: no mount of its own is permitted here: {err}");
        return;
    }
    assert!(output.status.success(), "{out}\n{err}");
    assert!(
        out.contains("1 passed"),
        "{test} is not the name of the test: {out}"
    );
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
