//! Reads a file of rules and lays it over others.
//!
//! Used by [`Rules`], for the built-in file and the user's alike. What always holds: a file is taken
//! as a whole or not at all; whatever is wrong with it is said with file, rule and what is expected.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::when::{Conditions, ExitTest, When};
use super::{Judged, ResetFrom, Rule, Rules, SHELL, ScopeKind, Source};
use crate::agent::text::folded;

/// A file of rules that cannot be used.
#[derive(Debug, thiserror::Error)]
pub struct RulesError {
    /// The file; none for the built-in rules.
    pub path: Option<PathBuf>,
    /// The rule, where it is one.
    pub rule: Option<String>,
    /// What is wrong.
    #[source]
    pub problem: Problem,
}

/// What is wrong with a file of rules.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(io::Error),
    /// It is no TOML, or a field is not known or has another type.
    #[error("{0}")]
    Form(String),
    /// A rule does not say something it must say.
    #[error("it has no `{0}`")]
    Lacks(&'static str),
    /// Two rules of one file have the same id.
    #[error("the id is there twice")]
    Twice,
    /// It refers to something that does not exist.
    #[error("there is no {what} `{name}`")]
    Unknown {
        /// What is looked for.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// An expression is none.
    #[error("`{text}` is not a regular expression: {problem}")]
    Expression {
        /// The text.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It looks for words, but names no place where words stand.
    #[error("it looks for words, but `where` names none of result, event, stderr, stdout")]
    Nowhere,
    /// It would fit always.
    #[error("a `when` without any condition would fit every attempt")]
    Always,
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "cannot use the rules in {}", path.display())?,
            None => f.write_str("cannot use the built-in rules")?,
        }
        if let Some(rule) = &self.rule {
            write!(f, ", rule `{rule}`")?;
        }
        Ok(())
    }
}

