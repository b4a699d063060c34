//! One line of `--from-file`: a JSON object with the options of `enqueue` as fields.
//!
//! Owns the fields and their types; unknown ones are refused, so that a wrong letter does not start a job without its
//! limit. The options given beside `--from-file` are the defaults of every line; labels and variables of both are joined.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use queue_core::agent::AgentTask;
use queue_core::gate::GateName;
use queue_core::job::{LimitUse, OnConflict, OnLeftover, StartAt, Unique, UniqueWhile, Worktree};
use queue_core::proof::{Expectation, OnSuspect};
use queue_core::raw_text::RawText;
use queue_core::retry::Backoff;
use queue_core::{Command, NewJob};
use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};

use super::agent::{self, AgentArgs};
use super::budget;
use super::directory;
use super::fallback;
use super::parse::{self, AfterArg};
use super::proof::{self, ProofArgs};
use super::worktree::WorktreeArgs;
use super::{Site, millis};
use crate::env_file;
use crate::environment::{self, Pattern, Widened};
use crate::error::CliError;
use crate::moment;
use crate::output::json_problem;

/// The fields of a line. What is left out is what the options say.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Line {
    argv: Option<Vec<RawText>>,
    shell: Option<String>,
    script: Option<String>,
    queue: Option<String>,
    priority: Option<i32>,
    name: Option<String>,
    tags: BTreeMap<String, String>,
    hold: Option<bool>,
    delay: Option<String>,
    at: Option<String>,
    after: Option<OneOrMany<AfterField>>,
    max_wait: Option<String>,
    cwd: Option<RawText>,
    env: BTreeMap<String, RawText>,
    env_pass: Option<OneOrMany<String>>,
    env_all: bool,
    env_file: Option<OneOrMany<String>>,
    stdin: Option<RawText>,
    max_attempts: Option<NonZeroU32>,
    backoff: Option<String>,
    no_retry_on: Option<Vec<u8>>,
    timeout: Option<String>,
    idle_timeout: Option<String>,
    grace: Option<String>,
    log_cap: Option<String>,
    mem: Option<String>,
    cpu: Option<serde_json::Number>,
    on_leftover: Option<OnLeftover>,
    on_question: Option<String>,
    direct: Option<bool>,
    unique: Option<String>,
    unique_while: Option<UniqueWhile>,
    on_conflict: Option<OnConflict>,
    limit: Option<OneOrMany<String>>,
    gate: Option<OneOrMany<String>>,
    concurrency_key: Option<String>,
    share_dir: Option<bool>,
    worktree: Option<bool>,
    base: Option<String>,
    branch: Option<String>,
    setup: Option<String>,
    teardown: Option<String>,
    agent: Option<OneOrMany<String>>,
    prompt: Option<String>,
    prompt_file: Option<PathBuf>,
    model: Option<String>,
    allowed_tools: Option<OneOrMany<String>>,
    max_turns: Option<NonZeroU32>,
    profile: Option<String>,
    session: Option<String>,
    no_adapter: bool,
    max_cost: Option<Amount>,
    max_tokens: Option<Amount>,
    check: Option<OneOrMany<String>>,
    check_timeout: Option<String>,
    expect: Option<OneOrMany<String>>,
    on_suspect: Option<OnSuspect>,
}

/// A job of a line, and the jobs it comes after as they are named there; none where the options are to decide.
#[derive(Debug, Clone)]
pub(crate) struct LineJob {
    /// The job, without its parents.
    pub(crate) job: NewJob,
    /// What it comes after.
    pub(crate) after: Option<Vec<AfterArg>>,
}

/// Reads a line and puts it over `base`, the job that the options describe.
///
/// # Errors
/// When it is no such object, or a field cannot be used (exit code 2); the text says which field.
pub(crate) fn read(text: &[u8], base: &NewJob, site: &Site<'_>) -> Result<LineJob, CliError> {
    let line: Line = serde_json::from_slice(text).map_err(|error| not_a_line(&error))?;
    line.over(base, site)
}

