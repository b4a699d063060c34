//! Which jobs come after which.

use super::*;
use queue_core::store::Edit;

fn after(parents: &[JobId]) -> Edit {
    let after = parents.iter().map(|parent| After {
        parent: *parent,
        end: ParentEnd::Any,
    });
    Edit {
        after: Some(after.collect()),
        ..Edit::default()
    }
}

#[test]
fn a_tower_of_diamonds_is_looked_through_once() {
    // Sixty floors of two jobs each: 2^60 ways lead from the top to the ground.
    let q = Q::new();
    let ground = q.add(&[]);
    let mut floor = vec![ground];
    for _ in 0..60 {
        floor = vec![q.add(&floor), q.add(&floor)];
    }
    let top = q.add(&[]);
    q.store
        .edit(&[top], &after(&floor), &q.now)
        .unwrap()
        .pop()
        .unwrap()
        .unwrap();
    let answer = q
        .store
        .edit(&[ground], &after(&[top]), &q.now)
        .unwrap()
        .pop()
        .unwrap();
    let Err(Error::DependencyCycle { job, path }) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(job, ground);
    assert_eq!(
        (path.first(), path.get(1), path.last()),
        (Some(&ground), Some(&top), Some(&ground))
    );
    assert_eq!(path.len(), 63);
}
