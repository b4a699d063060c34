//! Fills in what a scenario leaves open: `${session}`, `${in 60 UTC %-I:%M%P}` …

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::caller::now_ms;

/// Puts values in place of `${name}`:
///
/// - a name of `values`, escaped for a JSON string;
/// - `${epoch N}`: the moment in N seconds, in seconds since 1970;
/// - `${in N ZONE FORMAT}`: the minute that begins after N seconds, as clocks in ZONE show it.
pub(crate) fn filled(text: &str, values: &BTreeMap<&str, String>) -> anyhow::Result<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').context("a `${` is not closed")?;
        out += before;
        out += &value(name, values)?;
        rest = after;
    }
    Ok(out + rest)
}

fn value(name: &str, values: &BTreeMap<&str, String>) -> anyhow::Result<String> {
    if let Some(value) = values.get(name) {
        let quoted = serde_json::to_string(value)?;
        return Ok(quoted[1..quoted.len() - 1].to_owned());
    }
    let mut words = name.splitn(4, ' ');
    match words.next() {
        Some("epoch") => {
            let seconds: i64 = words.next().context("`epoch` needs a number")?.parse()?;
            // Rounded up: who waits for it does not come too early.
            Ok((now_ms() + seconds * 1000)
                .div_euclid(1000)
                .saturating_add(1)
                .to_string())
        }
        Some("in") => {
            let seconds: i64 = words.next().context("`in` needs a number")?.parse()?;
            let zone: Tz = words.next().context("`in` needs a zone")?.parse()?;
            let minute = (now_ms() / 1000 + seconds).div_euclid(60) + 1;
            let at =
                DateTime::<Utc>::from_timestamp(minute * 60, 0).context("the time is no time")?;
            let form = words.next().context("`in` needs a form")?;
            Ok(at.with_timezone(&zone).format(form).to_string())
        }
        _ => bail!("nobody knows `${{{name}}}`"),
    }
}