fn not_a_line(error: &serde_json::Error) -> CliError {
    let what = json_problem(error);
    let place = match error.column() {
        0 => String::new(),
        column => format!(" (column {column})"),
    };
    CliError::usage(format!("{what}{place}")).hint(
        "a line is one JSON object such as {\"argv\": [\"make\", \"test\"], \"queue\": \"builds\"}",
    )
}

impl Line {
    fn over(mut self, base: &NewJob, site: &Site<'_>) -> Result<LineJob, CliError> {
        let mut job = base.clone();
        job.command = self.command(&base.command, site)?;
        if !self.no_adapter {
            agent::recognise(&mut job, site.agents);
        }
        if matches!(job.command, Command::Agent(_)) && job.backoff == Backoff::default() {
            job.backoff = agent::BACKOFF;
        }
        self.describe(&mut job)?;
        self.surround(&mut job, site)?;
        self.schedule(&mut job, site)?;
        self.bound(&mut job)?;
        self.isolate(&mut job)?;
        self.prove(&mut job)?;
        fallback::pass_gates(&mut job, site.agents);
        directory::settle(&mut job);
        budget::check(&job)?;
        let after = self
            .after
            .map(|after| after.0.into_iter().map(|field| field.0).collect());
        Ok(LineJob { job, after })
    }

    /// What the line is to do. An agent's own arguments stand in `argv`, as they stand after `--`.
    fn command(&mut self, base: &Command, site: &Site<'_>) -> Result<Command, CliError> {
        let said = AgentArgs {
            agent: self.agent.take().map(|agents| agents.0.join(",")),
            prompt: self.prompt.take(),
            prompt_file: self.prompt_file.take(),
            model: self.model.take(),
            allowed_tools: many(self.allowed_tools.take()),
            max_turns: self.max_turns.take(),
            profile: self.profile.take(),
            session: self.session.take(),
        };
        let runs = self.argv.is_some() || self.shell.is_some() || self.script.is_some();
        match base {
            Command::Agent(task) if !runs || said.is_given() => self.task(&said, Some(task), site),
            _ if said.is_given() => self.task(&said, None, site),
            _ => self.plain(),
        }
    }

    fn task(
        &mut self,
        said: &AgentArgs,
        base: Option<&AgentTask>,
        site: &Site<'_>,
    ) -> Result<Command, CliError> {
        if self.shell.is_some() || self.script.is_some() {
            return Err(CliError::usage(
                "an agent does not go together with `shell` or `script`: it is given `prompt`",
            ));
        }
        let extra = self.argv.take().unwrap_or_default();
        let task = said.over(base.cloned(), extra, &site.around.cwd)?;
        agent::check(&task, site.agents)?;
        Ok(Command::Agent(task))
    }

    fn plain(&mut self) -> Result<Command, CliError> {
        match (self.argv.take(), self.shell.take(), self.script.take()) {
            (Some(argv), None, None) => Ok(Command::Argv(argv)),
            (None, Some(shell), None) => Ok(Command::Shell(shell)),
            (None, None, Some(script)) => Ok(Command::Script(script)),
            (None, None, None) => Err(CliError::usage(
                "nothing to run: it has no `argv`, `shell` or `script`",
            )),
            _ => Err(CliError::usage(
                "more than one of `argv`, `shell` and `script`",
            )),
        }
    }

    fn describe(&mut self, job: &mut NewJob) -> Result<(), CliError> {
        set(&mut job.queue, self.queue.take());
        set(&mut job.priority, self.priority);
        if let Some(name) = self.name.take() {
            job.name = Some(field("name", parse::name(&name))?);
        }
        job.tags.append(&mut self.tags);
        set(&mut job.hold, self.hold);
        Ok(())
    }

