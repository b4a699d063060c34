//! `qcli edit`: changes jobs that wait.

use std::collections::HashMap;
use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use queue_core::gate::GateName;
use queue_core::job::{After, JobBody, LimitUse, RunOptions};
use queue_core::proof::{OnSuspect, Terms};
use queue_core::question::OnQuestion;
use queue_core::raw_text::RawText;
use queue_core::retry::Backoff;
use queue_core::store::Edit;
use queue_core::units::parse_count;
use queue_core::{Command, JobId, Now, Store, Verb};
use serde_json::json;

use crate::bulk::{self, JobsArgs, Said};
use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::moment;
use crate::new_job::agent::{self, AgentArgs, task_of};
use crate::new_job::budget::{self, BudgetArgs};
use crate::new_job::parse::{self, AfterArg};
use crate::new_job::proof::{self, ProofArgs};
use crate::new_job::{Site, directory, fallback, millis};
use crate::selector::Selector;

/// Change jobs that wait
///
/// What is not named stays as it is. --after, --limit, --check and --expect take the place of all that the job had. A job that runs or has
/// ended cannot be changed; to run an ended one with other settings, requeue it held: `qcli requeue`, `qcli hold`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli edit 42 --priority 10
  qcli edit 42 43 --queue nightly --tag team=web
  qcli edit 42 --now
  qcli edit 42 --no-after
  qcli edit 42 --timeout 4h -- make -j4 test
  qcli edit 42 --model opus --prompt-file TASK.md")]
pub(crate) struct Args {
    /// The jobs, each by number, name, `@` or `@~2`
    #[arg(value_name = "JOB", required = true)]
    jobs: Vec<Selector>,

    /// Put them into this queue
    #[arg(long, value_name = "QUEUE")]
    queue: Option<String>,

    /// Higher goes first, from -1000 to 1000
    #[arg(short, long, value_name = "N", allow_negative_numbers = true, value_parser = parse::priority)]
    priority: Option<i32>,

    /// Give them this name
    #[arg(short, long, value_name = "NAME", value_parser = parse::name)]
    name: Option<String>,

    /// Take their name away
    #[arg(long, conflicts_with = "name")]
    no_name: bool,

    /// Set a label; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse::tag)]
    tag: Vec<(String, String)>,

    /// Take a label away; may be repeated
    #[arg(long, value_name = "KEY")]
    untag: Vec<String>,

