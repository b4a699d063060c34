//! Running ended jobs again together with what comes after them.

use super::*;

fn again() -> Requeue {
    Requeue {
        with_dependants: true,
        delay: None,
        ..Requeue::default()
    }
}

#[test]
fn the_last_job_of_a_diamond_waits_for_both_sides_again() {
    let q = Q::new();
    let top = q.add(&[]);
    let (left, right) = (q.add(&[top]), q.add(&[top]));
    let bottom = q.add(&[left, right]);
    q.complete_all();
    let done = q.store.requeue(&[top], &again(), &q.now).unwrap();
    assert_eq!(done[0].as_ref().unwrap().dependants.len(), 3);
    assert_eq!(q.store.job(bottom).unwrap().waiting_on, 2);
    q.complete_all();
    assert_eq!(q.state(bottom), State::Completed);
}

#[test]
fn a_job_after_both_a_parent_and_its_child_waits_for_both_again() {
    let q = Q::new();
    let top = q.add(&[]);
    let child = q.add(&[top]);
    let both = q.add(&[top, child]);
    q.complete_all();
    q.store.requeue(&[top], &again(), &q.now).unwrap();
    assert_eq!(q.store.job(both).unwrap().waiting_on, 2);
}

#[test]
fn a_long_chain_runs_again_without_exhausting_the_stack() {
    let q = Q::new();
    let jobs = (0..5_000)
        .map(|place: usize| {
            let mut job = NewJob::argv(["true"]);
            job.after_in_batch = place
                .checked_sub(1)
                .map(|parent| (parent, ParentEnd::Any))
                .into_iter()
                .collect();
            job
        })
        .collect();
    let added = q.store.enqueue_all(jobs, &q.now).unwrap();
    let ids: Vec<JobId> = added.into_iter().map(Enqueued::id).collect();
    q.store.cancel(&ids, &q.now).unwrap();
    let done = q.store.requeue(&ids[..1], &again(), &q.now).unwrap();
    assert_eq!(done[0].as_ref().unwrap().dependants.len(), 4_999);
}

#[test]
fn a_job_that_runs_again_began_when_it_was_claimed_again() {
    let mut q = Q::new();
    let job = q.add(&[]);
    let began = |q: &Q| q.store.detail(job, &q.now).unwrap().summary.started_at;
    let later = |q: &Q| Now::at(q.now.wall.as_millis() + 60_000);
    q.complete_all();
    assert_eq!(began(&q), Some(q.now.wall));
    q.now = later(&q);
    q.store.requeue(&[job], &again(), &q.now).unwrap();
    assert_eq!(began(&q), None, "it waits for its first claim since");
    // A try that did not count is part of the same run.
    let first = q.now.wall;
    let lease = q.leases(1).pop().unwrap();
    let back = Report::new(Outcome::HandedBack, q.now.wall);
    q.store.finish(lease, back, &q.now).unwrap();
    q.now = later(&q);
    assert_eq!(began(&q), Some(first));
    q.complete_all();
    assert_eq!(began(&q), Some(first));
}