    fn surround(&mut self, job: &mut NewJob, site: &Site<'_>) -> Result<(), CliError> {
        let base = &site.around.cwd;
        if let Some(dir) = self.cwd.take() {
            let dir = parse::directory(Path::new(dir.as_os_str()), base)?;
            job.cwd = dir.into_os_string().into();
        }
        if let Some(file) = self.stdin.take() {
            let file = parse::input_file(Path::new(file.as_os_str()), base)?;
            job.options.stdin = Some(file.into_os_string().into());
        }
        if self.env_all || self.env_pass.is_some() {
            let patterns: Vec<Pattern> = many(self.env_pass.take())
                .iter()
                .map(|pattern| field("env_pass", pattern.parse()))
                .collect::<Result<_, _>>()?;
            let widened = Widened {
                all: self.env_all,
                patterns: &patterns,
            };
            for (key, value) in environment::capture(&site.around.variables, &widened) {
                job.env.entry(key).or_insert(value);
            }
        }
        for file in many(self.env_file.take()) {
            let variables = env_file::read(&base.join(file))?;
            job.env.extend(
                variables
                    .into_iter()
                    .map(|variable| (variable.key, variable.value.into())),
            );
        }
        job.env.append(&mut self.env);
        Ok(())
    }

    fn schedule(&mut self, job: &mut NewJob, site: &Site<'_>) -> Result<(), CliError> {
        match (self.at.take(), self.delay.take()) {
            (Some(_), Some(_)) => return Err(CliError::usage("both `at` and `delay`")),
            (Some(at), None) => job.start = StartAt::At(moment::parse(&at, site.now)?.into()),
            (None, Some(delay)) => {
                job.start = StartAt::After(field("delay", parse::duration(&delay))?);
            }
            (None, None) => {}
        }
        if let Some(wait) = self.max_wait.take() {
            job.max_wait = Some(field("max_wait", parse::span(&wait))?);
        }
        set(&mut job.max_attempts, self.max_attempts);
        if let Some(backoff) = self.backoff.take() {
            job.backoff = field("backoff", parse::backoff(&backoff))?;
        }
        let options = &mut job.options;
        for (name, text, value) in [
            ("timeout", self.timeout.take(), &mut options.timeout_ms),
            (
                "idle_timeout",
                self.idle_timeout.take(),
                &mut options.idle_timeout_ms,
            ),
        ] {
            if let Some(text) = text {
                *value = Some(millis(field(name, parse::span(&text))?));
            }
        }
        if let Some(grace) = self.grace.take() {
            options.grace_ms = Some(millis(field("grace", parse::duration(&grace))?));
        }
        if let Some(cap) = self.log_cap.take() {
            options.log_cap = Some(field("log_cap", parse::bytes(&cap))?);
        }
        if let Some(memory) = self.mem.take() {
            options.memory_bytes = Some(field("mem", parse::memory(&memory))?);
        }
        if let Some(cpus) = self.cpu.take() {
            options.cpu_millis = Some(field("cpu", parse::cpus(&cpus.to_string()))?);
        }
        if let Some(cost) = self.max_cost.take() {
            options.max_cost = Some(field("max_cost", budget::cost(&cost.text()))?);
        }
        if let Some(tokens) = self.max_tokens.take() {
            options.max_tokens = Some(field("max_tokens", budget::tokens(&tokens.text()))?);
        }
        options.on_leftover = self.on_leftover.take().or(options.on_leftover);
        if let Some(codes) = self.no_retry_on.take() {
            options.no_retry = codes.into_iter().map(i32::from).collect();
        }
        if let Some(way) = self.on_question.take() {
            options.on_question = Some(field("on_question", way.parse())?);
        }
        set(&mut options.direct, self.direct);
        Ok(())
    }

    fn bound(&mut self, job: &mut NewJob) -> Result<(), CliError> {
        match self.unique.take() {
            Some(key) => {
                job.unique = Some(Unique {
                    key,
                    while_: self.unique_while.unwrap_or(UniqueWhile::Live),
                    on_conflict: self.on_conflict.unwrap_or(OnConflict::Skip),
                });
            }
            None if self.unique_while.is_some() || self.on_conflict.is_some() => {
                return Err(CliError::usage(
                    "`unique_while` and `on_conflict` say nothing without `unique`",
                ));
            }
            None => {}
        }
        if let Some(limits) = self.limit.take() {
            job.limits = limits
                .0
                .iter()
                .map(|limit| field("limit", LimitUse::from_str(limit)))
                .collect::<Result<_, _>>()?;
        }
        if let Some(gates) = self.gate.take() {
            job.gates = gates
                .0
                .iter()
                .map(|gate| {
                    let name = GateName::from_str(gate);
                    field("gate", name.map_err(|error| error.to_string()))
                })
                .collect::<Result<_, _>>()?;
        }
        if self.concurrency_key.is_some() {
            job.concurrency_key = self.concurrency_key.take();
        }
        set(&mut job.options.share_dir, self.share_dir);
        Ok(())
    }
}

