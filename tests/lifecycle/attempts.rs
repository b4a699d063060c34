//! What an attempt gets, and what its end is called.

use crate::home::home;
use queue_core::job::{Command, NewJob};
use queue_core::raw_text::RawText;
use queue_core::{Class, State, Store, checkpoint};
use rusqlite::Connection;
use support::{Stopped, wait_until};

#[test]
fn a_job_has_the_environment_of_its_enqueuer_and_nothing_of_the_workers() {
    let home = home!();
    let mut job = home.shell("env > seen");
    job.env.insert("MINE".to_owned(), RawText::from("a b"));
    job.env.insert("CLAUDECODE".to_owned(), RawText::from("1"));
    let job = home.add(job);
    let mut command = home.env.worker_command(&["--drain", "--name", "w1"]);
    command.env("WORKERS_SECRET", "hunter2");
    home.env.run(command).ok();
    home.ends(job, State::Completed);
    let seen = home.env.read("seen");
    let has = |line: &str| seen.lines().any(|known| known == line);
    assert!(
        has("MINE=a b") && has("QUEUE_WORKER=w1") && has("QUEUE_QUEUE=default"),
        "{seen}"
    );
    assert!(
        has(&format!("QUEUE_JOB_ID={job}")) && has("QUEUE_ATTEMPT=1"),
        "{seen}"
    );
    let db = std::fs::canonicalize(home.env.db()).unwrap();
    assert!(has(&format!("QUEUE_DB={}", db.display())), "{seen}");
    for absent in ["WORKERS_SECRET=", "CLAUDECODE=", "HOME=", "LANG="] {
        assert!(
            !seen.lines().any(|line| line.starts_with(absent)),
            "{absent} in {seen}"
        );
    }
}

#[test]
fn every_end_has_its_class_and_only_what_may_go_better_is_tried_again() {
    // T25
    let home = home!();
    let add = |mut job: NewJob| {
        job.max_attempts = 2.try_into().unwrap();
        job.backoff = "none".parse().unwrap();
        home.add(job)
    };
    let shell = |line: &str| add(home.shell(line));
    let argv = |word: &str| {
        let mut job = home.shell("");
        job.command = Command::Argv(vec![RawText::from(word)]);
        add(job)
    };
    let mut nowhere = home.shell("true");
    nowhere.cwd = RawText::from("/nowhere/at/all");
    let mut slow = home.shell("sleep 600");
    slow.options.timeout_ms = Some(100);
    let mut silent = home.shell("echo once; sleep 600");
    silent.options.idle_timeout_ms = Some(100);
    let plain = home.env.file("plain", "no program");
    let mut payload = home.shell("");
    payload.command = Command::Payload(serde_json::json!({"n": 1}));
    let expected = [
        (shell("exit 3"), Class::ExitCode, Some(3), 2),
        (shell("exit 127"), Class::ExitCode, Some(127), 1),
        (shell("kill -SEGV $$"), Class::Signal, None, 2),
        (shell("ls --frob"), Class::Usage, Some(2), 1),
        (argv("nosuchprogram"), Class::SpawnFailed, Some(127), 1),
        (
            argv(plain.to_str().unwrap()),
            Class::SpawnFailed,
            Some(126),
            1,
        ),
        // P13
        (add(nowhere), Class::BadCwd, None, 1),
        (add(slow), Class::Timeout, None, 2),
        (add(silent), Class::IdleTimeout, None, 2),
        // T27
        (add(payload), Class::BadPayload, None, 2),
    ];
    let mut worker = home.worker(&["--drain=all"]);
    assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
    for (job, class, code, attempts) in expected {
        let row = home.ends(job, State::Failed);
        let tried = home.attempts(job);
        let last = tried.last().unwrap();
        let seen = (row.class, last.exit_code, tried.len());
        assert_eq!(seen, (Some(class), code, attempts), "job {job}: {last:#?}");
    }
}

