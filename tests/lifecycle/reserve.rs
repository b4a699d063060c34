//! A worker that keeps memory free.

use crate::home::{home, says};
use queue_core::why::Cause;
use queue_core::worker::Resource;
use queue_core::{State, Store};
use support::wait_until;

#[test]
fn a_worker_below_its_reserve_of_memory_leaves_jobs_to_others_and_says_so_once() {
    let home = home!();
    let job = home.add_shell("touch ran");
    // More than any machine has.
    let short = home.worker(&["--name", "short", "--min-free-memory", "100000TiB"]);
    says(&short, "worker short does not start jobs: ");
    wait_until("the store knows", || {
        let workers = home.store.workers().unwrap();
        workers.iter().any(|worker| worker.short.is_some())
    });
    let causes = home.store.why(job, &home.now()).unwrap();
    let is_it = |cause: &Cause| {
        matches!(cause, Cause::WorkerShort { worker, shortage, .. }
            if worker == "short" && shortage.resource == Resource::Memory)
    };
    assert!(causes.iter().any(is_it), "{causes:?}");
    let told = home.env.qcli(&["list"]).ok().stdout.clone();
    assert!(told.contains("too little memory"), "{told}");
    assert_eq!(home.job(job).state, State::Pending);

    // One that asks for nothing takes it, long after the other has measured again.
    let _other = home.worker(&["--min-free-memory", "0"]);
    home.ends(job, State::Completed);
    home.appears("ran");
    assert_eq!(short.stderr().matches("does not start jobs").count(), 1);
    // A worker that serves the queue is there: the short one is no cause any more.
    let next = home.add_shell("until [ -e enough ]; do sleep 0.01; done");
    let causes = home.store.why(next, &home.now()).unwrap();
    assert!(!causes.iter().any(is_it), "{causes:?}");
    home.env.file("enough", "");
    home.ends(next, State::Completed);
}
