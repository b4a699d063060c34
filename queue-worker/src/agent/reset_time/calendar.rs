//! Turns a date and a time of day in a zone into an instant.
//!
//! Used by the forms. What always holds: every date and time has an instant: one that a clock change
//! skips is the first valid instant after it, one that comes twice is the later.

use chrono::{DateTime, Datelike as _, FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime};
use chrono::{NaiveTime, TimeDelta, TimeZone, Utc, Weekday};
use chrono_tz::Tz;

use super::JUST_NOW;

/// Where a time of day holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A zone with its clock changes.
    Named(Tz),
    /// So far from UTC, always.
    Fixed(FixedOffset),
}

/// No clock was ever put forward by more than a day (Samoa, 30 December 2011).
const LONGEST_GAP_MINUTES: i64 = 25 * 60;

impl Place {
    /// The instant at which the clocks there show this; `None` beyond the end of the calendar.
    pub(super) fn instant(self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        match self {
            Self::Fixed(offset) => first_valid(&offset, local),
            Self::Named(zone) => first_valid(&zone, local),
        }
    }

    /// The first instant of a day.
    pub(super) fn start_of(self, day: NaiveDate) -> Option<DateTime<Utc>> {
        self.instant(day.and_time(NaiveTime::MIN))
    }

    /// The date that the calendars there show.
    pub(super) fn date(self, now: DateTime<Utc>) -> NaiveDate {
        match self {
            Self::Fixed(offset) => now.with_timezone(&offset).date_naive(),
            Self::Named(zone) => now.with_timezone(&zone).date_naive(),
        }
    }

    /// The next time the clocks show this, on that day of the week if one is given. A moment ago counts.
    pub(super) fn next(
        self,
        now: DateTime<Utc>,
        weekday: Option<Weekday>,
        time: NaiveTime,
    ) -> Option<DateTime<Utc>> {
        let yesterday = self.date(now).pred_opt()?;
        let days = yesterday.iter_days().take(10);
        days.filter(|day| weekday.is_none_or(|weekday| day.weekday() == weekday))
            .filter_map(|day| self.instant(day.and_time(time)))
            .find(|at| *at > now - JUST_NOW)
    }

    /// That day of a month in the year that is meant: the first in which it lies at most two days behind.
    pub(super) fn near(
        self,
        now: DateTime<Utc>,
        (month, day): (u32, u32),
        time: NaiveTime,
    ) -> Option<DateTime<Utc>> {
        let year = self.date(now).year();
        let earliest = now - TimeDelta::days(2);
        // A 29 February may be eight years away.
        (year - 1..=year + 8)
            .filter_map(|year| NaiveDate::from_ymd_opt(year, month, day))
            .filter_map(|day| self.instant(day.and_time(time)))
            .find(|at| *at >= earliest)
    }
}

fn first_valid<Z: TimeZone>(zone: &Z, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    (0..=LONGEST_GAP_MINUTES).find_map(|minutes| {
        let local = local.checked_add_signed(TimeDelta::minutes(minutes))?;
        // Behind the gap the clocks show its end, whatever the seconds were.
        let local = match minutes {
            0 => local,
            _ => local
                .date()
                .and_time(NaiveTime::from_num_seconds_from_midnight_opt(
                    chrono::Timelike::num_seconds_from_midnight(&local) / 60 * 60,
                    0,
                )?),
        };
        match zone.from_local_datetime(&local) {
            MappedLocalTime::Single(at) => Some(at.to_utc()),
            MappedLocalTime::Ambiguous(_, later) => Some(later.to_utc()),
            MappedLocalTime::None => None,
        }
    })
}
