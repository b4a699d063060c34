//! Times and spans as people read them, and as programs do.
//!
//! Owns the words for "when" and "how long"; tables, `show` and `why` use it. On a terminal a time is relative or on the
//! local clock, anywhere else and in JSON it is RFC 3339 in UTC with milliseconds. `now` is taken once per command, so
//! two times on one page agree.

use std::time::Duration;

use chrono::{DateTime, Local, NaiveDateTime, Offset as _, SecondsFormat, TimeZone, Utc};

/// Writes times for one reader: a person at a terminal, or a program.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    now: DateTime<Utc>,
    for_people: bool,
}

impl Times {
    /// Writes times as seen from `now`; `for_people` is whether a terminal looks on.
    pub fn new(now: impl Into<DateTime<Utc>>, for_people: bool) -> Self {
        Self {
            now: now.into(),
            for_people,
        }
    }

    /// Gives the moment from which times are seen.
    #[must_use]
    pub fn now(&self) -> queue_core::Timestamp {
        self.now.into()
    }

    /// Writes a time for a column: `2 h ago`, `in 3 min`, `now`; RFC 3339 for programs.
    #[must_use]
    pub fn relative(&self, at: impl Into<DateTime<Utc>>) -> String {
        let at = at.into();
        if self.for_people {
            relative(at, self.now)
        } else {
            rfc3339(at)
        }
    }

    /// Writes a time where the moment is meant: `14:03:11` today, `2026-03-01 14:03:11` on another day, on the local
    /// clock; RFC 3339 for programs.
    #[must_use]
    pub fn moment(&self, at: impl Into<DateTime<Utc>>) -> String {
        let at = at.into();
        if self.for_people {
            moment(at, self.now, &Local)
        } else {
            rfc3339(at)
        }
    }

    /// Writes both: `14:03:11 (in 3 min)`; RFC 3339 for programs.
    #[must_use]
    pub fn moment_and_relative(&self, at: impl Into<DateTime<Utc>>) -> String {
        let at = at.into();
        if self.for_people {
            format!("{} ({})", self.moment(at), self.relative(at))
        } else {
            rfc3339(at)
        }
    }
}

/// Writes RFC 3339 in UTC with milliseconds: `2026-03-01T09:30:00.000Z`.
pub fn rfc3339(at: impl Into<DateTime<Utc>>) -> String {
    at.into().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Writes a distance in time in one unit, rounded down: `40 s`, `3 min`, `2 h`, `5 d`.
#[must_use]
pub fn distance(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        // Up to two days in hours: "30 h ago" says more than "1 d ago".
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Writes how long something took: `12ms`, `4.2s`, `42s`, `1m 04s`, `2h 05m`, `3d 04h`.
#[must_use]
pub fn span(length: Duration) -> String {
    let millis = length.as_millis();
    let seconds = length.as_secs();
    match seconds {
        0 => format!("{millis}ms"),
        1..10 => format!("{seconds}.{}s", length.subsec_millis() / 100),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Writes where `at` lies as seen from `now`. Less than a second either way is `now`.
fn relative(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let ahead = at.signed_duration_since(now);
    let span = ahead.abs().to_std().unwrap_or_default();
    if span < Duration::from_secs(1) {
        "now".to_owned()
    } else if at > now {
        format!("in {}", distance(span))
    } else {
        format!("{} ago", distance(span))
    }
}

/// Writes a moment on the clock of `zone`, with its date unless that is the date of `now`.
fn moment<Tz: TimeZone>(at: DateTime<Utc>, now: DateTime<Utc>, zone: &Tz) -> String {
    let Some(shown) = on_the_clock_of(zone, at) else {
        return rfc3339(at);
    };
    if on_the_clock_of(zone, now).is_some_and(|now| now.date() == shown.date()) {
        shown.format("%H:%M:%S").to_string()
    } else {
        shown.format("%Y-%m-%d %H:%M:%S").to_string()
    }
}

/// Gives what a clock in `zone` shows at `at`; nothing at the very ends of the calendar.
fn on_the_clock_of<Tz: TimeZone>(zone: &Tz, at: DateTime<Utc>) -> Option<NaiveDateTime> {
    let utc = at.naive_utc();
    utc.checked_add_offset(zone.offset_from_utc_datetime(&utc).fix())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::FixedOffset;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn distances_have_one_unit_and_never_promise_too_much() {
        let of = |seconds| distance(Duration::from_secs(seconds));
        assert_eq!(of(0), "0 s");
        assert_eq!(of(59), "59 s");
        assert_eq!(of(60), "1 min");
        assert_eq!(of(3_599), "59 min");
        assert_eq!(of(7_200), "2 h");
        assert_eq!(of(172_799), "47 h");
        assert_eq!(of(5 * 86_400), "5 d");
    }

    #[test]
    fn spans_have_two_units() {
        let of = |millis| span(Duration::from_millis(millis));
        assert_eq!(of(0), "0ms");
        assert_eq!(of(999), "999ms");
        assert_eq!(of(4_290), "4.2s");
        assert_eq!(of(42_900), "42s");
        assert_eq!(of(64_000), "1m 04s");
        assert_eq!(of(7_500_000), "2h 05m");
        assert_eq!(of(273_600_000), "3d 04h");
    }

    #[test]
    fn a_person_reads_how_far_away_a_time_is() {
        let now = at("2026-03-01T12:00:00Z");
        let people = Times::new(now, true);
        assert_eq!(people.relative(at("2026-03-01T12:00:40Z")), "in 40 s");
        assert_eq!(people.relative(at("2026-03-01T10:00:00Z")), "2 h ago");
        assert_eq!(people.relative(at("2026-03-01T11:59:59.500Z")), "now");
    }

    #[test]
    fn a_program_reads_rfc_3339_everywhere() {
        let programs = Times::new(at("2026-03-01T12:00:00Z"), false);
        let then = at("2026-03-01T10:00:00.1234Z");
        for text in [
            programs.relative(then),
            programs.moment(then),
            programs.moment_and_relative(then),
        ] {
            assert_eq!(text, "2026-03-01T10:00:00.123Z");
        }
    }

    #[test]
    fn a_moment_is_on_the_local_clock_and_has_its_date_on_another_day() {
        let zone = FixedOffset::east_opt(2 * 3_600).unwrap();
        let now = at("2026-03-01T21:00:00Z");
        assert_eq!(moment(at("2026-03-01T12:03:11Z"), now, &zone), "14:03:11");
        // 22:30 in UTC is the next day two hours east of it.
        assert_eq!(
            moment(at("2026-03-01T22:30:00Z"), now, &zone),
            "2026-03-02 00:30:00"
        );
    }

    #[test]
    fn the_ends_of_the_calendar_do_not_panic() {
        let people = Times::new(at("2026-03-01T12:00:00Z"), true);
        for edge in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            assert!(people.relative(edge).contains(" d"));
            for hours in [-12, 12] {
                let zone = FixedOffset::east_opt(hours * 3_600).unwrap();
                assert!(!moment(edge, edge, &zone).is_empty());
            }
        }
    }
}
