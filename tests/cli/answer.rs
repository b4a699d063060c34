//! `qcli ask` inside a job, `qcli answer` outside, and what is said while a job waits for the answer.

use std::process::Command;

use serde_json::json;
use support::{TestEnv, wait_until};

/// A line of shell that finds the very `qcli` under test as `$Q`.
fn with_qcli(env: &TestEnv, line: &str) -> String {
    let command: Command = env.command(&[]);
    format!("Q='{}'; {line}", command.get_program().display())
}

/// A job that asks at its first attempt, and notes what it is told at the next.
const ASKS: &str = "if [ -n \"$QUEUE_ANSWER\" ]; then printf %s \"$QUEUE_QUESTION|$QUEUE_ANSWER\" > told; \
                    else $Q ask 'Which database?' --choice sqlite --choice 'postgres 17'; exit 7; fi";

fn parked(env: &TestEnv, more: &[&str]) -> i64 {
    let line = with_qcli(env, ASKS);
    let job = env.enqueue(&[more, &["--max-attempts", "1", "--shell", &line]].concat());
    env.drain();
    job
}

#[test]
fn a_job_that_asks_is_told_of_everywhere_with_the_command_that_answers() {
    let env = support::test_env!();
    let job = parked(&env, &[]);
    let shown = env.show(job);
    assert_eq!(
        (&shown["state"], &shown["wait_reason"]),
        (&json!("blocked"), &json!("answer"))
    );
    assert_eq!(shown["asked_at"], shown["questions"][0]["asked_at"]);
    assert_eq!(shown["causes"][0]["cause"], "asks");
    env.qcli(&["logs", "1"]).ok().prints("asked. End now");
    env.qcli(&["list"]).ok().prints("asks: Which database?");
    env.qcli(&["why", "1"])
        .ok()
        .prints("for the answer to `Which database?` (sqlite | postgres 17).")
        .prints("qcli answer 1 sqlite")
        .prints("qcli answer 1 'postgres 17'");
    env.qcli(&["show", "1"]).ok().prints("Which database?");
    env.qcli(&["status"])
        .ok()
        .prints("Which database?")
        .prints("qcli answer 1 TEXT");
    let status = env.json(&["status"]);
    assert_eq!(status["asking"][0]["id"], 1, "{status:#}");
    env.qcli(&["wait", "1", "--timeout", "10ms"])
        .exits(124)
        .says("qcli answer 1");
    env.qcli(&["explain", "1"]).ok().prints("Which database?");
}

#[test]
fn an_answer_that_is_not_wanted_is_refused_as_by_other_verbs() {
    let env = support::test_env!();
    let job = parked(&env, &[]);
    env.qcli(&["answer", "9", "x"]).exits(3);
    env.qcli(&["answer", "1", " "])
        .exits(2)
        .says("answer is empty");
    env.qcli_with_input(&["answer", "1", "-"], b"\xff")
        .exits(2)
        .says("not UTF-8");
    env.qcli_with_input(&["answer", "1", "-"], "mysql\n")
        .ok()
        .says("none of those it offered: sqlite, postgres 17");
    env.qcli(&["answer", "1", "sqlite"])
        .exits(4)
        .says("job 1 asks nothing: it is pending")
        .says("was answered at");
    env.drain();
    assert_eq!(env.read("told"), "Which database?|mysql");
    env.qcli(&["answer", "1", "x"])
        .exits(4)
        .says("it is completed");
    let shown = env.show(job);
    assert_eq!(shown["questions"][0]["answered_by"], "person");
    env.qcli(&["show", "1"]).ok().prints("mysql");
}

#[test]
fn outside_of_a_job_nothing_can_be_asked() {
    let env = support::test_env!();
    env.qcli(&["ask", "Which?"]).exits(2).says("QUEUE_JOB_ID");
    env.qcli(&["ask", "Which?", "--timeout", "1s"]).exits(2);
}

#[test]
fn a_job_that_answers_itself_or_may_not_ask_says_so() {
    let env = support::test_env!();
    let line = with_qcli(
        &env,
        "$Q ask 'Go on?' > told && [ \"$(cat told)\" = 'yes: all' ]",
    );
    let by_default = env.enqueue(&["--on-question", "default:yes: all", "--shell", &line]);
    let line = with_qcli(&env, "$Q ask 'Go on?'");
    let never = env.enqueue(&["--on-question", "fail", "--shell", &line]);
    env.drain();
    let shown = env.show(by_default);
    assert_eq!(shown["state"], "completed", "{shown:#}");
    assert_eq!(shown["questions"][0]["answered_by"], "default");
    env.qcli(&["logs", &by_default.to_string()])
        .ok()
        .prints("answered by default");
    let shown = env.show(never);
    assert_eq!(
        (&shown["state"], &shown["class"], &shown["message"]),
        (
            &json!("failed"),
            &json!("needs_input"),
            &json!("asked: Go on?")
        ),
    );
    env.qcli(&["failed"]).ok().prints("needs input");
    env.qcli(&["enqueue", "--on-question", "never", "--", "true"])
        .exits(2)
        .says("known are park, default:TEXT and fail");
}

