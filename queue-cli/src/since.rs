//! How a person writes how far back to look: `--since`.
//!
//! Owns the spellings that `--at` does not have, a span such as `2h` and a date; a moment in RFC 3339, a local date and
//! time, or a local time of day is written as there. `now` and the zone come in as arguments; what it returns never lies
//! ahead of `now`, because nothing can have happened there.

use chrono::{DateTime, Days, Local, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use queue_core::Timestamp;
use queue_core::units::parse_duration;

use crate::error::CliError;
use crate::moment;
use crate::output::time::rfc3339;

/// Reads a moment at or before `now`, in the zone of this machine.
///
/// # Errors
/// When the text is no span and no moment, or the moment lies ahead (exit code 2).
pub(crate) fn parse(text: &str, now: Timestamp) -> Result<Timestamp, CliError> {
    parse_in(text, now, &Local)
}

fn parse_in<Tz: TimeZone>(text: &str, now: Timestamp, zone: &Tz) -> Result<Timestamp, CliError> {
    let text = text.trim();
    if let Ok(span) = parse_duration(text) {
        return Ok(now.saturating_sub(span));
    }
    let at = moment(text, now.into(), zone).ok_or_else(|| no_moment(text))?;
    let at = Timestamp::from(at);
    if at > now {
        return Err(CliError::usage(format!(
            "`{text}` lies ahead: it is {}",
            rfc3339(now)
        )));
    }
    Ok(at)
}

fn moment<Tz: TimeZone>(text: &str, now: DateTime<Utc>, zone: &Tz) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    // Where the clock shows a time twice, the first is meant: rather a job too many than one too few.
    let on_the_clock =
        |local: NaiveDateTime| Some(zone.from_local_datetime(&local).earliest()?.to_utc());
    if let Some(time) = moment::time_of_day(text) {
        let today = now.with_timezone(zone).date_naive();
        let at = on_the_clock(today.and_time(time))?;
        return if at <= now {
            Some(at)
        } else {
            on_the_clock(today.checked_sub_days(Days::new(1))?.and_time(time))
        };
    }
    if let Some(local) = moment::local_date_and_time(text) {
        return on_the_clock(local);
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    on_the_clock(date.and_time(NaiveTime::MIN))
}

fn no_moment(text: &str) -> CliError {
    CliError::usage(format!("`{text}` is neither a span nor a moment")).hint(
        "write a span such as 30m, 2h or 7d, a date 2026-03-01, a time of day 14:30, or RFC 3339",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::FixedOffset;

    fn read(text: &str) -> Result<String, CliError> {
        let now: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
        let zone = FixedOffset::east_opt(2 * 3_600).unwrap();
        parse_in(text, now.into(), &zone).map(|at| at.to_string())
    }

    #[test]
    fn a_span_a_date_a_time_of_day_and_a_moment_are_read() {
        for (text, at) in [
            ("2h30m", "2026-03-01T09:30:00.000Z"),
            ("2026-02-27", "2026-02-26T22:00:00.000Z"),
            ("2026-02-27 08:00", "2026-02-27T06:00:00.000Z"),
            ("13:00", "2026-03-01T11:00:00.000Z"),
            ("2026-03-01T11:59:00+00:00", "2026-03-01T11:59:00.000Z"),
        ] {
            assert_eq!(read(text).unwrap(), at, "{text}");
        }
    }

    #[test]
    fn a_time_of_day_that_is_yet_to_come_was_yesterday() {
        assert_eq!(read("15:00").unwrap(), "2026-02-28T13:00:00.000Z");
    }

    #[test]
    fn what_is_no_moment_or_lies_ahead_is_refused() {
        assert!(
            read("yesterdayish")
                .unwrap_err()
                .message()
                .contains("neither")
        );
        assert!(
            read("2027-01-01")
                .unwrap_err()
                .message()
                .contains("lies ahead")
        );
    }
}
