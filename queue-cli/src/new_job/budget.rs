//! What a job may cost: the options of `enqueue`, `run` and `edit`, and the same as fields of a line.
//!
//! Owns the refusal of a bound that nobody could keep. What always holds: a job that has such a bound calls an agent
//! whose output is read.

use queue_core::job::RunOptions;
use queue_core::money::Usd;
use queue_core::units::parse_tokens;
use queue_core::{Command, NewJob};

use crate::error::CliError;

/// What a job may cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct BudgetArgs {
    /// Let the agent cost so much at the most, over all attempts, such as 2.50 US dollars
    ///
    /// An attempt is stopped as soon as its agent names more, and none is started when nothing is left. What an agent
    /// does not name a price for cannot be counted: bound its tokens as well.
    #[arg(long, value_name = "USD", value_parser = cost, help_heading = "Agents")]
    pub(crate) max_cost: Option<Usd>,

    /// Let the agent use so many tokens at the most, over all attempts, such as 500k or 5M
    #[arg(long, value_name = "N", value_parser = tokens, help_heading = "Agents")]
    pub(crate) max_tokens: Option<u64>,
}

impl BudgetArgs {
    /// Whether anything is bounded.
    pub(crate) fn is_given(&self) -> bool {
        self.max_cost.is_some() || self.max_tokens.is_some()
    }

    /// Puts what is said into the options of a job.
    pub(crate) fn put_into(&self, options: &mut RunOptions) {
        options.max_cost = self.max_cost.or(options.max_cost);
        options.max_tokens = self.max_tokens.or(options.max_tokens);
    }
}

/// Reads an amount of more than nothing.
pub(crate) fn cost(text: &str) -> Result<Usd, String> {
    let amount: Usd = text
        .parse()
        .map_err(|error: queue_core::money::BadUsd| error.to_string())?;
    if amount == Usd::ZERO {
        return Err(format!("`{text}` would let nothing run: write more than 0"));
    }
    Ok(amount)
}

/// Reads a number of tokens.
pub(crate) fn tokens(text: &str) -> Result<u64, String> {
    parse_tokens(text).map_err(|error| error.to_string())
}

/// Refuses a bound on a job of which nobody reads what it costs.
///
/// # Errors
/// When the job calls no agent that is known (exit code 2).
pub(crate) fn check(job: &NewJob) -> Result<(), CliError> {
    check_parts(&job.command, &job.options)
}

/// The same for what an edit makes of a job.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_parts(command: &Command, options: &RunOptions) -> Result<(), CliError> {
    let is_agents = matches!(command, Command::Agent(_)) || options.agent.is_some();
    if options.most().is_unbounded() || is_agents {
        return Ok(());
    }
    let option = match options.max_cost {
        Some(_) => "--max-cost",
        None => "--max-tokens",
    };
    Err(CliError::usage(format!(
        "{option} says nothing here: what a command costs is known only of agents"
    ))
    .hint(
        "name the agent with `--agent claude --prompt …`; `qcli agent list` shows those there are",
    ))
}