impl Line {
    /// A tree is settled anew for each line: its directory may lie in another repository.
    fn isolate(&mut self, job: &mut NewJob) -> Result<(), CliError> {
        let base = job.options.worktree.take();
        let of_base = |get: fn(&Worktree) -> Option<String>| base.as_ref().and_then(get);
        let args = WorktreeArgs {
            worktree: self.worktree.unwrap_or(base.is_some()),
            base: self.base.take(),
            branch: self.branch.take(),
            setup: self
                .setup
                .take()
                .or_else(|| of_base(|tree| tree.setup.clone())),
            teardown: self
                .teardown
                .take()
                .or_else(|| of_base(|tree| tree.teardown.clone())),
        };
        let says_more = args.base.is_some() || args.branch.is_some() || args.setup.is_some();
        if !args.worktree && (says_more || args.teardown.is_some()) {
            return Err(CliError::usage(
                "`base`, `branch`, `setup` and `teardown` say nothing without `worktree`",
            ));
        }
        job.options.worktree = args.build(Path::new(job.cwd.as_os_str()))?;
        Ok(())
    }
}

impl Line {
    /// Checks and expectations of a line take the place of those that the options say.
    fn prove(&mut self, job: &mut NewJob) -> Result<(), CliError> {
        let checks = many(self.check.take());
        let expect = many(self.expect.take());
        let said = ProofArgs {
            check: checks
                .iter()
                .map(|line| field("check", parse::check(line)))
                .collect::<Result<_, _>>()?,
            check_timeout: match self.check_timeout.take() {
                Some(text) => Some(field("check_timeout", parse::span(&text))?),
                None => None,
            },
            expect: expect
                .iter()
                .map(|text| {
                    let expectation = Expectation::from_str(text);
                    field("expect", expectation.map_err(|error| error.to_string()))
                })
                .collect::<Result<_, _>>()?,
            on_suspect: self.on_suspect.take(),
        };
        job.options.proof = said.over(std::mem::take(&mut job.options.proof));
        proof::check(job)
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn many(field: Option<OneOrMany<String>>) -> Vec<String> {
    field.map(|field| field.0).unwrap_or_default()
}

fn field<T>(name: &str, value: Result<T, String>) -> Result<T, CliError> {
    value.map_err(|why| CliError::usage(format!("`{name}`: {why}")))
}

/// An amount, which may be written as a number or, with its unit, as a text.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged)]
enum Amount {
    Number(serde_json::Number),
    Text(String),
}

impl Amount {
    fn text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

/// One value, or an array of them.
#[derive(Debug)]
struct OneOrMany<T>(Vec<T>);

impl<'de, T: Deserialize<'de> + FromPlain> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + FromPlain> Visitor<'de> for Either<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one of them or an array")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<T>, E> {
                T::from_plain(text).map(|one| vec![one]).map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Vec<T>, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    all.push(item);
                }
                Ok(all)
            }
        }
        deserializer.deserialize_any(Either(PhantomData)).map(Self)
    }
}

/// What a field makes of a plain text or number.
trait FromPlain: Sized {
    fn from_plain(text: &str) -> Result<Self, String>;
}

