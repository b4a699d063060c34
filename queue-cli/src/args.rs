//! The options that every command understands.
//!
//! Owns their names, their help and their types; the command tree flattens [`GlobalArgs`] into its root and
//! [`crate::config`] turns them into settings. The environment is not read here, so that each setting knows its origin.

use clap::{ArgAction, Args, ValueEnum};
use queue_core::store::sqlite::Durability;

use crate::output::color::ColorChoice;

/// What a change survives once it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DurabilityChoice {
    /// A power cut.
    Full,
    /// A crash of the process.
    Normal,
}

impl From<DurabilityChoice> for Durability {
    fn from(choice: DurabilityChoice) -> Self {
        match choice {
            DurabilityChoice::Full => Self::Full,
            DurabilityChoice::Normal => Self::Normal,
        }
    }
}

/// The options that every command understands.
#[derive(Debug, Clone, Default, Args)]
pub struct GlobalArgs {
    /// The store to use
    ///
    /// A path, or a URL `sqlite:PATH`. Without it: $QUEUE_DB, then `.queue.toml` in this directory or above it, then
    /// the user's configuration, then the data directory of the platform. `qcli config show` names the one in use.
    #[arg(
        long,
        value_name = "PATH|URL",
        global = true,
        help_heading = "Global options"
    )]
    pub db: Option<String>,

    /// What is acknowledged survives: `full` a power cut, `normal` a crash of the process [default: full]
    ///
    /// `normal` is faster; a power cut may take back the last changes, never a part of one.
    #[arg(
        long,
        value_name = "LEVEL",
        value_enum,
        hide_possible_values = true,
        global = true,
        help_heading = "Global options"
    )]
    pub durability: Option<DurabilityChoice>,

    /// Print JSON
    ///
    /// Objects carry "schema": 1; fields are added in later versions, none is renamed. Errors are JSON on standard
    /// error.
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,

    /// When to use colour
    ///
    /// `auto` uses it on a terminal, honours $NO_COLOR and $CLICOLOR_FORCE.
    #[arg(
        long,
        value_name = "WHEN",
        value_enum,
        global = true,
        help_heading = "Global options"
    )]
    pub color: Option<ColorChoice>,

    /// Print only what was asked for: no notes, no headings
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub quiet: bool,

    /// Say more on standard error; twice for even more
    #[arg(short, long, action = ArgAction::Count, global = true, help_heading = "Global options")]
    pub verbose: u8,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser, Subcommand};

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        global: GlobalArgs,
        #[command(subcommand)]
        verb: Verb,
    }

    #[derive(Debug, Subcommand)]
    enum Verb {
        Run {
            #[arg(last = true)]
            argv: Vec<String>,
        },
    }

    #[test]
    fn options_stand_before_or_after_the_verb() {
        Cli::command().debug_assert();
        for line in [
            "qcli --db a.db --json run -- ls",
            "qcli run --db a.db --json -- ls",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.global.db.as_deref(), Some("a.db"), "{line}");
            assert!(cli.global.json, "{line}");
        }
    }

    #[test]
    fn everything_after_two_dashes_belongs_to_the_job() {
        let cli = Cli::try_parse_from(["qcli", "run", "-vv", "--", "ls", "--json", "-q"]).unwrap();
        assert!(!cli.global.json && !cli.global.quiet);
        assert_eq!(cli.global.verbose, 2);
        let Verb::Run { argv } = cli.verb;
        assert_eq!(argv, ["ls", "--json", "-q"]);
    }

    #[test]
    fn a_wrong_colour_names_the_right_ones() {
        let error = Cli::try_parse_from(["qcli", "--color", "blue", "run"]).unwrap_err();
        assert!(error.to_string().contains("auto, always, never"), "{error}");
    }
}
