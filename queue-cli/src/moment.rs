//! How a person writes a moment ahead: `--at`.
//!
//! Owns the spellings: RFC 3339, a local date and time, or a local time of day. Commands parse `--at` with it; `now` and
//! the zone come in as arguments. What it returns never lies before `now`, and a local time that the clock skips or that
//! no zone has is refused, not guessed.

use chrono::{
    DateTime, Days, Local, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc,
};

use crate::error::CliError;
use crate::output::time::rfc3339;

/// Reads a moment at or after `now`, in the zone of this machine.
///
/// # Errors
/// When the text is no moment, the moment lies in the past, or the local clock never shows it (exit code 2).
pub fn parse(text: &str, now: impl Into<DateTime<Utc>>) -> Result<DateTime<Utc>, CliError> {
    parse_in(text, now.into(), &Local)
}

/// Reads a moment at or after `now`; a time without an offset is on the clock of `zone`.
///
/// # Errors
/// As [`parse`].
pub fn parse_in<Tz: TimeZone>(
    text: &str,
    now: DateTime<Utc>,
    zone: &Tz,
) -> Result<DateTime<Utc>, CliError> {
    let text = text.trim();
    if let Some(time) = time_of_day(text) {
        return next_time_of_day(text, time, now, zone);
    }
    let at = match DateTime::parse_from_rfc3339(text) {
        Ok(at) => at.to_utc(),
        Err(_) => match local_date_and_time(text) {
            Some(local) => on_the_clock(text, local, zone)?,
            None => return Err(no_moment(text)),
        },
    };
    if at < now {
        return Err(past(text, at, now));
    }
    Ok(at)
}

/// Reads `14:30` or `14:30:00`.
pub(crate) fn time_of_day(text: &str) -> Option<NaiveTime> {
    ["%H:%M", "%H:%M:%S"]
        .iter()
        .find_map(|form| NaiveTime::parse_from_str(text, form).ok())
}

/// Reads `2026-03-01 14:30`, with seconds or a `T` where those are written.
pub(crate) fn local_date_and_time(text: &str) -> Option<NaiveDateTime> {
    [
        "%Y-%m-%d %H:%M",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%dT%H:%M:%S",
    ]
    .iter()
    .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
}

/// Takes today's where that still lies ahead, else tomorrow's.
fn next_time_of_day<Tz: TimeZone>(
    text: &str,
    time: NaiveTime,
    now: DateTime<Utc>,
    zone: &Tz,
) -> Result<DateTime<Utc>, CliError> {
    let today = now.with_timezone(zone).date_naive();
    match on_the_clock(text, today.and_time(time), zone) {
        Ok(at) if at >= now => return Ok(at),
        // A time that the clock skips today is an error only if today is meant: it is not over yet.
        Err(error) if time > now.with_timezone(zone).time() => return Err(error),
        _ => {}
    }
    let tomorrow = today
        .checked_add_days(Days::new(1))
        .ok_or_else(|| no_moment(text))?;
    on_the_clock(text, tomorrow.and_time(time), zone)
}

/// Finds when a clock in `zone` shows `local`; of two moments, when the clock is set back, the first.
fn on_the_clock<Tz: TimeZone>(
    text: &str,
    local: NaiveDateTime,
    zone: &Tz,
) -> Result<DateTime<Utc>, CliError> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Ok(at.to_utc()),
        LocalResult::None => Err(skipped(text, local.date())),
    }
}

fn no_moment(text: &str) -> CliError {
    CliError::usage(format!("`{text}` is no moment")).hint(
        "write `18:30`, `2026-03-01 18:30` or `2026-03-01T18:30:00Z`; `--delay 2h` counts from now",
    )
}

fn past(text: &str, at: DateTime<Utc>, now: DateTime<Utc>) -> CliError {
    CliError::usage(format!("`{text}` lies in the past"))
        .detail(format!(
            "that is {}, and now it is {}",
            rfc3339(at),
            rfc3339(now)
        ))
        .hint("leave `--at` out to run it now, or give a moment ahead")
}

