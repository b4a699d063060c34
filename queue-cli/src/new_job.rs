//! Builds a job from the options of `enqueue` and `run`.
//!
//! Owns [`JobArgs`], the options both share, and what they mean; [`mod@line`] reads the same as fields of a JSON object, and
//! [`mod@file`] a whole file of them. What can be checked while somebody looks on (a directory, a file, a moment that has
//! passed) is refused here; what only the store knows is refused by it.

pub(crate) mod agent;
pub(crate) mod budget;
pub(crate) mod directory;
pub(crate) mod fallback;
pub(crate) mod file;
pub(crate) mod line;
pub(crate) mod parse;
pub(crate) mod proof;
pub(crate) mod worktree;

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use queue_core::agent::AgentTask;
use queue_core::gate::GateName;
use queue_core::job::{
    After, LimitUse, OnConflict, OnLeftover, RunOptions, StartAt, Unique, UniqueWhile,
};
use queue_core::question::OnQuestion;
use queue_core::raw_text::RawText;
use queue_core::retry::Backoff;
use queue_core::units::parse_count;
use queue_core::{Command, NewJob, Store, Timestamp};

use crate::agents::Agents;
use crate::config::Surroundings;
use crate::context::Context;
use crate::env_file;
use crate::environment::{self, Pattern, Widened};
use crate::error::CliError;
use crate::moment;
use agent::AgentArgs;
use budget::BudgetArgs;
use parse::{AfterArg, VariableParser};
use proof::ProofArgs;
use worktree::WorktreeArgs;

/// The largest script, in bytes. It is kept in the store; data belongs into files.
const LARGEST_SCRIPT: u64 = 16 << 20;

