//! `qcli budget`: the most that agents may cost together.

use std::ffi::OsStr;
use std::str::FromStr;

use chrono_tz::Tz;
use queue_core::budget::{Budget, BudgetStatus, Most, Per, Scope};
use queue_core::money::Usd;
use queue_worker::agent::reset_time::machine_zone;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::filter;
use crate::new_job::budget;
use crate::output::table::{Cell, Column, Table};
use crate::output::time::{Times, rfc3339};
use crate::view::json::SpentJson;

/// Show and set the most that agents may cost together
///
/// A budget is for all jobs that call agents, or for those of a queue or with a label. Every attempt counts on the day,
/// or in the month, in which it began. When a budget is used up none of its jobs starts until it begins anew, or is raised
/// or removed; attempts that run go on, unless it is `--hard`. Other commands cost nothing that could be counted: they
/// are in no budget.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli budget set --max-cost 20
  qcli budget set --queue nightly --max-cost 20 --hard
  qcli budget set --tag team=web --max-tokens 5M --per month
  qcli budget list
  qcli budget rm queue:nightly")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<BudgetVerb>,
}

#[derive(Debug, clap::Subcommand)]
enum BudgetVerb {
    /// Show all budgets, and what is left of them
    List,
    /// Set a budget, or change what is given of one that is there
    Set(SetArgs),
    /// Remove a budget: what waited for it starts
    #[command(visible_alias = "rm")]
    Remove {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    /// What to call it [default: after what it is for, such as `all`, `queue:nightly` or `tag:team=web/month`]
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// Only jobs of this queue
    #[arg(long, value_name = "QUEUE")]
    queue: Option<String>,

    /// Only jobs with this label, whatever its value or with just this one
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = filter::tag)]
    tag: Option<(String, Option<String>)>,

    /// How much it is, such as 20 US dollars
    #[arg(long, value_name = "USD", value_parser = budget::cost)]
    max_cost: Option<Usd>,

    /// How many tokens it is, such as 5M
    #[arg(long, value_name = "N", value_parser = budget::tokens)]
    max_tokens: Option<u64>,

    /// For how long what was spent counts: a `day`, a `month`, or for `ever` [default: day]
    #[arg(long, value_name = "SPAN")]
    per: Option<Per>,

    /// Whose midnights count, such as Europe/Oslo [default: the zone of this machine]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    zone: Option<Tz>,

    /// Stop running attempts too when it is used up; their jobs wait, and go on with their sessions
    #[arg(long)]
    hard: bool,

    /// Let running attempts go on when it is used up
    #[arg(long, conflicts_with = "hard")]
    no_hard: bool,
}

fn zone(text: &str) -> Result<Tz, String> {
    Tz::from_str(text)
        .map_err(|_| format!("`{text}` is no zone: write one such as Europe/Oslo or UTC"))
}

/// Runs the verb; none means `list`.
pub(crate) fn run(args: Args, context: &mut Context) -> Result<ExitCode, CliError> {
    match args.verb.unwrap_or(BudgetVerb::List) {
        BudgetVerb::List => list(context)?,
        BudgetVerb::Set(args) => set(args, context)?,
        BudgetVerb::Remove { name } => remove(context, &name)?,
    }
    Ok(ExitCode::Ok)
}

impl SetArgs {
    fn name(&self) -> String {
        let scope = Scope {
            queue: self.queue.clone(),
            tag: self.tag.clone(),
        };
        let name = self.name.clone();
        name.unwrap_or_else(|| name_of(&scope, self.per.unwrap_or(Per::Day)))
    }

    /// What is asked for, filled up with what the budget of that name is already.
    fn over(self, before: Option<Budget>, machine: Tz) -> Result<Budget, CliError> {
        let name = self.name();
        let budget = before.unwrap_or_else(|| Budget {
            name,
            scope: Scope::default(),
            per: Per::Day,
            zone: machine,
            most: Most::default(),
            hard: false,
        });
        let most = Most {
            cost: self.max_cost.or(budget.most.cost),
            tokens: self.max_tokens.or(budget.most.tokens),
        };
        if most.is_unbounded() {
            return Err(CliError::usage(format!(
                "how much budget `{}` is, is not said",
                budget.name
            ))
            .hint("`--max-cost 20` is in US dollars, `--max-tokens 5M` in tokens"));
        }
        Ok(Budget {
            scope: Scope {
                queue: self.queue.or(budget.scope.queue),
                tag: self.tag.or(budget.scope.tag),
            },
            per: self.per.unwrap_or(budget.per),
            zone: self.zone.unwrap_or(budget.zone),
            hard: self.hard || (budget.hard && !self.no_hard),
            most,
            name: budget.name,
        })
    }
}

