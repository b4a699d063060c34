//! How a job was asked to run: its attempts, limits, gates, budgets and options.
//!
//! Owns the lines of the page that a person set when the job was enqueued, and what follows from them: the wait before
//! the next attempt, the stalls that are left. Lines of what was not asked for are left out.

use std::time::Duration;

use queue_core::{
    Class, Job, State,
    attempt::Attempt,
    gate::GateName,
    job::RunOptions,
    raw_text::RawText,
    retry,
    state::Disposition,
    store::Detail,
    units::{about_tokens, format_bytes, format_cpus, format_duration},
    way::Way,
};

use super::super::{ended, proof};
use super::some;
use crate::output::{table::Fields, time::span};

/// Adds what was asked for and what follows from it.
pub(super) fn put(facts: &mut Fields, detail: &Detail) {
    let job = &detail.summary.job;
    facts.add(
        "attempts",
        format!(
            "{} of {}, backoff {}",
            job.attempt, job.max_attempts, job.backoff
        ),
    );
    facts.add_if("if it fails", next_if_it_fails(job));
    facts.add_if("stalls", stalls(job, &detail.attempts));
    let limits: Vec<String> = job.limits.iter().map(ToString::to_string).collect();
    facts.add_if("limits", some(&limits));
    let gates: Vec<String> = job.gates.iter().map(ToString::to_string).collect();
    facts.add_if("gates", some(&gates));
    let ways: Vec<String> = job.ways.iter().map(way).collect();
    facts.add_if("ways", (!ways.is_empty()).then(|| ways.join(", else ")));
    facts.add_if("budgets", some(&job.budgets));
    facts.add_if("concurrency key", job.concurrency_key.as_deref());
    facts.add_if("alone in", job.directory.as_ref().map(RawText::to_lossy));
    let unique = job.unique.as_ref();
    facts.add_if(
        "unique key",
        unique.map(|(key, span)| format!("{key} (while {span})")),
    );
    facts.add_if("options", some(&options(&detail.body.options)));
    proof::put_terms(facts, &detail.body.options.proof);
}

/// `codex`, with its gates where they are not called so: `claude (claude/work)`.
fn way(way: &Way) -> String {
    let gates: Vec<&str> = way.gates.iter().map(GateName::as_str).collect();
    match gates.as_slice() {
        [gate] if *gate == way.name => way.name.clone(),
        gates => format!("{} ({})", way.name, gates.join(", ")),
    }
}

/// `2 of 3: worker died, session missing`; the reasons are those of the attempts that are still kept.
fn stalls(job: &Job, attempts: &[Attempt]) -> Option<String> {
    let is_stall = |class: &Class| {
        let counts = !matches!(class, Class::Rebooted | Class::Interrupted | Class::Snoozed);
        counts && class.disposition(None) == Disposition::Stall
    };
    let most = usize::try_from(job.stalls).unwrap_or(usize::MAX);
    let newest_first = attempts.iter().rev().filter_map(|attempt| attempt.class);
    let mut reasons = Vec::new();
    for class in newest_first.filter(is_stall).take(most) {
        let reason = ended::reason(Some(class), None);
        if !reasons.contains(&reason) {
            reasons.insert(0, reason);
        }
    }
    let reasons = some(&reasons).map(|reasons| format!(": {reasons}"));
    let (stalls, most) = (job.stalls, job.max_stalls);
    (stalls > 0).then(|| format!("{stalls} of {most}{}", reasons.unwrap_or_default()))
}

/// What follows if the running attempt fails: the wait is known before, by the same arithmetic as the store's.
fn next_if_it_fails(job: &Job) -> Option<String> {
    (job.state == State::InProgress && job.attempts_left() > 0).then(|| {
        let wait = retry::delay(&job.backoff, job.id.0, job.attempt);
        format!("attempt {} starts {} later", job.attempt + 1, span(wait))
    })
}

fn options(options: &RunOptions) -> Vec<String> {
    let RunOptions {
        timeout_ms,
        idle_timeout_ms,
        grace_ms,
        stdin,
        log_cap,
        memory_bytes,
        cpu_millis,
        max_cost,
        max_tokens,
        on_leftover,
        direct,
        no_retry,
        share_dir,
        on_question,
        worktree,
        agent,
        proof: _,
    } = options;
    let duration = |name: &str, millis: &Option<u64>| {
        millis.map(|millis| format!("{name} {}", format_duration(Duration::from_millis(millis))))
    };
    let codes: Vec<String> = no_retry.iter().map(ToString::to_string).collect();
    [
        duration("timeout", timeout_ms),
        duration("idle timeout", idle_timeout_ms),
        duration("grace", grace_ms),
        stdin
            .as_ref()
            .map(|file| format!("input {}", file.to_lossy())),
        log_cap.map(|bytes| format!("log cap {}", format_bytes(bytes))),
        memory_bytes.map(|bytes| format!("memory {}", format_bytes(bytes))),
        cpu_millis.map(|millis| format!("cpu {}", format_cpus(millis))),
        max_cost.map(|most| format!("cost {}", most.words())),
        max_tokens.map(|most| format!("{} tokens", about_tokens(most))),
        on_leftover.map(|way| format!("on leftover {way}")),
        direct.then(|| "direct".to_owned()),
        agent.as_ref().map(|agent| format!("read as {agent}")),
        some(&codes).map(|codes| format!("no retry after exit code {codes}")),
        share_dir.then(|| "shares its directory".to_owned()),
        on_question.as_ref().map(|way| format!("on question {way}")),
        worktree.as_ref().map(|_| "worktree".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::facts;
    use super::*;
    use crate::view::samples;

    #[test]
    fn stalls_are_named_by_what_they_were() {
        let mut detail = samples::failed();
        assert!(!facts(&detail).contains("stalls"));
        detail.summary.job.stalls = 1;
        detail.attempts[0].class = Some(Class::WorkerDied);
        let text = facts(&detail);
        assert!(
            text.contains("stalls       1 of 3: worker died\n"),
            "{text}"
        );
        detail.summary.job.stalls = 2;
        detail.attempts[1].class = Some(Class::SessionMissing);
        let text = facts(&detail);
        assert!(
            text.contains("stalls       2 of 3: worker died, session missing\n"),
            "{text}"
        );
        // One from before a requeue is no stall of this run.
        detail.summary.job.stalls = 1;
        let text = facts(&detail);
        assert!(
            text.contains("stalls       1 of 3: session missing\n"),
            "{text}"
        );
    }
}