/// The options of a new job.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct JobArgs {
    /// The queue it waits in; made on first use [default: `default`, or `queue` of the configuration]
    #[arg(long, value_name = "QUEUE")]
    pub(crate) queue: Option<String>,

    /// Higher goes first, from -1000 to 1000 [default: 0]
    #[arg(short, long, value_name = "N", allow_negative_numbers = true, value_parser = parse::priority)]
    pub(crate) priority: Option<i32>,

    /// A name to call it by; several jobs may have the same
    #[arg(short, long, value_name = "NAME", value_parser = parse::name)]
    pub(crate) name: Option<String>,

    /// A label to find it by; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse::tag)]
    pub(crate) tag: Vec<(String, String)>,

    /// Add it held: it waits until `qcli release`
    #[arg(long)]
    pub(crate) hold: bool,

    /// Start it no sooner than this long from now, such as 30s or 2h30m
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, conflicts_with = "at", help_heading = "When")]
    pub(crate) delay: Option<Duration>,

    /// Start it no sooner than this: `18:30`, `2026-03-01 18:30` or `2026-03-01T18:30:00Z`
    #[arg(long, value_name = "TIME", help_heading = "When")]
    pub(crate) at: Option<String>,

    /// Start it when this job has ended well, or as said after the colon; may be repeated
    ///
    /// When a job ends otherwise than needed, the jobs after it stay blocked and `qcli why` says so.
    #[arg(long, value_name = "JOB[:success|failure|any]", help_heading = "When")]
    pub(crate) after: Vec<AfterArg>,

    /// Cancel it when it has not started this long from now
    #[arg(long, value_name = "DURATION", value_parser = parse::span, help_heading = "When")]
    pub(crate) max_wait: Option<Duration>,

    /// Run it in this directory [default: the current one]
    #[arg(short = 'C', long, value_name = "DIR", help_heading = "Surroundings")]
    pub(crate) cwd: Option<PathBuf>,

    /// Set a variable; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = VariableParser, help_heading = "Surroundings")]
    pub(crate) env: Vec<(String, RawText)>,

    /// Pass on variables of this shell that are not on the list, such as `MY_*`; may be repeated
    ///
    /// Always passed are PATH, HOME, the locale, and the variables of toolchains, proxies, agents and their providers.
    #[arg(long, value_name = "PATTERN", help_heading = "Surroundings")]
    pub(crate) env_pass: Vec<Pattern>,

    /// Pass on all variables of this shell but those of an agent's session
    #[arg(long, help_heading = "Surroundings")]
    pub(crate) env_all: bool,

    /// Set the variables in a file of KEY=VALUE lines; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "Surroundings")]
    pub(crate) env_file: Vec<PathBuf>,

    /// Let it read its standard input from a file [default: nothing to read]
    #[arg(long, value_name = "FILE", help_heading = "Surroundings")]
    pub(crate) stdin: Option<PathBuf>,

    /// Try it so often at the most [default: 3]
    #[arg(long, value_name = "N", value_parser = parse_count::<NonZeroU32>, help_heading = "Attempts")]
    pub(crate) max_attempts: Option<NonZeroU32>,

    /// How long to wait before another attempt: `none`, `fixed:30s`, `exp:10s..1h` [default: exp:10s..1h]
    #[arg(long, value_name = "POLICY", value_parser = parse::backoff, help_heading = "Attempts")]
    pub(crate) backoff: Option<Backoff>,

    /// Do not try again after these exit codes, such as `2,3`
    #[arg(long, value_name = "CODES", value_delimiter = ',', value_parser = clap::value_parser!(i32).range(0..=255), help_heading = "Attempts")]
    pub(crate) no_retry_on: Vec<i32>,

    /// Stop an attempt that takes longer than this
    #[arg(long, value_name = "DURATION", value_parser = parse::span, help_heading = "Attempts")]
    pub(crate) timeout: Option<Duration>,

    /// Stop an attempt that writes nothing for this long
    #[arg(long, value_name = "DURATION", value_parser = parse::span, help_heading = "Attempts")]
    pub(crate) idle_timeout: Option<Duration>,

    /// How long a stopped attempt has before it is killed
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, help_heading = "Attempts")]
    pub(crate) grace: Option<Duration>,

    /// Keep so much of the output of an attempt, its head and its tail, such as 64MiB
    #[arg(long, value_name = "SIZE", value_parser = parse::bytes, help_heading = "Attempts")]
    pub(crate) log_cap: Option<u64>,

    /// Let it use so much memory at the most, such as 2G; beyond that it is ended
    ///
    /// All its processes count together. The system enforces it where the worker may make control groups: `qcli doctor`
    /// says whether it may here, and `qcli show` whether an attempt was bound.
    #[arg(long, value_name = "SIZE", value_parser = parse::memory, help_heading = "Attempts")]
    pub(crate) mem: Option<u64>,

    /// Let it use so many processors at the most, such as 1.5
    #[arg(long, value_name = "N", value_parser = parse::cpus, help_heading = "Attempts")]
    pub(crate) cpu: Option<u32>,

    /// What to do with processes that it leaves behind: `kill` them, `wait` for them, or `keep` them
    #[arg(long, value_name = "WAY", help_heading = "Attempts")]
    pub(crate) on_leftover: Option<OnLeftover>,

    /// What becomes of it when it asks something: `park` it until `qcli answer`, tell it `default:TEXT`, or `fail` it [default: park]
    #[arg(long, value_name = "WAY", help_heading = "Attempts")]
    pub(crate) on_question: Option<OnQuestion>,

    /// Run it directly under the worker, which it then does not outlive: for many tiny commands
    #[arg(long, help_heading = "Attempts")]
    pub(crate) direct: bool,

    #[command(flatten)]
    pub(crate) proof: ProofArgs,

    #[command(flatten)]
    pub(crate) worktree: WorktreeArgs,

    /// Add it only if no other job holds this key
    #[arg(long, value_name = "KEY", help_heading = "Limits")]
    pub(crate) unique: Option<String>,

    /// How long a job holds its key: while `queued`, while `live`, or for as long as it is `kept` [default: live]
    #[arg(
        long,
        value_name = "SPAN",
        requires = "unique",
        help_heading = "Limits"
    )]
    pub(crate) unique_while: Option<UniqueWhile>,

    /// When the key is taken: `skip` (print that job's number), `replace` the command with its gates, the directory, environment, options and tags of that job while it waits (all else of it stays), or `error` [default: skip]
    #[arg(long, value_name = "WAY", requires = "unique", help_heading = "Limits")]
    pub(crate) on_conflict: Option<OnConflict>,

    /// Take tokens of this limit before each attempt: one, or as many as said; may be repeated
    #[arg(long, value_name = "NAME[=COST]", help_heading = "Limits")]
    pub(crate) limit: Vec<LimitUse>,

    /// Wait while this gate is closed, as `qcli gate` shows it; may be repeated
    #[arg(long, value_name = "NAME", help_heading = "Limits")]
    pub(crate) gate: Vec<GateName>,

    /// Run one job with this key at a time, or as many as `qcli limit key` allows
    #[arg(long, value_name = "KEY", help_heading = "Limits")]
    pub(crate) concurrency_key: Option<String>,

    /// Let an agent share its directory with others: without this and without `--worktree`, jobs of agents take turns in
    /// one checkout
    #[arg(long, conflicts_with = "worktree", help_heading = "Limits")]
    pub(crate) share_dir: bool,

    #[command(flatten)]
    pub(crate) agent: AgentArgs,

    #[command(flatten)]
    pub(crate) budget: BudgetArgs,

    /// Take a command line of an agent, such as `claude -p …`, for any other: do not read what it says
    #[arg(long, help_heading = "Agents")]
    pub(crate) no_adapter: bool,

    /// A line for `sh -c` in place of a command
    #[arg(long, value_name = "LINE", help_heading = "What to run")]
    pub(crate) shell: Option<String>,

    /// A script in place of a command: its text is kept in the queue
    #[arg(long, value_name = "FILE", help_heading = "What to run")]
    pub(crate) script: Option<PathBuf>,

    /// `-` reads a script from standard input, or with --agent the prompt. All words are taken, so that a missing `--` can be explained.
    #[arg(value_name = "-", hide = true)]
    pub(crate) words: Vec<OsString>,

    /// The program and its arguments, handed on exactly as they are
    #[arg(last = true, value_name = "COMMAND", help_heading = "What to run")]
    pub(crate) argv: Vec<OsString>,
}

