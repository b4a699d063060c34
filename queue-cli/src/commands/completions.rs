//! `qcli completions`: completion scripts for shells.
//!
//! The script is generated from the command tree, so it knows every verb and option of this very program.

use clap_complete::Shell;

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli completions bash > ~/.local/share/bash-completion/completions/qcli
  qcli completions zsh > \"${fpath[1]}/_qcli\"
  qcli completions fish > ~/.config/fish/completions/qcli.fish")]
pub(crate) struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &Args, context: &mut Context) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::command(), "qcli", &mut script);
    let script = String::from_utf8(script)
        .map_err(|_| CliError::store("the completion script is not UTF-8"))?;
    if context.out.is_json() {
        let shell = args.shell.to_string();
        context
            .out
            .json(&serde_json::json!({ "shell": shell, "script": script }))?;
    } else {
        context.out.document(&script)?;
    }
    Ok(ExitCode::Ok)
}
