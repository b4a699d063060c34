//! What an agent is told when an attempt is not the first.
//!
//! Called for the rungs of the resume ladder. What always holds: the task itself is part of the
//! text, because a session that ended early may not have it; the agent is told that things may
//! have changed, and to look before it does anything twice.

use std::fmt::Write as _;

use queue_core::agent::AgentTask;
use queue_core::attempt::Attempt;

/// The most of a checkpoint that is told; the file has all of it.
const TOLD: usize = 8_000;

/// For a session that is gone on with.
pub(super) fn resumed(task: &AgentTask, last: &Attempt, saved: Option<&[u8]>) -> String {
    let mut text = format!(
        "You were interrupted ({}) and go on now. Time has passed, and files may have changed. \
         The last command that you ran may or may not have taken effect: look before you run it \
         again. Then go on with the task until it is done.",
        how(last)
    );
    tell_saved(&mut text, saved);
    let _ = write!(text, "\n\nThe task, once more:\n\n{}", task.prompt);
    text
}

/// For a new session after others.
pub(super) fn fresh(task: &AgentTask, last: &Attempt, saved: Option<&[u8]>) -> String {
    let mut text = format!(
        "{}\n\n---\nAn earlier session worked on this task and ended before it was done ({}). It \
         may have changed files: look at what is there, such as with `git status` and `git log`, \
         and go on from that instead of doing it again.",
        task.prompt,
        how(last)
    );
    tell_saved(&mut text, saved);
    text
}

fn how(last: &Attempt) -> &'static str {
    last.class.map_or("it ended", queue_core::Class::as_str)
}

fn tell_saved(text: &mut String, saved: Option<&[u8]>) {
    let Some(saved) = saved.filter(|saved| !saved.is_empty()) else {
        return;
    };
    let value = String::from_utf8_lossy(saved);
    let told: String = value.chars().take(TOLD).collect();
    let more = if told.len() < value.len() { " …" } else { "" };
    let _ = write!(
        text,
        "\n\nThis was saved about how far the work is (it is in the file $QUEUE_CHECKPOINT, \
         too):\n\n{told}{more}"
    );
}
