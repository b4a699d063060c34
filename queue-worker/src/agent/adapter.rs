//! What is known of each coding agent, as data.
//!
//! [`Adapters`] reads the tables that are built in and lays the user's `agents.toml` over them,
//! field by field; attempts, `qcli enqueue --agent` and `qcli agent` ask it. What always holds: an
//! adapter that is handed out is whole, its placeholders are known ones and stand where they may.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use queue_core::raw_text::RawText;
use queue_core::units::{format_duration, parse_duration};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toml::{Table, Value};

use super::stream::Format;

/// The tables that are built in.
const BUILT_IN: &str = include_str!("agents.toml");

/// The form of the tables that this release reads.
const VERSION: i64 = 1;

/// The name of the user's file in the configuration directory.
pub const FILE: &str = "agents.toml";

/// How the prompt gets into an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptBy {
    /// On its standard input, which then ends.
    Stdin,
    /// In a file that an argument names.
    File,
    /// As an argument.
    Argument,
}

/// Who names the sessions of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionBy {
    /// The queue, before the start.
    Minted,
    /// The agent: the name is read from its output.
    Captured,
    /// Nobody: it has none.
    None,
}

/// What the tokens that an agent names at the end are the total of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TotalsOf {
    /// This run of the program.
    #[default]
    Run,
    /// The whole session, earlier runs included.
    Session,
}

/// The first signal that asks an agent to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopBy {
    /// INT, after the grace TERM, after another KILL.
    Int,
    /// TERM, after the grace KILL.
    #[default]
    Term,
}

/// One agent. The head of the built-in file says what each field means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adapter {
    /// What people call it.
    #[serde(default)]
    pub about: String,
    /// The program to look for along the job's `PATH`, or its path.
    pub program: String,
    /// The arguments for a new session.
    pub start: Vec<String>,
    /// The arguments to go on with a session; empty where that is not to be had.
    #[serde(default)]
    pub resume: Vec<String>,
    /// The words that choose a model.
    #[serde(default)]
    pub model: Vec<String>,
    /// The words that allow tools.
    #[serde(default)]
    pub allowed_tools: Vec<String>,
    /// The words that bound the turns. Where there are none the queue counts alone.
    #[serde(default)]
    pub max_turns: Vec<String>,
    /// The words that bound what it may cost, in US dollars. The queue counts all the same.
    #[serde(default)]
    pub max_cost: Vec<String>,
    /// What the tokens that it names are the total of.
    #[serde(default)]
    pub totals: TotalsOf,
    /// How the prompt gets in.
    pub prompt: PromptBy,
    /// Who names its sessions.
    pub session: SessionBy,
    /// How it is asked to stop.
    #[serde(default)]
    pub stop: StopBy,
    /// Variables that are taken away.
    #[serde(default)]
    pub strip: Vec<String>,
    /// Variables that are set where the job has none of that name.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// The variable that names the directory of an account's credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Those directories by name; `~` stands for the home directory.
    #[serde(default)]
    pub profiles: BTreeMap<String, String>,
    /// Variables that bill an API account in place of a plan.
    #[serde(default)]
    pub billed_by_key: Vec<String>,
    /// Words of a plain command line that say that no person is there.
    #[serde(default)]
    pub headless: Vec<String>,
    /// Words of a plain command line that make it write a stream; two words with a space between
    /// them stand for two arguments.
    #[serde(default)]
    pub stream: Vec<String>,
    /// How it writes its output; by its name where not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// How long it may stay after it said that it is done.
    #[serde(deserialize_with = "span", serialize_with = "spelled")]
    pub linger: Duration,
    /// How far apart starts of the same account are.
    #[serde(default, deserialize_with = "span", serialize_with = "spelled")]
    pub stagger: Duration,
    /// The arguments that print its version.
    #[serde(default)]
    pub version: Vec<String>,
    /// The arguments that exit 0 when it is logged in.
    #[serde(default)]
    pub login: Vec<String>,
    /// What is known to hang, for people.
    #[serde(default)]
    pub hangs: Vec<String>,
}

fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map_err(serde::de::Error::custom)
}

fn spelled<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_duration(*span))
}

/// Who says what is known of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// This release.
    BuiltIn,
    /// This release, and fields of the user's file over it.
    Changed,
    /// The user's file alone.
    Added,
}

/// Why there is no adapter.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// The user's file cannot be read.
    #[error("the file {} cannot be read: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What stands in the user's file cannot be used.
    #[error("{}: {problem}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
    /// There is no agent of that name.
    #[error("there is no agent `{name}`; known are {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
}