fn skipped(text: &str, date: NaiveDate) -> CliError {
    CliError::usage(format!(
        "`{text}` does not exist on {date}: the local clock skips it"
    ))
    .hint("give another time, or one with its offset such as `2026-03-29T02:30:00+01:00`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::FixedOffset;

    /// Two hours east of UTC until 2026-10-25 01:00 UTC and from 2026-03-29 01:00 UTC on, one hour otherwise.
    #[derive(Clone, Copy)]
    struct CentralEurope;

    impl CentralEurope {
        fn hours(hours: i32) -> FixedOffset {
            FixedOffset::east_opt(hours * 3_600).unwrap()
        }

        fn is_summer(utc: NaiveDateTime) -> bool {
            let edge = |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
            (edge("2026-03-29 01:00")..edge("2026-10-25 01:00")).contains(&utc)
        }
    }

    impl TimeZone for CentralEurope {
        type Offset = FixedOffset;

        fn from_offset(_: &FixedOffset) -> Self {
            Self
        }

        fn offset_from_local_date(&self, _: &NaiveDate) -> LocalResult<FixedOffset> {
            LocalResult::None
        }

        fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> LocalResult<FixedOffset> {
            let (summer, winter) = (Self::hours(2), Self::hours(1));
            match (
                Self::is_summer(*local - summer),
                !Self::is_summer(*local - winter),
            ) {
                (true, true) => LocalResult::Ambiguous(summer, winter),
                (true, false) => LocalResult::Single(summer),
                (false, true) => LocalResult::Single(winter),
                (false, false) => LocalResult::None,
            }
        }

        fn offset_from_utc_date(&self, date: &NaiveDate) -> FixedOffset {
            self.offset_from_utc_datetime(&date.and_time(NaiveTime::MIN))
        }

        fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> FixedOffset {
            Self::hours(if Self::is_summer(*utc) { 2 } else { 1 })
        }
    }

    /// Reads `text` when it is `now`, and gives RFC 3339 or the message.
    fn read(text: &str, now: &str) -> Result<String, String> {
        parse_in(text, now.parse().unwrap(), &CentralEurope)
            .map(rfc3339)
            .map_err(|error| error.message().to_owned())
    }

    const NOW: &str = "2026-06-01T12:00:00Z"; // 14:00 on the local clock

    #[test]
    fn rfc_3339_names_its_own_offset() {
        assert_eq!(
            read("2026-06-01T12:00:01Z", NOW).unwrap(),
            "2026-06-01T12:00:01.000Z"
        );
        assert_eq!(
            read("2026-06-01T12:30:00-05:00", NOW).unwrap(),
            "2026-06-01T17:30:00.000Z"
        );
    }

    #[test]
    fn date_and_time_are_on_the_local_clock() {
        assert_eq!(
            read("2026-06-02 18:30", NOW).unwrap(),
            "2026-06-02T16:30:00.000Z"
        );
        assert_eq!(
            read("2026-06-02 18:30:05", NOW).unwrap(),
            "2026-06-02T16:30:05.000Z"
        );
        assert_eq!(
            read("2026-12-01T18:30", NOW).unwrap(),
            "2026-12-01T17:30:00.000Z"
        );
    }

    #[test]
    fn a_time_of_day_is_today_or_tomorrow() {
        assert_eq!(read("14:01", NOW).unwrap(), "2026-06-01T12:01:00.000Z");
        assert_eq!(read("14:00", NOW).unwrap(), "2026-06-01T12:00:00.000Z");
        assert_eq!(read("13:59", NOW).unwrap(), "2026-06-02T11:59:00.000Z");
        assert_eq!(read("9:05:30", NOW).unwrap(), "2026-06-02T07:05:30.000Z");
        // It is 00:30 on the next day here, although not yet in UTC.
        assert_eq!(
            read("01:00", "2026-06-01T22:30:00Z").unwrap(),
            "2026-06-01T23:00:00.000Z"
        );
    }

    #[test]
    fn a_moment_in_the_past_is_refused_naming_it_and_now() {
        let error = parse_in("2026-06-01 13:59", NOW.parse().unwrap(), &CentralEurope).unwrap_err();
        let text = error.render(crate::output::color::Paint::plain());
        assert_eq!(error.exit_code().number(), 2);
        assert!(
            text.contains("`2026-06-01 13:59` lies in the past"),
            "{text}"
        );
        assert!(text.contains("2026-06-01T11:59:00.000Z"), "{text}");
        assert!(text.contains("2026-06-01T12:00:00.000Z"), "{text}");
    }

    // T3
    #[test]
    fn a_time_the_clock_skips_is_refused_and_not_guessed() {
        let message = "`2026-03-29 02:30` does not exist on 2026-03-29: the local clock skips it";
        assert_eq!(
            read("2026-03-29 02:30", "2026-03-01T00:00:00Z").unwrap_err(),
            message
        );
        let evening_before = "2026-03-28T20:00:00Z";
        assert!(
            read("02:30", evening_before)
                .unwrap_err()
                .contains("skips it")
        );
        // After the gap, the next 02:30 is tomorrow's, and there is one.
        assert_eq!(
            read("02:30", "2026-03-29T10:00:00Z").unwrap(),
            "2026-03-30T00:30:00.000Z"
        );
    }

    // T3
    #[test]
    fn of_a_time_the_clock_shows_twice_the_first_is_taken() {
        let read = read("2026-10-25 02:30", "2026-10-01T00:00:00Z");
        assert_eq!(read.unwrap(), "2026-10-25T00:30:00.000Z");
    }

    #[test]
    fn what_is_no_moment_is_named() {
        for text in [
            "",
            "soon",
            "25:00",
            "2026-02-30 12:00",
            "2026-06-01",
            "12",
            "-1h",
        ] {
            let message = read(text, NOW).unwrap_err();
            assert_eq!(message, format!("`{text}` is no moment"));
        }
    }
}
