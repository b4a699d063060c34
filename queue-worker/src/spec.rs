//! Turns what is stored of a job into what the supervisor runs.
//!
//! Called on the attempt's own thread, right before the start. What always holds: the process gets
//! what the enqueuer had and what names the attempt, and nothing of the worker's own environment;
//! a program is sought along the job's `PATH`, from the job's directory.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use queue_core::agent::AgentTask;
use queue_core::job::{Command, JobBody, OnLeftover};
use queue_core::money::Usd;
use queue_core::raw_text::RawText;

use crate::agent;
use crate::agent::adapter::{PromptBy, StopBy};
use crate::agent::call::Call;
use crate::agent::command::Filling;
use crate::layout::Layout;
use crate::private_file;
use crate::process::{SpawnClass, SpawnProblem, resolve_program};
use crate::supervisor::{Spec, StopSignal};

/// The shell of `--shell` lines and of scripts without a `#!` line.
const SHELL: &str = "/bin/sh";

/// The file in the run directory that holds what an agent is told.
const PROMPT: &str = "prompt";

/// Variables by which a coding agent knows its own session. A job that has them thinks it runs
/// inside the session that enqueued it, and refuses to start or writes to that session's files.
pub const SESSION_VARIABLES: [&str; 6] = [
    "CLAUDECODE",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_SKIP_PROMPT_HISTORY",
    "CLAUDE_JOB_DIR",
];

/// What a plain command asked last and was told. A job does not get those of the job that enqueued it.
const ANSWER_VARIABLES: [&str; 2] = ["QUEUE_QUESTION", "QUEUE_ANSWER"];

/// Which attempt it is: what a job finds in its `QUEUE_…` variables.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The process tree.
    pub epoch: queue_core::Epoch,
    /// The job's queue.
    pub queue: &'a str,
    /// The name of the worker.
    pub worker: &'a str,
}

/// Why there is nothing to run.
#[derive(Debug, thiserror::Error)]
pub enum NoSpec {
    /// What is stored cannot be read, or is no command.
    #[error("{0}")]
    Payload(String),
    /// The agent cannot be given this task, or is not known.
    #[error("{0}")]
    Task(String),
    /// The program, the directory or a file of the attempt cannot be used.
    #[error(transparent)]
    Spawn(#[from] SpawnProblem),
}

/// Builds the spec of an attempt whose run directory is there; writes its script, if it has one.
///
/// # Errors
/// [`NoSpec`], with what to do about it.
pub fn build(
    body: &JobBody,
    identity: Identity<'_>,
    layout: &Layout,
    call: Option<&Call>,
) -> Result<Spec, NoSpec> {
    let command = body.command.as_ref().map_err(|problem| {
        NoSpec::Payload(format!(
            "what is stored for the job cannot be read: {problem}"
        ))
    })?;
    let cwd = PathBuf::from(body.cwd.as_os_str());
    let run_directory = layout.run_directory(body.id, identity.epoch);
    let prompt_file = run_directory.join(PROMPT);
    let (program, args) = match (command, call) {
        (Command::Agent(task), Some(call)) => resolve_agent(task, call, body, &cwd, &prompt_file)?,
        _ => resolve(command, body, &cwd, &run_directory)?,
    };
    let mut spec = Spec::new(
        body.id.0,
        identity.epoch.0,
        identity.attempt,
        program,
        &cwd,
        layout.log(body.id, identity.epoch),
    );
    spec.args = args;
    spec.env = environment(body, identity, layout);
    let options = &body.options;
    spec.stdin = options
        .stdin
        .as_ref()
        .map(|path| cwd.join(path.as_os_str()));
    spec.timeout = options.timeout_ms.map(Duration::from_millis);
    spec.idle_timeout = options.idle_timeout_ms.map(Duration::from_millis);
    spec.grace = options.grace_ms.map_or(Spec::GRACE, Duration::from_millis);
    spec.log_cap = options.log_cap.unwrap_or(Spec::LOG_CAP);
    spec.on_leftover = options.on_leftover.unwrap_or(OnLeftover::Kill);
    if let Some(call) = call {
        let task = agent::call::task_of(body);
        spec.remarks.extend(call.remark.clone());
        call.adjust(&mut spec.env, task);
        if call.adapter.stop == StopBy::Int {
            spec.stop_signal = StopSignal::IntThenTerm;
        }
        if task.is_some() && call.adapter.prompt == PromptBy::Stdin {
            spec.stdin = Some(prompt_file);
        }
    }
    Ok(spec)
}

/// The program of an agent and its arguments; leaves the prompt where the agent reads it.
fn resolve_agent(
    task: &AgentTask,
    call: &Call,
    body: &JobBody,
    cwd: &Path,
    prompt_file: &Path,
) -> Result<(PathBuf, Vec<OsString>), NoSpec> {
    let adapter = &call.adapter;
    let program = OsStr::new(&adapter.program);
    let program = resolve_program(program, variable(body, "PATH"), cwd)?;
    agent::command::check(&call.name, adapter, task).map_err(NoSpec::Task)?;
    let begin = call.begin.as_ref();
    let prompt = begin.map_or(task.prompt.as_str(), |begin| &begin.prompt);
    if adapter.prompt != PromptBy::Argument {
        private_file::write(prompt_file, prompt)
            .map_err(|error| file_problem("prompt", prompt_file, &error))?;
    }
    let filling = Filling {
        session: begin.and_then(|begin| begin.session.as_deref()),
        resumes: begin.is_some_and(|begin| begin.resumes),
        prompt,
        prompt_file,
        most: left(body, call),
    };
    Ok((program, agent::command::arguments(adapter, task, &filling)))
}

/// What the attempt may still cost, where its job is bounded.
fn left(body: &JobBody, call: &Call) -> Option<Usd> {
    let most = body.options.max_cost?;
    Some(most.saturating_sub(call.earlier.spent.cost))
}

/// The program and its arguments.
fn resolve(
    command: &Command,
    body: &JobBody,
    cwd: &Path,
    run_directory: &Path,
) -> Result<(PathBuf, Vec<OsString>), NoSpec> {
    let find = |name: &OsStr| resolve_program(name, variable(body, "PATH"), cwd);
    match command {
        Command::Argv(words) => {
            let mut words = words.iter().map(RawText::as_os_str);
            let program = find(words.next().unwrap_or_default())?;
            Ok((program, words.map(OsStr::to_owned).collect()))
        }
        Command::Shell(line) => Ok((find(OsStr::new(SHELL))?, vec!["-c".into(), line.into()])),
        Command::Script(text) => {
            let shell = find(OsStr::new(SHELL))?;
            let script = run_directory.join("script");
            private_file::write_script(&script, text)
                .map_err(|error| file_problem("script", &script, &error))?;
            if text.starts_with("#!") {
                Ok((script, Vec::new()))
            } else {
                Ok((shell, vec![script.into()]))
            }
        }
        Command::Agent(task) => Err(NoSpec::Task(format!(
            "the agent `{}` is not known here",
            task.agent
        ))),
        Command::Payload(_) => Err(NoSpec::Payload(
            "the job is a payload of a program's own and no command; \
             enqueue it with a kind of that program's"
                .to_owned(),
        )),
    }
}

fn file_problem(what: &str, path: &Path, error: &io::Error) -> SpawnProblem {
    let text = format!(
        "the {what} `{}` cannot be written; make its directory writable and free some disk",
        path.display()
    );
    SpawnProblem::from_io(SpawnClass::BadLog, text, error)
}

fn variable<'a>(body: &'a JobBody, name: &str) -> Option<&'a OsStr> {
    body.env.get(name).map(RawText::as_os_str)
}

