//! A disk that fills up, and writes that fail below the engine.

use crate::{
    apart,
    scene::{all_jobs, assert_sound},
};
use queue_core::{
    Clock as _, Error, JobId, NewJob, State, Store, StoreError, SystemClock,
    attempt::{Finished, Outcome, Report},
    store::sqlite::{OpenOptions, SqliteStore},
};
use rusqlite::Connection;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};
use support::Stopped;

const LEASE: Duration = Duration::from_secs(30);

fn open(disk: &Path) -> SqliteStore {
    SqliteStore::open(&disk.join("queue.db"), &OpenOptions::default()).unwrap()
}

fn padded() -> NewJob {
    NewJob::argv(["true".to_owned(), "x".repeat(20_000)])
}

/// Takes all the space that is left, until the file is removed.
fn fill(disk: &Path) -> PathBuf {
    let path = disk.join("ballast");
    let mut file = fs::File::create(&path).unwrap();
    while file.write_all(&[0; 1_024]).is_ok() {}
    path
}

/// Enqueues until it fails. Gives what was acknowledged and the failure.
fn enqueue_until_it_fails(store: &dyn Store) -> (BTreeSet<JobId>, Error) {
    let clock = SystemClock::new();
    let mut acknowledged = BTreeSet::new();
    for _ in 0..10_000 {
        match store.enqueue(padded(), &clock.now()) {
            Ok(enqueued) => acknowledged.insert(enqueued.id()),
            Err(error) => return (acknowledged, error),
        };
    }
    panic!("200 MB went onto a small disk");
}