    /// Start no sooner than this long from now
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, conflicts_with_all = ["at", "now"], help_heading = "When")]
    delay: Option<Duration>,

    /// Start no sooner than this
    #[arg(
        long,
        value_name = "TIME",
        conflicts_with = "now",
        help_heading = "When"
    )]
    at: Option<String>,

    /// Wait for no time any more
    #[arg(long, help_heading = "When")]
    now: bool,

    /// Start when this job has ended well, or as said after the colon; may be repeated
    #[arg(long, value_name = "JOB[:success|failure|any]", help_heading = "When")]
    after: Vec<AfterArg>,

    /// Wait for no other job any more
    #[arg(long, conflicts_with = "after", help_heading = "When")]
    no_after: bool,

    /// Try it so often at the most
    #[arg(long, value_name = "N", value_parser = parse_count::<NonZeroU32>, help_heading = "Attempts")]
    max_attempts: Option<NonZeroU32>,

    /// How long to wait before another attempt: `none`, `fixed:30s`, `exp:10s..1h`
    #[arg(long, value_name = "POLICY", value_parser = parse::backoff, help_heading = "Attempts")]
    backoff: Option<Backoff>,

    /// Stop an attempt that takes longer than this
    #[arg(long, value_name = "DURATION", value_parser = parse::span, help_heading = "Attempts")]
    timeout: Option<Duration>,

    /// Stop an attempt that writes nothing for this long
    #[arg(long, value_name = "DURATION", value_parser = parse::span, help_heading = "Attempts")]
    idle_timeout: Option<Duration>,

    /// How long a stopped attempt has before it is killed
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, help_heading = "Attempts")]
    grace: Option<Duration>,

    /// Keep so much of the output of an attempt
    #[arg(long, value_name = "SIZE", value_parser = parse::bytes, help_heading = "Attempts")]
    log_cap: Option<u64>,

    /// Let it use so much memory at the most, such as 2G; beyond that it is ended
    #[arg(long, value_name = "SIZE", value_parser = parse::memory, help_heading = "Attempts")]
    mem: Option<u64>,

    /// Let it use so many processors at the most, such as 1.5
    #[arg(long, value_name = "N", value_parser = parse::cpus, help_heading = "Attempts")]
    cpu: Option<u32>,

    /// What becomes of it when it asks something: `park`, `default:TEXT` or `fail`
    #[arg(long, value_name = "WAY", help_heading = "Attempts")]
    on_question: Option<OnQuestion>,

    /// Take tokens of this limit before each attempt; may be repeated
    #[arg(long, value_name = "NAME[=COST]", help_heading = "Limits")]
    limit: Vec<LimitUse>,

    /// Need no limit any more
    #[arg(long, conflicts_with = "limit", help_heading = "Limits")]
    no_limits: bool,

    /// Wait while this gate is closed; may be repeated
    #[arg(long, value_name = "NAME", help_heading = "Limits")]
    gate: Vec<GateName>,

    /// Pass no gate any more
    #[arg(long, conflicts_with = "gate", help_heading = "Limits")]
    no_gates: bool,

    /// Share the places of this key
    #[arg(long, value_name = "KEY", help_heading = "Limits")]
    concurrency_key: Option<String>,

    /// Share no key any more
    #[arg(long, conflicts_with = "concurrency_key", help_heading = "Limits")]
    no_concurrency_key: bool,

    /// Share its directory with others, or with `false` no more: jobs of agents take turns in one checkout
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Limits")]
    share_dir: Option<bool>,

    /// Run in this directory
    #[arg(short = 'C', long, value_name = "DIR", help_heading = "What to run")]
    cwd: Option<PathBuf>,

    /// Run a line of `sh -c`
    #[arg(
        long,
        value_name = "LINE",
        conflicts_with = "argv",
        help_heading = "What to run"
    )]
    shell: Option<String>,

    #[command(flatten)]
    proof: ProofArgs,

    /// Check it by nothing any more
    #[arg(long, conflicts_with_all = ["check", "check_timeout"], help_heading = "Proof")]
    no_checks: bool,

    /// Expect nothing of it any more
    #[arg(long, conflicts_with = "expect", help_heading = "Proof")]
    no_expect: bool,

    #[command(flatten)]
    agent: AgentArgs,

    #[command(flatten)]
    budget: BudgetArgs,

    /// Run this program with these arguments; beside options of an agent, more arguments for that
    #[arg(last = true, value_name = "COMMAND", help_heading = "What to run")]
    argv: Vec<OsString>,
}

/// Changes the jobs.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let store = context.existing_store()?;
    let now = context.now();
    let edit = args.edit(&*store, &now, &Site::of(context, now.wall))?;
    if edit == Edit::default() && !args.changes_each() {
        return Err(CliError::usage("what to change is not said").hint(
            "`qcli edit --help` shows what can be changed, as in `qcli edit 42 --priority 10`",
        ));
    }
    let meant = JobsArgs {
        jobs: args.jobs.clone(),
        ..JobsArgs::default()
    }
    .find(&*store, Verb::Edit)?;
    let own = args.own_edits(&*store, &meant.ids, &edit, context)?;
    bulk::change(
        context,
        &meant,
        |ids| apply(&*store, ids, &edit, &own, &now),
        |id, state| Said {
            words: format!("edited {id}"),
            fields: json!({ "did": "edited", "state": state }),
        },
    )
}

