//! Fake programs to run as jobs: lines of shell that behave in one particular way.
//!
//! Tests hand them to `qcli enqueue --shell` or to `sh -c`. Those that go on for long first say so
//! in a file, so that a test waits for that and not for a span of time.

/// Writes its pid to `file`, then sleeps for ten minutes.
pub fn sleeper(file: &str) -> String {
    format!("echo $$ > {file}.new && mv {file}.new {file} && exec sleep 600")
}

/// Shuts out every signal that can be shut out, writes its pid to `file`, then goes on for ten
/// minutes: only SIGKILL ends it.
pub fn ignores_term(file: &str) -> String {
    format!(
        "trap '' TERM INT HUP; echo $$ > {file}.new && mv {file}.new {file}; \
         n=0; while [ $n -lt 600 ]; do sleep 1; n=$((n + 1)); done"
    )
}

/// Leaves a grandchild behind, in a session of its own, with its pid in `file` and its streams
/// still open; ends well once the file is there.
pub fn leaves_grandchild(file: &str) -> String {
    format!(
        "setsid sh -c 'echo $$ > {file}.new && mv {file}.new {file}; exec sleep 600' & \
         while [ ! -e {file} ]; do sleep 0.01; done; echo left"
    )
}

/// Writes `lines` numbered lines to each stream, alternately, and ends at once: `out 1`, `err 1` …
pub fn writes_much(lines: u32) -> String {
    format!(
        "awk 'BEGIN {{ for (i = 1; i <= {lines}; i++) {{ \
         print \"out \" i; print \"err \" i > \"/dev/stderr\" }} }}'"
    )
}

/// Fails with exit code 1 until `file` exists, and makes it: the second try goes well.
pub fn needs_second_try(file: &str) -> String {
    format!("test -e {file} || {{ touch {file}; echo not yet >&2; exit 1; }}; echo done")
}