#[test]
fn a_job_that_no_worker_can_read_fails_and_the_others_are_worked() {
    // T27
    let home = home!();
    let before = home.add_shell("true");
    let unreadable = home.add(NewJob {
        max_attempts: 2.try_into().unwrap(),
        backoff: "none".parse().unwrap(),
        ..home.shell("touch ran")
    });
    let behind = home.add_shell("true");
    let spoil = "update job_body set command = '{\"no\": such' where job = ?";
    let other = Connection::open(home.env.db()).unwrap();
    assert_eq!(other.execute(spoil, [unreadable.0]).unwrap(), 1);
    let mut worker = home.worker(&["--drain=all", "-j", "1"]);
    assert_eq!(worker.wait(), Stopped::Exited(0), "{}", worker.stderr());
    for job in [before, behind] {
        assert_eq!(home.job(job).state, State::Completed);
    }
    let row = home.ends(unreadable, State::Failed);
    assert_eq!((row.class, row.attempt), (Some(Class::BadPayload), 2));
    assert!(!home.env.work().join("ran").exists());
    let shown = home.env.qcli(&["show", &unreadable.to_string()]).ok();
    shown.prints("cannot be read");
}

#[test]
fn a_checkpoint_is_saved_while_the_job_runs_and_the_next_attempt_finds_it() {
    let home = home!();
    let mut job = home.shell(
        "if [ $QUEUE_ATTEMPT = 1 ]; then \
             [ -e $QUEUE_CHECKPOINT ] && touch early; \
             printf one > new && mv new $QUEUE_CHECKPOINT; \
             while [ ! -e go ]; do sleep 0.01; done; \
             printf two > $QUEUE_CHECKPOINT; exit 1; \
         else cat $QUEUE_CHECKPOINT > seen; fi",
    );
    job.backoff = "none".parse().unwrap();
    let job = home.add(job);
    let _worker = home.worker(&["-j", "1"]);
    let saved = || {
        home.store
            .checkpoint_value(job, checkpoint::DEFAULT)
            .unwrap()
    };
    wait_until("the first value is saved", || {
        saved().is_some_and(|saved| saved.value == b"one")
    });
    assert_eq!(home.job(job).state, State::InProgress);
    home.env.file("go", "");
    home.ends(job, State::Completed);
    assert_eq!(home.env.read("seen"), "two");
    assert_eq!(saved().unwrap().value, b"two");
    assert!(!home.env.work().join("early").exists());
}

#[test]
fn a_process_is_recorded_while_it_runs_with_its_log() {
    let home = home!();
    let job = home.add_shell("echo $$ > pid; echo words; while [ ! -e go ]; do sleep 0.01; done");
    let _worker = home.worker(&["-j", "1"]);
    let pid = home.pid_in("pid");
    wait_until("the process is recorded", || {
        home.attempts(job)[0].process.is_some()
    });
    let process = home.attempts(job)[0].process.clone().unwrap();
    assert_eq!(
        i64::from(process.pid),
        i64::from(pid.as_raw_nonzero().get())
    );
    assert!(process.pid_started.is_some());
    home.env.file("go", "");
    home.ends(job, State::Completed);
    let log = std::fs::read_to_string(&process.log).unwrap();
    assert!(log.contains("words"), "{log}");
    // A short one is recorded with its end.
    let short = home.add_shell("true");
    home.ends(short, State::Completed);
    assert!(home.attempts(short)[0].process.is_some());
}

#[test]
fn a_script_is_run_by_the_interpreter_of_its_first_line() {
    let home = home!();
    let run = |text: &str| {
        let mut job = home.shell("");
        job.command = Command::Script(text.to_owned());
        home.add(job)
    };
    let jobs = [
        run("#!/usr/bin/awk -f\nBEGIN { print \"awk\" > \"awk\" }\n"),
        run("echo sh > sh\n"),
    ];
    home.env.drain();
    for job in jobs {
        home.ends(job, State::Completed);
    }
    assert_eq!(home.env.read("awk") + &home.env.read("sh"), "awk\nsh\n");
}
