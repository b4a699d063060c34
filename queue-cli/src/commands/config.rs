//! `qcli config`: the settings in force, and who made each.

use serde_json::json;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output::table::{Cell, Column, Table};

/// Show the settings in force
///
/// In this order: flags, the environment, `.queue.toml` in this directory or above it, the user's configuration, defaults.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli config show --origin
  qcli config path                     where the store is")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<ConfigVerb>,
}

#[derive(Debug, clap::Subcommand)]
enum ConfigVerb {
    /// Show every setting
    Show {
        /// Say who made it
        #[arg(long)]
        origin: bool,
    },
    /// Print the path of the store
    Path,
}

/// Runs the verb; none means `show --origin`.
pub(crate) fn run(args: Args, context: &mut Context) -> Result<ExitCode, CliError> {
    match args.verb.unwrap_or(ConfigVerb::Show { origin: true }) {
        ConfigVerb::Show { origin } => show(context, origin)?,
        ConfigVerb::Path => path(context)?,
    }
    Ok(ExitCode::Ok)
}

fn show(context: &mut Context, origin: bool) -> Result<(), CliError> {
    let entries = context.config.entries();
    if context.out.is_json() {
        let settings: serde_json::Map<_, _> = entries
            .into_iter()
            .map(|entry| {
                let setting = json!({ "value": entry.value, "origin": entry.origin.to_string() });
                (entry.key.to_owned(), setting)
            })
            .collect();
        return context.out.json(&json!({ "settings": settings }));
    }
    let mut columns = vec![Column::left("KEY"), Column::flexible("VALUE")];
    if origin {
        columns.push(Column::left("ORIGIN"));
    }
    let mut table = Table::new(columns);
    for entry in entries {
        let mut row = vec![Cell::new(entry.key), Cell::new(&entry.value)];
        if origin {
            row.push(Cell::new(entry.origin.to_string()));
        }
        table.row(row);
    }
    context.out.table(&table)
}

fn path(context: &mut Context) -> Result<(), CliError> {
    let path = context.config.store.value.path().display().to_string();
    if context.out.is_json() {
        return context.out.json(&json!({ "db": path }));
    }
    context.out.line(path)
}
