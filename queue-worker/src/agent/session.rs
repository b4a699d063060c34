//! The resume ladder: how an attempt of an agent begins, by how the ones before it ended.
//!
//! Asked between the claim and the start. What always holds: a session that refused, overflowed or
//! is not there is never gone on with; a first attempt, and one after tries that never ran, starts
//! with the prompt alone; it decides by the attempts' records and nothing else.

use queue_core::Class;
use queue_core::agent::{AgentTask, Rung};
use queue_core::attempt::Attempt;
use queue_core::question::Question;

use super::adapter::{Adapter, SessionBy};
use super::prompt;
use super::ways::is_own;

/// How an attempt begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// How much of the work before it that is.
    pub rung: Rung,
    /// The session to make or to go on with; none where the agent names it itself.
    pub session: Option<String>,
    /// Whether to go on with it.
    pub resumes: bool,
    /// What the agent is told.
    pub prompt: String,
}

/// What an attempt begins after.
#[derive(Debug, Clone, Copy)]
pub struct Before<'a> {
    /// The attempts that the job had, oldest first.
    pub attempts: &'a [Attempt],
    /// What they saved under the default name.
    pub saved: Option<&'a [u8]>,
    /// What they asked and were told, oldest first.
    pub answers: &'a [Question],
}

/// Chooses how the next attempt begins; `mint` makes a session's name where that is ours to do.
#[must_use]
pub fn begin(
    adapter: &Adapter,
    task: &AgentTask,
    before: &Before<'_>,
    mint: impl FnOnce() -> String,
) -> Begin {
    let Some(last) = before.attempts.iter().rev().find(|one| has_run(one)) else {
        return first(adapter, task, mint);
    };
    // What other agents did is in the files, and in no session that this one could go on with.
    let own: Vec<&Attempt> = (before.attempts.iter())
        .filter(|one| has_run(one) && is_own(one, task))
        .collect();
    let session = match own.last() {
        Some(own_last) => resumable(adapter, &own, own_last),
        None => task.session.as_deref(),
    };
    match session {
        Some(session) => Begin {
            rung: Rung::Resume,
            session: Some(session.to_owned()),
            resumes: true,
            prompt: match prompt::answered(before.answers, last) {
                Some(answers) if is_own(last, task) => answers,
                _ => prompt::resumed(task, before, last),
            },
        },
        None => {
            let is_cold = last.rung == Some(Rung::Fresh) && last.class == Some(Class::ContextFull);
            let (rung, prompt) = if is_cold && is_own(last, task) {
                (Rung::Cold, prompt::cold(task, before, last))
            } else {
                (Rung::Fresh, prompt::fresh(task, before, last))
            };
            Begin {
                rung,
                session: minted(adapter, mint),
                resumes: false,
                prompt,
            }
        }
    }
}

/// Nothing has run yet: the session that the task names, or a new one.
fn first(adapter: &Adapter, task: &AgentTask, mint: impl FnOnce() -> String) -> Begin {
    let named = task.session.clone();
    Begin {
        rung: match named {
            Some(_) => Rung::Resume,
            None => Rung::Cold,
        },
        resumes: named.is_some(),
        session: named.or_else(|| minted(adapter, mint)),
        prompt: task.prompt.clone(),
    }
}

fn minted(adapter: &Adapter, mint: impl FnOnce() -> String) -> Option<String> {
    (adapter.session == SessionBy::Minted).then(mint)
}

/// Whether an attempt may have done something. One that was handed back, or could not be started,
/// has not; one whose worker died before it told of the process may have.
fn has_run(attempt: &Attempt) -> bool {
    let never_began = matches!(
        attempt.class,
        Some(Class::Interrupted | Class::Snoozed | Class::SpawnFailed | Class::BadCwd)
    );
    attempt.ended_at.is_some() && (attempt.process.is_some() || !never_began)
}

/// The session that the next attempt can go on with.
fn resumable<'a>(adapter: &Adapter, attempts: &[&Attempt], last: &'a Attempt) -> Option<&'a str> {
    let session = last.session_id.as_deref()?;
    let is_spoilt = matches!(
        last.class,
        Some(Class::Refusal | Class::ContextFull | Class::SessionMissing)
    );
    (adapter.can_resume() && !is_spoilt && !keeps_crashing(attempts, session)).then_some(session)
}

/// Whether going on with the session has crashed twice in a row: a third time would, too.
fn keeps_crashing(attempts: &[&Attempt], session: &str) -> bool {
    let crashed = |attempt: &&&Attempt| {
        attempt.class == Some(Class::Crash)
            && attempt.rung == Some(Rung::Resume)
            && attempt.session_id.as_deref() == Some(session)
    };
    attempts.iter().rev().take_while(crashed).count() >= 2
}

#[cfg(test)]
mod tests {
    use super::super::adapter::Adapters;
    use super::*;
    use queue_core::attempt::Started;
    use queue_core::{Epoch, Timestamp, WorkerId};

    fn ended(class: Option<Class>, session: Option<&str>, rung: Rung) -> Attempt {
        let at = Timestamp::from_millis(1_000);
        Attempt {
            number: 1,
            epoch: Epoch(1),
            worker: WorkerId(1),
            worker_name: "w".into(),
            adopted_by: None,
            way: None,
            boot: None,
            claimed_at: at,
            process: Some(Started {
                pid: 1,
                pid_started: None,
                started_at: at,
                log: String::new(),
                unenforced: None,
            }),
            ended_at: Some(at),
            class,
            exit_code: None,
            signal: None,
            message: None,
            usage: None,
            progress: None,
            cost_usd: None,
            session_id: session.map(str::to_owned),
            rung: Some(rung),
            agent: None,
            rule: None,
            evidence: None,
            proof: None,
        }
    }