fn is_full<T: std::fmt::Debug>(answer: Result<T, Error>) -> bool {
    match answer {
        Err(Error::Store(StoreError::DiskFull(_))) => true,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_enqueue_on_a_full_disk_is_refused_and_goes_well_when_there_is_space() {
    // T62, S4
    let test = "full_disk::an_enqueue_on_a_full_disk_is_refused_and_goes_well_when_there_is_space";
    apart::with_own_disk(test, "2m", |disk| {
        let ballast = disk.join("ballast");
        fs::write(&ballast, vec![0; 400_000]).unwrap();
        let store = open(disk);
        let (mut acknowledged, error) = enqueue_until_it_fails(&store);
        assert!(is_full::<()>(Err(error)));
        assert!(
            is_full(store.enqueue(padded(), &SystemClock::new().now())),
            "it stays so"
        );
        assert!(acknowledged.len() > 10);
        assert_eq!(all_jobs(&store), acknowledged);
        assert_sound(&store);
        fs::remove_file(ballast).unwrap();
        let late = store.enqueue(padded(), &SystemClock::new().now()).unwrap();
        acknowledged.insert(late.id());
        drop(store);
        let store = open(disk);
        assert_eq!(all_jobs(&store), acknowledged);
        assert_sound(&store);
    });
}

#[test]
fn a_worker_on_a_full_disk_keeps_its_leases_and_goes_on_when_there_is_space() {
    // T62, S4
    let test =
        "full_disk::a_worker_on_a_full_disk_keeps_its_leases_and_goes_on_when_there_is_space";
    apart::with_own_disk(test, "4m", |disk| {
        let store = open(disk);
        let now = SystemClock::new().now();
        let worker = store
            .register_worker(&support::new_worker("w"), &now)
            .unwrap();
        let [first, second] =
            [(); 2].map(|()| store.enqueue(support::job("true"), &now).unwrap().id());
        let lease = store.claim(worker, 1, LEASE, &now).unwrap().remove(0).lease;
        let ballast = fill(disk);

        // The last block of the log may take a few small writes yet.
        let mut later = now.clone();
        let refused = (0..10_000).find_map(|_| {
            later.mono += 1;
            later.wall = later.wall.saturating_add(Duration::from_millis(1));
            store.heartbeat(&lease, LEASE, &later).err()
        });
        assert!(is_full::<()>(Err(refused.expect("the disk is full"))));
        assert!(is_full(store.claim(worker, 1, LEASE, &now)));
        assert!(is_full(store.checkpoint(
            first,
            lease.fence().epoch,
            "default",
            &[7; 9_000],
            &now
        )));
        let report = Report::new(Outcome::Completed { result: None }, now.wall);
        let unfinished = store.finish(lease, report.clone(), &now).unwrap_err();
        assert!(is_full::<()>(Err(*unfinished.error)));
        let lease = unfinished.lease.expect("it comes back to be tried again");
        assert_eq!(store.job(first).unwrap().state, State::InProgress);
        assert_eq!(store.job(second).unwrap().state, State::Pending);
        assert_sound(&store);

        fs::remove_file(ballast).unwrap();
        assert!(!store.heartbeat(&lease, LEASE, &now).unwrap());
        assert_eq!(
            store.finish(lease, report, &now).unwrap(),
            Finished::Completed
        );
        let claimed = store.claim(worker, 1, LEASE, &now).unwrap();
        assert_eq!(claimed[0].lease.job(), second);
        assert_eq!(
            claimed[0].lease.fence().epoch.0,
            1,
            "the claim that failed left nothing"
        );
        assert_sound(&store);
    });
}

#[test]
fn a_job_that_ends_on_a_full_disk_is_not_run_again() {
    let test = "full_disk::a_job_that_ends_on_a_full_disk_is_not_run_again";
    apart::with_own_disk(test, "4m", |disk| {
        let db = disk.join("queue.db");
        let env = support::test_env!().with("QUEUE_DB", db.to_str().unwrap());
        let line = "echo x >> runs; while [ ! -e go ]; do sleep 0.01; done; exit 7";
        let job = env.enqueue(&["--max-attempts", "1", "--shell", line]);
        let mut worker = env.spawn_worker(&["--min-free-disk", "0"]);
        support::wait_until("it runs", || env.work().join("runs").exists());
        let ballast = fill(disk);
        env.file("go", "");
        // Its supervisor has begun to write how it ended.
        let status = disk.join(format!("queue.db-run/{job}-1/status.tmp"));
        support::wait_until("it has ended", || status.exists());
        fs::remove_file(ballast).unwrap();
        env.qcli(&["wait", &job.to_string()]).exits(7);
        assert_eq!(env.read("runs"), "x\n");
        worker.signal(rustix::process::Signal::TERM);
        worker.wait();
    });
}

#[test]
fn a_store_cannot_be_made_on_a_full_disk_and_is_made_once_there_is_space() {
    let test = "full_disk::a_store_cannot_be_made_on_a_full_disk_and_is_made_once_there_is_space";
    apart::with_own_disk(test, "1m", |disk| {
        let ballast = fill(disk);
        let path = disk.join("queue.db");
        let error = SqliteStore::open(&path, &OpenOptions::default()).unwrap_err();
        assert_eq!(error, StoreError::DiskFull(path));
        fs::remove_file(ballast).unwrap();
        assert_sound(&open(disk));
    });
}

#[test]
fn a_full_disk_without_a_wake_file_is_called_full() {
    let test = "full_disk::a_full_disk_without_a_wake_file_is_called_full";
    apart::with_own_disk(test, "4m", |disk| {
        // Another process has the store open, so that the files of its log are there.
        let path = disk.join("queue.db");
        let store = open(disk);
        fs::remove_file(disk.join("queue.db-wake")).unwrap();
        fill(disk);
        let error = SqliteStore::open(&path, &OpenOptions::default()).unwrap_err();
        assert_eq!(error, StoreError::DiskFull(path));
        assert_sound(&store);
    });
}

#[test]
fn a_full_disk_without_the_index_of_the_log_is_called_full() {
    // SQLite tells a `-shm` that finds no room as a failure of the disk.
    let test = "full_disk::a_full_disk_without_the_index_of_the_log_is_called_full";
    apart::with_own_disk(test, "4m", |disk| {
        let path = disk.join("queue.db");
        let job = open(disk).enqueue(plain_job(), &SystemClock::new().now());
        let job = job.unwrap().id();
        assert!(!disk.join("queue.db-shm").exists(), "nobody has it open");
        let ballast = fill(disk);
        let error = SqliteStore::open(&path, &OpenOptions::default()).unwrap_err();
        assert_eq!(error, StoreError::DiskFull(path));
        fs::remove_file(ballast).unwrap();
        let store = open(disk);
        assert_eq!(all_jobs(&store), BTreeSet::from([job]));
        assert_sound(&store);
    });
}

#[test]
fn an_index_of_the_log_that_cannot_grow_on_a_full_disk_stops_nothing_for_good() {
    let test =
        "full_disk::an_index_of_the_log_that_cannot_grow_on_a_full_disk_stops_nothing_for_good";
    apart::with_own_disk(test, "40m", |disk| {
        let store = open(disk);
        let now = SystemClock::new().now();
        let mut acknowledged = BTreeSet::from([store.enqueue(padded(), &now).unwrap().id()]);
        let size_of = |name: &str| fs::metadata(disk.join(name)).unwrap().len();
        let index = size_of("queue.db-shm");
        // Somebody who reads keeps the log from starting over, so that it outgrows its index: a
        // block of that is for 4,062 pages of 4 KiB (sqlite.org/walformat.html).
        let reader = Connection::open(disk.join("queue.db")).unwrap();
        let look = "begin; select count(*) from job";
        reader.execute_batch(look).unwrap();
        let is_outgrown = || size_of("queue.db-wal") > 4_062 * (4_096 + 24);
        while size_of("queue.db-wal") < 4_000 * (4_096 + 24) {
            acknowledged.insert(store.enqueue(padded(), &now).unwrap().id());
        }
        assert_eq!(size_of("queue.db-shm"), index, "it is not there yet");
        let ballast = fs::OpenOptions::new().write(true).open(fill(disk)).unwrap();
        let mut refused_by_the_index = 0;
        while size_of("queue.db-shm") < index + (32 << 10) {
            match store.enqueue(padded(), &now) {
                Ok(enqueued) => drop(acknowledged.insert(enqueued.id())),
                refused => {
                    assert!(is_full(refused));
                    refused_by_the_index += u32::from(is_outgrown());
                    // One page more.
                    let left = ballast.metadata().unwrap().len();
                    ballast.set_len(left - 4_096).unwrap();
                }
            }
        }
        assert!(refused_by_the_index > 1);
        drop(reader);
        ballast.set_len(0).unwrap();
        acknowledged.insert(store.enqueue(padded(), &now).unwrap().id());
        assert_eq!(all_jobs(&store), acknowledged);
        drop(store);
        let store = open(disk);
        assert_eq!(all_jobs(&store), acknowledged);
        assert_sound(&store);
    });
}

#[test]
fn after_a_failed_write_nothing_more_is_acknowledged() {
    // T65: what the kernel has of the file is unknown then; only a new process may go on.
    let test = "full_disk::after_a_failed_write_nothing_more_is_acknowledged";
    apart::with_own_limits(test, |dir| {
        let store = open(dir);
        let limit = getrlimit(Resource::Fsize);
        let tight = Rlimit {
            current: Some(300_000),
            ..limit
        };
        setrlimit(Resource::Fsize, tight).unwrap();
        let (acknowledged, error) = enqueue_until_it_fails(&store);
        assert!(
            matches!(error, Error::Store(StoreError::Io { .. })),
            "{error:?}"
        );
        setrlimit(Resource::Fsize, limit).unwrap();
        for _ in 0..3 {
            let answer = store.enqueue(padded(), &SystemClock::new().now());
            assert!(
                matches!(answer, Err(Error::Store(StoreError::Stopped { .. }))),
                "{answer:?}"
            );
        }
        assert_eq!(all_jobs(&store), acknowledged, "reading goes on");
        drop(store);
        let store = open(dir);
        assert_eq!(all_jobs(&store), acknowledged);
        assert_sound(&store);
        store.enqueue(padded(), &SystemClock::new().now()).unwrap();
    });
}

#[test]
fn a_worker_whose_write_fails_says_so_and_stops_and_the_next_one_takes_up_its_job() {
    // T65
    let test =
        "full_disk::a_worker_whose_write_fails_says_so_and_stops_and_the_next_one_takes_up_its_job";
    apart::with_own_limits(test, |_| {
        let env = support::test_env!();
        let line = "echo x >> runs; while [ ! -e go ]; do sleep 0.01; done; exit 7";
        let job = env.enqueue(&["--max-attempts", "1", "--shell", line]);
        // Somebody who reads keeps the log from starting over below the limit.
        let reader = Connection::open(env.db()).unwrap();
        let look = "begin; select count(*) from job";
        reader.execute_batch(look).unwrap();
        let mut worker = env.spawn_worker(&[]);
        support::wait_until("it is recorded", || {
            !env.show(job)["attempts"][0]["pid"].is_null()
        });
        let large = "x".repeat(50_000);
        for _ in 0..8 {
            env.enqueue(&["--hold", "--", "true", &large]);
        }

        let pid = Pid::from_raw(worker.pid().try_into().unwrap());
        let tight = Rlimit {
            current: Some(200_000),
            ..getrlimit(Resource::Fsize)
        };
        prlimit(pid, Resource::Fsize, tight).unwrap();
        let other = env.enqueue(&["--", "true"]);
        assert_eq!(worker.wait(), Stopped::Exited(5), "{}", worker.stderr());
        let said = worker.stderr();
        let words = "the store takes no more writes from this process";
        assert_eq!(said.matches(words).count(), 1, "{said}");
        assert_eq!(env.state(job), "in_progress");
        assert_eq!(env.state(other), "pending");

        env.file("go", "");
        env.drain();
        env.qcli(&["wait", &job.to_string()]).exits(7);
        assert_eq!(env.state(other), "completed");
        assert_eq!(env.read("runs"), "x\n");
    });
}

#[test]
fn on_a_disk_that_turns_read_only_a_job_goes_on_and_its_outcome_is_told_when_it_can_be_written() {
    // S4, A7: new files are refused (EROFS).
    let test = "full_disk::on_a_disk_that_turns_read_only_a_job_goes_on_and_its_outcome_is_told_when_it_can_be_written";
    apart::with_own_disk(test, "8m", |disk| {
        let db = disk.join("queue.db");
        let env = support::test_env!().with("QUEUE_DB", db.to_str().unwrap());
        let line =
            "echo x >> runs; while [ ! -e go ]; do sleep 0.01; done; echo done >> runs; exit 7";
        let job = env.enqueue(&["--max-attempts", "1", "--shell", line]);
        let mut worker = env.spawn_worker(&["-j", "2", "--min-free-disk", "0"]);
        support::wait_until("it runs", || env.work().join("runs").exists());
        let store = open(disk);
        // A mount over the directory: the file system itself is not let go by the store's files.
        let runs = disk.join("queue.db-run");
        let shell = |line: &str| {
            let mut command = std::process::Command::new("sh");
            let done = command
                .args(["-c", line, "sh"])
                .arg(&runs)
                .status()
                .unwrap();
            assert!(done.success(), "{line}");
        };
        shell(r#"mount --bind "$1" "$1" && mount -o remount,bind,ro "$1""#);
        // What is open stays writable: the worker claims this one, and finds no place for it.
        let other = store
            .enqueue(plain_job(), &SystemClock::new().now())
            .unwrap()
            .id();
        support::wait_until("the worker says so", || {
            worker.stderr().contains("has no room to start jobs")
        });
        env.file("go", "");
        support::wait_until("it has ended", || env.read("runs").ends_with("done\n"));
        assert_eq!(store.job(JobId(job)).unwrap().state, State::InProgress);
        shell(r#"umount "$1""#);
        env.qcli(&["wait", &job.to_string()]).exits(7);
        env.qcli(&["wait", &other.to_string()]).ok();
        assert_eq!(store.job(other).unwrap().attempt, 1);
        assert_eq!(store.job(JobId(job)).unwrap().epoch.0, 1);
        assert_eq!(env.read("runs"), "x\ndone\n");
        worker.signal(rustix::process::Signal::TERM);
        worker.wait();
    });
}

/// A job that can be run as it is, in a directory that is there.
fn plain_job() -> NewJob {
    NewJob {
        cwd: "/".into(),
        ..NewJob::argv(["/bin/true"])
    }
}