/// All agents that are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapters {
    known: BTreeMap<String, (Adapter, Origin)>,
}

impl Adapters {
    /// The agents that this release knows.
    #[must_use]
    pub fn built_in() -> Self {
        Self::over(Table::new()).expect("the built-in tables are whole: a test reads them")
    }

    /// The same with the user's `agents.toml` of the directory laid over them, if there is one.
    ///
    /// # Errors
    /// When the file cannot be read, or what stands there cannot be used.
    pub fn load(directory: Option<&Path>) -> Result<Self, AdapterError> {
        let Some(path) = directory.map(|directory| directory.join(FILE)) else {
            return Ok(Self::built_in());
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::built_in()),
            Err(error) => return Err(AdapterError::File { path, error }),
        };
        let content = |problem: String| AdapterError::Content {
            path: path.clone(),
            problem,
        };
        let table = text
            .parse::<Table>()
            .map_err(|error| content(error.to_string().trim_end().to_owned()))?;
        Self::over(agents_of(table).map_err(content)?).map_err(content)
    }

    /// Lays the user's tables over ours.
    fn over(user: Table) -> Result<Self, String> {
        let ours: Table = BUILT_IN.parse().map_err(|error| format!("{error}"))?;
        let mut agents = agents_of(ours)?;
        let origins = user
            .iter()
            .map(|(name, _)| match agents.contains_key(name) {
                true => (name.clone(), Origin::Changed),
                false => (name.clone(), Origin::Added),
            });
        let origins: BTreeMap<String, Origin> = origins.collect();
        lay(&mut agents, user);
        let read = |(name, table): (String, Value)| {
            let adapter: Adapter = table
                .try_into()
                .map_err(|error: toml::de::Error| format!("agents.{name}: {}", error.message()))?;
            check(&name, &adapter)?;
            let origin = origins.get(&name).copied().unwrap_or(Origin::BuiltIn);
            Ok((name, (adapter, origin)))
        };
        let known = agents
            .into_iter()
            .map(read)
            .collect::<Result<_, String>>()?;
        Ok(Self { known })
    }

    /// The agent of that name.
    ///
    /// # Errors
    /// [`AdapterError::Unknown`], which lists those there are.
    pub fn get(&self, name: &str) -> Result<&Adapter, AdapterError> {
        let found = self.known.get(name).map(|(adapter, _)| adapter);
        found.ok_or_else(|| AdapterError::Unknown {
            name: name.to_owned(),
            known: self.known.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    /// All of them by name, with who says so.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Adapter, Origin)> {
        let known = self.known.iter();
        known.map(|(name, (adapter, origin))| (name.as_str(), adapter, *origin))
    }

    /// The agent that a plain command line calls without a person, if it is one that is known.
    #[must_use]
    pub fn recognise(&self, argv: &[RawText]) -> Option<&str> {
        let (program, args) = argv.split_first()?;
        let program = Path::new(program.as_os_str()).file_name()?;
        let calls = |adapter: &Adapter| {
            let name = Path::new(&adapter.program).file_name();
            name == Some(program) && adapter.headless.iter().any(|word| has_word(args, word))
        };
        let found = self.known.iter().find(|(_, (adapter, _))| calls(adapter));
        found.map(|(name, _)| name.as_str())
    }
}

impl Adapter {
    /// Whether a plain command line makes it write a stream that can be read.
    #[must_use]
    pub fn streams(&self, args: &[RawText]) -> bool {
        self.stream.iter().any(|word| has_word(args, word))
    }

    /// Whether it can go on with a session.
    #[must_use]
    pub fn can_resume(&self) -> bool {
        self.session != SessionBy::None && !self.resume.is_empty()
    }

    /// The account that a job's variables stand for: the name of the profile whose directory they
    /// name, or the directory's own name; none where they name none.
    #[must_use]
    pub fn profile_of(&self, variable: Option<&OsStr>, home: Option<&Path>) -> Option<String> {
        let directory = Path::new(variable.filter(|value| !value.is_empty())?);
        let named = |(_, value): &(&String, &String)| expand(value, home) == directory;
        if let Some((name, _)) = self.profiles.iter().find(named) {
            return Some(name.clone());
        }
        let name = directory.file_name()?.to_string_lossy();
        Some(name.trim_start_matches('.').to_owned())
    }

    /// The directory of a profile.
    #[must_use]
    pub fn directory_of(&self, profile: &str, home: Option<&Path>) -> Option<PathBuf> {
        self.profiles.get(profile).map(|value| expand(value, home))
    }
}

/// A path in which `~` stands for the home directory.
fn expand(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ if path == "~" => home.unwrap_or(Path::new("~")).to_owned(),
        _ => path.into(),
    }
}

