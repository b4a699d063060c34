//! A disk that runs low before it is full: nothing more is started, what runs goes on.

use crate::apart;
use std::fs;
use support::wait_until;

#[test]
fn a_worker_below_its_reserve_of_disk_starts_nothing_until_there_is_room_again() {
    let test =
        "reserve::a_worker_below_its_reserve_of_disk_starts_nothing_until_there_is_room_again";
    apart::with_own_disk(test, "64m", |disk| {
        let db = disk.join("queue.db");
        let env = support::test_env!().with("QUEUE_DB", db.to_str().unwrap());
        let line = "touch runs; while [ ! -e go ]; do sleep 0.01; done; echo done >> first";
        let first = env.enqueue(&["--shell", line]);
        let worker = env.spawn_worker(&["-j", "2", "--name", "w3", "--min-free-disk", "32MiB"]);
        wait_until("the first runs", || env.work().join("runs").exists());

        let ballast = disk.join("ballast");
        fs::write(&ballast, vec![1; 40 << 20]).unwrap();
        let refusal = "worker w3 does not start jobs: ";
        wait_until("the worker says so", || worker.stderr().contains(refusal));
        let second = env.enqueue(&["--shell", "touch second"]);
        env.qcli(&["why", &second.to_string()])
            .ok()
            .prints("Worker w3 does not start jobs since")
            .prints("MiB free on ")
            .prints("32.0 MiB kept free")
            .prints("--min-free-disk");
        env.qcli(&["status"]).ok().prints("w3 starts no jobs since");
        let workers = env.json(&["workers"]);
        let said = serde_json::to_string(&workers).unwrap();
        assert!(said.contains(r#""resource":"disk""#), "{said}");

        // What runs goes on, and its place stays empty.
        env.file("go", "");
        env.qcli(&["wait", &first.to_string()]).exits(0);
        assert_eq!(env.read("first"), "done\n");
        assert_eq!(env.state(second), "pending");
        assert!(!env.work().join("second").exists());

        fs::remove_file(ballast).unwrap();
        env.qcli(&["wait", &second.to_string()]).exits(0);
        wait_until("the worker says that too", || {
            worker
                .stderr()
                .contains("worker w3 starts jobs again: enough disk is free")
        });
        assert_eq!(
            worker.stderr().matches(refusal).count(),
            1,
            "{}",
            worker.stderr()
        );
        assert!(!env.qcli(&["status"]).ok().stdout.contains("starts no jobs"));
    });
}
