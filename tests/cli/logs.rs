//! `qcli logs`: what a job wrote.

use support::{Stopped, wait_until};

#[test]
fn the_very_bytes_come_out_of_a_pipe_and_each_stream_alone() {
    let env = support::test_env!();
    env.enqueue(&[
        "--shell",
        "printf 'out\\n'; printf 'err\\n' >&2; printf '\\033[1mno end'",
    ]);
    env.drain();
    let read = |args: &[&str]| env.qcli(&[&["logs", "1"], args].concat()).ok().stdout;
    assert_eq!(read(&["--stdout"]), "out\n\u{1b}[1mno end");
    assert_eq!(read(&["--stderr"]), "err\n");
    assert_eq!(read(&["--raw", "--stdout"]), "out\n\u{1b}[1mno end");
    assert_eq!(read(&["--tail", "1", "--stdout"]), "\u{1b}[1mno end");
    let timed = read(&["--timestamps", "--stderr"]);
    assert!(
        timed.ends_with("Z err\n") && timed.len() == "2026-03-01T12:00:00.000Z err\n".len(),
        "{timed}"
    );
}

#[test]
fn an_attempt_can_be_chosen() {
    let env = support::test_env!();
    env.enqueue(&[
        "--max-attempts",
        "2",
        "--backoff",
        "none",
        "--shell",
        "echo try $QUEUE_ATTEMPT; exit 1",
    ]);
    env.qcli(&["work", "--drain=all"]).ok();
    assert_eq!(env.qcli(&["logs"]).ok().stdout, "try 2\n");
    assert_eq!(
        env.qcli(&["logs", "1", "--attempt", "1"]).ok().stdout,
        "try 1\n"
    );
    env.qcli(&["logs", "1", "--attempt", "7"])
        .exits(3)
        .says("its last one is 2");
}

#[test]
fn several_jobs_have_their_number_in_front() {
    let env = support::test_env!();
    env.enqueue(&["--", "echo", "a"]);
    env.enqueue(&["--", "echo", "b"]);
    env.drain();
    assert_eq!(env.qcli(&["logs", "1", "2"]).ok().stdout, "1 | a\n2 | b\n");
}

#[test]
fn a_job_that_wrote_nothing_says_why_and_is_no_error() {
    let env = support::test_env!();
    env.enqueue(&["--", "no-such-program-at-all"]);
    env.enqueue(&["--hold", "--", "true"]);
    env.drain();
    let nothing = env.qcli(&["logs", "1"]).ok().says("no-such-program-at-all");
    assert_eq!(nothing.stdout, "");
    env.qcli(&["logs", "2"])
        .ok()
        .says("has not started yet")
        .says("`qcli why 2`");
}

#[test]
fn following_shows_every_attempt_to_the_end_and_nothing_twice() {
    let env = support::test_env!();
    env.enqueue(&[
        "--max-attempts",
        "3",
        "--backoff",
        "none",
        "--shell",
        "echo try $QUEUE_ATTEMPT; test $QUEUE_ATTEMPT = 3",
    ]);
    let mut following = env.spawn_qcli(&["logs", "-f", "1"]);
    env.qcli(&["work", "--drain=all"]).ok();
    assert_eq!(following.wait(), Stopped::Exited(0));
    assert_eq!(following.stdout(), "try 1\ntry 2\ntry 3\n");
}

#[test]
fn output_comes_while_the_job_runs_and_until_ends_at_the_line() {
    let env = support::test_env!();
    let job = env.enqueue(&[
        "--shell",
        "echo listening on 80; while ! test -e go; do sleep 0.02; done; echo end",
    ]);
    let _worker = env.spawn_worker(&[]);
    let until = env
        .qcli(&["logs", "1", "--until", "listening on [0-9]+"])
        .ok();
    assert_eq!(until.stdout, "listening on 80\n");
    assert_eq!(env.state(job), "in_progress");
    let following = env.spawn_qcli(&["logs", "-f", "1"]);
    wait_until("the first line is there", || {
        following.stdout() == "listening on 80\n"
    });
    env.file("go", "");
    env.qcli(&["logs", "1", "--until", "never written"])
        .exits(1)
        .says("no line matched");
    wait_until("the last line is there", || {
        following.stdout() == "listening on 80\nend\n"
    });
}

#[test]
fn a_bad_pattern_is_refused_before_anything_is_read() {
    let env = support::test_env!();
    env.qcli(&["logs", "1", "--until", "a("])
        .exits(2)
        .says("`a(` is not a regular expression");
}

#[test]
fn a_job_that_can_never_start_is_not_followed_for_ever() {
    let env = support::test_env!();
    env.enqueue(&["--max-attempts", "1", "--", "false"]);
    env.enqueue(&["--after", "1", "--", "true"]);
    env.drain();
    env.qcli(&["logs", "-f", "2"])
        .exits(4)
        .says("`qcli requeue 1`");
}

#[test]
fn a_job_that_wrote_nothing_is_not_answered_with_silence() {
    let env = support::test_env!();
    env.enqueue(&["--", "true"]);
    env.enqueue(&["--shell", "echo out"]);
    env.drain();
    let silent = env.qcli(&["logs", "1"]).ok();
    assert_eq!(silent.stdout, "");
    assert_eq!(silent.stderr, "note: job 1 attempt 1 wrote nothing\n");
    env.qcli(&["logs", "2", "--stderr"])
        .ok()
        .says("job 2 attempt 1 wrote nothing to standard error");
    assert_eq!(env.qcli(&["logs", "2"]).ok().stderr, "");
}