impl Args {
    fn edit(&self, store: &dyn Store, now: &Now, site: &Site<'_>) -> Result<Edit, CliError> {
        let run_at = match (&self.at, self.delay) {
            (Some(at), _) => Some(Some(moment::parse(at, now.wall)?.into())),
            (None, Some(delay)) => Some(Some(now.wall.saturating_add(delay))),
            (None, None) => self.now.then_some(None),
        };
        let cwd = self
            .cwd
            .as_deref()
            .map(|dir| parse::directory(dir, &site.around.cwd))
            .transpose()?;
        Ok(Edit {
            name: changed(self.name.clone(), self.no_name),
            queue: self.queue.clone(),
            priority: self.priority,
            run_at,
            max_attempts: self.max_attempts,
            backoff: self.backoff,
            after: self.parents(store)?,
            limits: match self.limit.is_empty() {
                true => self.no_limits.then(Vec::new),
                false => Some(self.limit.clone()),
            },
            gates: match self.gate.is_empty() {
                true => self.no_gates.then(Vec::new),
                false => Some(self.gate.clone()),
            },
            concurrency_key: changed(self.concurrency_key.clone(), self.no_concurrency_key),
            set_tags: self.tag.iter().cloned().collect(),
            remove_tags: self.untag.clone(),
            command: self.command(),
            cwd: cwd.map(|dir| dir.into_os_string().into()),
            options: None,
            ways: None,
            directory: None,
        })
    }

    fn parents(&self, store: &dyn Store) -> Result<Option<Vec<After>>, CliError> {
        if self.after.is_empty() {
            return Ok(self.no_after.then(Vec::new));
        }
        let parents = self.after.iter().map(|after| after.find(store));
        parents.collect::<Result<_, _>>().map(Some)
    }

    /// A new command that is the same for all jobs.
    fn command(&self) -> Option<Command> {
        if let Some(line) = &self.shell {
            return Some(Command::Shell(line.clone()));
        }
        let is_command = !self.argv.is_empty() && !self.agent.is_given();
        is_command.then(|| Command::Argv(self.words()))
    }

    fn words(&self) -> Vec<RawText> {
        self.argv.iter().cloned().map(RawText::from).collect()
    }

    /// Whether something is changed that each job has as a whole: its options, or an agent's task.
    fn changes_each(&self) -> bool {
        self.timeout.is_some()
            || self.idle_timeout.is_some()
            || self.grace.is_some()
            || self.log_cap.is_some()
            || self.mem.is_some()
            || self.cpu.is_some()
            || self.on_question.is_some()
            || self.changes_proof()
            || self.shell.is_some()
            || !self.argv.is_empty()
            // What a job has to itself hangs on all of these.
            || self.cwd.is_some()
            || self.share_dir.is_some()
            || self.agent.is_given()
            || self.budget.is_given()
    }

    fn changes_proof(&self) -> bool {
        self.proof.is_given() || self.no_checks || self.no_expect
    }

    /// The edits of the jobs where each needs its own: what is stored as a whole is read and written back.
    fn own_edits(
        &self,
        store: &dyn Store,
        ids: &[JobId],
        edit: &Edit,
        context: &Context,
    ) -> Result<HashMap<JobId, Edit>, CliError> {
        if !self.changes_each() {
            return Ok(HashMap::new());
        }
        let bodies = store.bodies(ids)?.into_iter();
        bodies
            .map(|body| Ok((body.id, self.own_edit(store, &body, edit, context)?)))
            .collect()
    }

    fn own_edit(
        &self,
        store: &dyn Store,
        body: &JobBody,
        edit: &Edit,
        context: &Context,
    ) -> Result<Edit, CliError> {
        let mut edit = edit.clone();
        if self.agent.is_given() {
            let before = task_of(body).cloned();
            let task = self.agent.over(before, self.words(), &context.around.cwd)?;
            agent::check(&task, &context.agents)?;
            edit.command = Some(Command::Agent(task));
        }
        let mut options = self.over(body.options.clone());
        self.budget.put_into(&mut options);
        match &edit.command {
            None => {}
            Some(Command::Argv(words)) => options.agent = context.agents.recognise(words),
            Some(_) => options.agent = None,
        }
        if let Some(command) = &edit.command {
            let (of_agents, ways) = fallback::gates(command, &options, &body.env, &context.agents);
            let mut gates = match edit.gates.take() {
                Some(gates) => gates,
                None => other_gates(store, body, context)?,
            };
            gates.extend(of_agents);
            (edit.gates, edit.ways) = (Some(gates), Some(ways));
        }
        let command = edit.command.as_ref().or(body.command.as_ref().ok());
        let cwd = edit.cwd.as_ref().unwrap_or(&body.cwd);
        if self.changes_proof() || self.cwd.is_some() {
            let is_agent = matches!(command, Some(Command::Agent(_))) || options.agent.is_some();
            proof::check_terms(&options, is_agent, Path::new(cwd.as_os_str()))?;
        }
        if let Some(command) = command {
            edit.directory = Some(directory::own(command, &options, cwd));
            if self.budget.is_given() {
                budget::check_parts(command, &options)?;
            }
        }
        edit.options = Some(options);
        Ok(edit)
    }