impl RulesError {
    pub(super) fn unreadable(path: &Path, error: io::Error) -> Self {
        Self {
            path: Some(path.to_owned()),
            rule: None,
            problem: Problem::Unreadable(error),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    #[serde(default)]
    version: u32,
    #[serde(default)]
    texts: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    rule: Vec<toml::Table>,
    /// What exit codes of plain commands mean.
    #[serde(default)]
    exit_codes: BTreeMap<String, Judged>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleEntry {
    id: String,
    #[serde(default)]
    agents: Vec<String>,
    #[serde(default, rename = "where")]
    sources: Vec<Source>,
    #[serde(default)]
    when: Vec<Conditions>,
    outcome: Option<Judged>,
    #[serde(default)]
    reset: Vec<ResetFrom>,
    #[serde(default)]
    scope: ScopeKind,
    #[serde(default)]
    model: Vec<String>,
    #[serde(default)]
    note: String,
    since: Option<String>,
    until: Option<String>,
    before: Option<String>,
    enabled: Option<bool>,
}

/// Lays the rules of a text over others.
pub(super) fn merge(
    mut rules: Rules,
    text: &str,
    path: Option<&Path>,
) -> Result<Rules, RulesError> {
    let wrong = |rule: Option<&str>, problem| RulesError {
        path: path.map(Path::to_owned),
        rule: rule.map(str::to_owned),
        problem,
    };
    let file: RuleFile = toml::from_str(text)
        .map_err(|error| wrong(None, Problem::Form(error.to_string().trim_end().to_owned())))?;
    if path.is_none() {
        rules.version = file.version;
    }
    rules.texts.extend(file.texts);
    let mut seen = Vec::new();
    let mut next = place_of_new(&rules);
    for (number, table) in file.rule.into_iter().enumerate() {
        let id = table.get("id").and_then(toml::Value::as_str);
        let name = id.map_or_else(|| format!("number {}", number + 1), str::to_owned);
        let entry = table.try_into::<RuleEntry>();
        let entry = entry.map_err(|error| {
            wrong(
                Some(&name),
                Problem::Form(error.to_string().trim_end().to_owned()),
            )
        })?;
        if seen.contains(&name) {
            return Err(wrong(Some(&name), Problem::Twice));
        }
        place(&mut rules, entry, path, &mut next).map_err(|problem| wrong(Some(&name), problem))?;
        seen.push(name);
    }
    for (code, outcome) in file.exit_codes {
        let rule = exit_code_rule(&code, outcome, path);
        let rule = rule.map_err(|problem| wrong(Some("exit_codes"), problem))?;
        rules.rules.retain(|known| known.id != rule.id);
        rules.rules.insert(0, rule);
    }
    Ok(rules)
}

/// Where a new rule of a user goes: behind those about the start and our own hand in the end.
fn place_of_new(rules: &Rules) -> usize {
    let is_about_us = |source: &Source| matches!(source, Source::Exit | Source::Watchdog);
    let first = |rule: &&Rule| rule.sources.iter().any(is_about_us);
    rules.rules.iter().take_while(first).count()
}

/// Puts a rule where it belongs.
fn place(
    rules: &mut Rules,
    entry: RuleEntry,
    path: Option<&Path>,
    next: &mut usize,
) -> Result<(), Problem> {
    let known = rules.rules.iter().position(|rule| rule.id == entry.id);
    if entry.enabled == Some(false) {
        let place = known.ok_or_else(|| Problem::Unknown {
            what: "rule",
            name: entry.id.clone(),
        })?;
        rules.rules.remove(place);
        *next -= usize::from(place < *next);
        return Ok(());
    }
    let before = entry.before.clone();
    let rule = built(entry, &rules.texts, path)?;
    if let (Some(place), None) = (known, &before) {
        rules.rules[place] = rule;
        return Ok(());
    }
    if let Some(place) = known {
        rules.rules.remove(place);
        *next -= usize::from(place < *next);
    }
    match before {
        Some(id) => {
            let place = rules.rules.iter().position(|rule| rule.id == id);
            let place = place.ok_or(Problem::Unknown {
                what: "rule",
                name: id,
            })?;
            rules.rules.insert(place, rule);
            *next += usize::from(place <= *next);
        }
        None if path.is_none() => rules.rules.push(rule),
        None => {
            rules.rules.insert(*next, rule);
            *next += 1;
        }
    }
    Ok(())
}

fn built(
    entry: RuleEntry,
    texts: &BTreeMap<String, Vec<String>>,
    path: Option<&Path>,
) -> Result<Rule, Problem> {
    if entry.agents.is_empty() {
        return Err(Problem::Lacks("agents"));
    }
    if entry.when.is_empty() {
        return Err(Problem::Lacks("when"));
    }
    let words = |source: &Source| !matches!(source, Source::Exit | Source::Watchdog);
    let can_read = entry.sources.iter().any(words);
    let mut when = Vec::new();
    for conditions in entry.when {
        let ready = ready(conditions, texts)?;
        if ready.has_words() && !can_read {
            return Err(Problem::Nowhere);
        }
        when.push(ready);
    }
    Ok(Rule {
        id: entry.id,
        agents: entry.agents,
        sources: entry.sources,
        outcome: entry.outcome.ok_or(Problem::Lacks("outcome"))?,
        reset: entry.reset,
        scope: entry.scope,
        note: entry.note,
        since: entry.since,
        until: entry.until,
        from: path.map(Path::to_owned),
        model: entry
            .model
            .iter()
            .map(|text| expression(text))
            .collect::<Result<_, _>>()?,
        when,
    })
}

fn ready(
    mut conditions: Conditions,
    texts: &BTreeMap<String, Vec<String>>,
) -> Result<When, Problem> {
    let given =
        toml::Table::try_from(&conditions).map_err(|error| Problem::Form(error.to_string()))?;
    let is_empty = |value: &toml::Value| value.as_array().is_some_and(Vec::is_empty);
    if given.values().all(is_empty) {
        return Err(Problem::Always);
    }
    for list in [
        &mut conditions.contains,
        &mut conditions.starts,
        &mut conditions.also,
        &mut conditions.lacks,
    ] {
        *list = named(list, texts)?
            .iter()
            .map(|words| folded(words))
            .collect();
    }
    conditions.matches = named(&conditions.matches, texts)?;
    let matches = conditions.matches.iter().map(|text| expression(text));
    Ok(When {
        matches: matches.collect::<Result<_, _>>()?,
        conditions,
    })
}

/// Puts the words of `@name` in its place.
fn named(list: &[String], texts: &BTreeMap<String, Vec<String>>) -> Result<Vec<String>, Problem> {
    let mut words = Vec::new();
    for word in list {
        match word.strip_prefix('@') {
            Some(name) => {
                let found = texts.get(name).ok_or_else(|| Problem::Unknown {
                    what: "list of texts",
                    name: name.to_owned(),
                })?;
                words.extend(found.iter().cloned());
            }
            None => words.push(word.clone()),
        }
    }
    Ok(words)
}

fn expression(text: &str) -> Result<Regex, Problem> {
    let built = RegexBuilder::new(text).multi_line(true).build();
    built.map_err(|error| Problem::Expression {
        text: text.to_owned(),
        problem: error.to_string(),
    })
}

fn exit_code_rule(code: &str, outcome: Judged, path: Option<&Path>) -> Result<Rule, Problem> {
    let number: u8 = code.parse().map_err(|_| Problem::Unknown {
        what: "exit code",
        name: code.to_owned(),
    })?;
    let conditions = Conditions {
        exit: vec![ExitTest::Code(number.into())],
        ..Conditions::default()
    };
    let when = ready(conditions, &BTreeMap::new())?;
    Ok(Rule {
        id: format!("exit-{number}"),
        agents: vec![SHELL.to_owned()],
        sources: vec![Source::Exit],
        outcome,
        reset: Vec::new(),
        scope: ScopeKind::Job,
        note: String::new(),
        since: None,
        until: None,
        from: path.map(Path::to_owned),
        model: Vec::new(),
        when: vec![when],
    })
}