#[test]
fn the_way_of_questions_is_set_by_a_file_and_changed_by_an_edit() {
    let env = support::test_env!();
    env.file(
        "jobs.jsonl",
        "{\"argv\":[\"true\"],\"on_question\":\"default:no\",\"hold\":true}\n",
    );
    env.qcli(&["enqueue", "--from-file", "jobs.jsonl"]).ok();
    assert_eq!(env.show(1)["options"]["on_question"], "default:no");
    env.qcli(&["edit", "1", "--on-question", "fail"]).ok();
    assert_eq!(env.show(1)["options"]["on_question"], "fail");
    env.qcli(&["show", "1"]).ok().prints("on question fail");
    env.file("bad.jsonl", "{\"argv\":[\"true\"],\"on_question\":\"x\"}\n");
    env.qcli(&["enqueue", "--from-file", "bad.jsonl"])
        .exits(2)
        .says("on_question");
}

#[test]
fn who_waits_for_the_answer_keeps_the_slot_and_prints_it() {
    let env = support::test_env!();
    let line = with_qcli(
        &env,
        "$Q ask --wait 'Go on?' > told; [ $QUEUE_ATTEMPT = 1 ]",
    );
    let job = env.enqueue(&["--shell", &line]);
    let _worker = env.spawn_worker(&["-j", "1"]);
    wait_until("it asks", || !env.show(job)["questions"][0].is_null());
    env.qcli(&["list"]).ok().prints("asks: Go on?");
    env.qcli(&["answer", "1", "yes\nand no"])
        .ok()
        .prints("it still runs");
    env.qcli(&["wait", "1"]).ok();
    assert_eq!(env.read("told"), "yes\nand no\n");
    assert_eq!(env.show(job)["attempts"].as_array().unwrap().len(), 1);
}

#[test]
fn who_waits_in_vain_gives_up_the_slot_and_the_question_stays_open() {
    let env = support::test_env!();
    let line = with_qcli(
        &env,
        "[ -n \"$QUEUE_ANSWER\" ] || { $Q ask --wait --timeout 50ms 'Go on?'; echo $? > code; exit 1; }",
    );
    let job = env.enqueue(&["--shell", &line]);
    env.drain();
    assert_eq!(
        (env.read("code").trim(), &*env.state(job)),
        ("124", "blocked")
    );
    env.qcli(&["answer", "1", "yes"]).ok();
    env.drain();
    assert_eq!(env.state(job), "completed");
}

#[test]
fn a_job_does_not_get_the_answer_of_the_one_that_enqueued_it() {
    let env = support::test_env!();
    let mut command = env.command(&["enqueue", "--env-all", "--", "env"]);
    command.env("QUEUE_ANSWER", "not yours");
    env.run(command).ok();
    env.qcli(&["enqueue", "--env", "QUEUE_ANSWER=not yours", "--", "env"])
        .ok();
    env.drain();
    for job in ["1", "2"] {
        let log = env.qcli(&["logs", job]).ok();
        assert!(!log.stdout.contains("QUEUE_ANSWER"), "{}", log.stdout);
    }
}

#[test]
fn who_waits_for_several_jobs_is_told_what_each_of_them_asks() {
    let env = support::test_env!();
    parked(&env, &[]);
    parked(&env, &[]);
    env.qcli(&["wait", "1", "2", "--timeout", "10ms"])
        .exits(124)
        .says("qcli answer 1")
        .says("qcli answer 2");
}

#[test]
fn run_tells_each_question_and_goes_on_with_the_answers() {
    let env = support::test_env!();
    let line =
        "case $QUEUE_ANSWER in '') $Q ask 'First?';; one) $Q ask 'Second?';; two) echo done;; esac";
    let line = with_qcli(&env, line);
    let mut running = env.spawn_qcli(&["run", "--shell", &line]);
    for (question, answer) in [("First?", "one"), ("Second?", "two")] {
        wait_until("the question is told", || {
            running.stderr().contains(question)
        });
        env.qcli(&["answer", "1", answer]).ok();
    }
    assert_eq!(running.wait(), support::Stopped::Exited(0));
    assert!(running.stdout().contains("done"));
}

#[test]
fn a_check_that_fails_does_not_stand_in_the_way_of_a_question() {
    let env = support::test_env!();
    let line = with_qcli(
        &env,
        "[ -n \"$QUEUE_ANSWER\" ] && touch made || $Q ask 'Make it?'",
    );
    let terms = ["--check", "test -e made", "--max-attempts", "1"];
    let job = env.enqueue(&[&terms[..], &["--shell", &line]].concat());
    env.drain();
    let shown = env.show(job);
    assert_eq!(
        (&shown["wait_reason"], &shown["class"], &shown["attempt"]),
        (&json!("answer"), &json!("needs_input"), &json!(0)),
        "{shown:#}"
    );
    env.qcli(&["answer", "1", "yes"]).ok();
    env.drain();
    assert_eq!(env.state(job), "completed");
}
