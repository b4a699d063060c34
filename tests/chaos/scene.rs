//! Everything one would ask for after a violation: the job, its effects, the deeds, the logs.
//!
//! The verdict adds it to each violation. What always holds: it is taken before the directory of the
//! run is removed, and names only what bears on the one job.

use crate::world::World;
use queue_core::{JobId, Store};
use queue_worker::layout::Layout;
use std::fs;

/// How much of a log is shown, in characters.
const LOG: usize = 2_000;

/// The violation in words, and the scene behind it.
pub(crate) fn of(world: &World, job: JobId, words: &str) -> String {
    [
        format!("job {job}: {words}"),
        format!("── job:\n{:#?}", world.store.detail(job, &world.now())),
        format!("── effects:\n{}", effects(world, job)),
        format!("── deeds:\n{}", deeds(world, job)),
        format!("── workers:\n{}", said(world, job)),
        logs(world, job),
    ]
    .join("\n")
}

/// The lines of its effect file; those that follow each other and are the same only once.
fn effects(world: &World, job: JobId) -> String {
    let text = world.env.read(&format!("effects/{job}"));
    let mut lines: Vec<&str> = text.lines().collect();
    lines.dedup();
    lines.join("\n")
}

/// What was done to it and to any worker: what is done to a worker is done to all of its jobs.
fn deeds(world: &World, job: JobId) -> String {
    let number = job.to_string();
    let names = |text: &str| {
        let mut numbers = text.split(|letter: char| !letter.is_ascii_digit());
        numbers.any(|word| word == number)
    };
    world.deeds_about(|what| what.is_empty() || what.starts_with('w') || names(what))
}

/// What workers wrote about it.
fn said(world: &World, job: JobId) -> String {
    let words = format!("job {job} ");
    let mut lines = String::new();
    for (worker, said) in &world.said {
        for line in said.lines().filter(|line| line.contains(&words)) {
            lines += &format!("{worker}: {line}\n");
        }
    }
    lines
}

fn logs(world: &World, job: JobId) -> String {
    let layout = Layout::of(&world.env.db());
    let detail = world.store.detail(job, &world.now()).ok();
    let attempts = detail.into_iter().flat_map(|detail| detail.attempts);
    let log = |epoch| {
        let log = fs::read_to_string(layout.log(job, epoch)).unwrap_or_default();
        let beginning: String = log.chars().take(LOG).collect();
        format!("── log of epoch {epoch}:\n{beginning}\n")
    };
    attempts.map(|attempt| log(attempt.epoch)).collect()
}