/// What the job has, and what names the attempt. Ours win: a job that was enqueued by another job
/// brings that one's.
fn environment(
    body: &JobBody,
    identity: Identity<'_>,
    layout: &Layout,
) -> Vec<(OsString, OsString)> {
    let ours: [(&str, OsString); 7] = [
        ("QUEUE_JOB_ID", body.id.to_string().into()),
        ("QUEUE_ATTEMPT", identity.attempt.to_string().into()),
        ("QUEUE_EPOCH", identity.epoch.to_string().into()),
        ("QUEUE_DB", layout.db().into()),
        (
            "QUEUE_CHECKPOINT",
            layout.checkpoint(body.id, identity.epoch).into(),
        ),
        ("QUEUE_QUEUE", identity.queue.into()),
        ("QUEUE_WORKER", identity.worker.into()),
    ];
    let is_ours =
        |name: &str| ours.iter().any(|(our, _)| *our == name) || ANSWER_VARIABLES.contains(&name);
    let theirs = body
        .env
        .iter()
        .filter(|(name, _)| !is_ours(name) && !SESSION_VARIABLES.contains(&name.as_str()))
        .map(|(name, value)| (name.into(), value.as_os_str().to_owned()));
    let mut variables: Vec<(OsString, OsString)> = theirs.collect();
    variables.extend(ours.clone().map(|(name, value)| (name.into(), value)));
    variables.extend(answer(body));
    variables
}