/// What a new job is built in front of: the enqueuer's place and time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    /// The directory and the environment.
    pub(crate) around: &'a Surroundings,
    /// The queue of jobs that name none.
    pub(crate) queue: &'a str,
    /// The present.
    pub(crate) now: Timestamp,
    /// The agents that are known.
    pub(crate) agents: &'a Agents,
}

impl<'a> Site<'a> {
    /// The site of a command.
    pub(crate) fn of(context: &'a Context, now: Timestamp) -> Self {
        Self {
            around: &context.around,
            queue: &context.config.queue.value,
            now,
            agents: &context.agents,
        }
    }
}

impl JobArgs {
    /// Builds the job, without the jobs that it comes after: see [`JobArgs::parents`].
    ///
    /// # Errors
    /// When nothing says what to run or two things do, when a file or directory cannot be used, or when the moment to
    /// start has passed (exit code 2).
    pub(crate) fn build(&self, site: &Site<'_>) -> Result<NewJob, CliError> {
        let command = if self.agent.is_given() {
            Command::Agent(self.task(site)?)
        } else {
            self.command()?
        };
        let mut job = self.build_with(command, site)?;
        if !self.no_adapter {
            agent::recognise(&mut job, site.agents);
        }
        fallback::pass_gates(&mut job, site.agents);
        directory::settle(&mut job);
        budget::check(&job)?;
        proof::check(&job)?;
        Ok(job)
    }

    /// Builds the job around a command that was found elsewhere.
    ///
    /// # Errors
    /// As [`JobArgs::build`].
    pub(crate) fn build_with(&self, command: Command, site: &Site<'_>) -> Result<NewJob, CliError> {
        let base = &site.around.cwd;
        let mut job = NewJob::new(command);
        job.queue = self.queue.clone().unwrap_or_else(|| site.queue.to_owned());
        job.priority = self.priority.unwrap_or(job.priority);
        job.name = self.name.clone();
        job.tags = self.tag.iter().cloned().collect();
        job.hold = self.hold;
        job.start = self.start(site)?;
        job.max_wait = self.max_wait;
        let dir = self.cwd.as_deref().unwrap_or(Path::new("."));
        job.cwd = parse::directory(dir, base)?.into_os_string().into();
        job.env = self.environment(site)?;
        job.max_attempts = self.max_attempts.unwrap_or(job.max_attempts);
        let backoff = match &job.command {
            Command::Agent(_) => agent::BACKOFF,
            _ => job.backoff,
        };
        job.backoff = self.backoff.unwrap_or(backoff);
        job.unique = self.unique.as_ref().map(|key| Unique {
            key: key.clone(),
            while_: self.unique_while.unwrap_or(UniqueWhile::Live),
            on_conflict: self.on_conflict.unwrap_or(OnConflict::Skip),
        });
        job.limits = self.limit.clone();
        job.gates = self.gate.clone();
        job.concurrency_key = self.concurrency_key.clone();
        job.options = self.options(base)?;
        self.budget.put_into(&mut job.options);
        job.options.worktree = self.worktree.build(Path::new(job.cwd.as_os_str()))?;
        Ok(job)
    }