/// Whether the arguments hold a word, or two words in a row where it has a space in it.
fn has_word(args: &[RawText], word: &str) -> bool {
    match word.split_once(' ') {
        None => args.iter().any(|arg| arg.as_bytes() == word.as_bytes()),
        Some((first, second)) => args.windows(2).any(|pair| {
            pair[0].as_bytes() == first.as_bytes() && pair[1].as_bytes() == second.as_bytes()
        }),
    }
}

/// The tables of agents in a file of the form that this release reads.
fn agents_of(mut file: Table) -> Result<Table, String> {
    match file.remove("version") {
        None | Some(Value::Integer(VERSION)) => {}
        Some(other) => {
            return Err(format!(
                "its version is {other}, and this release reads version {VERSION}"
            ));
        }
    }
    let agents = match file.remove("agents") {
        None => Table::new(),
        Some(Value::Table(agents)) => agents,
        Some(_) => return Err("`agents` is no table: write `[agents.NAME]`".to_owned()),
    };
    match file.keys().next() {
        Some(key) => Err(format!(
            "unknown key `{key}`: an agent is a table `[agents.NAME]`"
        )),
        None => Ok(agents),
    }
}

/// Puts `over` on top: tables are joined, everything else takes the place of what was there.
fn lay(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => lay(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// What each placeholder may stand for.
const IN_LINES: [&str; 5] = ["session", "prompt", "prompt_file", "options", "extra"];

/// Refuses an adapter whose words would come out wrong.
fn check(name: &str, adapter: &Adapter) -> Result<(), String> {
    let Adapter {
        start,
        resume,
        model,
        allowed_tools,
        max_turns,
        max_cost,
        prompt,
        session,
        ..
    } = adapter;
    let complain = |field: &str, problem: &str| Err(format!("agents.{name}.{field}: {problem}"));
    if adapter.program.is_empty() {
        return complain("program", "it is empty");
    }
    for (field, words) in [("start", start), ("resume", resume)] {
        if let Some(unknown) = unknown_placeholder(words, &IN_LINES) {
            let known = "known are {session}, {prompt}, {prompt_file}, {options} and {extra}";
            return complain(
                field,
                &format!("`{{{unknown}}}` stands for nothing; {known}"),
            );
        }
        let has = |placeholder: &str| words.iter().any(|word| word.contains(placeholder));
        if words.is_empty() {
            continue;
        }
        match prompt {
            PromptBy::File if !has("{prompt_file}") => {
                return complain(
                    field,
                    "the prompt goes in by file: say where with {prompt_file}",
                );
            }
            PromptBy::Argument if !has("{prompt}") => {
                return complain(
                    field,
                    "the prompt goes in as an argument: say where with {prompt}",
                );
            }
            _ => {}
        }
        if !has("{extra}") {
            return complain(
                field,
                "{extra} is missing: the job's own arguments have no place",
            );
        }
    }
    if *session == SessionBy::Minted && !start.iter().any(|word| word.contains("{session}")) {
        return complain("start", "the session is minted: say where with {session}");
    }
    if !resume.is_empty() && !resume.iter().any(|word| word.contains("{session}")) {
        return complain("resume", "say which session with {session}");
    }
    for (field, words) in [
        ("model", model),
        ("allowed_tools", allowed_tools),
        ("max_turns", max_turns),
        ("max_cost", max_cost),
    ] {
        if let Some(unknown) = unknown_placeholder(words, &["value"]) {
            return complain(
                field,
                &format!("`{{{unknown}}}` stands for nothing; write {{value}}"),
            );
        }
        if !words.is_empty() && !words.iter().any(|word| word.contains("{value}")) {
            return complain(field, "say where the value goes with {value}");
        }
    }
    Ok(())
}

fn unknown_placeholder<'a>(words: &'a [String], known: &[&str]) -> Option<&'a str> {
    words.iter().find_map(|word| {
        let (_, rest) = word.split_once('{')?;
        let (inner, _) = rest.split_once('}')?;
        (!known.contains(&inner)).then_some(inner)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Adapters, String> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), text).unwrap();
        Adapters::load(Some(dir.path())).map_err(|error| error.to_string())
    }

    fn argv(line: &str) -> Vec<RawText> {
        line.split(' ').map(RawText::from).collect()
    }

    #[test]
    fn the_built_in_tables_are_whole() {
        let built_in = Adapters::built_in();
        let names: Vec<_> = built_in.iter().map(|(name, _, _)| name).collect();
        assert_eq!(
            names,
            [
                "agy",
                "aider",
                "claude",
                "codex",
                "cursor-agent",
                "gemini",
                "goose",
                "opencode",
                "qwen"
            ]
        );
        assert!(
            built_in
                .iter()
                .all(|(_, _, origin)| origin == Origin::BuiltIn)
        );
    }

    #[test]
    fn a_user_changes_single_fields_and_adds_agents() {
        let adapters = load(
            "[agents.claude]\nprogram = '/opt/claude'\nlinger = '1s'\nset = { A = '1' }\n\
             profiles = { work = '~/.claude-work' }\n\
             [agents.mine]\nprogram = 'mine'\nstart = ['{extra}']\nprompt = 'stdin'\n\
             session = 'none'\nlinger = '5s'\n",
        )
        .unwrap();
        let claude = adapters.get("claude").unwrap();
        assert_eq!(claude.program, "/opt/claude");
        assert_eq!(claude.linger, Duration::from_secs(1));
        assert_eq!(claude.session, SessionBy::Minted);
        assert_eq!(
            claude.set.keys().collect::<Vec<_>>(),
            ["A", "DISABLE_AUTOUPDATER"]
        );
        let origins: BTreeMap<_, _> = adapters
            .iter()
            .map(|(name, _, from)| (name, from))
            .collect();
        assert_eq!(origins["claude"], Origin::Changed);
        assert_eq!(origins["mine"], Origin::Added);
        assert_eq!(origins["codex"], Origin::BuiltIn);
        let home = Path::new("/home/u");
        let profile = |value: &str| claude.profile_of(Some(OsStr::new(value)), Some(home));
        assert_eq!(profile("/home/u/.claude-work").as_deref(), Some("work"));
        assert_eq!(profile("/srv/.claude-ci").as_deref(), Some("claude-ci"));
        assert_eq!(claude.profile_of(None, Some(home)), None);
    }

    #[test]
    fn what_cannot_be_used_is_said_with_its_place() {
        for (text, words) in [
            (
                "[agents.claude]\nprogam = 'x'",
                "agents.claude: unknown field `progam`",
            ),
            ("[agents.claude]\nlinger = '10'", "agents.claude: "),
            (
                "[agents.claude]\nstart = ['{sesion}']",
                "`{sesion}` stands for nothing",
            ),
            (
                "[agents.claude]\nstart = ['{extra}']",
                "the session is minted",
            ),
            (
                "[agents.gemini]\nstart = ['{session}', '{extra}']",
                "say where with {prompt}",
            ),
            ("[agents.codex]\nmodel = ['-m']", "say where the value goes"),
            ("[agents.codex]\nresume = ['{extra}']", "say which session"),
            ("[agents.new]\nprogram = 'x'", "agents.new: missing field"),
            ("[claude]\nprogram = 'x'", "unknown key `claude`"),
            ("version = 2", "this release reads version 1"),
            ("[agents.claude\n", "line 1"),
        ] {
            let error = load(text).unwrap_err();
            assert!(
                error.contains(words) && error.contains(FILE),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn a_plain_command_line_is_recognised_when_no_person_is_there() {
        let adapters = Adapters::built_in();
        for (line, agent) in [
            ("claude -p fix", Some("claude")),
            ("/opt/bin/claude --print fix", Some("claude")),
            ("claude", None),
            ("claude fix", None),
            ("codex exec fix", Some("codex")),
            ("codex", None),
            ("opencode run fix", Some("opencode")),
            ("make -p", None),
        ] {
            assert_eq!(adapters.recognise(&argv(line)), agent, "{line}");
        }
        let claude = adapters.get("claude").unwrap();
        assert!(claude.streams(&argv("-p --output-format stream-json x")));
        assert!(!claude.streams(&argv("-p --output-format text x")));
    }

    #[test]
    fn an_unknown_agent_is_told_with_those_there_are() {
        let error = Adapters::built_in().get("cloude").unwrap_err().to_string();
        assert!(
            error.contains("`cloude`") && error.contains("claude, codex"),
            "{error}"
        );
    }
}