/// The name of a budget that is given none.
fn name_of(scope: &Scope, per: Per) -> String {
    let parts = [
        scope.queue.as_ref().map(|queue| format!("queue:{queue}")),
        scope.tag.as_ref().map(|(key, value)| match value {
            Some(value) => format!("tag:{key}={value}"),
            None => format!("tag:{key}"),
        }),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let name = match parts.is_empty() {
        true => "all".to_owned(),
        false => parts.join("+"),
    };
    match per {
        Per::Day => name,
        per => format!("{name}/{per}"),
    }
}

fn set(args: SetArgs, context: &mut Context) -> Result<(), CliError> {
    let store = context.store()?;
    let (name, now) = (args.name(), context.now());
    let known = store.budgets(&now)?.into_iter();
    let before = known
        .map(|status| status.budget)
        .find(|budget| budget.name == name);
    let budget = args.over(before, zone_of(context))?;
    let status = store.set_budget(&budget, &now)?;
    if context.out.is_json() {
        return context.out.json(&budget_json(&status));
    }
    let words = standing(&status, context.out.times());
    context.out.note(format!("budget {}: {words}", budget.name));
    Ok(())
}

/// The zone of this machine, as this process stands in it.
pub(crate) fn zone_of(context: &Context) -> Tz {
    let variable = context.around.variable("TZ");
    machine_zone(variable.and_then(OsStr::to_str))
}

fn remove(context: &mut Context, name: &str) -> Result<(), CliError> {
    let store = context.existing_store()?;
    store.remove_budget(name, &context.now())?;
    if context.out.is_json() {
        return context.out.json(&json!({ "removed": name }));
    }
    context.out.note(format!("budget {name} is removed"));
    Ok(())
}

fn list(context: &mut Context) -> Result<(), CliError> {
    let store = context.existing_store()?;
    let budgets = store.budgets(&context.now())?;
    if context.out.is_json() {
        let budgets: Vec<Value> = budgets.iter().map(budget_json).collect();
        return context.out.json(&budgets);
    }
    if budgets.is_empty() {
        context.out.note(
            "no budget is set: `qcli budget set --max-cost 20` bounds what agents cost in a day",
        );
        return Ok(());
    }
    let times = context.out.times();
    let mut table = Table::new([
        Column::flexible("BUDGET"),
        Column::flexible("JOBS"),
        Column::left("SPENT"),
        Column::right("WAITING"),
        Column::left("BEGINS ANEW"),
    ]);
    for status in &budgets {
        let Budget {
            name,
            scope,
            most,
            hard,
            ..
        } = &status.budget;
        let hard = if *hard { ", hard" } else { "" };
        let used_up = if status.is_used_up() { ", used up" } else { "" };
        table.row([
            Cell::new(name),
            Cell::new(jobs_of(scope)),
            Cell::new(format!("{}{used_up}{hard}", most.words(&status.spent))),
            status.waiting.into(),
            Cell::new(anew(status, times)),
        ]);
    }
    context.out.table(&table)
}

/// `agents in queue nightly with team=web`.
fn jobs_of(scope: &Scope) -> String {
    let queue = scope
        .queue
        .as_ref()
        .map(|queue| format!(" in queue {queue}"));
    let tag = scope.tag.as_ref().map(|(key, value)| match value {
        Some(value) => format!(" with {key}={value}"),
        None => format!(" with {key}"),
    });
    let which = format!("{}{}", queue.unwrap_or_default(), tag.unwrap_or_default());
    match which.is_empty() {
        true => "all agents".to_owned(),
        false => format!("agents{which}"),
    }
}

fn anew(status: &BudgetStatus, times: Times) -> String {
    match status.until {
        Some(until) => format!(
            "{} ({})",
            times.moment_and_relative(until),
            status.budget.zone
        ),
        None => "never".to_owned(),
    }
}

fn standing(status: &BudgetStatus, times: Times) -> String {
    let words = status.budget.most.words(&status.spent);
    let jobs = jobs_of(&status.budget.scope);
    match status.until {
        Some(_) => format!(
            "{words} for {jobs}; it begins anew at {}",
            anew(status, times)
        ),
        None => format!("{words} for {jobs}, for ever"),
    }
}

fn budget_json(status: &BudgetStatus) -> Value {
    let Budget {
        name,
        scope,
        per,
        zone,
        most,
        hard,
    } = &status.budget;
    json!({
        "name": name,
        "queue": scope.queue,
        "tag": scope.tag.as_ref().map(|(key, _)| key),
        "tag_value": scope.tag.as_ref().and_then(|(_, value)| value.as_ref()),
        "per": per.as_str(),
        "zone": zone.name(),
        "max_cost_usd": most.cost.map(Usd::dollars),
        "max_tokens": most.tokens,
        "hard": hard,
        "spent": SpentJson::from(status.spent),
        "used_up": status.is_used_up(),
        "begins_anew_at": status.until.map(rfc3339),
        "waiting": status.waiting,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_called_after_what_it_is_for() {
        let scope = |queue: Option<&str>, tag: Option<(&str, Option<&str>)>| Scope {
            queue: queue.map(str::to_owned),
            tag: tag.map(|(key, value)| (key.to_owned(), value.map(str::to_owned))),
        };
        for (scope, per, name, jobs) in [
            (scope(None, None), Per::Day, "all", "all agents"),
            (
                scope(Some("q"), None),
                Per::Ever,
                "queue:q/ever",
                "agents in queue q",
            ),
            (
                scope(None, Some(("a", Some("b")))),
                Per::Month,
                "tag:a=b/month",
                "agents with a=b",
            ),
            (
                scope(Some("q"), Some(("a", None))),
                Per::Day,
                "queue:q+tag:a",
                "agents in queue q with a",
            ),
        ] {
            assert_eq!(
                (name_of(&scope, per).as_str(), jobs_of(&scope).as_str()),
                (name, jobs)
            );
        }
    }
}