impl FromPlain for String {
    fn from_plain(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

/// A dependency: a number, or a text as `--after` takes it.
#[derive(Debug)]
struct AfterField(AfterArg);

impl FromPlain for AfterField {
    fn from_plain(text: &str) -> Result<Self, String> {
        text.parse().map(Self)
    }
}

impl<'de> Deserialize<'de> for AfterField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let text = match &value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Number(number) => number.to_string(),
            other => return Err(D::Error::custom(format_args!("{other} names no job"))),
        };
        Self::from_plain(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::Agents;
    use crate::config::Surroundings;
    use queue_core::Timestamp;
    use std::collections::HashMap;

    fn around() -> Surroundings {
        Surroundings {
            cwd: "/usr".into(),
            variables: HashMap::from([("MY_KEY".into(), "mine".into())]),
            config_home: None,
            data_home: None,
            home: None,
        }
    }

    fn read_line(text: &str) -> Result<LineJob, CliError> {
        let around = around();
        let site = Site {
            around: &around,
            queue: "default",
            now: Timestamp::from_millis(1_767_225_600_000),
            agents: &Agents::default(),
        };
        let mut base = NewJob::new(Command::Shell(String::new()));
        base.tags.insert("run".into(), "7".into());
        read(text.as_bytes(), &base, &site)
    }

    fn refusal(text: &str) -> String {
        read_line(text).unwrap_err().message().to_owned()
    }

    #[test]
    fn a_line_has_the_options_as_fields() {
        let line = read_line(
            r#"{"argv":["make","-j8"],"queue":"builds","priority":5,"name":"web","tags":{"team":"a"},
                "cwd":"lib","env":{"A":"1"},"env_pass":"MY_*","after":[41,"build:any"],"limit":["api","gpu=2"],
                "max_attempts":5,"backoff":"fixed:30s","timeout":"2h","direct":true,"no_retry_on":[2],
                "unique":"web","on_conflict":"error","log_cap":"1MiB","mem":"2G","cpu":1.5,"hold":true,"delay":"5s"}"#,
        )
        .unwrap();
        let job = line.job;
        assert_eq!(
            job.command,
            Command::Argv(vec!["make".into(), "-j8".into()])
        );
        assert_eq!(
            (job.queue.as_str(), job.priority, job.hold),
            ("builds", 5, true)
        );
        assert_eq!(job.tags.len(), 2);
        assert_eq!(job.cwd.to_lossy(), "/usr/lib");
        assert_eq!(job.env.keys().collect::<Vec<_>>(), ["A", "MY_KEY"]);
        assert_eq!(job.limits[1].cost.get(), 2);
        assert_eq!(job.options.timeout_ms, Some(7_200_000));
        assert_eq!(job.options.memory_bytes, Some(2 << 30));
        assert_eq!(job.options.cpu_millis, Some(1_500));
        assert_eq!(job.unique.unwrap().on_conflict, OnConflict::Error);
        let after: Vec<_> = line
            .after
            .unwrap()
            .iter()
            .map(|after| after.job.to_string())
            .collect();
        assert_eq!(after, ["41", "build"]);
    }

    #[test]
    fn one_parent_or_limit_needs_no_array() {
        let line = read_line(r#"{"shell":"true","after":41,"limit":"api=3"}"#).unwrap();
        assert_eq!(line.after.unwrap().len(), 1);
        assert_eq!(line.job.limits[0].cost.get(), 3);
    }

    #[test]
    fn what_cannot_be_used_names_its_field() {
        assert!(refusal(r#"{"shell":"true","queu":"x"}"#).contains("unknown field `queu`"));
        assert!(
            refusal(r#"{"shell":"true","timeout":"90"}"#)
                .starts_with("`timeout`: `90` lacks a unit")
        );
        assert!(refusal(r#"{"shell":"true","argv":["a"]}"#).contains("more than one"));
        assert!(refusal(r#"{"queue":"x"}"#).contains("nothing to run"));
        assert!(refusal(r#"{"shell":"true","cwd":"no/such"}"#).contains("/usr/no/such"));
        assert!(refusal(r#"{"shell":"true","after":"41:done"}"#).contains("41:failure"));
        assert!(refusal(r#"{"shell":"true","at":"2001-01-01T00:00:00Z"}"#).contains("2001"));
        assert!(refusal(r#"{"shell":"true","mem":"1K"}"#).starts_with("`mem`: `1K` is too little"));
        assert!(refusal(r#"{"shell":"true","cpu":-1}"#).starts_with("`cpu`"));
        assert!(refusal("{\"shell\": tru}").contains("column"));
        assert!(refusal("[1]").contains("column"));
        assert!(refusal(r#"{"shell":"true","limit":"api=0"}"#).starts_with("`limit`"));
        assert!(refusal(r#"{"shell":"true","on_conflict":"skip"}"#).contains("without `unique`"));
    }
}
