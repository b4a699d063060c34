//! `qcli limit`: token buckets that all workers share, and how many jobs with one key run at once.

use std::num::NonZeroU32;

use queue_core::Store;
use queue_core::bucket::Quota;
use queue_core::limit::Limit;
use queue_core::queue::KeyStatus;
use queue_core::units::{Rate, parse_count};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output::table::{Cell, Column, Table};
use crate::output::time::rfc3339;

/// Show and set limits that all workers share
///
/// A limit is a token bucket: it refills at a rate and holds a burst at the most. A job enqueued with `--limit api`
/// takes one token when it starts, one with `--limit api=3` takes three. Jobs that do not need the limit go on while
/// it is empty. Jobs enqueued with the same `--concurrency-key` run one at a time, unless `limit key` gives more room.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qcli limit set api --rate 60/min --burst 10
  qcli enqueue --limit api -- curl -fsS https://example.org/
  qcli limit list
  qcli limit key repo:/srv/site --concurrency 2
  qcli limit remove api")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<LimitVerb>,
}

#[derive(Debug, clap::Subcommand)]
enum LimitVerb {
    /// Show all limits and keys, and how full they are
    List,
    /// Set a limit, or change what is given of one that is there
    Set {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// How fast tokens come back, such as 20/s, 60/min or 5/h
        #[arg(long, value_name = "RATE")]
        rate: Option<Rate>,
        /// How many tokens it holds: so many jobs may start at once [default: 1]
        #[arg(long, value_name = "N", value_parser = parse_count::<NonZeroU32>)]
        burst: Option<NonZeroU32>,
    },
    /// Remove a limit that no waiting job needs
    #[command(visible_alias = "rm")]
    Remove {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Set how many jobs with a concurrency key may run at once
    Key {
        /// The key, as in `qcli enqueue --concurrency-key KEY`
        #[arg(value_name = "KEY")]
        key: String,
        /// How many
        #[arg(long, value_name = "N", value_parser = parse_count::<NonZeroU32>)]
        concurrency: NonZeroU32,
    },
}

/// Runs the verb; none means `list`.
pub(crate) fn run(args: Args, context: &mut Context) -> Result<ExitCode, CliError> {
    match args.verb.unwrap_or(LimitVerb::List) {
        LimitVerb::List => list(context)?,
        LimitVerb::Set { name, rate, burst } => set(context, &name, rate, burst)?,
        LimitVerb::Remove { name } => remove(context, &name)?,
        LimitVerb::Key { key, concurrency } => set_key(context, &key, concurrency)?,
    }
    Ok(ExitCode::Ok)
}

fn list(context: &mut Context) -> Result<(), CliError> {
    let store = context.existing_store()?;
    let limits = store.limits(&context.now())?;
    let keys = store.keys()?;
    if context.out.is_json() {
        return context.out.json(&json!({
            "limits": limits.iter().map(limit_json).collect::<Vec<_>>(),
            "keys": keys.iter().map(key_json).collect::<Vec<_>>(),
        }));
    }
    if limits.is_empty() && keys.is_empty() {
        context
            .out
            .note("no limit is set: `qcli limit set api --rate 60/min --burst 10` sets one");
        return Ok(());
    }
    if !limits.is_empty() {
        let table = limit_table(context, &limits);
        context.out.table(&table)?;
    }
    if !keys.is_empty() {
        if !limits.is_empty() {
            context.out.heading("Concurrency keys")?;
        }
        context.out.table(&key_table(&keys))?;
    }
    Ok(())
}

fn set(
    context: &mut Context,
    name: &str,
    rate: Option<Rate>,
    burst: Option<NonZeroU32>,
) -> Result<(), CliError> {
    let store = context.store()?;
    let now = context.now();
    let before = store
        .limits(&now)?
        .into_iter()
        .find(|limit| limit.name == name)
        .map(|limit| limit.quota);
    let quota = quota(name, before, rate, burst)?;
    let limit = store.set_limit(name, &quota, &now)?;
    if context.out.is_json() {
        return context.out.json(&limit_json(&limit));
    }
    context.out.note(format!("limit {name} is {quota}"));
    Ok(())
}

/// What was asked for, filled up with what the limit is already.
fn quota(
    name: &str,
    before: Option<Quota>,
    rate: Option<Rate>,
    burst: Option<NonZeroU32>,
) -> Result<Quota, CliError> {
    let Some(rate) = rate.or(before.map(|quota| quota.rate())) else {
        return Err(
            CliError::usage(format!("limit `{name}` is new and needs a rate")).hint(format!(
                "`qcli limit set {} --rate 60/min --burst 10`",
                shell_words::quote(name)
            )),
        );
    };
    let burst = burst
        .or(before.map(|quota| quota.burst()))
        .unwrap_or(NonZeroU32::MIN);
    Quota::new(rate, burst).map_err(|error| CliError::usage(error.to_string()))
}

fn remove(context: &mut Context, name: &str) -> Result<(), CliError> {
    let store = context.existing_store()?;
    store.remove_limit(name, &context.now())?;
    if context.out.is_json() {
        return context.out.json(&json!({ "removed": name }));
    }
    context.out.note(format!("limit {name} is removed"));
    Ok(())
}

fn set_key(context: &mut Context, key: &str, places: NonZeroU32) -> Result<(), CliError> {
    let store = context.store()?;
    store.set_key(key, places, &context.now())?;
    if context.out.is_json() {
        let status = find_key(&*store, key)?;
        return context.out.json(&json!({
            "key": key,
            "concurrency": places,
            "running": status.map(|status| status.running).unwrap_or_default(),
        }));
    }
    let jobs = if places.get() == 1 { "job" } else { "jobs" };
    context
        .out
        .note(format!("{places} {jobs} with key {key} may run at once"));
    Ok(())
}

fn find_key(store: &dyn Store, key: &str) -> Result<Option<KeyStatus>, CliError> {
    Ok(store.keys()?.into_iter().find(|status| status.key == key))
}

fn limit_json(limit: &Limit) -> Value {
    json!({
        "name": limit.name,
        "rate": limit.quota.rate().to_string(),
        "burst": limit.quota.burst(),
        "available": limit.available,
        "next_at": limit.next_at.map(rfc3339),
        "spent": limit.spent,
        "waiting": limit.waiting,
    })
}

fn key_json(status: &KeyStatus) -> Value {
    json!({ "key": status.key, "concurrency": status.places, "running": status.running })
}

fn limit_table(context: &Context, limits: &[Limit]) -> Table {
    let times = context.out.times();
    let mut table = Table::new([
        Column::flexible("LIMIT"),
        Column::right("RATE"),
        Column::right("AVAILABLE"),
        Column::right("WAITING"),
        Column::right("SPENT").spare(1),
        Column::left("NEXT TOKEN").spare(2),
    ]);
    for limit in limits {
        table.row([
            Cell::new(&limit.name),
            Cell::new(limit.quota.rate().to_string()),
            Cell::new(format!("{}/{}", limit.available, limit.quota.burst())),
            limit.waiting.into(),
            limit.spent.into(),
            Cell::new(
                limit
                    .next_at
                    .map(|at| times.relative(at))
                    .unwrap_or_default(),
            ),
        ]);
    }
    table
}

fn key_table(keys: &[KeyStatus]) -> Table {
    let mut table = Table::new([
        Column::flexible("KEY"),
        Column::right("RUNNING"),
        Column::flexible("JOBS"),
    ]);
    for status in keys {
        let jobs: Vec<_> = status.running.iter().map(ToString::to_string).collect();
        table.row([
            Cell::new(&status.key),
            Cell::new(format!("{}/{}", status.running.len(), status.places)),
            Cell::new(jobs.join(" ")),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_limit_needs_a_rate_and_a_known_one_keeps_what_is_not_named() {
        let rate: Rate = "60/min".parse().unwrap();
        let ten = NonZeroU32::new(10);
        assert!(quota("api", None, None, ten).is_err());
        let first = quota("api", None, Some(rate), ten).unwrap();
        let wider = quota("api", Some(first), None, NonZeroU32::new(20)).unwrap();
        assert_eq!((wider.rate(), wider.burst().get()), (rate, 20));
        assert_eq!(
            quota("api", None, Some(rate), None).unwrap().burst().get(),
            1
        );
    }
}