    fn over(&self, options: RunOptions) -> RunOptions {
        RunOptions {
            timeout_ms: self.timeout.map(millis).or(options.timeout_ms),
            idle_timeout_ms: self.idle_timeout.map(millis).or(options.idle_timeout_ms),
            grace_ms: self.grace.map(millis).or(options.grace_ms),
            log_cap: self.log_cap.or(options.log_cap),
            memory_bytes: self.mem.or(options.memory_bytes),
            cpu_millis: self.cpu.or(options.cpu_millis),
            share_dir: self.share_dir.unwrap_or(options.share_dir),
            on_question: self.on_question.clone().or(options.on_question),
            proof: self.proof_over(options.proof.clone()),
            ..options
        }
    }
}

/// The gates of a job that are not those of its agents.
fn other_gates(
    store: &dyn Store,
    body: &JobBody,
    context: &Context,
) -> Result<Vec<GateName>, CliError> {
    let mut gates = store.job(body.id)?.gates;
    if let Ok(command) = &body.command {
        let (of_agents, _) = fallback::gates(command, &body.options, &body.env, &context.agents);
        gates.retain(|gate| !of_agents.contains(gate));
    }
    Ok(gates)
}

impl Args {
    /// The terms of a job after the change.
    fn proof_over(&self, terms: Terms) -> Terms {
        let mut terms = self.proof.over(terms);
        if self.no_checks {
            terms.checks.clear();
            terms.check_timeout_ms = None;
        }
        if self.no_expect {
            terms.expect.clear();
        }
        // A policy that goes by checks alone goes with them.
        if terms.is_empty() && terms.on_suspect == Some(OnSuspect::Check) && !self.proof.is_given()
        {
            terms.on_suspect = None;
        }
        terms
    }
}

fn apply(
    store: &dyn Store,
    ids: &[JobId],
    edit: &Edit,
    own: &HashMap<JobId, Edit>,
    now: &Now,
) -> queue_core::Result<queue_core::store::PerJob<queue_core::State>> {
    if own.is_empty() {
        return store.edit(ids, edit, now);
    }
    let mut answers = Vec::with_capacity(ids.len());
    for id in ids {
        answers.extend(store.edit(&[*id], own.get(id).unwrap_or(edit), now)?);
    }
    Ok(answers)
}

/// A new value, none in its place, or no change.
fn changed<T>(new: Option<T>, taken_away: bool) -> Option<Option<T>> {
    match new {
        Some(new) => Some(Some(new)),
        None => taken_away.then_some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn options_that_are_not_named_stay() {
        let line = Line::try_parse_from(["edit", "42", "--timeout", "1m"]).unwrap();
        let before = RunOptions {
            grace_ms: Some(5),
            direct: true,
            ..RunOptions::default()
        };
        let after = line.args.over(before);
        assert_eq!(
            (after.timeout_ms, after.grace_ms, after.direct),
            (Some(60_000), Some(5), true)
        );
    }

    #[test]
    fn a_thing_is_set_or_taken_away_but_not_both() {
        assert!(Line::try_parse_from(["edit", "42", "--name", "a", "--no-name"]).is_err());
        assert!(Line::try_parse_from(["edit", "42", "--now", "--delay", "1s"]).is_err());
        assert!(Line::try_parse_from(["edit"]).is_err());
        assert_eq!(changed(None::<u8>, true), Some(None));
        assert_eq!(changed(None::<u8>, false), None);
    }
}