    fn next(agent: &str, attempts: &[Attempt]) -> Begin {
        let adapters = Adapters::built_in();
        let task = AgentTask::new(agent, "do it");
        let before = Before {
            attempts,
            saved: None,
            answers: &[],
        };
        begin(adapters.get(agent).unwrap(), &task, &before, || {
            "new".to_owned()
        })
    }

    fn rung_after(class: Class) -> (Rung, Option<String>) {
        let begin = next("claude", &[ended(Some(class), Some("s1"), Rung::Cold)]);
        assert_eq!(begin.resumes, begin.rung == Rung::Resume);
        (begin.rung, begin.session)
    }

    #[test]
    fn a_first_attempt_has_the_prompt_and_a_session_of_its_own() {
        let begin = next("claude", &[]);
        assert_eq!((begin.rung, begin.prompt.as_str()), (Rung::Cold, "do it"));
        assert_eq!(begin.session.as_deref(), Some("new"));
        assert_eq!(next("codex", &[]).session, None, "it names its own");
        let mut handed_back = ended(Some(Class::Interrupted), Some("s1"), Rung::Cold);
        handed_back.process = None;
        assert_eq!(next("claude", &[handed_back]).rung, Rung::Cold);
    }

    #[test]
    fn an_interrupted_session_is_gone_on_with() {
        // A3
        for class in [
            Class::Limit,
            Class::Crash,
            Class::Signal,
            Class::Timeout,
            Class::IdleTimeout,
            Class::WorkerDied,
            Class::MaxTurns,
            Class::CheckFailed,
            Class::ExitCode,
        ] {
            let (rung, session) = rung_after(class);
            assert_eq!(
                (rung, session.as_deref()),
                (Rung::Resume, Some("s1")),
                "{class}"
            );
        }
        let begin = next(
            "codex",
            &[ended(Some(Class::Limit), Some("t-1"), Rung::Cold)],
        );
        assert_eq!(begin.session.as_deref(), Some("t-1"));
        assert!(begin.prompt.contains("do it"), "{}", begin.prompt);
    }

    #[test]
    fn a_session_that_is_spoilt_or_gone_is_left_for_a_new_one() {
        for class in [Class::Refusal, Class::ContextFull, Class::SessionMissing] {
            let (rung, session) = rung_after(class);
            assert_eq!(
                (rung, session.as_deref()),
                (Rung::Fresh, Some("new")),
                "{class}"
            );
        }
        let begin = next("aider", &[ended(Some(Class::Crash), None, Rung::Cold)]);
        assert_eq!((begin.rung, begin.session), (Rung::Fresh, None));
    }

    #[test]
    fn the_ladder_goes_down_when_a_rung_does_not_hold() {
        let overfull = |rung| ended(Some(Class::ContextFull), Some("s1"), rung);
        assert_eq!(next("claude", &[overfull(Rung::Resume)]).rung, Rung::Fresh);
        let cold = next("claude", &[overfull(Rung::Resume), overfull(Rung::Fresh)]);
        assert_eq!((cold.rung, cold.prompt.as_str()), (Rung::Cold, "do it"));
        let crashed = ended(Some(Class::Crash), Some("s1"), Rung::Resume);
        assert_eq!(
            next("claude", std::slice::from_ref(&crashed)).rung,
            Rung::Resume
        );
        let begin = next("claude", &[crashed.clone(), crashed]);
        assert_eq!(
            (begin.rung, begin.session.as_deref()),
            (Rung::Fresh, Some("new"))
        );
    }

    fn by(way: &str, class: Class, session: &str) -> Attempt {
        Attempt {
            way: Some(way.to_owned()),
            ..ended(Some(class), Some(session), Rung::Cold)
        }
    }

    #[test]
    fn an_agent_never_goes_on_with_the_session_of_another() {
        let limited = by("claude", Class::Limit, "s1");
        let begin = next("codex", std::slice::from_ref(&limited));
        assert_eq!((begin.rung, begin.session.clone()), (Rung::Fresh, None));
        assert!(begin.prompt.contains("do it") && begin.prompt.contains("claude worked on"));
        // Its own is there still when its turn comes again, and it is told of the other.
        let later = [limited, by("codex", Class::Limit, "t1")];
        let begin = next("claude", &later);
        assert_eq!(begin.session.as_deref(), Some("s1"));
        assert!(
            begin.prompt.contains("codex has worked on"),
            "{}",
            begin.prompt
        );
        // The same agent with another account has sessions of its own.
        let other = [by("claude/work", Class::Limit, "w1")];
        assert_eq!(next("claude", &other).session.as_deref(), Some("new"));
    }

    #[test]
    fn before_jobs_had_ways_what_was_read_says_whose_session_it_was() {
        let mut attempt = ended(Some(Class::Limit), Some("s1"), Rung::Cold);
        attempt.agent = Some(serde_json::json!({ "agent": "claude" }));
        assert_eq!(next("codex", std::slice::from_ref(&attempt)).session, None);
        assert_eq!(next("claude", &[attempt]).session.as_deref(), Some("s1"));
    }

    #[test]
    fn a_worker_that_died_before_it_told_of_the_process_may_have_started_one() {
        let mut attempt = ended(Some(Class::WorkerDied), Some("s1"), Rung::Cold);
        attempt.process = None;
        assert_eq!(next("claude", &[attempt]).session.as_deref(), Some("s1"));
    }
}
