//! Whole process trees: whatever a job started is ended with it.

use crate::home::{home, is_alive};
use queue_core::job::OnLeftover;
use queue_core::{State, Store};
use support::wait_until;

/// Children that leave the group, the session, their environment and their parent.
const SCATTERS: &str = "sh -c 'echo $$ > near; exec sleep 600' & \
     setsid sh -c 'echo $$ > far; exec sleep 600' & \
     env -i setsid /bin/sh -c 'echo $$ > bare; exec sleep 600' & \
     (setsid sh -c 'echo $$ > double; exec sleep 600' &) ; ";

const SCATTERED: [&str; 4] = ["near", "far", "bare", "double"];

#[test]
fn cancel_ends_children_that_left_the_session_their_environment_and_their_parent() {
    // P1
    let home = home!();
    let job = home.add_shell(&format!(
        "{SCATTERS} echo $$ > leader; while :; do sleep 1; done"
    ));
    let _worker = home.worker(&[]);
    let leader = home.pid_in("leader");
    let tree = SCATTERED.map(|file| home.pid_in(file));
    home.store.cancel(&[job], &home.now()).unwrap();
    home.ends(job, State::Cancelled);
    assert!(!is_alive(leader));
    assert!(!tree.into_iter().any(is_alive));
}

#[test]
fn a_timeout_ends_the_whole_tree() {
    let home = home!();
    let mut job = home.shell(&format!("{SCATTERS} while :; do sleep 1; done"));
    job.max_attempts = std::num::NonZeroU32::MIN;
    job.options.timeout_ms = Some(1_500);
    let job = home.add(job);
    let _worker = home.worker(&[]);
    let tree = SCATTERED.map(|file| home.pid_in(file));
    home.ends(job, State::Failed);
    assert!(!tree.into_iter().any(is_alive));
}

#[test]
fn a_daemon_that_a_job_leaves_behind_is_ended_and_does_not_hold_up_its_end() {
    // P2, P8
    let home = home!();
    let job = home.add_shell(&format!(
        "{SCATTERS} until [ -s near ] && [ -s far ] && [ -s bare ] && [ -s double ]; do sleep 0.01; done"
    ));
    let _worker = home.worker(&[]);
    home.ends(job, State::Completed);
    let tree = SCATTERED.map(|file| home.pid_in(file));
    wait_until("nothing is left", || !tree.into_iter().any(is_alive));
}

#[test]
fn what_a_job_leaves_behind_is_waited_for_or_kept_where_it_says_so() {
    // P2
    let home = home!();
    let mut waits = home.shell("(sleep 1; echo late > waited) & echo started");
    waits.options.on_leftover = Some(OnLeftover::Wait);
    let waits = home.add(waits);
    let mut keeps = home.shell(
        "setsid sh -c 'echo $$ > kept; exec sleep 600' & until [ -s kept ]; do sleep 0.01; done",
    );
    keeps.options.on_leftover = Some(OnLeftover::Keep);
    let keeps = home.add(keeps);
    let _worker = home.worker(&[]);
    home.ends(waits, State::Completed);
    assert_eq!(home.env.read("waited"), "late\n");
    home.ends(keeps, State::Completed);
    assert!(is_alive(home.pid_in("kept")));
}

#[test]
fn show_says_what_a_job_left_behind() {
    let home = home!();
    let job = home.add_shell(
        "setsid sh -c 'echo $$ > left; exec sleep 600' & until [ -s left ]; do sleep 0.01; done",
    );
    let _worker = home.worker(&[]);
    home.ends(job, State::Completed);
    let message = home.attempts(job)[0].message.clone().unwrap_or_default();
    assert!(
        message.starts_with("1 process that it left behind was ended"),
        "{message}"
    );
}