    /// Finds the jobs that it comes after.
    ///
    /// # Errors
    /// When one of them does not exist (exit code 3).
    pub(crate) fn parents(&self, store: &dyn Store) -> Result<Vec<After>, CliError> {
        self.after.iter().map(|after| after.find(store)).collect()
    }

    /// Tells whether what to do is given in one way or another.
    pub(crate) fn names_a_command(&self) -> bool {
        self.ways() > 0 || self.agent.prompt.is_some() || self.agent.prompt_file.is_some()
    }

    /// The task of an agent. What stands after `--` are more arguments for it, `-` is the prompt.
    fn task(&self, site: &Site<'_>) -> Result<AgentTask, CliError> {
        if self.shell.is_some() || self.script.is_some() {
            return Err(CliError::usage(
                "--agent does not go together with --shell or --script: it is given --prompt",
            ));
        }
        let base = &site.around.cwd;
        let extra = self.argv.iter().cloned().map(RawText::from).collect();
        let mut task = self.agent.over(None, extra, base)?;
        match self.words.as_slice() {
            [] => {}
            [word] if word == "-" && task.prompt.is_empty() => {
                task.prompt = agent::read_prompt(Path::new("-"), base)?;
            }
            [word] if word == "-" => {
                return Err(CliError::usage("more than one prompt is given"));
            }
            words => {
                let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
                let line = shell_words::quote(&words.join(" ")).into_owned();
                return Err(
                    CliError::usage(format!("`{}` is no option", words[0])).hint(format!(
                        "is it the prompt? `qcli enqueue --agent {} --prompt {line}`",
                        task.agent
                    )),
                );
            }
        }
        agent::check(&task, site.agents)?;
        Ok(task)
    }

    fn ways(&self) -> usize {
        [
            self.shell.is_some(),
            self.script.is_some(),
            !self.words.is_empty(),
            !self.argv.is_empty(),
        ]
        .into_iter()
        .filter(|given| *given)
        .count()
    }

    fn command(&self) -> Result<Command, CliError> {
        if self.ways() > 1 {
            return Err(CliError::usage(
                "more than one thing to run is given: a job runs one of COMMAND, --shell, --script and `-`",
            ));
        }
        if let Some(line) = &self.shell {
            return Ok(Command::Shell(line.clone()));
        }
        if let Some(path) = &self.script {
            return script_file(path);
        }
        match self.words.as_slice() {
            [] => {}
            [word] if word == "-" => return script_on_stdin(),
            words => return Err(words_without_dashes(words)),
        }
        if self.argv.is_empty() {
            return Err(queue_core::Error::EmptyCommand.into());
        }
        Ok(Command::Argv(
            self.argv.iter().cloned().map(RawText::from).collect(),
        ))
    }

    fn start(&self, site: &Site<'_>) -> Result<StartAt, CliError> {
        match (&self.at, self.delay) {
            (Some(at), _) => Ok(StartAt::At(moment::parse(at, site.now)?.into())),
            (None, Some(delay)) => Ok(StartAt::After(delay)),
            (None, None) => Ok(StartAt::Now),
        }
    }

    fn environment(
        &self,
        site: &Site<'_>,
    ) -> Result<std::collections::BTreeMap<String, RawText>, CliError> {
        let widened = Widened {
            all: self.env_all,
            patterns: &self.env_pass,
        };
        let mut env = environment::capture(&site.around.variables, &widened);
        for file in &self.env_file {
            let variables = env_file::read(file)?;
            env.extend(
                variables
                    .into_iter()
                    .map(|variable| (variable.key, variable.value.into())),
            );
        }
        env.extend(self.env.iter().cloned());
        Ok(env)
    }

