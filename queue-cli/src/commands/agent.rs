//! `qcli agent`: what is known of the coding agents, and whether they can be used here.

mod classify;
mod test;

use queue_worker::agent::adapter::{Adapter, FILE, Origin};
use serde_json::{Value, json};

pub(super) use self::classify::rules;

use crate::context::Context;
use crate::error::{CliError, ErrorKind};
use crate::exit_code::ExitCode;
use crate::output::table::{Cell, Column, Table};

/// Show and test the coding agents that can be given work
///
/// `qcli enqueue --agent NAME` calls one of them. How each is called is data: a file agents.toml in the configuration
/// directory changes it field by field, and describes others. How they ended they tell by their output, and hardly by
/// their exit code: ordered rules read it, which a file rules.toml in the same place changes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli agent list
  qcli agent test claude
  qcli agent show claude > my-claude.toml
  qcli agent classify saved.jsonl --exit-code 1
  claude -p hello --output-format json | qcli agent classify -
  qcli enqueue --agent claude --prompt 'fix the failing test'")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<AgentVerb>,
}

#[derive(Debug, clap::Subcommand)]
enum AgentVerb {
    /// Show all agents, and which of them are installed
    List,
    /// Show all that is known of one, in the form of agents.toml
    Show {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
    Classify(classify::Args),
    /// Look whether an agent can be used here: its program, its version, its login; costs nothing
    Test {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// Runs the verb; none means `list`.
pub(crate) fn run(args: Args, context: &mut Context) -> Result<ExitCode, CliError> {
    match args.verb.unwrap_or(AgentVerb::List) {
        AgentVerb::List => list(context)?,
        AgentVerb::Show { name } => show(context, &name)?,
        AgentVerb::Classify(args) => return classify::run(&args, context),
        AgentVerb::Test { name } => return test::run(context, &name),
    }
    Ok(ExitCode::Ok)
}

fn list(context: &mut Context) -> Result<(), CliError> {
    let found: Vec<_> = context
        .agents
        .all()?
        .iter()
        .map(|(name, adapter, origin)| {
            let program = test::find_program(adapter, &context.around);
            (name.to_owned(), adapter.clone(), origin, program.ok())
        })
        .collect();
    if context.out.is_json() {
        let agents: Vec<Value> = found
            .iter()
            .map(|(name, adapter, origin, program)| {
                json!({
                    "name": name,
                    "about": adapter.about,
                    "program": program.as_ref().map(|path| path.to_string_lossy()),
                    "origin": origin,
                })
            })
            .collect();
        return context.out.json(&json!({ "agents": agents }));
    }
    let mut table = Table::new([
        Column::left("NAME"),
        Column::left("ABOUT"),
        Column::left("FROM"),
        Column::flexible("PROGRAM"),
    ]);
    for (name, adapter, origin, program) in &found {
        let program = match program {
            Some(path) => path.display().to_string(),
            None => format!("({} is not in the PATH)", adapter.program),
        };
        table.row([
            Cell::new(name),
            Cell::new(&adapter.about),
            Cell::new(from(*origin)),
            Cell::new(program),
        ]);
    }
    context.out.table(&table)
}

fn from(origin: Origin) -> &'static str {
    match origin {
        Origin::BuiltIn => "this release",
        Origin::Changed => "this release, changed",
        Origin::Added => FILE,
    }
}

fn show(context: &mut Context, name: &str) -> Result<(), CliError> {
    let adapter = context.agents.get(name)?.clone();
    if context.out.is_json() {
        return context.out.json(&json!({ "name": name, "agent": adapter }));
    }
    let text = in_file(name, &adapter).map_err(|error| {
        CliError::new(
            ErrorKind::Usage,
            format!("what is known of {name} cannot be written: {error}"),
        )
    })?;
    context.out.document(&text)
}

/// An agent as it stands in agents.toml.
fn in_file(name: &str, adapter: &Adapter) -> Result<String, toml::ser::Error> {
    let table = toml::Table::try_from(adapter)?;
    let agents = toml::Table::from_iter([(name.to_owned(), table.into())]);
    let file = toml::Table::from_iter([("agents".to_owned(), agents.into())]);
    toml::to_string(&file)
}