/// What a plain command was told last; an agent is told in its session.
fn answer(body: &JobBody) -> Vec<(OsString, OsString)> {
    let last = body
        .answers
        .last()
        .filter(|_| agent::call::task_of(body).is_none());
    let told = last.and_then(|asked| Some([&asked.text, &asked.answer.as_ref()?.text]));
    let named = |values: [&String; 2]| {
        let pairs = ANSWER_VARIABLES.into_iter().zip(values);
        pairs
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    };
    told.map(named).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    use queue_core::job::RunOptions;
    use queue_core::{Epoch, JobId};

    use super::*;

    struct Place {
        dir: tempfile::TempDir,
        layout: Layout,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let db = dir.path().join("queue.db");
            std::fs::write(&db, "").unwrap();
            let layout = Layout::beside(&db).unwrap();
            layout.make_run_directory(JobId(4), Epoch(2)).unwrap();
            Self { dir, layout }
        }

        fn body(&self, command: Command) -> JobBody {
            JobBody {
                id: JobId(4),
                command: Ok(command),
                cwd: RawText::from(self.dir.path().to_str().unwrap()),
                env: BTreeMap::from([("PATH".to_owned(), RawText::from("/usr/bin:/bin"))]),
                options: RunOptions::default(),
                result: None,
                answers: Vec::new(),
                origin: None,
            }
        }

        fn build(&self, body: &JobBody) -> Result<Spec, NoSpec> {
            let identity = Identity {
                attempt: 3,
                epoch: Epoch(2),
                queue: "builds",
                worker: "here-1",
            };
            build(body, identity, &self.layout, None)
        }
    }

    fn argv(words: &[&str]) -> Command {
        Command::Argv(words.iter().copied().map(RawText::from).collect())
    }

    fn value<'a>(spec: &'a Spec, name: &str) -> Option<&'a str> {
        let found = spec.env.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.to_str().unwrap())
    }

    #[test]
    fn a_job_gets_what_it_had_and_what_names_the_attempt() {
        let place = Place::new();
        let mut body = place.body(argv(&["true"]));
        for (name, text) in [
            ("API_KEY", "k"),
            ("CLAUDECODE", "1"),
            ("CLAUDE_CODE_SESSION_ID", "s"),
            ("QUEUE_JOB_ID", "77"),
        ] {
            body.env.insert(name.to_owned(), RawText::from(text));
        }
        let spec = place.build(&body).unwrap();
        let mut names: Vec<_> = spec.env.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        assert_eq!(
            names,
            [
                "API_KEY",
                "PATH",
                "QUEUE_ATTEMPT",
                "QUEUE_CHECKPOINT",
                "QUEUE_DB",
                "QUEUE_EPOCH",
                "QUEUE_JOB_ID",
                "QUEUE_QUEUE",
                "QUEUE_WORKER"
            ]
        );
        assert_eq!(value(&spec, "QUEUE_JOB_ID"), Some("4"));
        assert_eq!(value(&spec, "QUEUE_ATTEMPT"), Some("3"));
        assert_eq!(value(&spec, "QUEUE_EPOCH"), Some("2"));
        assert!(
            value(&spec, "QUEUE_CHECKPOINT")
                .unwrap()
                .ends_with("/4-2/checkpoint")
        );
    }

    #[test]
    fn the_program_is_sought_along_the_path_of_the_job() {
        let place = Place::new();
        let mut body = place.body(argv(&["tool", "a b", ""]));
        let tool = place.dir.path().join("bin/tool");
        std::fs::create_dir(tool.parent().unwrap()).unwrap();
        std::fs::write(&tool, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&tool, PermissionsExt::from_mode(0o755)).unwrap();
        assert!(matches!(
            place.build(&body),
            Err(NoSpec::Spawn(problem)) if problem.class == SpawnClass::NotFound
        ));
        body.env.insert("PATH".to_owned(), RawText::from("bin"));
        let spec = place.build(&body).unwrap();
        assert_eq!(spec.program, tool);
        assert_eq!(spec.args, ["a b", ""]);
    }

    #[test]
    fn a_script_runs_by_its_first_line_or_by_sh() {
        let place = Place::new();
        let spec = place
            .build(&place.body(Command::Script("#!/usr/bin/awk -f\n".into())))
            .unwrap();
        let mode = spec.program.metadata().unwrap().permissions().mode();
        assert!(spec.program.ends_with("4-2/script") && spec.args.is_empty());
        assert_eq!(mode & 0o777, 0o700);
        let spec = place
            .build(&place.body(Command::Script("echo hi\n".into())))
            .unwrap();
        assert_eq!(spec.program, Path::new("/bin/sh"));
        assert!(Path::new(&spec.args[0]).ends_with("4-2/script"));
    }

    #[test]
    fn what_is_no_command_is_said_so() {
        // T27
        let place = Place::new();
        let mut body = place.body(Command::Payload(serde_json::json!({"a": 1})));
        assert!(matches!(place.build(&body), Err(NoSpec::Payload(_))));
        body.command = Err("expected value at line 1".to_owned());
        let error = place.build(&body).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
        body = place.body(argv(&["true"]));
        body.cwd = RawText::from("/nowhere/at/all");
        assert!(matches!(
            place.build(&body),
            Err(NoSpec::Spawn(problem)) if problem.class == SpawnClass::BadCwd
        ));
    }
}