    fn options(&self, base: &Path) -> Result<RunOptions, CliError> {
        let stdin = self
            .stdin
            .as_deref()
            .map(|file| parse::input_file(file, base))
            .transpose()?;
        Ok(RunOptions {
            timeout_ms: self.timeout.map(millis),
            idle_timeout_ms: self.idle_timeout.map(millis),
            grace_ms: self.grace.map(millis),
            stdin: stdin.map(|path| path.into_os_string().into()),
            log_cap: self.log_cap,
            memory_bytes: self.mem,
            cpu_millis: self.cpu,
            max_cost: None,
            max_tokens: None,
            on_leftover: self.on_leftover,
            direct: self.direct,
            no_retry: self.no_retry_on.clone(),
            share_dir: self.share_dir,
            on_question: self.on_question.clone(),
            worktree: None,
            agent: None,
            proof: self.proof.terms(),
        })
    }
}

/// Whole milliseconds of a span that was read from text.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// What a person should know of a job before it runs. None of it is an error: a program may be there by then.
pub(crate) fn warnings(job: &NewJob, agents: &Agents) -> Vec<String> {
    let of_job = [missing_program(job), worktree::uncommitted(job)];
    let of_agent = agent::warnings(job, agents);
    of_job.into_iter().flatten().chain(of_agent).collect()
}

fn missing_program(job: &NewJob) -> Option<String> {
    let Command::Argv(words) = &job.command else {
        return None;
    };
    let program = words.first()?.as_os_str();
    let path = job.env.get("PATH").map(RawText::as_os_str);
    let cwd = Path::new(job.cwd.as_os_str());
    if program.is_empty() || environment::is_program_there(program, path, cwd) {
        return None;
    }
    let shown = program.to_string_lossy();
    Some(match slash(program) {
        true => format!("{shown} cannot be run now: the job fails unless it can be when it starts"),
        false => format!(
            "`{shown}` is not in the PATH that the job gets: it fails unless it is there when it starts"
        ),
    })
}

fn slash(program: &OsStr) -> bool {
    program.as_encoded_bytes().contains(&b'/')
}

fn words_without_dashes(words: &[OsString]) -> CliError {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let line = shell_words::join(&words);
    CliError::usage(format!(
        "`{}` is no option: the command stands after `--`",
        words[0]
    ))
    .hint(format!("`qcli enqueue -- {line}`"))
}

fn script_file(path: &Path) -> Result<Command, CliError> {
    let refuse = |cause: &std::io::Error| CliError::file("read the script", path, cause);
    let file = std::fs::File::open(path).map_err(|cause| refuse(&cause))?;
    let bytes = read_bounded(file).map_err(|cause| refuse(&cause))?;
    script(bytes, &path.display().to_string())
}

fn script_on_stdin() -> Result<Command, CliError> {
    let bytes = read_bounded(std::io::stdin().lock()).map_err(|cause| {
        CliError::file("read the script on", Path::new("standard input"), &cause)
    })?;
    script(bytes, "standard input")
}

/// Reads one byte more than is allowed, so that [`script`] can tell.
fn read_bounded(source: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(LARGEST_SCRIPT + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn script(bytes: Vec<u8>, place: &str) -> Result<Command, CliError> {
    if bytes.len() as u64 > LARGEST_SCRIPT {
        return Err(CliError::usage(format!(
            "the script on {place} is larger than {}",
            queue_core::units::format_bytes(LARGEST_SCRIPT)
        ))
        .hint("keep it in a file and run that: `qcli enqueue -- ./script`"));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| CliError::usage(format!("the script on {place} is not UTF-8")))?;
    if text.trim().is_empty() {
        return Err(CliError::usage(format!("the script on {place} is empty")));
    }
    if text.contains('\0') {
        return Err(CliError::usage(format!(
            "the script on {place} has a NUL byte in it: it is no script"
        )));
    }
    Ok(Command::Script(text))
}

#[cfg(test)]
mod tests;
